// app/session.js
import { cookies } from "next/headers";
import { verify } from "../latchkey";

/** Returns the claims of the user of this request, or null. Do not keep them for other requests. */
export async function session() {
  const token = (await cookies()).get("__Host-access")?.value;
  return token ? verify(token).catch(() => null) : null;
}
