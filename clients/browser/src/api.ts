/** The JSON of the auth API. A test compares these types with its description in OpenAPI. */

import type { Mode, User } from "./types.ts";

/** One of the user's sessions: `fetch("/api/auth/sessions")` lists them as a `SessionList`. */
export interface SessionInfo {
  readonly id: string;
  readonly device: { readonly name: string };
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
  readonly actor: { readonly id: string; readonly name: string } | null;
  readonly idle: boolean;
  /** Whether it is asked for a factor at its next refresh. */
  readonly lacks_factor: boolean;
  /** Whether it is the session of the request. */
  readonly current: boolean;
}

export interface SessionList {
  readonly results: readonly SessionInfo[];
  /** The URL of the next page, or null. */
  readonly next: string | null;
}

/** The answer of `fetch("/api/auth/me")`. */
export interface Me {
  readonly user: User;
  readonly session: SessionInfo | null;
  readonly access_token_expires_at: string | null;
}

/** The codes of problems: `SessionError.code` is one of them, or a code of the client. */
export type ProblemCode =
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
export interface Problem {
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
