/** The session of an app. */

import { challengeOf, isRefused, SessionClient, SessionError } from "django-latchkey-browser/core";
import type { Challenge, Change, Credentials, FactorAnswerOptions, Kept, Step, User } from "django-latchkey-browser/core";
import { Entry, type Storage } from "./storage.js";

export interface NativeSessionOptions {
  /** The URL of the auth API, for example `https://auth.example.org/api/auth/`. */
  api: string;
  /** Where the refresh token is kept: `secureStore(SecureStore)`, or an object with `getItem`, `setItem` and `deleteItem`. */
  storage: Storage;
  /** `AppState` of `react-native`. With it, the session is checked when the app comes to the foreground. */
  appState?: AppState | undefined;
  /** Further origins that accept our tokens, for example `https://api.example.org`. That of the API always does. */
  origins?: readonly string[] | undefined;
  /** The key of the entry in the storage. The default is `latchkey`. */
  key?: string | undefined;
  /** See `SessionOptions.stepUp` of `django-latchkey-browser`. */
  stepUp?: ((challenge: Challenge) => boolean | Promise<boolean>) | undefined;
}

/** What is used of `AppState` of `react-native`. */
export interface AppState {
  addEventListener(type: "change", listener: (state: string) => void): { remove(): void };
}

export type EventName = "signin" | "signout" | "expire";

/** A session whose refresh token is kept in secure storage. It goes on when the app is started again. */
export class NativeSession {
  readonly #entry: Entry;
  readonly #api: URL;
  readonly #origin: string;
  readonly #origins: Set<string>;
  readonly #stepUp: NativeSessionOptions["stepUp"];
  readonly #listeners = new Map<EventName, Set<() => void>>();
  readonly #stopListening: (() => void) | undefined;
  #opened: Promise<SessionClient> | undefined;
  #revoking: Promise<void> | undefined;
  #signingIn: Promise<User> | undefined;
  #user: User | null = null;
  #isClosed = false;

  constructor({ api, storage, appState, origins = [], key = "latchkey", stepUp }: NativeSessionOptions) {
    this.#origin = originOf(api) ?? fail(`api: ${JSON.stringify(api)} is no URL with https:// or http://.`);
    this.#api = new URL(api.endsWith("/") ? api : `${api}/`);
    this.#origins = new Set([this.#origin, ...origins.map((origin) => originOf(origin) ?? fail(`origins: ${JSON.stringify(origin)} is no origin.`))]);
    this.#entry = new Entry(storage, key);
    this.#stepUp = stepUp;
    const listening = appState?.addEventListener("change", (state) => {
      if (state === "active") this.wake().catch(() => {}); // The next request tries again.
    });
    this.#stopListening = listening && (() => listening.remove());
  }

  /** The signed-in user, as far as this app knows, or null. */
  get user(): User | null {
    return this.#user;
  }

  /**
   * Returns who was signed in when the app ran before. It asks the storage, and the server afterwards: if that refuses the
   * session, the event `expire` follows. So an app starts without the network.
   */
  async restore(): Promise<User | null> {
    const client = await this.#open();
    this.#revoke(client);
    const isRestored = client.restore().catch(() => null); // The next request tries again.
    if (!this.#user) await isRestored;
    return this.#user;
  }

  async signIn(credentials: Credentials): Promise<User> {
    return this.#signIn((client) => client.signIn(credentials));
  }

  async factorOptions(method: string): Promise<unknown> {
    return (await this.#open()).factorOptions(method);
  }

  async answerFactor(method: string, answer: unknown, options?: FactorAnswerOptions): Promise<User> {
    return this.#signIn((client) => client.answerFactor(method, answer, options));
  }

  /**
   * Signs out. Without the network the user is signed out here, and the session on the server ends as soon as the server
   * can be reached: after the start of the app, or when it comes to the foreground.
   */
  async signOut(): Promise<void> {
    const client = await this.#open();
    await this.#signingIn?.catch(() => {}); // Otherwise its tokens would arrive after the sign-out.
    const { refresh, device, left = [] } = this.#entry.record;
    // One write: an app that ends meanwhile is signed in, or leaves the session at its next start.
    const write = (): Promise<void> => this.#entry.write({ ...entire({ device }), left: [...left, refresh!] });
    if (refresh) await write().catch((error) => this.#revokeUnkept(client, refresh, error));
    client.forget();
    await this.#revoke(client);
  }

  /** Sends a request to the auth API that changes the account. See `Session.send` of `django-latchkey-browser`. */
  async send(method: string, path: string, data?: Readonly<Record<string, unknown>>): Promise<unknown> {
    const client = await this.#open();
    const once = (): Promise<unknown> => client.send(method, path, data);
    return once().catch(async (error: SessionError) => {
      if (!this.#stepUp || error.code !== "reauthentication_required") throw error;
      if (!(await this.#stepUp({ offered: error.offered }))) throw error;
      return once();
    });
  }

  /**
   * Like `fetch`, with a valid token. A path that begins with `/` is one of the API's origin. If the response is a 401 for
   * our token, it refreshes and repeats the request once. A body that is a stream cannot be sent twice.
   */
  async fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const target = typeof input === "string" && /^\/(?!\/)/.test(input) ? this.#origin + input : input;
    const origin = originOf(target instanceof Request ? target.url : String(target));
    if (!origin || !this.#origins.has(origin)) return fetch(target, init);
    const client = await this.#open();
    const { turn, response } = await this.#sent(client, target, init);
    let last = response;
    if ((await isRefused(last)) && (await client.renew(turn))) last = (await this.#sent(client, target, init)).response;
    const challenge = this.#stepUp && (await challengeOf(last, client));
    if (!challenge || !(await this.#stepUp!(challenge))) return last;
    return (await this.#sent(client, target, init)).response;
  }

  /** Checks the session, and ends those that the user has left: the app is in the foreground, or the network is back. */
  async wake(): Promise<void> {
    const client = await this.#open();
    await Promise.all([this.#revoke(client), client.wake()]);
  }

  /** Stops all events and requests. The user stays signed in. */
  close(): void {
    this.#isClosed = true;
    this.#stopListening?.();
    this.#opened?.then((client) => client.close(), () => {});
  }

  addEventListener(type: EventName, listener: () => void): void {
    this.#listeners.set(type, (this.#listeners.get(type) ?? new Set()).add(listener));
  }

  removeEventListener(type: EventName, listener: () => void): void {
    this.#listeners.get(type)?.delete(listener);
  }

  /** Reads the storage, once. If that fails, for example because the phone is locked, the next call reads it again. */
  #open(): Promise<SessionClient> {
    this.#opened ??= this.#begun().catch((error) => {
      this.#opened = undefined;
      throw new SessionError({ message: String(error), code: "not_kept" });
    });
    return this.#opened;
  }

  async #begun(): Promise<SessionClient> {
    const kept = await this.#entry.read();
    this.#user = kept.user ?? null;
    const persistence = { kept, keep: (next: Kept) => this.#entry.write(entire(next)) };
    return new SessionClient(`latchkey ${this.#api}`, this.#api, "body", (change) => this.#apply(change), persistence);
  }

  async #signIn(begin: (client: SessionClient) => Promise<Change>): Promise<User> {
    const client = await this.#open();
    this.#signingIn = begin(client).then(({ user }) => user!);
    return this.#signingIn;
  }

  async #sent(client: SessionClient, target: RequestInfo | URL, init?: RequestInit): Promise<Step & { response: Response }> {
    const step = await client.ready();
    const copy = target instanceof Request ? target.clone() : target;
    const headers = new Headers(init?.headers ?? (copy instanceof Request ? copy.headers : undefined));
    if (step.token && !headers.has("Authorization")) headers.set("Authorization", `Bearer ${step.token}`);
    return { ...step, response: await fetch(copy, { ...init, headers }) };
  }

  /** Ends the sessions that the user has left. What cannot be reached is left for the next time. */
  #revoke(client: SessionClient): Promise<void> {
    const revoke = async () => {
      for (const token of this.#entry.record.left ?? []) {
        await client.revoke(token).catch((error: SessionError) => {
          // An answer without a code does not come from the API, but for example from a captive portal.
          if (error.status === 0 || error.status === 429 || error.status >= 500 || error.code === "error") throw error;
        });
        await this.#entry.write({ left: (this.#entry.record.left ?? []).filter((other) => other !== token) });
      }
    };
    this.#revoking ??= revoke().catch(() => {}).finally(() => (this.#revoking = undefined));
    return this.#revoking;
  }

  /** Ends a session that the storage does not let go of. If the server cannot be reached either, the user stays signed in. */
  async #revokeUnkept(client: SessionClient, refresh: string, error: unknown): Promise<void> {
    await client.revoke(refresh).catch(() => {
      throw new SessionError({ message: String(error), code: "not_kept" });
    });
  }

  #apply({ kind, user }: Change): void {
    const before = this.#user;
    this.#user = user;
    if (this.#isClosed) return;
    if (user && (!before || kind === "signin")) this.#tell("signin");
    else if (!user && before) this.#tell(kind === "signout" ? "signout" : "expire");
  }

  #tell(type: EventName): void {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) listener();
  }
}

/** Returns all members, so that those that are missing are deleted. */
function entire({ refresh, device, user, session }: Kept): Kept {
  return { refresh, device, user, session };
}

/** Returns the origin of a URL, or null if it is unusual. `URL.origin` is not in every version of React Native. */
function originOf(url: string): string | null {
  return /^(https?:\/\/[a-z0-9.:[\]-]+)(?:[/?#]|$)/i.exec(url)?.[1]?.toLowerCase() ?? null;
}

function fail(message: string): never {
  throw new TypeError(message);
}
