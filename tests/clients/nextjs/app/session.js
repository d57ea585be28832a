// app/session.js
import { cookies } from "next/headers";
import { verify } from "../latchkey";

/** Returns the claims of whoever sent this request, or null. Asked anew for each: nothing of it is kept. */
export async function session() {
  const token = (await cookies()).get("__Host-access")?.value;
  return token ? verify(token).catch(() => null) : null;
}
