/** The session of a page. */

import { BrowserPasskeys } from "./passkeys.ts";
import { bare, challengeOf, isRefused, own, PREFIX, SessionClient, type Caught, type Change, type Step } from "./session-client.ts";
import { connect, type SharedClient } from "./shared_client.ts";
import type { Credentials, FactorAnswerOptions, Mode, Passkeys, Session, SessionOptions, User } from "./types.ts";

const HERE = import.meta.url;

/** See `types.ts`. */
export class BrowserSession extends EventTarget implements Session {
  readonly #passkeys: Passkeys;
  readonly #name: string;
  readonly #mode: Mode;
  readonly #origins: Set<string>;
  readonly #client: SessionClient | SharedClient;
  #channel: BroadcastChannel | undefined;
  #user: User | null | undefined; // undefined: not known yet.
  #session: string | undefined;
  readonly #stepUp: SessionOptions["stepUp"];
  readonly #closing = new AbortController();

  constructor(options?: SessionOptions) {
    super();
    const { mode = "cookie", api, origins = [], stepUp } = own(options, "mode", "api", "origins", "stepUp");
    // A `<base>` that somebody has injected into the page changes neither the one nor the other.
    const address = api === undefined ? defaultApi() : new URL(api, location.href);
    if (!address.pathname.endsWith("/")) address.pathname += "/";
    this.#mode = mode;
    this.#stepUp = stepUp;
    this.#name = PREFIX + address;
    // Cookies are sent to the page's own origin. In mode "body" the access token is sent to the API, and to the origins that
    // the option `origins` lists.
    this.#origins = new Set([address.origin, ...(mode === "body" ? [] : [location.origin])]);
    for (const origin of origins) this.#origins.add(new URL(origin).origin);
    const publish = (change: Change) => this.#publish(change);
    this.#client = mode === "body" ? connect(this.#name) : new SessionClient(this.#name, address, mode, publish);
    this.#passkeys = new BrowserPasskeys(this, this.#client, (change) => this.#apply(change));
    this.#listen();
    const listening = bare({ signal: this.#closing.signal });
    const checkAgain = () => this.restore().catch(() => {}); // The next request tries again.
    const wake = () => this.#client.wake().catch(() => {});
    // A page in the back-forward cache gets no messages, and an open channel would remove it from the cache.
    addEventListener("pagehide", () => this.#closeChannel(), listening);
    addEventListener("pageshow", ({ persisted }) => persisted && [this.#listen(), checkAgain()], listening);
    // An element can have the name of any property of `document`, but not of its prototype.
    const listenTo = (type: string, listener: () => unknown) =>
      EventTarget.prototype.addEventListener.call(document, type, listener, listening);
    listenTo("resume", checkAgain); // It was frozen.
    listenTo("visibilitychange", () => Reflect.get(Document.prototype, "hidden", document) || wake());
    addEventListener("online", wake, listening);
  }

  /** The signed-in user, as far as this tab knows, or null. */
  get user(): User | null {
    return this.#user ?? null;
  }

  async restore(options?: { signal?: AbortSignal }): Promise<User | null> {
    const { signal } = own(options, "signal");
    const found = await within(signal, this.#client.restore());
    this.#apply(found ?? { kind: "expire", user: null, session: this.#session });
    return this.user;
  }

  async signIn(credentials: Credentials): Promise<User> {
    this.#apply(await this.#client.signIn(credentials));
    return this.user!;
  }

  async factorOptions(method: string): Promise<unknown> {
    return this.#client.factorOptions(method);
  }

  async answerFactor(method: string, answer: unknown, options?: FactorAnswerOptions): Promise<User> {
    this.#apply(await this.#client.answerFactor(method, answer, options));
    return this.user!;
  }

  get passkeys(): Passkeys {
    return this.#passkeys;
  }

  async signOut(): Promise<void> {
    await this.#client.signOut();
    this.#apply({ kind: "signout", user: null, session: this.#session });
  }

  async send(method: string, path: string, data?: Readonly<Record<string, unknown>>): Promise<unknown> {
    const once = (): Promise<unknown> => this.#client.send(method, path, data);
    const answer = await once().catch(async (error: Caught) => {
      if (!this.#stepUp || error.code !== "reauthentication_required") throw error;
      if (!(await this.#stepUp(bare({ offered: error.offered })))) throw error;
      return once();
    });
    if (method === "DELETE" && path === "me") this.#apply({ kind: "signout", user: null, session: this.#session });
    return answer;
  }

  async fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const { origin } = new URL((input instanceof Request ? input : new Request(input)).url);
    if (!this.#origins.has(origin)) return fetch(input, init);
    const copy = () => (input instanceof Request ? input.clone() : input);
    const copies = [copy(), ...(this.#stepUp ? [copy()] : [])];
    const given = plain(init);
    const request = new Request(input, given);
    const isOver = given?.body instanceof ReadableStream; // The stream has been read, and cannot be sent again.
    const { turn, response } = await this.#send(request);
    let last = response;
    if ((await isRefused(last)) && (await within(request.signal, this.#client.renew(turn)))) {
      if (isOver) return last;
      last = (await this.#send(new Request(copies.pop()!, given))).response;
    }
    const challenge = this.#stepUp && !isOver ? await challengeOf(last, this.#client) : undefined;
    // Once only, so that a user who does not reach the level is not asked forever.
    if (!challenge || !(await within(request.signal, Promise.resolve(this.#stepUp!(challenge))))) return last;
    return (await this.#send(new Request(copies.pop()!, given))).response;
  }

  close(): void {
    this.#closing.abort();
    this.#closeChannel();
    this.#client.close();
  }

  async #send(request: Request): Promise<{ turn: number; response: Response }> {
    const { turn, token } = await within<Step>(request.signal, this.#client.ready());
    if (this.#mode !== "body" && request.credentials === "same-origin") {
      request = new Request(request, bare<RequestInit>({ credentials: "include" }));
    }
    if (token && !request.headers.has("Authorization")) request.headers.set("Authorization", `Bearer ${token}`);
    return { turn, response: await fetch(request) };
  }

  #listen(): void {
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => {
      if (this.#client instanceof SessionClient) this.#client.receive(data);
      this.#apply(data);
    };
  }

  #closeChannel(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }

  #publish(change: Change): void {
    if (this.#closing.signal.aborted) return;
    this.#channel?.postMessage(change);
    this.#apply(change);
  }

  #apply(change: Change): void {
    const { kind, user, session } = own(change, "kind", "user", "session");
    const before = this.#user;
    if (!user && session !== this.#session) return; // A late message about an earlier session.
    const isChange = user ? session !== this.#session && (kind === "signin" || before !== undefined) : Boolean(before);
    this.#user = user ?? null;
    this.#session = user ? session : undefined;
    if (isChange) this.dispatchEvent(new Event(user ? "signin" : kind!));
  }
}

/** Returns options without what somebody has added to `Object.prototype`. A `Request` has getters, and stays as it is. */
function plain(init: RequestInit | undefined): RequestInit | undefined {
  return init && Object.getPrototypeOf(init) === Object.prototype ? bare(init) : init;
}

/**
 * Returns the URL of the auth API of the server that this script comes from: `/api/auth/`, behind the prefix of the whole
 * project if there is one before `/static/tokens/`. A bundler may give the script a URL without a host.
 */
function defaultApi(): URL {
  const { origin, pathname, protocol } = new URL(HERE);
  const [, prefix] = /^(.*)\/static\/tokens\/session[^/]*\.js$/.exec(pathname) ?? [undefined, ""];
  return new URL(`${prefix}/api/auth/`, protocol.startsWith("http") ? origin : location.origin);
}

/** Waits for a promise until the signal is aborted. */
function within<T>(signal: AbortSignal | undefined, promise: Promise<T>): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
