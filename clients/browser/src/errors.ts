/** The error of the auth API. */

import { own } from "./own_properties.ts";

/** What an error is made from. It is also what the shared worker sends to a page. */
export interface ErrorParts {
  message?: string | undefined;
  status?: number | undefined;
  code?: string | undefined;
  errors?: Readonly<Record<string, readonly string[]>> | undefined;
  offered?: readonly string[] | undefined;
  trustDeviceFor?: number | undefined;
  retryAfter?: number | undefined;
}

const PARTS = ["message", "status", "code", "errors", "offered", "trustDeviceFor", "retryAfter"] as const;

/** An error of the auth API. */
export class SessionError extends Error {
  override readonly name = "SessionError";
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

  constructor(given: ErrorParts) {
    const { message, status = 0, code = "unreachable", errors, offered, trustDeviceFor, retryAfter } = own(given, ...PARTS);
    super(message ?? code);
    this.status = status;
    this.code = code;
    this.errors = errors;
    this.offered = offered;
    this.trustDeviceFor = trustDeviceFor;
    this.retryAfter = retryAfter;
  }
}

/** An error, of which nothing is known. */
export type Caught = Partial<SessionError>;
