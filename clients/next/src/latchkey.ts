/** Requests to Latchkey. */

import type { Settings } from "./settings.js";

const MILLISECONDS = 5000;
/** What Latchkey records about the user's browser. */
const ABOUT_THE_BROWSER = ["user-agent", "accept-language", "x-forwarded-for", "x-forwarded-proto"];

/** Whether the last request got no answer. That is logged once, until there is an answer again. */
let isDown = false;
let probe = { of: "", until: 0, answer: Promise.resolve(true) };

export const noAnswer = ({ authServer }: Settings): string => `Latchkey does not answer at ${authServer} (AUTH_SERVER). Is it running?`;

/** Returns the response. An unreachable Latchkey answers 503, and the log says so. */
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
    const response = await fetch(new URL(path, given.authServer), {
      method,
      headers: [...about, ...Object.entries(headers)],
      cache: "no-store",
      redirect: "manual",
      signal: AbortSignal.timeout(MILLISECONDS),
    });
    isDown = false;
    return response;
  } catch {
    if (!isDown) console.error(`django-latchkey-next: ${noAnswer(given)}`);
    isDown = true;
    return new Response(null, { status: 503 });
  }
}

/** Returns whether there is a server that answers, whatever it answers. While it does, it is asked every five seconds at most. */
export function isThere(given: Settings): Promise<boolean> {
  if (probe.of !== given.authServer || Date.now() > probe.until) {
    const made = { of: given.authServer, until: Date.now() + MILLISECONDS, answer: Promise.resolve(true) };
    made.answer = ask(given, "GET", "/health/live", new Headers(), {}).then(({ status }) => {
      if (status === 503) made.until = 0;
      return status !== 503;
    });
    probe = made;
  }
  return probe.answer;
}
