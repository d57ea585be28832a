/** Who is signed in, and the requests to the auth API. */

import type { Answered, Change, Idle, Persistence, Kept, Step, Tokens } from "./changes.ts";
import { lifeOf, waitOf } from "./answers.ts";
import { Countdown } from "./countdown.ts";
import { SessionError, type Caught } from "./errors.ts";
import { withLock } from "./locks.ts";
import { bare, own } from "./own_properties.ts";
import type { Credentials, FactorAnswerOptions, Mode, User } from "./types.ts";

const TIMEOUT = 30_000; // Milliseconds that the auth API may take for a response.
const PATH = /^\w[\w/-]*$/; // A path of the API. A page could send the refresh token anywhere with any other URL.
const CHANGE = ["kind", "user", "session", "total", "wall", "end", "idle"] as const;
const BACKOFF = { first: 500, most: 30_000 };
export const REFUSALS: readonly unknown[] = ["token_expired", "not_authenticated", "session_ended", "session_idle"];
export const PREFIX = "latchkey "; // The name of the lock, the channel and the worker is this and the URL of the API.
const GRANTING = /^(reauthenticate|refresh)\/?$/; // The paths whose answers have tokens.
const OF_PASSKEYS = ["passkeyOptions", "signInByPasskey", "factorOptions"] as const;
/** The methods that pages may call. */
export const METHODS = ["restore", "signIn", "answerFactor", "signOut", "send", "ready", "renew", "wake", "idle", ...OF_PASSKEYS] as const;
export type Method = (typeof METHODS)[number];

/** Knows who is signed in, and sends the requests to the auth API. `publish` is called with every change. */
export class SessionClient {
  readonly #name: string;
  readonly #api: URL;
  readonly #mode: Mode;
  readonly #publish: (change: Change) => void;
  readonly #persistence: Persistence | undefined;
  #turn = 0; // Incremented with every new token or session, so that callers can tell whether theirs is outdated.
  #user: User | null | undefined; // undefined: not known yet. null: no user is signed in, and there is nothing to refresh.
  #session: string | undefined;
  #life = new Countdown(Infinity);
  #tokens: Tokens = bare({}); // Only in mode `body`.
  #idle: Idle | undefined; // What a factor can reopen. Nobody is signed in then, and the refresh token is kept.
  #renewing: Promise<unknown> | undefined;
  #awaken: (() => void) | undefined;
  #isClosed = false;

  constructor(name: string, api: URL, mode: Mode, publish: (change: Change) => void, persistence?: Persistence) {
    this.#name = name;
    this.#api = api;
    this.#mode = mode;
    this.#publish = publish;
    this.#persistence = persistence;
    const { refresh, device, user, session } = persistence?.kept ?? {};
    if (mode === "body") this.#user = user ?? (refresh ? undefined : null);
    if (!persistence) return;
    this.#session = session;
    this.#tokens = bare({ refresh, device });
    if (refresh) this.#life = new Countdown(0); // There is no access token yet.
  }

  /** Returns who is signed in according to the server, or null. */
  async restore(): Promise<Change | null> {
    if (this.#mode !== "body") {
      await this.#insist(() => this.#request("GET", "me"));
    } else if (this.#life.left <= 0) {
      await this.renew(this.#turn);
    }
    return this.#user ? { kind: "restore", user: this.#user, session: this.#session } : null;
  }

  signIn(credentials: Credentials): Promise<Change> {
    const { email, password, remember, deviceName } = own(credentials, "email", "password", "remember", "deviceName");
    return this.#signIn("login", () => ({ email, password, remember, device_name: deviceName, mode: this.#mode }));
  }

  /** Answers a factor, after a sign-in was refused with `factor_required`. */
  async answerFactor(method: string, answer: unknown, options?: FactorAnswerOptions): Promise<Change> {
    // Without an answer the API would return what the factor needs.
    if (answer === undefined) throw new SessionError({ message: `${method} has no answer`, code: "invalid_answer" });
    const { trustDevice } = own(options, "trustDevice");
    return this.#signIn("factor", () => ({ method, answer, trust_device: trustDevice, pending: this.#tokens.pending }));
  }

  /** Returns what a passkey has to sign for a sign-in with nothing before it. */
  async passkeyOptions(): Promise<any> {
    const { answer } = await this.#call("POST", "passkey", { mode: this.#mode });
    const { options, ceremony } = own(answer as unknown, "options", "ceremony");
    this.#tokens.ceremony = ceremony; // Only in mode `body`. Otherwise the browser has a cookie.
    return options;
  }

  signInByPasskey(answer: unknown, given: { remember?: boolean; deviceName?: string }): Promise<Change> {
    const { remember, deviceName } = own(given, "remember", "deviceName");
    const more = () => ({ remember, device_name: deviceName, mode: this.#mode, ceremony: this.#tokens.ceremony });
    return this.#signIn("passkey", () => ({ answer, ...more() }));
  }

  /** Returns what a factor needs before it can be answered, after a sign-in was refused with `factor_required`. */
  async factorOptions(method: string): Promise<any> {
    const { device, pending } = this.#tokens;
    const { answer } = await this.#call("POST", "factor", { method, pending, device_token: device });
    return own(answer as unknown, "options").options;
  }

  async signOut(): Promise<void> {
    await withLock(this.#name, async () => {
      await this.#call("POST", "logout", this.#refreshToken());
      this.#end("signout");
    });
  }

  /** Signs out here, whether or not the server can be reached. Returns the refresh token, for `revoke`. */
  forget(): string | undefined {
    const { refresh } = this.#tokens;
    this.#end("signout");
    return refresh;
  }

  /** Ends the session of a refresh token. */
  async revoke(refreshToken: string): Promise<void> {
    await this.#call("POST", "logout", { refresh_token: refreshToken });
  }

  /** Sends a request that changes the account, in mode `body` with the refresh token. Returns the answer, without tokens. */
  async send(method: string, path: string, data?: Readonly<Record<string, unknown>>): Promise<any> {
    if (!PATH.test(path)) throw new SessionError({ message: `${path} is not a path of the API`, code: "invalid_path" });
    if (/^(get|head)$/i.test(method)) {
      throw new SessionError({ message: `send() makes changes. Use fetch() for ${method}.`, code: "invalid_method" });
    }
    const { turn } = await this.ready();
    const pending = () => (/^factor\/?$/.test(path) ? { pending: this.#tokens.pending } : undefined);
    const once = () => this.#call(method, path, { ...pending(), ...data, ...this.#refreshToken() }, this.#tokens.access);
    // These answer with new tokens, which replace those that we have. With the lock, no other tab refreshes meanwhile.
    const isGranting = GRANTING.test(path);
    const call = () => (isGranting ? withLock(this.#name, async () => this.#granted(await once())) : once());
    const { answer } = await call().catch(async (error: Caught) => {
      if (error.status !== 401 || !REFUSALS.includes(error.code)) throw error;
      const wasIdle = this.#idle;
      if (!(await this.renew(turn)) && !(isGranting && this.#idle && !wasIdle)) throw error;
      return call();
    });
    if (method === "DELETE" && path === "me") this.#end("signout");
    if (!answer) return undefined;
    const { access_token, refresh_token, device_token, ...others } = answer;
    return others;
  }

  /** Takes the tokens of an answer, if it has some of this session, or of the idle one. Returns the answer. */
  async #granted(answered: Answered): Promise<Answered> {
    const { session } = own(answered.answer as unknown, "session");
    if (session && this.#user && session.id === this.#session) await this.#take("refresh", answered);
    else if (session && this.#idle) await this.#take("signin", answered);
    return answered;
  }

  /** Returns the factors that reopen the session. undefined: it is not idle. */
  async idle(): Promise<Idle | undefined> {
    return this.#idle;
  }

  /** Returns the token for a request. Waits for a new one only if the old one has expired. */
  async ready(): Promise<Step> {
    if (this.#user && this.#life.isDue) {
      const renewed = this.renew(this.#turn);
      if (this.#life.left <= 0) await renewed;
      else renewed.catch(() => {}); // The token is still valid, and the next request tries again.
    }
    return { turn: this.#turn, token: this.#tokens.access };
  }

  /** Refreshes, unless that was done since `turn`. Returns whether a user is signed in. */
  async renew(turn: number): Promise<boolean> {
    if (turn === this.#turn && this.#user !== null) {
      // Checked again with the lock, because another tab may have refreshed.
      const refresh = async () => turn === this.#turn && this.#request("POST", "refresh");
      this.#renewing ??= this.#insist(refresh).finally(() => (this.#renewing = undefined));
      await this.#renewing;
    }
    return Boolean(this.#user);
  }

  /** Tries again now, and checks the clocks: the network is back, or the page is visible again. */
  async wake(): Promise<void> {
    this.#awaken?.();
    if (this.#user && this.#life.left <= 0) await this.renew(this.#turn);
  }

  /** Applies a change that another tab has published. */
  receive(change: Change): void {
    const { kind, user, session, total, wall, end, idle } = own(change, ...CHANGE);
    if (user) this.#become(kind, user, session, new Countdown(total!, wall, end));
    else if (session === this.#session) {
      this.#become(kind, null);
      this.#idle = idle;
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#awaken?.();
  }

  async #signIn(path: string, given: () => object): Promise<Change> {
    await withLock(this.#name, async () => {
      await this.#take("signin", await this.#call("POST", path, { ...given(), device_token: this.#tokens.device }));
    });
    return { kind: "signin", user: this.#user ?? null, session: this.#session };
  }

  #become(kind: Change["kind"] | undefined, user: User | null, session?: string, life = new Countdown(Infinity)): void {
    // A request that only asks gets a new token too if the middleware has refreshed.
    if (kind !== "restore" || session !== this.#session || life.end !== this.#life.end) this.#turn += 1;
    this.#user = user;
    this.#session = session;
    this.#life = life;
    this.#idle = undefined;
  }

  async #take(kind: "signin" | "restore" | "refresh", { answer, life }: Answered): Promise<void> {
    const { user, session } = own(answer as unknown, "user", "session");
    if (this.#mode === "body") {
      const {
        access_token: access,
        refresh_token: refresh = this.#tokens.refresh, // If one is missing, the current one stays valid.
        device_token: device = this.#tokens.device,
      } = own(answer as unknown, "access_token", "refresh_token", "device_token");
      const pending = kind === "signin" ? undefined : this.#tokens.pending; // The user may be answering a factor.
      if (this.#persistence) await this.#keep({ refresh, device, user, session: session.id });
      this.#tokens = bare({ access, refresh, device, pending });
    }
    this.#become(kind, user, session.id, life);
    this.#publish({ kind, user, session: this.#session, total: life.total, wall: life.wall, end: life.end });
  }

  /** Keeps the new tokens. If that fails, the token before stays in use, and the server answers it once more. */
  async #keep(kept: Kept): Promise<void> {
    try {
      await this.#persistence!.keep(bare(kept));
    } catch (error) {
      throw new SessionError({ message: String(error), code: "not_kept" });
    }
  }

  #end(kind: "signout" | "expire", idle: Idle | undefined = undefined): void {
    const change: Change = { kind, user: null, session: this.#session, idle };
    const wasSignedIn = this.#user;
    this.#become(kind, null);
    this.#idle = idle;
    const { device, refresh, pending } = this.#tokens;
    this.#tokens = bare(idle ? { device, refresh, pending } : { device });
    this.#persistence?.keep(bare(idle ? { device, refresh } : { device })).catch(() => {});
    if (wasSignedIn) this.#publish(change);
  }

  /** Sends a request. A definite rejection ends the session, unless a new one has begun meanwhile. */
  async #request(method: string, path: "me" | "refresh"): Promise<void> {
    const turn = this.#turn;
    try {
      const answered = await this.#call(method, path, method === "POST" ? this.#refreshToken() : undefined);
      // The user has signed out meanwhile. Or the next session of the app has this storage, and sends the same token.
      if (this.#persistence && (turn !== this.#turn || this.#isClosed)) return;
      await this.#take(path === "me" ? "restore" : "refresh", answered);
    } catch (error: any) {
      // A 401 with another code does not come from the API, but for example from a proxy.
      if (error.status !== 401 || !REFUSALS.includes(error.code)) throw error;
      if (path === "me" && error.code === "token_expired") await this.#request("POST", "refresh");
      else if (turn === this.#turn) this.#end("expire", error.code === "session_idle" ? (own(error, "offered") as Idle) : undefined);
    }
  }

  #refreshToken(): { refresh_token: string | undefined } | undefined {
    return this.#mode === "body" ? { refresh_token: this.#tokens.refresh } : undefined;
  }

  async #call(method: string, path: string, data?: object, access?: string): Promise<Answered> {
    const life = new Countdown(Infinity); // Started before the request, because the response takes time to arrive.
    let response: Response;
    let answer: unknown;
    try {
      const init = bare<RequestInit>({
        method,
        body: data && JSON.stringify(bare(data)),
        headers: {
          ...(data && { "Content-Type": "application/json" }),
          ...(access && { Authorization: `Bearer ${access}` }),
        },
        credentials: this.#mode === "body" ? "omit" : "include",
        cache: "no-store",
        redirect: "error", // A redirect would send the refresh token to another URL.
        signal: timeout(TIMEOUT),
      } as RequestInit);
      response = await fetch(new URL(path, this.#api), init);
      answer = await response.json().catch((error) => {
        // The response does not come from the API, but for example from a captive portal.
        if (response.ok && response.status !== 204) throw error;
      });
    } catch (error) {
      throw new SessionError({ message: String(error) });
    }
    if (!response.ok) {
      const { code = "error", detail, errors, offered } = own(answer, "code", "detail", "errors", "offered");
      const { pending, trust_device_for: trustDeviceFor } = own(answer, "pending", "trust_device_for");
      if (pending) this.#tokens.pending = pending; // It stays in the worker.
      const retryAfter = waitOf(response);
      throw new SessionError({ message: detail, status: response.status, code, errors, offered, trustDeviceFor, retryAfter });
    }
    if (answer) {
      const { access_token_expires_at: end } = own(answer, "access_token_expires_at");
      Object.assign(life, { total: lifeOf(answer, response), end });
    }
    return { answer, life };
  }

  /** Does the work with the lock, and repeats it until there is an answer. An outage does not sign the user out. */
  async #insist(work: () => Promise<unknown>): Promise<unknown> {
    for (let tries = 0; ; tries += 1) {
      try {
        return await withLock(this.#name, work);
      } catch (error: any) {
        const willPass = error.status === 0 || error.status === 429 || error.status >= 500;
        if (this.#isClosed || !willPass) throw error;
        await this.#pause(error.retryAfter, Math.min(BACKOFF.first * 2 ** tries, BACKOFF.most));
      }
    }
  }

  async #pause(asked: number | undefined, backoff: number): Promise<void> {
    const shortest = asked ?? backoff / 2;
    // At random, so that clients do not all come back at the same time.
    const pause = new Countdown(shortest * (1 + Math.random() / 2));
    do {
      await new Promise<void>((resolve) => {
        this.#awaken = resolve;
        setTimeout(resolve, pause.left);
      });
    } while (!this.#isClosed && asked !== undefined && pause.left > 0);
  }
}

/** Returns a signal that is aborted after some milliseconds. React Native has no `AbortSignal.timeout`. */
function timeout(milliseconds: number): AbortSignal {
  if ("timeout" in AbortSignal) return AbortSignal.timeout(milliseconds);
  const controller = new AbortController();
  setTimeout(() => controller.abort(), milliseconds);
  return controller.signal;
}
