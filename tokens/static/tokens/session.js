/**
 * A session with Latchkey for single-page apps: signs in and out, and sends requests with valid tokens.
 *
 *     import { createSession } from "/static/tokens/session.js";
 *     const session = createSession({ mode: "cookie" });
 *     await session.restore();
 *     const response = await session.fetch("/api/orders");
 *
 * `session-client.js`, which has to be next to this file, sends the requests to the auth API.
 */

import { own, bare, SessionError, METHODS, PREFIX, SessionClient, isRefused, challengeOf } from "./session-client.js";
export { SessionError } from "./session-client.js";

/** Passkeys, by the browser's own functions (WebAuthn Level 3). */

const known = () => Reflect.get(globalThis, "PublicKeyCredential");

/** See `types.ts`. */
class BrowserPasskeys {
  #session;
  #client;
  #apply;

  constructor(session, client, apply) {
    this.#session = session;
    this.#client = client;
    this.#apply = apply;
  }

  get supported() {
    const credentials = known();
    return (
      typeof credentials === "function" &&
      "parseRequestOptionsFromJSON" in credentials &&
      "toJSON" in credentials.prototype
    );
  }

  async signIn(options) {
    const { mediation, signal, ...given } = own(options, "mediation", "signal", "remember", "deviceName");
    const wanted = await this.#client.passkeyOptions();
    const answer = await this.#answer(wanted, bare({ mediation, signal }));
    try {
      this.#apply(await this.#client.signInByPasskey(answer, { ...given }));
    } catch (error) {
      const { rpId } = wanted;
      if (error.code === "passkey_unknown") await tell("signalUnknownCredential", { rpId, credentialId: answer.id });
      throw error;
    }
    return this.#session.user;
  }

  async answerFactor(options) {
    const answer = await this.#answer(await this.#client.factorOptions("passkey"));
    return this.#session.answerFactor("passkey", answer, options);
  }

  async enrol(options) {
    const answer = await this.#make(await this.#client.factorOptions("enrol_passkey"));
    return this.#session.answerFactor("enrol_passkey", answer, options);
  }

  async reauthenticate() {
    const { options } = await this.#session.send("POST", "reauthenticate", { method: "passkey" });
    const answer = await this.#answer(options);
    return this.#session.send("POST", "reauthenticate", { method: "passkey", answer });
  }

  async create(name) {
    const { options } = await this.#session.send("POST", "factors/passkeys");
    const credential = await this.#make(options);
    return this.#changed(this.#session.send("POST", "factors/passkeys", { credential, name }));
  }

  rename(id, name) {
    return this.#changed(this.#session.send("PATCH", `factors/passkeys/${id}`, { name }));
  }

  async remove(id) {
    await this.#changed(this.#session.send("DELETE", `factors/passkeys/${id}`));
  }

  async #answer(options, more = bare({})) {
    if (!this.supported || !options) throw new SessionError({ code: "unsupported" });
    const publicKey = known().parseRequestOptionsFromJSON(options);
    const found = await navigator.credentials.get(bare({ publicKey, ...more }));
    return found.toJSON();
  }

  async #make(options) {
    if (!this.supported || !options) throw new SessionError({ code: "unsupported" });
    const publicKey = known().parseCreationOptionsFromJSON(options);
    const made = await navigator.credentials.create(bare({ publicKey }));
    return made.toJSON();
  }

  /** Tells the browser which passkeys the account has now. Returns the passkey of the answer. */
  async #changed(answering) {
    const { passkey, accepted } = own(await answering, "passkey", "accepted");
    const { rp_id: rpId, user_handle: userId, user_name: name, credential_ids: allAcceptedCredentialIds } = accepted;
    if (userId) {
      await tell("signalAllAcceptedCredentials", { rpId, userId, allAcceptedCredentialIds });
      await tell("signalCurrentUserDetails", { rpId, userId, name, displayName: name });
    }
    return passkey;
  }
}

/** Tells the browser something about passkeys, if it has this function (WebAuthn Level 3 section 5.1.10). */
async function tell(what, given) {
  const credentials = known();
  await credentials?.[what]?.(bare(given)).catch(() => {});
}

/** The client in the shared worker, as a page sees it. */

const WORKER = new URL("./session-client.js", import.meta.url); // Bundlers recognise this form.
const WORKER_TIMEOUT = 10_000; // Milliseconds that a shared worker may take to start.
const SERVICE_WORKER_TIMEOUT = 3_000; // Milliseconds that a service worker may take to start.
const NO_URL = "http://["; // No browser can parse it.

/** Returns an object with the methods of the `SessionClient` in the shared worker. */
function connect(name) {
  let port;
  let isClosed = false;
  const waiting = new Map();
  const settle = (id, error, value) => {
    const asked = waiting.get(id);
    if (!asked) return; // It is the greeting, or too late.
    waiting.delete(id);
    if (error) asked.reject(new SessionError(error));
    else asked.resolve(value);
  };
  let last = 0;
  let failure; // The worker could not start, for example because the Content-Security-Policy has no `worker-src`.
  const fail = () => {
    failure = { code: "no_worker" };
    for (const id of waiting.keys()) settle(id, failure);
  };
  const timer = setTimeout(fail, WORKER_TIMEOUT); // Not every browser reports that a worker did not start.
  const asked = []; // Before the worker was started.
  const start = (survives) => {
    if (isClosed) return;
    const options = bare({ type: "module", name, extendedLifetime: true });
    const worker = new SharedWorker(trusted(), options);
    worker.onerror = fail;
    worker.port.onmessage = ({ data }) => {
      const { id, error, value } = own(data, "id", "error", "value");
      clearTimeout(timer);
      failure = undefined;
      settle(id, error, value);
    };
    port = worker.port;
    for (const message of [{ method: "begin", given: [survives] }, ...asked]) port.postMessage(message);
  };
  if (survivesReload()) start(true);
  else
    install()
      .then(() => start(false))
      .catch(fail);
  const ask = (method, given) =>
    new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject });
      const message = { id: last, method, given };
      if (failure) settle(last, failure);
      else if (port) port.postMessage(message);
      else asked.push(message);
    });
  const methods = METHODS.map((method) => [method, (...given) => ask(method, given)]);
  const close = () => {
    isClosed = true;
    port?.close();
  };
  return { ...Object.fromEntries(methods), close };
}

/** Returns whether this browser knows `extendedLifetime`: the worker then survives the reload of the only tab. */
function survivesReload() {
  let isKnown = false;
  const isRead = () => (isKnown = true);
  const options = Object.defineProperty(bare({}), "extendedLifetime", bare({ get: isRead }));
  try {
    new SharedWorker(trusted(NO_URL), options);
  } catch {
    // No worker has this URL. The browser has read the options before.
  }
  return isKnown;
}

/** Waits until the service worker of `reload_copy.ts` is active, at most for `SERVICE_WORKER_TIMEOUT`. Before that, a reload ends the session. */
async function install() {
  const activated = async () => {
    const { installing, waiting, active } = await navigator.serviceWorker.register(trusted(), bare({ type: "module" }));
    const worker = active ?? waiting ?? installing;
    await new Promise((resolve) => {
      const check = () => /^(activated|redundant)$/.test(worker.state) && resolve();
      worker.addEventListener("statechange", check);
      check();
    });
  };
  const timeout = new Promise((resolve) => setTimeout(resolve, SERVICE_WORKER_TIMEOUT));
  await Promise.race([activated().catch(() => {}), timeout]);
}

let policy;

/** Returns the URL of the worker, as pages need it whose Content-Security-Policy requires trusted types. */
function trusted(url = "") {
  const rules = bare({ createScriptURL: (asked) => (asked === NO_URL ? NO_URL : WORKER.href) });
  try {
    // TypeScript does not know it yet.
    policy ??= globalThis.trustedTypes?.createPolicy?.("latchkey", rules);
  } catch {
    // The page does not permit a policy of this name. It may not require one either.
  }
  return policy?.createScriptURL(url) ?? (url || WORKER);
}

/** The session of a page. */

const HERE = import.meta.url;

/** See `types.ts`. */
class BrowserSession extends EventTarget {
  #passkeys;
  #name;
  #mode;
  #origins;
  #client;
  #channel;
  #user; // undefined: not known yet.
  #session;
  #stepUp;
  #closing = new AbortController();

  constructor(options) {
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
    const publish = (change) => this.#publish(change);
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
    const listenTo = (type, listener) =>
      EventTarget.prototype.addEventListener.call(document, type, listener, listening);
    listenTo("resume", checkAgain); // It was frozen.
    listenTo("visibilitychange", () => Reflect.get(Document.prototype, "hidden", document) || wake());
    addEventListener("online", wake, listening);
  }

  /** The signed-in user, as far as this tab knows, or null. */
  get user() {
    return this.#user ?? null;
  }

  async restore(options) {
    const { signal } = own(options, "signal");
    const found = await within(signal, this.#client.restore());
    this.#apply(found ?? { kind: "expire", user: null, session: this.#session });
    return this.user;
  }

  async signIn(credentials) {
    this.#apply(await this.#client.signIn(credentials));
    return this.user;
  }

  async factorOptions(method) {
    return this.#client.factorOptions(method);
  }

  async answerFactor(method, answer, options) {
    this.#apply(await this.#client.answerFactor(method, answer, options));
    return this.user;
  }

  get passkeys() {
    return this.#passkeys;
  }

  async signOut() {
    await this.#client.signOut();
    this.#apply({ kind: "signout", user: null, session: this.#session });
  }

  async send(method, path, data) {
    const once = () => this.#client.send(method, path, data);
    const answer = await once().catch(async (error) => {
      if (!this.#stepUp || error.code !== "reauthentication_required") throw error;
      if (!(await this.#stepUp(bare({ offered: error.offered })))) throw error;
      return once();
    });
    if (method === "DELETE" && path === "me") this.#apply({ kind: "signout", user: null, session: this.#session });
    return answer;
  }

  async fetch(input, init) {
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
      last = (await this.#send(new Request(copies.pop(), given))).response;
    }
    const challenge = this.#stepUp && !isOver ? await challengeOf(last, this.#client) : undefined;
    // Once only, so that a user who does not reach the level is not asked forever.
    if (!challenge || !(await within(request.signal, Promise.resolve(this.#stepUp(challenge))))) return last;
    return (await this.#send(new Request(copies.pop(), given))).response;
  }

  close() {
    this.#closing.abort();
    this.#closeChannel();
    this.#client.close();
  }

  async #send(request) {
    const { turn, token } = await within(request.signal, this.#client.ready());
    if (this.#mode !== "body" && request.credentials === "same-origin") {
      request = new Request(request, bare({ credentials: "include" }));
    }
    if (token && !request.headers.has("Authorization")) request.headers.set("Authorization", `Bearer ${token}`);
    return { turn, response: await fetch(request) };
  }

  #listen() {
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => {
      if (this.#client instanceof SessionClient) this.#client.receive(data);
      this.#apply(data);
    };
  }

  #closeChannel() {
    this.#channel?.close();
    this.#channel = undefined;
  }

  #publish(change) {
    if (this.#closing.signal.aborted) return;
    this.#channel?.postMessage(change);
    this.#apply(change);
  }

  #apply(change) {
    const { kind, user, session } = own(change, "kind", "user", "session");
    const before = this.#user;
    if (!user && session !== this.#session) return; // A late message about an earlier session.
    const isChange = user ? session !== this.#session && (kind === "signin" || before !== undefined) : Boolean(before);
    this.#user = user ?? null;
    this.#session = user ? session : undefined;
    if (isChange) this.dispatchEvent(new Event(user ? "signin" : kind));
  }
}

/** Returns options without what somebody has added to `Object.prototype`. A `Request` has getters, and stays as it is. */
function plain(init) {
  return init && Object.getPrototypeOf(init) === Object.prototype ? bare(init) : init;
}

/**
 * Returns the URL of the auth API of the server that this script comes from: `/api/auth/`, behind the prefix of the whole
 * project if there is one before `/static/tokens/`. A bundler may give the script a URL without a host.
 */
function defaultApi() {
  const { origin, pathname, protocol } = new URL(HERE);
  const [, prefix] = /^(.*)\/static\/tokens\/session[^/]*\.js$/.exec(pathname) ?? [undefined, ""];
  return new URL(`${prefix}/api/auth/`, protocol.startsWith("http") ? origin : location.origin);
}

/** Waits for a promise until the signal is aborted. */
function within(signal, promise) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** Creates the session of a page. Several objects on a page act as one. */
function createSession(options) {
  return new BrowserSession(options);
}

export { createSession };
