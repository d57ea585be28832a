"use client";

import { signOut } from "django-latchkey-next/client";

export function SignOut() {
  return <button onClick={() => signOut()}>Sign out</button>;
}
