"use client";

/** Leaves by loading a page, so that nothing of what Next.js keeps in this tab is shown to whoever comes next. */
export function SignOut() {
  const signOut = async () => {
    const answer = await fetch("/api/auth/logout", { method: "POST" });
    if (answer.ok) location.assign("/");
  };
  return <button onClick={signOut}>Sign out</button>;
}
