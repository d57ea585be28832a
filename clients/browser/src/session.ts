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

import { BrowserSession } from "./browser_session.ts";
import type { Session, SessionOptions } from "./types.ts";

export { SessionError } from "./session-client.ts";
export type * from "./api.ts";
export type * from "./types.ts";

/** Creates the session of a page. Several objects on a page act as one. */
export function createSession(options?: SessionOptions): Session {
  return new BrowserSession(options);
}
