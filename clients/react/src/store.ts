/** The state of a session for React, and what changes it. It knows no React. */

import type { Challenge, Credentials, FactorAnswerOptions, Passkeys, SessionOptions, User } from "django-latchkey-browser";

/** What the store needs of a session: that of a browser, or that of `django-latchkey-react-native`. */
export interface AnySession {
  readonly user: User | null;
  readonly passkeys?: Passkeys;
  restore(): Promise<User | null>;
  signIn(credentials: Credentials): Promise<User>;
  factorOptions(method: string): Promise<unknown>;
  answerFactor(method: string, answer: unknown, options?: FactorAnswerOptions): Promise<User>;
  signOut(): Promise<void>;
  send(method: string, path: string, data?: Readonly<Record<string, unknown>>): Promise<unknown>;
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  close(): void;
  addEventListener(type: "signin" | "signout" | "expire", listener: () => void): void;
}

/** Makes a session. It has to call `stepUp` as `createSession` does. */
export type CreateSession = (given: Required<Pick<SessionOptions, "stepUp">>) => AnySession;

export interface SessionState {
  /**
   * `loading`: it is not known yet who is signed in. `expired`: the session that this tab had has ended, or is idle.
   * `anonymous`: nobody is signed in.
   */
  readonly status: "loading" | "signed-in" | "expired" | "anonymous";
  readonly user: User | null;
  /** What a request asks for, while it waits for the user to authenticate again. Otherwise null. */
  readonly challenge: Challenge | null;
  /** Why it could not be found out who is signed in. The status is `anonymous` then. */
  readonly error: Error | null;
}

export interface SessionActions {
  /** Signs in. See `Session.signIn` of `django-latchkey-browser`. */
  signIn(credentials: Credentials): Promise<User>;
  factorOptions(method: string): Promise<unknown>;
  answerFactor(method: string, answer: unknown, options?: FactorAnswerOptions): Promise<User>;
  /** Signs out, in all tabs. */
  signOut(): Promise<void>;
  /** Sends a request that changes the account. */
  send(method: string, path: string, data?: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** Like `fetch`, with a valid token. It waits for the user to authenticate again if the response asks for that. */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** Answers `challenge`: the requests that wait for it are repeated. `method` is one of `challenge.offered`. */
  authenticate(method: string, answer: unknown): Promise<void>;
  /** Answers `challenge` by a passkey. */
  authenticateByPasskey(): Promise<void>;
  /** Gives `challenge` up: the requests that wait for it return the response that they have got. */
  cancel(): void;
  /** The passkeys of the browser. undefined: the platform has none. */
  passkeys(): Passkeys | undefined;
}

interface Waiting {
  readonly challenge: Challenge;
  readonly settle: (isMet: boolean) => void;
}

/** A state that React can subscribe to (`useSyncExternalStore`). The session is made when it is first used. */
export class SessionStore {
  readonly actions: SessionActions;
  readonly #create: CreateSession;
  readonly #first: SessionState;
  readonly #listeners = new Set<() => void>();
  #state: SessionState;
  #session: AnySession | undefined;
  #waiting: readonly Waiting[] = [];

  /** @param user Who is signed in, if the server that renders the page knows it. null: nobody. */
  constructor(create: CreateSession, user?: User | null) {
    this.#create = create;
    this.#first = { ...stateOf(user), challenge: null, error: null };
    this.#state = this.#first;
    this.actions = {
      signIn: (credentials) => this.#changed((session) => session.signIn(credentials)),
      factorOptions: (method) => this.start().factorOptions(method),
      answerFactor: (method, answer, options) => this.#changed((session) => session.answerFactor(method, answer, options)),
      signOut: () => this.#changed((session) => session.signOut(), "anonymous"),
      send: (method, path, data) => this.start().send(method, path, data),
      fetch: (input, init) => this.start().fetch(input, init),
      authenticate: (method, answer) => this.#met((session) => session.send("POST", "reauthenticate", { method, answer })),
      authenticateByPasskey: () => this.#met((session) => session.passkeys!.reauthenticate()),
      cancel: () => this.#settle(false),
      passkeys: () => this.start().passkeys,
    };
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly state = (): SessionState => this.#state;

  /** The state of a page that a server has rendered. React compares it with the page before it shows anything else. */
  readonly firstState = (): SessionState => this.#first;

  /** Makes the session, and asks who is signed in. Returns the session. */
  start(): AnySession {
    if (this.#session) return this.#session;
    if (typeof window === "undefined") throw new Error("A session exists in the browser only. Call it in an effect or an event handler.");
    const session = this.#create({ stepUp: (challenge) => this.#ask(challenge) });
    this.#session = session;
    const isOurs = () => session === this.#session;
    session.addEventListener("signin", () => isOurs() && this.#set({ ...stateOf(session.user), error: null }));
    session.addEventListener("signout", () => isOurs() && this.#leave("anonymous"));
    session.addEventListener("expire", () => isOurs() && this.#leave("expired"));
    session.restore().then(
      (user) => isOurs() && this.#set({ ...stateOf(user), error: null }),
      (error: Error) => isOurs() && this.#set({ ...stateOf(null), error }),
    );
    return session;
  }

  /** Stops listening. The user stays signed in. */
  stop(): void {
    this.#session?.close();
    this.#session = undefined;
    this.#waiting.forEach(({ settle }) => settle(false));
    this.#waiting = [];
  }

  /** Does something that changes who is signed in. The first result of a session causes no event. */
  async #changed<T>(act: (session: AnySession) => Promise<T>, status?: "anonymous"): Promise<T> {
    const session = this.start();
    const done = await act(session);
    if (session === this.#session) this.#set({ ...stateOf(status ? null : session.user), error: null });
    return done;
  }

  #leave(status: "anonymous" | "expired"): void {
    this.#set({ status, user: null, error: null });
  }

  #set(changes: Partial<SessionState>): void {
    this.#state = { ...this.#state, ...changes, challenge: this.#waiting[0]?.challenge ?? null };
    this.#listeners.forEach((listener) => listener());
  }

  /** Resolves with whether the user has authenticated again. */
  #ask(challenge: Challenge): Promise<boolean> {
    return new Promise((settle) => {
      this.#waiting = [...this.#waiting, { challenge, settle }];
      this.#set({});
    });
  }

  async #met(act: (session: AnySession) => Promise<unknown>): Promise<void> {
    await act(this.start());
    this.#settle(true);
  }

  /** Answers all requests that ask for the same as the first. */
  #settle(isMet: boolean): void {
    const asked = JSON.stringify(this.#waiting[0]?.challenge);
    const isAnswered = ({ challenge }: Waiting) => JSON.stringify(challenge) === asked;
    const answered = this.#waiting.filter(isAnswered);
    this.#waiting = this.#waiting.filter((one) => !isAnswered(one));
    this.#set({});
    answered.forEach(({ settle }) => settle(isMet));
  }
}

function stateOf(user: User | null | undefined): Pick<SessionState, "status" | "user"> {
  if (user === undefined) return { status: "loading", user: null };
  return { status: user ? "signed-in" : "anonymous", user };
}
