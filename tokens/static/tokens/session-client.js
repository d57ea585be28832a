/**
 * The client of the auth API. `session.js` uses it.
 *
 * A `SessionClient` knows who is signed in, and sends all requests to the auth API. In the cookie modes each tab has one. A
 * lock lets one tab at a time send a request, and each tab publishes the result to the others. In mode `body` all tabs
 * share one, in a shared worker that runs this file. The refresh token is only in the memory of the worker, and in some
 * browsers in that of a service worker, which runs this file too.
 *
 * No timer refreshes. A token is refreshed when it is used, so that the session of an idle page can expire.
 */

/** How much is left of a token's lifetime, or of a pause. */

const LEAD = 60_000; // A token is refreshed by requests in its last minute, or in the last quarter of a short lifetime.

/**
 * Counts down milliseconds by two local clocks, and uses the one that is ahead. The date may be set back, and
 * `performance.now()` may stop while the machine sleeps.
 */
class Countdown {
  total;
  wall;
  /** The expiry by the server's clock, which identifies a token. */
  end;
  #monotonic = performance.now();

  constructor(total, wall = Date.now(), end = undefined) {
    this.total = total;
    this.wall = wall;
    this.end = end;
  }

  get left() {
    return this.total - Math.max(Date.now() - this.wall, performance.now() - this.#monotonic);
  }

  get isDue() {
    return this.left < Math.min(LEAD, this.total / 4);
  }
}

/** Objects that are safe from what somebody has added to `Object.prototype`. */

/**
 * Returns a copy of an object without a prototype. If somebody can add values to `Object.prototype`, they must not choose
 * URLs, tokens and the options of functions that are called here.
 */
function bare(given) {
  return Object.assign(Object.create(null), given);
}

/** Returns the own properties of a value with these names. The value may be anything, such as the JSON of an answer. */
function own(value, ...names) {
  const found = bare({});
  for (const name of names) if (Object(value) === value && Object.hasOwn(value, name)) found[name] = value[name];
  return found;
}

/**
 * What lets the session in mode `body` survive the reload of its only tab, in browsers that end the shared worker then.
 *
 * A service worker keeps a copy of the refresh token in its memory, for some seconds after the shared worker has ended. It
 * runs the same file. The shared worker asks it by requests to a URL of their origin, which every policy with
 * `connect-src 'self'` permits. The server has nothing there, and gets no token: it is sent only after the service worker
 * has answered a request without it.
 *
 * No page gets the token. The service worker answers only shared workers that run this file, and it knows by the browser
 * who asks. It listens to no messages, and stores nothing.
 */

const QUERY = "?hand-over"; // With the URL of this file, it is the URL of the requests.
const LIFETIME = 30_000; // Milliseconds for which the copy can be taken.
const INTERVAL = 10_000; // Milliseconds after which the shared worker gives its copy again. Browsers end service workers.
const TIMEOUT$1 = 2_000; // Milliseconds that the service worker may take to answer.

/** Keeps the copies, in the service worker. Each belongs to the name of a shared worker, and so to one API. */
function holdCopies(scope) {
  const held = new Map();
  const answer = async ({ clientId, request }) => {
    const client = await scope.clients.get(clientId);
    if (client?.type !== "sharedworker" || client.url !== scope.location.href) return Response.error();
    const { name, kept } = own(await request.json(), "name", "kept");
    if (kept) held.set(name, { kept, life: new Countdown(LIFETIME) }); // Also while the machine sleeps.
    const found = held.get(name);
    if (found && found.life.left <= 0) held.delete(name);
    return Response.json({ kept: held.get(name)?.kept ?? null });
  };
  scope.addEventListener("install", () => scope.skipWaiting());
  scope.addEventListener("fetch", (event) => {
    if (event.request.url === scope.location.href + QUERY) event.respondWith(answer(event));
  });
}

/** Takes the copy of an earlier shared worker of this name, and gives the service worker one from now on. */
async function takeOver(name) {
  let last;
  let queue = Promise.resolve(); // An earlier copy must not arrive after a later one.
  let isThere = false; // Whether the service worker has ever answered.
  const ask = async (kept) => {
    const init = { method: "POST", body: JSON.stringify(bare({ name, kept })), signal: AbortSignal.timeout(TIMEOUT$1) };
    const response = await fetch(location.href + QUERY, bare(init));
    const answer = own(await response.json(), "kept");
    if (!("kept" in answer)) throw new TypeError("Somebody else has answered.");
    isThere = true;
    return answer.kept;
  };
  const give = () =>
    (queue = queue
      .then(() => ask())
      .then(() => ask(last))
      .catch(() => {})); // It is only a copy.
  const keep = async (kept) => {
    last = kept;
    await give();
  };
  setInterval(() => isThere && last?.refresh && give(), INTERVAL);
  const kept = await ask().catch(() => null);
  last ??= kept ?? undefined;
  return { kept: kept ?? bare({}), keep };
}

/** Times in the answers of the auth API, in milliseconds by the server's clock. */

/** Returns the lifetime of an access token, or Infinity if it is not known. */
function lifeOf(answer, response) {
  const { access_token_expires_at: end, expires_in: seconds } = own(answer, "access_token_expires_at", "expires_in");
  const life = Date.parse(end) - Date.parse(response.headers.get("Date"));
  return life >= 0 ? life : (seconds ?? Infinity) * 1000;
}

/** Returns the value of Retry-After, which is seconds or a date (RFC 9110 section 10.2.3). */
function waitOf(response) {
  const asked = response.headers.get("Retry-After");
  if (asked === null) return undefined;
  const wait = Number(asked) * 1000;
  return wait >= 0 ? wait : Math.max(Date.parse(asked) - Date.parse(response.headers.get("Date")), 0) || undefined;
}

/** The error of the auth API. */

const PARTS = ["message", "status", "code", "errors", "offered", "trustDeviceFor", "retryAfter"];

/** An error of the auth API. */
class SessionError extends Error {
  name = "SessionError";
  /** The HTTP status, or 0 without a response. */
  status;
  /** The API's stable code, such as `invalid_credentials`; `unreachable` without a response, `no_worker` without a worker. */
  code;
  /** The errors of each field. */
  errors;
  /** With `factor_required`: the names of the factors that the account has. */
  offered;
  /** With `factor_required`: for how many seconds the user can trust this device. undefined: they cannot. */
  trustDeviceFor;
  /** Milliseconds after which to try again, if the server has said so. */
  retryAfter;

  constructor(given) {
    const {
      message,
      status = 0,
      code = "unreachable",
      errors,
      offered,
      trustDeviceFor,
      retryAfter,
    } = own(given, ...PARTS);
    super(message ?? code);
    this.status = status;
    this.code = code;
    this.errors = errors;
    this.offered = offered;
    this.trustDeviceFor = trustDeviceFor;
    this.retryAfter = retryAfter;
  }
}

/** One tab at a time. */

const LOCK_TIMEOUT = 10_000; // Milliseconds that a tab waits for the lock of another tab, which may be frozen.
const MESSAGE_DELAY = 20; // Milliseconds that a message between tabs usually takes at most.

/**
 * Lets one tab at a time do `work`. The lock only saves requests: without locks (over http), or after taking the lock from
 * a tab that is frozen, the server gives the same tokens to both tabs.
 */
async function withLock(name, work) {
  let done;
  const begin = () => (done ??= work()).catch(() => {});
  if (!globalThis.navigator?.locks) return work();
  await navigator.locks.request(name, bare({ ifAvailable: true }), (lock) => lock && begin()).catch(() => {});
  if (done) return done;
  // The message of the tab that had the lock may arrive after the lock.
  const beginNext = () => new Promise((resolve) => setTimeout(resolve, MESSAGE_DELAY)).then(begin);
  try {
    await navigator.locks.request(name, bare({ signal: AbortSignal.timeout(LOCK_TIMEOUT) }), beginNext);
  } catch {
    // The wait has timed out. Or another tab has taken the lock, and the work goes on.
    if (!done) await navigator.locks.request(name, bare({ steal: true }), begin).catch(() => {});
  }
  return done ?? work();
}

/** Who is signed in, and the requests to the auth API. */

const TIMEOUT = 30_000; // Milliseconds that the auth API may take for a response.
const PATH = /^\w[\w/-]*$/; // A path of the API. A page could send the refresh token anywhere with any other URL.
const CHANGE = ["kind", "user", "session", "total", "wall", "end", "idle"];
const BACKOFF = { first: 500, most: 30_000 };
const REFUSALS = ["token_expired", "not_authenticated", "session_ended", "session_idle"];
const PREFIX = "latchkey "; // The name of the lock, the channel and the worker is this and the URL of the API.
const GRANTING = /^(reauthenticate|refresh)\/?$/; // The paths whose answers have tokens.
const OF_PASSKEYS = ["passkeyOptions", "signInByPasskey", "factorOptions"];
/** The methods that pages may call. */
const METHODS = [
  "restore",
  "signIn",
  "answerFactor",
  "signOut",
  "send",
  "ready",
  "renew",
  "wake",
  "idle",
  ...OF_PASSKEYS,
];

/** Knows who is signed in, and sends the requests to the auth API. `publish` is called with every change. */
class SessionClient {
  #name;
  #api;
  #mode;
  #publish;
  #persistence;
  #turn = 0; // Incremented with every new token or session, so that callers can tell whether theirs is outdated.
  #user; // undefined: not known yet. null: no user is signed in, and there is nothing to refresh.
  #session;
  #life = new Countdown(Infinity);
  #tokens = bare({}); // Only in mode `body`.
  #idle; // What a factor can reopen. Nobody is signed in then, and the refresh token is kept.
  #renewing;
  #awaken;
  #isClosed = false;

  constructor(name, api, mode, publish, persistence) {
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
  async restore() {
    if (this.#mode !== "body") {
      await this.#insist(() => this.#request("GET", "me"));
    } else if (this.#life.left <= 0) {
      await this.renew(this.#turn);
    }
    return this.#user ? { kind: "restore", user: this.#user, session: this.#session } : null;
  }

  signIn(credentials) {
    const { email, password, remember, deviceName } = own(credentials, "email", "password", "remember", "deviceName");
    return this.#signIn("login", () => ({ email, password, remember, device_name: deviceName, mode: this.#mode }));
  }

  /** Answers a factor, after a sign-in was refused with `factor_required`. */
  async answerFactor(method, answer, options) {
    // Without an answer the API would return what the factor needs.
    if (answer === undefined) throw new SessionError({ message: `${method} has no answer`, code: "invalid_answer" });
    const { trustDevice } = own(options, "trustDevice");
    return this.#signIn("factor", () => ({ method, answer, trust_device: trustDevice, pending: this.#tokens.pending }));
  }

  /** Returns what a passkey has to sign for a sign-in with nothing before it. */
  async passkeyOptions() {
    const { answer } = await this.#call("POST", "passkey", { mode: this.#mode });
    const { options, ceremony } = own(answer, "options", "ceremony");
    this.#tokens.ceremony = ceremony; // Only in mode `body`. Otherwise the browser has a cookie.
    return options;
  }

  signInByPasskey(answer, given) {
    const { remember, deviceName } = own(given, "remember", "deviceName");
    const more = () => ({ remember, device_name: deviceName, mode: this.#mode, ceremony: this.#tokens.ceremony });
    return this.#signIn("passkey", () => ({ answer, ...more() }));
  }

  /** Returns what a factor needs before it can be answered, after a sign-in was refused with `factor_required`. */
  async factorOptions(method) {
    const { device, pending } = this.#tokens;
    const { answer } = await this.#call("POST", "factor", { method, pending, device_token: device });
    return own(answer, "options").options;
  }

  async signOut() {
    await withLock(this.#name, async () => {
      await this.#call("POST", "logout", this.#refreshToken());
      this.#end("signout");
    });
  }

  /** Signs out here, whether or not the server can be reached. Returns the refresh token, for `revoke`. */
  forget() {
    const { refresh } = this.#tokens;
    this.#end("signout");
    return refresh;
  }

  /** Ends the session of a refresh token. */
  async revoke(refreshToken) {
    await this.#call("POST", "logout", { refresh_token: refreshToken });
  }

  /** Sends a request that changes the account, in mode `body` with the refresh token. Returns the answer, without tokens. */
  async send(method, path, data) {
    if (!PATH.test(path)) throw new SessionError({ message: `${path} is not a path of the API`, code: "invalid_path" });
    if (/^(get|head)$/i.test(method)) {
      throw new SessionError({ message: `send() makes changes. Use fetch() for ${method}.`, code: "invalid_method" });
    }
    const { turn } = await this.ready();
    const pending = () => (/^factor\/?$/.test(path) ? { pending: this.#tokens.pending } : undefined);
    const once = () =>
      this.#call(method, path, { ...pending(), ...data, ...this.#refreshToken() }, this.#tokens.access);
    // These answer with new tokens, which replace those that we have. With the lock, no other tab refreshes meanwhile.
    const isGranting = GRANTING.test(path);
    const call = () => (isGranting ? withLock(this.#name, async () => this.#granted(await once())) : once());
    const { answer } = await call().catch(async (error) => {
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
  async #granted(answered) {
    const { session } = own(answered.answer, "session");
    if (session && this.#user && session.id === this.#session) await this.#take("refresh", answered);
    else if (session && this.#idle) await this.#take("signin", answered);
    return answered;
  }

  /** Returns the factors that reopen the session. undefined: it is not idle. */
  async idle() {
    return this.#idle;
  }

  /** Returns the token for a request. Waits for a new one only if the old one has expired. */
  async ready() {
    if (this.#user && this.#life.isDue) {
      const renewed = this.renew(this.#turn);
      if (this.#life.left <= 0) await renewed;
      else renewed.catch(() => {}); // The token is still valid, and the next request tries again.
    }
    return { turn: this.#turn, token: this.#tokens.access };
  }

  /** Refreshes, unless that was done since `turn`. Returns whether a user is signed in. */
  async renew(turn) {
    if (turn === this.#turn && this.#user !== null) {
      // Checked again with the lock, because another tab may have refreshed.
      const refresh = async () => turn === this.#turn && this.#request("POST", "refresh");
      this.#renewing ??= this.#insist(refresh).finally(() => (this.#renewing = undefined));
      await this.#renewing;
    }
    return Boolean(this.#user);
  }

  /** Tries again now, and checks the clocks: the network is back, or the page is visible again. */
  async wake() {
    this.#awaken?.();
    if (this.#user && this.#life.left <= 0) await this.renew(this.#turn);
  }

  /** Applies a change that another tab has published. */
  receive(change) {
    const { kind, user, session, total, wall, end, idle } = own(change, ...CHANGE);
    if (user) this.#become(kind, user, session, new Countdown(total, wall, end));
    else if (session === this.#session) {
      this.#become(kind, null);
      this.#idle = idle;
    }
  }

  close() {
    this.#isClosed = true;
    this.#awaken?.();
  }

  async #signIn(path, given) {
    await withLock(this.#name, async () => {
      await this.#take("signin", await this.#call("POST", path, { ...given(), device_token: this.#tokens.device }));
    });
    return { kind: "signin", user: this.#user ?? null, session: this.#session };
  }

  #become(kind, user, session, life = new Countdown(Infinity)) {
    // A request that only asks gets a new token too if the middleware has refreshed.
    if (kind !== "restore" || session !== this.#session || life.end !== this.#life.end) this.#turn += 1;
    this.#user = user;
    this.#session = session;
    this.#life = life;
    this.#idle = undefined;
  }

  async #take(kind, { answer, life }) {
    const { user, session } = own(answer, "user", "session");
    if (this.#mode === "body") {
      const {
        access_token: access,
        refresh_token: refresh = this.#tokens.refresh, // If one is missing, the current one stays valid.
        device_token: device = this.#tokens.device,
      } = own(answer, "access_token", "refresh_token", "device_token");
      const pending = kind === "signin" ? undefined : this.#tokens.pending; // The user may be answering a factor.
      if (this.#persistence) await this.#keep({ refresh, device, user, session: session.id });
      this.#tokens = bare({ access, refresh, device, pending });
    }
    this.#become(kind, user, session.id, life);
    this.#publish({ kind, user, session: this.#session, total: life.total, wall: life.wall, end: life.end });
  }

  /** Keeps the new tokens. If that fails, the token before stays in use, and the server answers it once more. */
  async #keep(kept) {
    try {
      await this.#persistence.keep(bare(kept));
    } catch (error) {
      throw new SessionError({ message: String(error), code: "not_kept" });
    }
  }

  #end(kind, idle = undefined) {
    const change = { kind, user: null, session: this.#session, idle };
    const wasSignedIn = this.#user;
    this.#become(kind, null);
    this.#idle = idle;
    const { device, refresh, pending } = this.#tokens;
    this.#tokens = bare(idle ? { device, refresh, pending } : { device });
    this.#persistence?.keep(bare(idle ? { device, refresh } : { device })).catch(() => {});
    if (wasSignedIn) this.#publish(change);
  }

  /** Sends a request. A definite rejection ends the session, unless a new one has begun meanwhile. */
  async #request(method, path) {
    const turn = this.#turn;
    try {
      const answered = await this.#call(method, path, method === "POST" ? this.#refreshToken() : undefined);
      // The user has signed out meanwhile. Or the next session of the app has this storage, and sends the same token.
      if (this.#persistence && (turn !== this.#turn || this.#isClosed)) return;
      await this.#take(path === "me" ? "restore" : "refresh", answered);
    } catch (error) {
      // A 401 with another code does not come from the API, but for example from a proxy.
      if (error.status !== 401 || !REFUSALS.includes(error.code)) throw error;
      if (path === "me" && error.code === "token_expired") await this.#request("POST", "refresh");
      else if (turn === this.#turn)
        this.#end("expire", error.code === "session_idle" ? own(error, "offered") : undefined);
    }
  }

  #refreshToken() {
    return this.#mode === "body" ? { refresh_token: this.#tokens.refresh } : undefined;
  }

  async #call(method, path, data, access) {
    const life = new Countdown(Infinity); // Started before the request, because the response takes time to arrive.
    let response;
    let answer;
    try {
      const init = bare({
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
      });
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
      throw new SessionError({
        message: detail,
        status: response.status,
        code,
        errors,
        offered,
        trustDeviceFor,
        retryAfter,
      });
    }
    if (answer) {
      const { access_token_expires_at: end } = own(answer, "access_token_expires_at");
      Object.assign(life, { total: lifeOf(answer, response), end });
    }
    return { answer, life };
  }

  /** Does the work with the lock, and repeats it until there is an answer. An outage does not sign the user out. */
  async #insist(work) {
    for (let tries = 0; ; tries += 1) {
      try {
        return await withLock(this.#name, work);
      } catch (error) {
        const willPass = error.status === 0 || error.status === 429 || error.status >= 500;
        if (this.#isClosed || !willPass) throw error;
        await this.#pause(error.retryAfter, Math.min(BACKOFF.first * 2 ** tries, BACKOFF.most));
      }
    }
  }

  async #pause(asked, backoff) {
    const shortest = asked ?? backoff / 2;
    // At random, so that clients do not all come back at the same time.
    const pause = new Countdown(shortest * (1 + Math.random() / 2));
    do {
      await new Promise((resolve) => {
        this.#awaken = resolve;
        setTimeout(resolve, pause.left);
      });
    } while (!this.#isClosed && asked !== undefined && pause.left > 0);
  }
}

/** Returns a signal that is aborted after some milliseconds. React Native has no `AbortSignal.timeout`. */
function timeout(milliseconds) {
  if ("timeout" in AbortSignal) return AbortSignal.timeout(milliseconds);
  const controller = new AbortController();
  setTimeout(() => controller.abort(), milliseconds);
  return controller.signal;
}

/** What the shared worker does in mode `body`: it has the only client, and pages call its methods. */

/** Serves the methods to the pages, in the worker. */
function serve(worker) {
  // The name of the worker determines the API. If a page could choose it, it could send the refresh token anywhere.
  const { name } = worker;
  const channel = new BroadcastChannel(name);
  const publish = (change) => {
    if (change.kind !== "refresh") channel.postMessage(change); // Pages ask for tokens when they send requests.
  };
  let client;
  const begin = async (survives) => {
    const persistence = survives ? undefined : await takeOver(name);
    return new SessionClient(name, new URL(name.slice(PREFIX.length)), "body", publish, persistence);
  };
  worker.onconnect = ({ ports }) => {
    const port = ports[0];
    port.postMessage({}); // The greeting: an answer can take as long as an outage.
    port.onmessage = async ({ data }) => {
      const { id, method, given } = own(data, "id", "method", "given");
      // The first message of a page: whether the worker survives a reload, in this browser.
      if (method === "begin") client ??= begin(given[0]);
      if (!METHODS.includes(method)) return;
      try {
        client ??= begin(true);
        port.postMessage({ id, value: await (await client)[method](...given) });
      } catch (error) {
        port.postMessage({ id, error: { code: "error", ...error, message: error.message } });
      }
    };
  };
}

/** What a response says about the user who has sent the request. */

/** The codes of RFC 9470, with status 401, and of changes to the account, with status 403. */
const STEP_UPS = ["insufficient_user_authentication", "reauthentication_required"];

/** Returns whether the API has rejected our token. Any other 401 is left to the app. */
async function isRefused(response) {
  return response.status === 401 && REFUSALS.includes(own(await problemOf(response), "code").code);
}

/** Returns what a response asks for, if the user has to authenticate again: better, more recently, or after a break. */
async function challengeOf(response, client) {
  if (await isRefused(response)) return client.idle();
  const { code, acr_values, max_age, offered } = own(
    await problemOf(response),
    "code",
    "acr_values",
    "max_age",
    "offered",
  );
  return STEP_UPS.includes(code) ? bare({ acr_values, max_age, offered }) : undefined;
}

/** Returns the JSON of a 401 or 403, or null. */
async function problemOf(response) {
  if (![401, 403].includes(response.status) || !response.headers.get("Content-Type")?.includes("json")) return null;
  return response
    .clone()
    .json()
    .catch(() => null);
}

// A page can have an element called `onconnect`, or one with the name of any class, but no element changes this text.
const kind = Object.prototype.toString.call(globalThis);
if (kind === "[object SharedWorkerGlobalScope]") serve(globalThis);
if (kind === "[object ServiceWorkerGlobalScope]") holdCopies(globalThis);

export { METHODS, PREFIX, SessionClient, SessionError, bare, challengeOf, isRefused, own };
