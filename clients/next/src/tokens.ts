/** Access tokens: their verification with Latchkey's public keys, and why one is refused. */

import { createRemoteJWKSet } from "jose/jwks/remote";
import { jwtVerify } from "jose/jwt/verify";
import { errors, type JWTPayload } from "jose";
import { valuesOf } from "./cookies.js";
import type { Settings } from "./settings.js";

/** The claims of a verified access token. Further ones are those of the project's CLAIMS_HOOK. */
export interface Claims extends JWTPayload {
  /** The user's primary key. */
  sub: string;
  /** The id of the session. */
  sid: string;
  exp: number;
  iat: number;
  /** When the user last authenticated, if that is known. */
  auth_time?: number;
  /** How the user has authenticated (RFC 8176), if that is known. */
  amr?: string[];
  /** The level that these methods support. */
  acr?: string;
}

export type Verdict =
  | { readonly token: string; readonly claims: Claims }
  /** `unavailable`: nothing is known about the token, because the public keys cannot be read. */
  | { readonly claims: null; readonly why: string; readonly unavailable: boolean };

const MAX_LENGTH = 8192;
/** Latchkey's key set names the algorithm of each key, and a key counts for no other. */
const ALGORITHMS = ["EdDSA", "ES256", "RS256"];
const keySets = new Map<string, ReturnType<typeof createRemoteJWKSet>>();

function keysOf(authServer: string): ReturnType<typeof createRemoteJWKSet> {
  let found = keySets.get(authServer);
  if (!found) {
    found = createRemoteJWKSet(new URL("/.well-known/jwks.json", authServer));
    keySets.set(authServer, found);
  }
  return found;
}

export async function verify(token: string, given: Settings): Promise<Verdict> {
  if (token.length > MAX_LENGTH) return refused("the access token is too long");
  try {
    const { payload } = await jwtVerify(token, keysOf(given.authServer), {
      issuer: given.issuer,
      audience: given.audience,
      typ: "at+jwt",
      algorithms: ALGORITHMS,
      requiredClaims: ["exp", "iat", "sub", "sid"],
    });
    const tenant = payload.latchkey_tenant ?? "";
    if (tenant !== given.tenant)
      return refused(`the tenant of the access token is ${JSON.stringify(tenant)}, and LATCHKEY_TENANT is ${JSON.stringify(given.tenant)}`);
    return { token, claims: payload as Claims };
  } catch (error) {
    return reasonOf(error, given);
  }
}

/**
 * Returns the verdict on the access token in a Cookie header, or null if there is none.
 *
 * Of several tokens under the name, the only one that verifies counts. If several verify and are of different sessions,
 * none counts, because one of them may have been planted.
 */
export async function accessTokenIn(header: string | null, given: Settings): Promise<Verdict | null> {
  const tokens = valuesOf(header, given.access).slice(0, 4);
  const verdicts = await Promise.all(tokens.map((token) => verify(token, given)));
  const good = verdicts.filter((verdict) => verdict.claims !== null);
  if (new Set(good.map((verdict) => verdict.claims?.sid)).size > 1)
    return refused(`the browser sends several cookies ${given.access} of different sessions`);
  return good[0] ?? verdicts[0] ?? null;
}

/** Returns the value of a claim. The token is not verified, so the value may only be shown in a message. */
export function unverified(token: string, part: 0 | 1): Record<string, unknown> {
  try {
    const text = token.split(".")[part]!.replaceAll("-", "+").replaceAll("_", "/");
    const found: unknown = JSON.parse(atob(text));
    return found !== null && typeof found === "object" ? (found as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

const refused = (why: string, unavailable = false): Verdict => ({ claims: null, why, unavailable });

function reasonOf(error: unknown, given: Settings): Verdict {
  if (error instanceof errors.JWTExpired) return refused("the access token has expired by the clock of this server");
  if (error instanceof errors.JWTClaimValidationFailed) {
    const found = JSON.stringify(error.payload[error.claim]);
    if (error.claim === "iss") return refused(`the issuer of the access token is ${found}, and ORIGIN is ${JSON.stringify(given.issuer)}`);
    if (error.claim === "aud") return refused(`the audience of the access token is ${found}, and ORIGIN is ${JSON.stringify(given.audience)}`);
    return refused(`the claim ${error.claim} of the access token is missing or not valid`);
  }
  if (error instanceof errors.JWKSNoMatchingKey) return refused("AUTH_SERVER has no public key for the access token");
  if (error instanceof errors.JWSSignatureVerificationFailed) return refused("the signature of the access token is wrong");
  const isAboutToken =
    error instanceof errors.JWTInvalid || error instanceof errors.JWSInvalid || error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported;
  if (isAboutToken) return refused("the access token is malformed");
  return refused(`the public keys of AUTH_SERVER cannot be read (${error instanceof Error ? error.message : error})`, true);
}
