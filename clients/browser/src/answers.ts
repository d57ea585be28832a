/** Times in the answers of the auth API, in milliseconds by the server's clock. */

import { own } from "./own_properties.ts";

/** Returns the lifetime of an access token, or Infinity if it is not known. */
export function lifeOf(answer: unknown, response: Response): number {
  const { access_token_expires_at: end, expires_in: seconds } = own(answer, "access_token_expires_at", "expires_in");
  const life = Date.parse(end) - Date.parse(response.headers.get("Date")!);
  return life >= 0 ? life : (seconds ?? Infinity) * 1000;
}

/** Returns the value of Retry-After, which is seconds or a date (RFC 9110 section 10.2.3). */
export function waitOf(response: Response): number | undefined {
  const asked = response.headers.get("Retry-After");
  if (asked === null) return undefined;
  const wait = Number(asked) * 1000;
  return wait >= 0 ? wait : Math.max(Date.parse(asked) - Date.parse(response.headers.get("Date")!), 0) || undefined;
}
