"use server";

import { cookies } from "next/headers";
import { keepNote } from "./notes";
import { facts } from "./token_facts";

/** Keeps a note, and returns whose request it was. Every action checks who that is, because any client can call it. */
export async function keep(form) {
  const found = await facts();
  if (!found) throw new Error("Nobody is signed in.");
  keepNote(found.sub, form.get("note"));
  (await cookies()).set("noted", "yes", { httpOnly: true, secure: true, sameSite: "lax" });
  return { ...found, note: form.get("note") };
}
