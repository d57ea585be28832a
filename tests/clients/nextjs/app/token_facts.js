import { cookies } from "next/headers";
import { session } from "./session";

/** Returns what the tests look at: some claims, and the refresh token's last characters. */
export async function facts() {
  const claims = await session();
  const refresh = (await cookies()).get("__Host-refresh")?.value;
  return claims && { sub: claims.sub, sid: claims.sid, gen: claims.gen, exp: claims.exp, refresh: refresh?.slice(-20) };
}
