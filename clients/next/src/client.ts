/** For client components: signing out. */

/**
 * Ends the session, and loads a page. Loading it anew removes what Next.js has kept in this tab about the user.
 *
 * Throws an error if Latchkey does not answer. The user is still signed in then.
 */
export async function signOut(page = "/"): Promise<void> {
  const answer = await fetch("/api/auth/logout", { method: "POST" });
  // 401: the session had ended before.
  if (!answer.ok && answer.status !== 401) throw new Error(`POST /api/auth/logout was answered with the status ${answer.status}.`);
  location.assign(page);
}
