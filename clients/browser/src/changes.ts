/** What a client knows, and what it tells others. */

import type { Countdown } from "./countdown.ts";
import type { User } from "./types.ts";

/** What has happened to the session: a message between tabs. */
export interface Change {
  kind: "signin" | "restore" | "refresh" | "signout" | "expire";
  user: User | null;
  /** The id of the session. */
  session: string | undefined;
  /** The lifetime of the access token in milliseconds, as `Countdown` has it. */
  total?: number;
  wall?: number;
  end?: string | undefined;
  /** See `SessionClient.idle`. */
  idle?: Idle | undefined;
}

/** The factors that reopen a session. */
export interface Idle {
  readonly offered?: readonly string[];
}

/** Whether a token is outdated is told by the number. */
export interface Step {
  readonly turn: number;
  readonly token: string | undefined;
}

export interface Answered {
  readonly answer: any;
  readonly life: Countdown;
}

/** In mode `body`, what the browser would keep in cookies. */
export interface Tokens {
  access?: string | undefined;
  refresh?: string | undefined;
  device?: string | undefined;
  /** Of a sign-in that lacks a factor. */
  pending?: string | undefined;
  /** Of a sign-in by a passkey. */
  ceremony?: string | undefined;
}

/** Where the tokens survive the end of the program, in mode `body`. A browser has none. */
export interface Persistence {
  /** What was kept before. */
  readonly kept: Kept;
  /** Keeps this in the place of what was kept. Until it resolves, the token before is used. */
  keep(kept: Kept): Promise<void>;
}

export interface Kept {
  readonly refresh?: string | undefined;
  readonly device?: string | undefined;
  readonly user?: User | undefined;
  readonly session?: string | undefined;
}
