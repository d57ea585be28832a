/** Requests to Latchkey. */

import type { Settings } from "./settings.js";

const MILLISECONDS = 5000;
/** What Latchkey records about the user's browser. */
const ABOUT_THE_BROWSER = ["user-agent", "accept-language", "x-forwarded-for", "x-forwarded-proto"];

/** Returns the response. An unreachable Latchkey answers 503. */
export async function ask(
  given: Settings,
  method: "GET" | "POST",
  path: string,
  browser: { get(name: string): string | null },
  headers: Record<string, string>,
): Promise<Response> {
  const about = ABOUT_THE_BROWSER.flatMap((name): [string, string][] => {
    const value = browser.get(name);
    return value === null ? [] : [[name, value]];
  });
  try {
    return await fetch(new URL(path, given.authServer), {
      method,
      headers: [...about, ...Object.entries(headers)],
      cache: "no-store",
      redirect: "manual",
      signal: AbortSignal.timeout(MILLISECONDS),
    });
  } catch {
    return new Response(null, { status: 503 });
  }
}
