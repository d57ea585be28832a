/** The session of a request, for server components, route handlers and server actions. */

import { headers } from "next/headers.js";
import * as server from "next/server.js";
import { ask } from "./latchkey.js";
import { reportUnmarked } from "./marker.js";
import { ConfigurationError, settings } from "./settings.js";
import { accessTokenIn, type Claims } from "./tokens.js";

export { ConfigurationError, type Claims };

export interface User {
  /** The primary key, as text. It is the same as in Latchkey's database. */
  readonly id: string;
  /** The e-mail address. It is null only if the project's users have none. */
  readonly email: string | null;
  /** The claim `name` of the project's CLAIMS_HOOK, or the address, or the id. */
  readonly name: string;
}

export interface Session {
  readonly id: string;
  readonly user: User;
  /** The person who uses the account in the place of its user, or null. */
  readonly actor: { readonly id: string; readonly name: string } | null;
  readonly claims: Claims;
}

/** Latchkey does not answer, so nobody knows whether the session still exists. The user can try again. */
export class LatchkeyUnavailable extends Error {
  override readonly name = "LatchkeyUnavailable";
}

const asked = new WeakMap<object, Promise<Session | null>>();

/**
 * Returns the session of this request, or null. Do not keep it for other requests.
 *
 * It asks Latchkey, once for each request. So a session that was ended a moment ago is null.
 * Throws LatchkeyUnavailable.
 */
export async function session(): Promise<Session | null> {
  const request = await headersOfRequest();
  let found = asked.get(request);
  if (!found) {
    found = askWho(request);
    asked.set(request, found);
  }
  return found;
}

/**
 * Returns the claims of the access token of this request, or null, without a request to Latchkey.
 *
 * They are valid until the token expires, also if the session was ended before. Do not keep them for other requests.
 */
export async function claims(): Promise<Claims | null> {
  const access = await accessTokenIn((await headersOfRequest()).get("cookie"), settings());
  return access?.claims ?? null;
}

/**
 * Returns the headers of the request. What follows runs at the time of a request only.
 *
 * The verification of a token reads the clock. With Cache Components, Next.js may render what depends on headers only
 * ahead of a request, and reports every use of the clock there. It renders nothing ahead that waits for `connection`.
 * Version 14 has neither.
 */
async function headersOfRequest(): ReturnType<typeof headers> {
  const { connection }: Partial<typeof server> = server;
  await connection?.();
  const found = await headers();
  reportUnmarked(found);
  return found;
}

async function askWho(request: Pick<Headers, "get">): Promise<Session | null> {
  const given = settings();
  const access = await accessTokenIn(request.get("cookie"), given);
  if (!access) return null;
  if (!access.claims) {
    if (access.unavailable) throw new LatchkeyUnavailable(access.why);
    return null;
  }
  const answer = await ask(given, "GET", "/api/auth/me", request, { authorization: `Bearer ${access.token}` });
  if (answer.status === 401) return null;
  if (!answer.ok) throw new LatchkeyUnavailable(`GET /api/auth/me was answered with the status ${answer.status}.`);
  const who = (await answer.json()) as {
    user: { id: string; email: string | null };
    session: { id: string; actor: Session["actor"] };
  };
  const { id, email } = who.user, { name } = access.claims;
  return {
    id: who.session.id,
    user: { id, email, name: typeof name === "string" && name ? name : email || id },
    actor: who.session.actor,
    claims: access.claims,
  };
}
