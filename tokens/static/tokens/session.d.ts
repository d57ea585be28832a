/** How the client keeps its tokens: one of the storage modes in the server's setting `MODES`. */
type Mode = "cookie" | "scoped" | "subdomain" | "body";
interface SessionOptions {
  /** The default is `cookie`. */
  mode?: Mode;
  /**
   * The URL of the auth API. The default is `/api/auth/` on the origin of this script, behind the prefix that the project
   * has before `/static/tokens/`. In mode `subdomain` it is on another origin. A relative URL is relative to that of the
   * page, and not to a `<base>`.
   */
  api?: string | URL;
  /**
   * Further origins that accept our tokens. The origin of the API is always included, and in the cookie modes that of the
   * page. Requests to other origins are sent without changes.
   */
  origins?: readonly (string | URL)[];
  /**
   * Called if the user has to authenticate again: `fetch` gets a 401 that asks for a better or more recent authentication
   * (RFC 9470), or the session is idle and a factor reopens it, or `fetch` or `send` gets `reauthentication_required`.
   * Ask the user, and call `send("POST", "reauthenticate", { method, answer })`. Resolve with true to repeat the request,
   * once.
   */
  stepUp?: (challenge: Challenge) => boolean | Promise<boolean>;
}
interface Challenge {
  /** The levels of which one is enough, if any is asked for. */
  readonly acr_values?: readonly string[] | undefined;
  /** How many seconds ago the user may have authenticated at most. */
  readonly max_age?: number | undefined;
  /** The factors of the account that are enough, for example `totp`. Each is a `method` of `reauthenticate`. */
  readonly offered?: readonly string[] | undefined;
}
interface User {
  readonly id: string;
  readonly email: string;
}
interface Credentials {
  email: string;
  password: string;
  /** Whether the session survives closing the browser. In mode `body` it always ends with the last tab. */
  remember?: boolean;
  /** The user's name for this device, in the list of sessions. */
  deviceName?: string;
}
interface FactorAnswerOptions {
  /** Whether this device is trusted for `SessionError.trustDeviceFor` seconds. Without that it has no effect. */
  trustDevice?: boolean;
}
interface Passkey {
  readonly id: string;
  /** In base64url, as the browser has it. */
  readonly credential_id: string;
  readonly name: string;
  /** What its device or password manager is called, or empty. Nothing proves it. */
  readonly authenticator: string;
  /** Whether it can be copied to other devices of the user. */
  readonly can_sync: boolean;
  readonly is_synced: boolean;
  /** Whether it signs in without a password. Null: the browser has not said it. */
  readonly is_discoverable: boolean | null;
  readonly created_at: string;
  readonly last_used_at: string | null;
}
/**
 * Each method asks the browser, and rejects with its `DOMException` if the user cancels (`NotAllowedError`). Otherwise it
 * rejects with a `SessionError`, whose code is `unsupported` if the browser has no passkeys. Changes are told to the
 * browser, so that it offers no passkey that the account does not have.
 */
interface Passkeys {
  /** Whether the browser has passkeys. */
  readonly supported: boolean;
  /**
   * Signs in. With the `mediation` "conditional" the browser suggests passkeys in a field whose `autocomplete` ends in
   * `webauthn`. Abort that by the `signal` before you call another method. Options are good for five minutes: call it
   * again after four.
   */
  signIn(options?: {
    remember?: boolean;
    deviceName?: string;
    mediation?: "conditional" | "optional" | "required";
    signal?: AbortSignal;
  }): Promise<User>;
  /** Answers a sign-in that was refused with `factor_required`, if `offered` has `passkey`. */
  answerFactor(options?: FactorAnswerOptions): Promise<User>;
  /** Creates the passkey that such a sign-in requires, if `offered` has `enrol_passkey`, and signs in. */
  enrol(options?: FactorAnswerOptions): Promise<User>;
  /** Authenticates again, for `stepUp` and before changes. */
  reauthenticate(): Promise<unknown>;
  /** Creates a passkey. Without a name it gets that of its device or password manager. */
  create(name?: string): Promise<Passkey>;
  rename(id: string, name: string): Promise<Passkey>;
  /** Removes a passkey. Rejects with `last_factor` if there is no other way into the account. */
  remove(id: string): Promise<void>;
}
interface SessionEvents {
  /** A user has signed in, or reopened the idle session, in this or another tab. It is `user`. */
  signin: Event;
  /** The user has signed out, in this or another tab. */
  signout: Event;
  /** The session has ended, or is idle. The user has to sign in again, or to answer a factor (`stepUp`). */
  expire: Event;
}
/** A session of this browser, the same in every tab. */
interface Session extends EventTarget {
  /** The signed-in user, as far as this tab knows, or null. */
  readonly user: User | null;
  /**
   * Asks the server who is signed in, when a page is loaded. Waits while the server or the network is down. The first
   * result causes no event.
   */
  restore(options?: { signal?: AbortSignal }): Promise<User | null>;
  /**
   * Signs in. Rejects with a `SessionError`: `invalid_credentials`, `invalid` with its `errors`, `unreachable`, … With
   * `factor_required`, `offered` names the factors of which one is needed: call `answerFactor`.
   */
  signIn(credentials: Credentials): Promise<User>;
  /**
   * Returns what a factor of `offered` needs before it is answered: of `enrol_totp` an object with `secret` and
   * `otpauth_uri`. undefined: nothing.
   */
  factorOptions(method: string): Promise<unknown>;
  /**
   * Answers one of the factors that a sign-in needs, for example `totp`, or `enrol_totp` with a code of the new app.
   * Rejects as `signIn`, also with `factor_refused`, and with `invalid_answer` if there is no answer.
   */
  answerFactor(method: string, answer: unknown, options?: FactorAnswerOptions): Promise<User>;
  /** Passkeys, if the server has the factor. */
  readonly passkeys: Passkeys;
  /** Signs out. Rejects with a `SessionError` if the server did not answer. The user is then still signed in. */
  signOut(): Promise<void>;
  /**
   * Sends a request to the auth API that changes the account: `send("DELETE", "me")`. In mode `body` it contains the
   * refresh token, without which the API answers `refresh_token_required`. `path` is relative to the URL of the API, and
   * has only letters, digits, `_`, `-` and `/`. `data` are the members of the JSON body, for example `current_password`.
   * Resolves with the JSON of the answer, if there is any. Rejects with a `SessionError`, whose code is `invalid_method`
   * for a GET: that is for `fetch`.
   */
  send(method: string, path: string, data?: Readonly<Record<string, unknown>>): Promise<unknown>;
  /**
   * Like `fetch`, with a valid token. If the response is a 401 for our token, it refreshes and repeats the request once.
   * If the token has expired and the auth API is down, it waits until `signal` is aborted. A request whose body is a
   * `ReadableStream` cannot be repeated, so its 401 is returned after the refresh.
   */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** Stops all events and requests. The user stays signed in. */
  close(): void;
  addEventListener<K extends keyof SessionEvents>(
    type: K,
    listener: (this: Session, event: SessionEvents[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof SessionEvents>(
    type: K,
    listener: (this: Session, event: SessionEvents[K]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
}

/** What an error is made from. It is also what the shared worker sends to a page. */
interface ErrorParts {
  message?: string | undefined;
  status?: number | undefined;
  code?: string | undefined;
  errors?: Readonly<Record<string, readonly string[]>> | undefined;
  offered?: readonly string[] | undefined;
  trustDeviceFor?: number | undefined;
  retryAfter?: number | undefined;
}
/** An error of the auth API. */
declare class SessionError extends Error {
  readonly name = "SessionError";
  /** The HTTP status, or 0 without a response. */
  readonly status: number;
  /** The API's stable code, such as `invalid_credentials`; `unreachable` without a response, `no_worker` without a worker. */
  readonly code: string;
  /** The errors of each field. */
  readonly errors?: Readonly<Record<string, readonly string[]>> | undefined;
  /** With `factor_required`: the names of the factors that the account has. */
  readonly offered?: readonly string[] | undefined;
  /** With `factor_required`: for how many seconds the user can trust this device. undefined: they cannot. */
  readonly trustDeviceFor?: number | undefined;
  /** Milliseconds after which to try again, if the server has said so. */
  readonly retryAfter?: number | undefined;
  constructor(given: ErrorParts);
}

/** One of the user's sessions: `fetch("/api/auth/sessions")` lists them as a `SessionList`. */
interface SessionInfo {
  readonly id: string;
  readonly device: {
    readonly name: string;
  };
  readonly mode: Mode;
  readonly created_at: string;
  readonly last_used_at: string;
  readonly ip: string | null;
  /** Whether it is bound to the device by a key. */
  readonly bound: boolean;
  /** How the user has authenticated (RFC 8176). */
  readonly amr: readonly string[];
  /** The level that these methods support, or null. */
  readonly acr: string | null;
  /** The member of staff who uses the session in the user's place, or null. */
  readonly actor: {
    readonly id: string;
    readonly name: string;
  } | null;
  readonly idle: boolean;
  /** Whether it is asked for a factor at its next refresh. */
  readonly lacks_factor: boolean;
  /** Whether it is the session of the request. */
  readonly current: boolean;
}
interface SessionList {
  readonly results: readonly SessionInfo[];
  /** The URL of the next page, or null. */
  readonly next: string | null;
}
/** The answer of `fetch("/api/auth/me")`. */
interface Me {
  readonly user: User;
  readonly session: SessionInfo | null;
  readonly access_token_expires_at: string | null;
}
/** The codes of problems: `SessionError.code` is one of them, or a code of the client. */
type ProblemCode =
  | "cross_origin"
  | "error"
  | "factor_refused"
  | "factor_required"
  | "form_outdated"
  | "insufficient_user_authentication"
  | "invalid"
  | "invalid_client"
  | "invalid_credentials"
  | "invalid_token"
  | "last_factor"
  | "length_required"
  | "link_used"
  | "malformed"
  | "method_not_allowed"
  | "not_authenticated"
  | "not_found"
  | "passkey_refused"
  | "passkey_unknown"
  | "payload_too_large"
  | "permission_denied"
  | "proof_required"
  | "reauthentication_required"
  | "refresh_token_required"
  | "session_ended"
  | "session_idle"
  | "sign_in_refused"
  | "throttled"
  | "token_expired"
  | "unavailable"
  | "unsupported_media_type"
  | "wrong_code";
/** The JSON of an answer that is an error (RFC 9457). */
interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ProblemCode;
  readonly detail: string;
  /** The errors of each field. */
  readonly errors?: Readonly<Record<string, readonly string[]>>;
  /** The factors of the account, of which one is to be answered. */
  readonly offered?: readonly string[];
  /** With `factor_required`: where to send the answer. */
  readonly verify?: string | null;
  /** For how many seconds the user can trust this device. */
  readonly trust_device_for?: number;
  /** With `factor_required` in mode `body`: what to send with the answer. */
  readonly pending?: string;
}

/** Creates the session of a page. Several objects on a page act as one. */
declare function createSession(options?: SessionOptions): Session;

export { SessionError, createSession };
export type {
  Challenge,
  Credentials,
  FactorAnswerOptions,
  Me,
  Mode,
  Passkey,
  Passkeys,
  Problem,
  ProblemCode,
  Session,
  SessionEvents,
  SessionInfo,
  SessionList,
  SessionOptions,
  User,
};
