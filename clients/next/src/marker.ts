/** In development the guard marks each request that it passes on, so that `session()` can report that it did not run. */

const NAME = "x-latchkey-guard";
const ABSENT =
  "django-latchkey-next: The guard did not run for this request, so nobody can sign in here, and no session is refreshed. " +
  "Call it in proxy.ts (up to version 15: middleware.ts), return its response, and remove matcher from the config there.";
let isReported = false;

/** Marks a request in development. Returns whether it did. A browser can set the header too, and only hides the report. */
export function mark(headers: Headers): boolean {
  if (process.env.NODE_ENV !== "development") return false;
  headers.set(NAME, "yes");
  return true;
}

/** Reports the first request without the mark, in development. */
export function reportUnmarked(headers: Pick<Headers, "has">): void {
  if (process.env.NODE_ENV !== "development" || isReported || headers.has(NAME)) return;
  isReported = true;
  console.error(ABSENT);
}
