/** The public types. */

/** How the client keeps its tokens: one of the storage modes in the server's setting `MODES`. */
export type Mode = "cookie" | "scoped" | "subdomain" | "body";

export interface SessionOptions {
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

export interface Challenge {
  /** The levels of which one is enough, if any is asked for. */
  readonly acr_values?: readonly string[] | undefined;
  /** How many seconds ago the user may have authenticated at most. */
  readonly max_age?: number | undefined;
  /** The factors of the account that are enough, for example `totp`. Each is a `method` of `reauthenticate`. */
  readonly offered?: readonly string[] | undefined;
}

export interface User {
  readonly id: string;
  readonly email: string;
}

export interface Credentials {
  email: string;
  password: string;
  /** Whether the session survives closing the browser. In mode `body` it always ends with the last tab. */
  remember?: boolean;
  /** The user's name for this device, in the list of sessions. */
  deviceName?: string;
}

export interface FactorAnswerOptions {
  /** Whether this device is trusted for `SessionError.trustDeviceFor` seconds. Without that it has no effect. */
  trustDevice?: boolean;
}

export interface Passkey {
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
export interface Passkeys {
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

export interface SessionEvents {
  /** A user has signed in, or reopened the idle session, in this or another tab. It is `user`. */
  signin: Event;
  /** The user has signed out, in this or another tab. */
  signout: Event;
  /** The session has ended, or is idle. The user has to sign in again, or to answer a factor (`stepUp`). */
  expire: Event;
}

/** A session of this browser, the same in every tab. */
export interface Session extends EventTarget {
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
