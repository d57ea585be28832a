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

/**
 * Loads the page that asks the user to authenticate again, if this is the response of a view that requires more (RFC
 * 9470). The page then loads `back`. Returns whether it is such a response.
 */
export async function stepUp(response: Response, back = location.pathname + location.search): Promise<boolean> {
  if (response.status !== 401) return false;
  const problem = await response.clone().json().catch(() => null);
  if (problem?.code !== "insufficient_user_authentication") return false;
  const acr = problem.acr_values?.[0];
  location.assign(`/sign-in/again?${new URLSearchParams({ next: back, ...(acr ? { acr } : {}) })}`);
  return true;
}
