/** For client components: signing out, and passkeys. */

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

/** A passkey of the signed-in user. */
export interface Passkey {
  readonly id: string;
  readonly name: string;
  readonly is_synced: boolean;
}

/** What Latchkey has answered. `code` is that of the API, or `unsupported` if the browser has no passkeys. */
export class PasskeyError extends Error {
  readonly code: string;

  constructor(code: string, message = code) {
    super(message);
    this.name = "PasskeyError";
    this.code = code;
  }
}

/** Returns whether the browser has passkeys. */
export function hasPasskeys(): boolean {
  return typeof PublicKeyCredential === "function" && "parseRequestOptionsFromJSON" in PublicKeyCredential;
}

/**
 * Signs in by a passkey, and loads a page. If Latchkey asks for more, its page for that is loaded first.
 *
 * Throws a `PasskeyError`, or the browser's `DOMException` if the user cancels (`NotAllowedError`).
 */
export async function signInByPasskey(page = "/", { remember = false } = {}): Promise<void> {
  const { options } = await sent("/api/auth/passkey", {});
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const answer = (await navigator.credentials.get({ publicKey })) as PublicKeyCredential;
  try {
    await sent("/api/auth/passkey", { answer: answer.toJSON(), remember });
  } catch (error) {
    if (!(error instanceof PasskeyError) || error.code !== "factor_required") throw error;
    return location.assign(`/sign-in/factor?${new URLSearchParams({ next: page })}`);
  }
  location.assign(page);
}

/**
 * Lets the browser create a passkey for the signed-in user. Without a name it gets that of its device.
 *
 * Throws as `signInByPasskey`, with the code `reauthentication_required` if the sign-in is too old.
 */
export async function createPasskey(name?: string): Promise<Passkey> {
  const { options } = await sent("/api/auth/factors/passkeys", {});
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const made = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential;
  return (await sent("/api/auth/factors/passkeys", { credential: made.toJSON(), ...(name ? { name } : {}) })).passkey;
}

async function sent(path: string, body: object): Promise<any> {
  if (!hasPasskeys()) throw new PasskeyError("unsupported");
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new PasskeyError(found.code ?? "error", found.detail);
  return found;
}
