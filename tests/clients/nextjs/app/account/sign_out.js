"use client";

/** Loads a page after signing out, so that the next user of this tab sees nothing that Next.js has cached in it. */
export function SignOut() {
  const signOut = async () => {
    const answer = await fetch("/api/auth/logout", { method: "POST" });
    if (answer.ok) location.assign("/");
  };
  return <button onClick={signOut}>Sign out</button>;
}
