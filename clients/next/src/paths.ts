/** Which paths are Latchkey's, and which are the application's public ones. */

/** The paths that Latchkey answers. The application cannot have pages there. */
const LATCHKEYS = [
  "/api/auth/.+",
  "/\\.well-known/(jwks\\.json|change-password|webauthn)",
  "/sign-in(/(again|factor|passkey))?",
  "/sign-out",
  "/signed-out",
  "/register",
  "/mail-sent",
  "/email/(confirm|confirmed|change)",
  "/password/(change|changed|reset|reset/confirm|reset/done)",
  "/alarm",
  "/account/(delete|deleted|passkeys/options)",
  "/account/security(/app(/confirm|/remove)?|/recovery-codes|/passkeys/(add|offer|[0-9a-f-]{36}/(rename|remove)))?",
  "/devices",
  "/sessions/(end-others|[0-9a-f-]{36}/(end|rename))",
  "/static/(accounts|factors|tokens)/.+",
];
/** The pages that Latchkey has only in development. */
const DEMO = ["/demo(/(ask|time|steal|thief|revoke|factors|factors/step-up))?", "/mailbox(/\\d+(/html)?)?", "/static/demo/.+"];

const always = expression(LATCHKEYS);
const inDevelopment = expression([...LATCHKEYS, ...DEMO]);

function expression(paths: readonly string[]): RegExp {
  return new RegExp(`^(${paths.join("|")})/?$`);
}

/** Returns the path under which Latchkey has the page, without a slash at its end, or null. */
export function latchkeysPath(path: string): string | null {
  const found = (process.env.NODE_ENV === "development" ? inDevelopment : always).test(path);
  return found ? path.replace(/\/$/, "") : null;
}

export type IsPublic = (path: string) => boolean;

/** Returns a function that says whether anonymous users may see a path. "/blog/*" is all below /blog, and not /blog. */
export function publicPaths(patterns: readonly string[]): IsPublic {
  const exact = new Set<string>(), below: string[] = [];
  for (const pattern of patterns) {
    if (!/^\/[^*?#]*(?:(?<=\/)\*)?$/.test(pattern))
      throw new TypeError(`public: ${JSON.stringify(pattern)} is no path. Write "/about" for a page, or "/blog/*" for all below it.`);
    if (pattern.endsWith("*")) below.push(pattern.slice(0, -1));
    else exact.add(withoutSlash(pattern));
  }
  return (path) => exact.has(withoutSlash(path)) || below.some((start) => path.startsWith(start) && path !== start);
}

const withoutSlash = (path: string): string => (path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path);

/** Returns whether a URL is a file that the build made. The build's files contain code and no data. */
export const isBuilt = (path: string): boolean => path.startsWith("/_next/static/");

/** Returns the path that decides about a URL: its own, or that of the picture that Next.js resizes. */
export function judgedPath(url: { pathname: string; searchParams: URLSearchParams }): string {
  if (url.pathname !== "/_next/image") return url.pathname;
  const source = url.searchParams.get("url") ?? "";
  const base = "http://this.invalid";
  const parsed = URL.canParse(source, base) ? new URL(source, base) : null;
  // A picture of another host is not this application's. next.config says which hosts are allowed.
  if (!parsed || parsed.origin !== base) return /^https?:/.test(source) ? "/_next/static/" : url.pathname;
  return parsed.pathname;
}
