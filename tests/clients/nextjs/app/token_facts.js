import { claims as claimsOfRequest } from "django-latchkey-next";
import { cookies } from "next/headers";


/** Returns what the tests compare: some claims, and the last characters of the refresh token. */
export async function facts() {
  const claims = await claimsOfRequest();
  const refresh = (await cookies()).get("__Host-Http-refresh")?.value;
  return claims && { sub: claims.sub, sid: claims.sid, gen: claims.gen, exp: claims.exp, refresh: refresh?.slice(-20) };
}
