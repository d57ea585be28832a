/** How the client keeps its tokens: one of the modes that the server serves (its setting `MODES`). */
export type Mode = "cookie" | "scoped" | "subdomain" | "body";

export interface SessionOptions {
  /** `cookie` unless said. */
  mode?: Mode;
  /** Where the auth API is, `/api/auth/` unless said; on another origin in mode `subdomain`. */
  api?: string | URL;
  /**
   * Further origins that take our tokens. Those of the API, and in the cookie modes of the page, need not be named;
   * requests to any other pass through `fetch` untouched.
   */
  origins?: readonly (string | URL)[];
}

export interface User {
  readonly id: string;
  readonly email: string;
}

export interface Credentials {
  email: string;
  password: string;
  /** Whether the session outlives the browser. Not in `body` mode: there it ends with the last tab in any case. */
  remember?: boolean;
  /** What the person calls this device, for the list of their sessions. */
  deviceName?: string;
}

export interface SessionEvents {
  /** Somebody signed in, here or in another tab; `user` says who. */
  signin: Event;
  /** Somebody signed out, here or in another tab. */
  signout: Event;
  /** The session was found to have ended: sign in again. */
  expire: Event;
}

/** A session of this browser, the same in every tab. */
export interface Session extends EventTarget {
  /** Who is signed in as far as this tab has heard, or null. */
  readonly user: User | null;

  /**
   * Ask who is signed in: when a page is loaded. Waits while the server or the network is down. Sends no event for what
   * it finds first.
   */
  restore(options?: { signal?: AbortSignal }): Promise<User | null>;

  /** Sign in. Rejects with a `SessionError`: `invalid_credentials`, `invalid` with its `errors`, `unreachable`, …. */
  signIn(credentials: Credentials): Promise<User>;

  /** Sign out. Rejects with a `SessionError` if the server could not be told: then one is signed in still. */
  signOut(): Promise<void>;

  /**
   * As `fetch`, with a token that is fresh, and once more after a refresh where the answer is a 401 for our token.
   * While the token has expired and the auth API is down it waits; `signal` ends that. The 401 of a request whose body
   * was a `ReadableStream` is handed on after the refresh, for it cannot be sent again.
   */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;

  /** Let go of everything: no events any more. Nobody is signed out. */
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

/** What the auth API answered instead of what was asked for. */
export class SessionError extends Error {
  /** Of HTTP; 0 where no answer came. */
  readonly status: number;
  /** The API's stable code, such as `invalid_credentials`; `unreachable` where no answer came, `no_worker` without one. */
  readonly code: string;
  /** What is wrong with which field. */
  readonly errors?: Readonly<Record<string, readonly string[]>>;
  /** Milliseconds after which to try again, where the server said so. */
  readonly retryAfter?: number;
}

/** Begin. One for each page will do; several of them act as one. */
export function createSession(options?: SessionOptions): Session;
