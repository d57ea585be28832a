/**
 * A session with Latchkey, for single-page apps: signs in and out, and fetches with tokens that are fresh.
 *
 *     import { createSession } from "/static/tokens/session.js";
 *     const session = createSession({ mode: "cookie" });
 *     await session.restore();
 *     const response = await session.fetch("/api/orders");
 *
 * A Keeper knows who is signed in, and is the only one that asks the auth API. In the cookie modes each tab has one; a
 * lock lets one of them ask at a time, and it tells the others what it heard. In `body` mode there is one for all tabs,
 * in a shared worker that runs this same file: the refresh token is in its memory, and nowhere else.
 *
 * The lock saves requests, and nothing hangs on it: whoever refreshes twice is given the same tokens by the server.
 * No timer refreshes: a token is renewed when somebody uses it, so that an idle page lets its session end.
 */

const LEAD = 60_000; // A token is renewed by requests in its last minute, or in the last quarter of a short life.
const TIMEOUT = 30_000; // How long the auth API may take for an answer.
const PATIENCE = 10_000; // How long a tab waits for another, which may be frozen with the lock in its hand.
const HEARSAY = 20; // How long a tab's message to the others is on its way, at most as a rule.
const BACKOFF = { first: 500, most: 30_000 };
const REFUSALS = ["token_expired", "not_authenticated", "session_ended"];
const PREFIX = "latchkey "; // Of the lock, the channel and the worker; the address of the API follows.
const DOORS = ["restore", "signIn", "signOut", "ready", "renew", "wake"]; // What a page may ask of the worker.

/** What went wrong: `code` is the API's, or `unreachable` (status 0). `errors`: what is wrong with which field. */
export class SessionError extends Error {
  /** @param {{ message?: string, status?: number, code?: string, errors?: object, retryAfter?: number }} given */
  constructor({ message, status = 0, code = "unreachable", errors, retryAfter }) {
    super(message ?? code);
    Object.assign(this, { name: "SessionError", status, code, errors, retryAfter });
  }
}

/** See `session.d.ts`. */
export function createSession(options) {
  return new Session(options);
}

/**
 * Milliseconds that run down on whichever local clock is ahead: the page's date may be set back, and
 * `performance.now()` may stand still while the machine sleeps.
 */
class Countdown {
  constructor(total, wall = Date.now(), end = undefined) {
    this.total = total;
    this.wall = wall;
    this.end = end; // What the server says, by which a token is known.
    this.monotonic = performance.now();
  }

  get left() {
    return this.total - Math.max(Date.now() - this.wall, performance.now() - this.monotonic);
  }

  get isDue() {
    return this.left < Math.min(LEAD, this.total / 4);
  }
}

/** Knows who is signed in. `tell` passes on what has changed. */
class Keeper {
  #name;
  #api;
  #mode;
  #tell;
  #turn = 0; // Rises with every new token or session: who holds an older one has not heard of it yet.
  #user; // undefined: nobody has asked yet. null: nobody is signed in, and there is nothing to refresh.
  #session;
  #life = new Countdown(Infinity);
  #tokens = {}; // In `body` mode alone.
  #renewing;
  #awaken;
  #isClosed = false;

  constructor(name, api, mode, tell) {
    this.#name = name;
    this.#api = api;
    this.#mode = mode;
    this.#tell = tell;
    if (mode === "body") this.#user = null;
  }

  /** Who is signed in, as the server sees it; null for nobody. */
  async restore() {
    if (this.#mode !== "body") {
      await this.#insist(() => this.#unlessRefused("GET", "me"));
    } else if (this.#life.left <= 0) {
      await this.renew(this.#turn);
    }
    return this.#user ? { kind: "restore", user: this.#user, session: this.#session } : null;
  }

  async signIn({ email, password, remember, deviceName }) {
    const given = { email, password, remember, device_name: deviceName, mode: this.#mode };
    await alone(this.#name, async () => {
      const device = { device_token: this.#tokens.device };
      this.#take("signin", await this.#call("POST", "login", { ...given, ...device }));
    });
    return { kind: "signin", user: this.#user, session: this.#session };
  }

  async signOut() {
    await alone(this.#name, async () => {
      await this.#call("POST", "logout", this.#refreshToken());
      this.#end("signout");
    });
  }

  /** What a request is sent with: waits for a fresh token only where the old one is of no use any more. */
  async ready() {
    if (this.#user && this.#life.isDue) {
      const renewed = this.renew(this.#turn);
      if (this.#life.left <= 0) await renewed;
      else renewed.catch(() => {}); // There is still time; the next request tries again.
    }
    return { turn: this.#turn, token: this.#tokens.access };
  }

  /** Refresh, unless that was done since `turn`. Returns whether somebody is signed in. */
  async renew(turn) {
    if (turn === this.#turn && this.#user !== null) {
      // Looked at again with the lock in hand: another tab may have been faster.
      const refresh = async () => turn === this.#turn && this.#unlessRefused("POST", "refresh");
      this.#renewing ??= this.#insist(refresh).finally(() => (this.#renewing = undefined));
      await this.#renewing;
    }
    return Boolean(this.#user);
  }

  /** The network is back, or somebody is looking: try again now, and see what the clocks say. */
  async wake() {
    this.#awaken?.();
    if (this.#user && this.#life.left <= 0) await this.renew(this.#turn);
  }

  /** Take over what another tab has heard. */
  hear({ kind, user, session, total, wall, end }) {
    if (user) this.#become(kind, user, session, new Countdown(total, wall, end));
    else if (session === this.#session) this.#become(kind, null);
  }

  close() {
    this.#isClosed = true;
    this.#awaken?.();
  }

  #become(kind, user, session, life = new Countdown(Infinity)) {
    // Whoever only asked has a new token where the middleware refreshed the question.
    if (kind !== "restore" || session !== this.#session || life.end !== this.#life.end) this.#turn += 1;
    this.#user = user;
    this.#session = session;
    this.#life = life;
  }

  #take(kind, { answer, life }) {
    this.#become(kind, answer.user, answer.session.id, life);
    if (this.#mode === "body") {
      const { access_token: access, refresh_token: refresh, device_token: device } = answer;
      // Where one is missing, the one that is there stays good.
      this.#tokens = { access, refresh: refresh ?? this.#tokens.refresh, device: device ?? this.#tokens.device };
    }
    this.#tell({ kind, user: this.#user, session: this.#session, total: life.total, wall: life.wall, end: life.end });
  }

  #end(kind) {
    const told = { kind, user: null, session: this.#session };
    const wasSignedIn = this.#user;
    this.#become(kind, null);
    this.#tokens = { device: this.#tokens.device };
    if (wasSignedIn) this.#tell(told);
  }

  /** Ask, and let a definite refusal end the session: but not one that somebody has begun meanwhile. */
  async #unlessRefused(method, path) {
    const turn = this.#turn;
    try {
      const answered = await this.#call(method, path, method === "POST" ? this.#refreshToken() : undefined);
      this.#take(path === "me" ? "restore" : "refresh", answered);
    } catch (error) {
      // A 401 of somebody else's, a proxy's say, is no refusal of ours.
      if (error.status !== 401 || !REFUSALS.includes(error.code)) throw error;
      if (path === "me" && error.code === "token_expired") await this.#unlessRefused("POST", "refresh");
      else if (turn === this.#turn) this.#end("expire");
    }
  }

  #refreshToken() {
    return this.#mode === "body" ? { refresh_token: this.#tokens.refresh } : undefined;
  }

  async #call(method, path, data) {
    const life = new Countdown(Infinity); // From before the question: the answer was on its way for a while.
    let response;
    let answer;
    try {
      response = await fetch(new URL(path, this.#api), {
        method,
        body: data && JSON.stringify(data),
        headers: data && { "Content-Type": "application/json" },
        credentials: this.#mode === "body" ? "omit" : "include",
        cache: "no-store",
        redirect: "error", // Which would send a refresh token on to wherever it leads.
        signal: AbortSignal.timeout(TIMEOUT),
      });
      answer = await response.json().catch((error) => {
        if (response.ok && response.status !== 204) throw error; // Somebody else's answer: of a hotel's network, say.
      });
    } catch (error) {
      throw new SessionError({ message: String(error) });
    }
    if (!response.ok) {
      const { code = "error", detail, errors } = answer ?? {};
      throw new SessionError({ message: detail, status: response.status, code, errors, retryAfter: waitOf(response) });
    }
    if (answer) Object.assign(life, { total: lifeOf(answer, response), end: answer.access_token_expires_at });
    return { answer, life };
  }

  /** Do it alone, and again until there is an answer. A server that is down signs nobody out. */
  async #insist(work) {
    for (let tries = 0; ; tries += 1) {
      try {
        return await alone(this.#name, work);
      } catch (error) {
        const willPass = error.status === 0 || error.status === 429 || error.status >= 500;
        if (this.#isClosed || !willPass) throw error;
        await this.#pause(error.retryAfter, Math.min(BACKOFF.first * 2 ** tries, BACKOFF.most));
      }
    }
  }

  async #pause(asked, backoff) {
    const shortest = asked ?? backoff / 2;
    const pause = new Countdown(shortest * (1 + Math.random() / 2)); // At random: not all the world at once.
    do {
      await new Promise((resolve) => {
        this.#awaken = resolve;
        setTimeout(resolve, pause.left);
      });
    } while (!this.#isClosed && asked !== undefined && pause.left > 0);
  }
}

/** The life of an access token in milliseconds, by the server's clock alone; without end where it does not tell. */
function lifeOf({ access_token_expires_at: end, expires_in: seconds }, response) {
  const life = Date.parse(end) - Date.parse(response.headers.get("Date"));
  return life >= 0 ? life : (seconds ?? Infinity) * 1000;
}

/** What Retry-After asks for, in milliseconds: RFC 9110 section 10.2.3 has seconds, or a date. */
function waitOf(response) {
  const asked = response.headers.get("Retry-After");
  if (asked === null) return undefined;
  const wait = Number(asked) * 1000;
  return wait >= 0 ? wait : Math.max(Date.parse(asked) - Date.parse(response.headers.get("Date")), 0) || undefined;
}

/**
 * Let `work` be done by one tab at a time. Where there are no locks (plain http), the server forgives what they save;
 * and so it does when a lock is taken out of the hand of a tab that is frozen.
 */
async function alone(name, work) {
  let done;
  const begin = () => (done ??= work()).catch(() => {});
  if (!navigator.locks) return work();
  await navigator.locks.request(name, { ifAvailable: true }, (lock) => lock && begin()).catch(() => {});
  if (done) return done;
  // What the tab before us tells may arrive later than its lock.
  const beginNext = () => new Promise((resolve) => setTimeout(resolve, HEARSAY)).then(begin);
  try {
    await navigator.locks.request(name, { signal: AbortSignal.timeout(PATIENCE) }, beginNext);
  } catch {
    // Waited in vain; or it was taken out of our hand, and our work goes on.
    if (!done) await navigator.locks.request(name, { steal: true }, begin).catch(() => {});
  }
  return done ?? work();
}

class Session extends EventTarget {
  #name;
  #mode;
  #origins;
  #keeper;
  #channel;
  #user; // undefined: nobody has told us yet.
  #session;
  #closing = new AbortController();

  constructor({ mode = "cookie", api = "/api/auth/", origins = [] } = {}) {
    super();
    const address = new URL(api, document.baseURI);
    if (!address.pathname.endsWith("/")) address.pathname += "/";
    this.#mode = mode;
    this.#name = PREFIX + address;
    // Cookies go to the page's own origin in any case. A token is sent where it is wanted, and to nobody else.
    this.#origins = new Set([address.origin, ...(mode === "body" ? [] : [location.origin])]);
    for (const origin of origins) this.#origins.add(new URL(origin).origin);
    const tell = (told) => this.#pass(told);
    this.#keeper = mode === "body" ? connect(this.#name) : new Keeper(this.#name, address, mode, tell);
    this.#listen();
    const { signal } = this.#closing;
    const lookAgain = () => this.restore().catch(() => {}); // The next request will tell.
    const wake = () => this.#keeper.wake().catch(() => {});
    // A page in the back-forward cache hears nothing, and an open channel would throw it out of there.
    addEventListener("pagehide", () => this.#silence(), { signal });
    addEventListener("pageshow", ({ persisted }) => persisted && [this.#listen(), lookAgain()], { signal });
    document.addEventListener("resume", lookAgain, { signal }); // It was frozen.
    document.addEventListener("visibilitychange", () => document.hidden || wake(), { signal });
    addEventListener("online", wake, { signal });
  }

  /** Who is signed in as far as this tab has heard, or null. */
  get user() {
    return this.#user ?? null;
  }

  /** @param {{ signal?: AbortSignal }} options */
  async restore({ signal } = {}) {
    const found = await within(signal, this.#keeper.restore());
    this.#heard(found ?? { kind: "expire", user: null, session: this.#session });
    return this.user;
  }

  async signIn(credentials) {
    this.#heard(await this.#keeper.signIn(credentials));
    return this.user;
  }

  async signOut() {
    await this.#keeper.signOut();
    this.#heard({ kind: "signout", user: null, session: this.#session });
  }

  async fetch(input, init) {
    const { origin } = new URL(input instanceof Request ? input.url : input, document.baseURI);
    if (!this.#origins.has(origin)) return fetch(input, init);
    const copy = input instanceof Request ? input.clone() : input;
    const request = new Request(input, init);
    const { turn, response } = await this.#send(request);
    if (!(await isRefused(response)) || !(await within(request.signal, this.#keeper.renew(turn)))) return response;
    if (init?.body instanceof ReadableStream) return response; // It has been read, and cannot be sent again.
    return (await this.#send(new Request(copy, init))).response;
  }

  close() {
    this.#closing.abort();
    this.#silence();
    this.#keeper.close();
  }

  async #send(request) {
    const { turn, token } = await within(request.signal, this.#keeper.ready());
    if (this.#mode !== "body" && request.credentials === "same-origin") {
      request = new Request(request, { credentials: "include" });
    }
    if (token && !request.headers.has("Authorization")) request.headers.set("Authorization", `Bearer ${token}`);
    return { turn, response: await fetch(request) };
  }

  #listen() {
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => {
      if (this.#mode !== "body") this.#keeper.hear(data);
      this.#heard(data);
    };
  }

  #silence() {
    this.#channel?.close();
    this.#channel = undefined;
  }

  #pass(told) {
    if (this.#closing.signal.aborted) return;
    this.#channel?.postMessage(told);
    this.#heard(told);
  }

  #heard({ kind, user, session }) {
    const before = this.#user;
    if (!user && session !== this.#session) return; // A late word of a session that is not ours any more.
    const isNews = user ? session !== this.#session && (kind === "signin" || before !== undefined) : Boolean(before);
    this.#user = user;
    this.#session = user ? session : undefined;
    if (isNews) this.dispatchEvent(new Event(user ? "signin" : kind));
  }
}

/** Whether the API says that our token is the reason; any other 401 is the app's own affair. */
async function isRefused(response) {
  if (response.status !== 401 || !response.headers.get("Content-Type")?.includes("json")) return false;
  const problem = await response.clone().json().catch(() => null);
  return REFUSALS.includes(problem?.code);
}

/** Wait, but not longer than the caller wants to. */
function within(signal, promise) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** The Keeper in the worker, as a page sees it: through its doors. */
function connect(name) {
  // Where a browser knows `extendedLifetime`, the worker outlives a reload of the only tab.
  /** @type {WorkerOptions & { extendedLifetime: boolean }} */
  const options = { type: "module", name, extendedLifetime: true };
  const worker = new SharedWorker(import.meta.url, options);
  const waiting = new Map();
  const settle = (id, error, value) => {
    if (!waiting.has(id)) return; // A greeting, or too late.
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(new SessionError(error));
    else resolve(value);
  };
  let last = 0;
  let failure; // The worker could not be started: a Content-Security-Policy without `worker-src`, say.
  const fail = () => {
    failure = { code: "no_worker" };
    for (const id of waiting.keys()) settle(id, failure);
  };
  worker.onerror = fail;
  const patience = setTimeout(fail, PATIENCE); // Not every browser tells that a worker did not start.
  worker.port.onmessage = ({ data: { id, error, value } }) => {
    clearTimeout(patience);
    failure = undefined;
    settle(id, error, value);
  };
  const ask = (door, given) =>
    new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject });
      if (failure) settle(last, failure);
      else worker.port.postMessage({ id: last, door, given });
    });
  const doors = DOORS.map((door) => [door, (...given) => ask(door, given)]);
  return { ...Object.fromEntries(doors), close: () => worker.port.close() };
}

/** In the worker: open the doors to the pages, and keep everything else. */
function serve(worker) {
  // The name fixes the API for good. A page that could choose it could have the refresh token sent anywhere.
  const { name } = worker;
  const channel = new BroadcastChannel(name);
  const tell = (told) => told.kind === "refresh" || channel.postMessage(told); // Pages ask for tokens when they send.
  const keeper = new Keeper(name, new URL(name.slice(PREFIX.length)), "body", tell);
  worker.onconnect = ({ ports: [port] }) => {
    port.postMessage({}); // A greeting: an answer may take as long as a server is down.
    port.onmessage = async ({ data: { id, door, given } }) => {
      if (!DOORS.includes(door)) return;
      try {
        port.postMessage({ id, value: await keeper[door](...given) });
      } catch (error) {
        port.postMessage({ id, error: { ...error, message: error.message } });
      }
    };
  };
}

if ("onconnect" in globalThis) serve(globalThis); // A shared worker, and no page.
