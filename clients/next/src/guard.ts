/**
 * The guard before all pages: it refreshes expired sessions on the way, and sends anonymous users to the sign-in page.
 *
 * Next.js calls it for every request, because the file that exports it has no matcher.
 */

import { NextResponse, type NextRequest } from "next/server.js";
import { afterResponse, cookiesOf, withoutCookies } from "./cookies.js";
import { ask, isThere, noAnswer } from "./latchkey.js";
import { mark } from "./marker.js";
import { isBuilt, judgedPath, latchkeysPath, publicPaths } from "./paths.js";
import { ConfigurationError, settings, type Settings } from "./settings.js";
import { accessTokenIn, unverified } from "./tokens.js";

export { ConfigurationError };

export interface GuardOptions {
  /** The paths that anonymous users may see: "/about" is one page, and "/blog/*" is all below /blog. Default: none. */
  readonly public?: readonly string[];
}

export type Guard = (request: NextRequest) => Promise<NextResponse>;

/** Next.js allows caches to keep pages that were rendered at build time. */
const PRIVATE = "private, no-store";
/** With less time left than this a token is refreshed, so that it does not expire while the page is rendered. */
const SECONDS_LEFT = 10;
/** The status of Latchkey's answer to a refresh token of a session that is bound to its device. */
const REFRESHED_BY_BROWSER = 307;
const UNCONFIGURED = "next.config does not use withLatchkey. Write: export default withLatchkey(nextConfig)";

export function createGuard(options: GuardOptions = {}): Guard {
  const isPublic = publicPaths(options.public ?? []);
  return async (request) => {
    try {
      if (process.env.LATCHKEY_CONFIGURED !== "yes") throw new ConfigurationError(UNCONFIGURED);
      return await new Passage(request, settings(), isPublic).answer();
    } catch (error) {
      if (error instanceof ConfigurationError) return misconfigured(request, error.message);
      throw error;
    }
  };
}

/** The guard of an application without public pages. */
export const guard: Guard = createGuard();

/**
 * Returns whether the request goes on to the application after this response of the guard.
 *
 * If not, the guard has answered: by a redirect to the sign-in page, by a page of Latchkey, or by an error.
 */
export function continues(response: Response): boolean {
  return response.headers.get("x-middleware-next") === "1";
}

/** One request on its way through the guard. */
class Passage {
  readonly #request: NextRequest;
  readonly #given: Settings;
  readonly #isPublic: boolean;
  readonly #isBuilt: boolean;
  readonly #cookies: string | null;

  constructor(request: NextRequest, given: Settings, isPublic: (path: string) => boolean) {
    const path = judgedPath(request.nextUrl);
    this.#request = request;
    this.#given = given;
    this.#isBuilt = isBuilt(path);
    this.#isPublic = isPublic(path);
    this.#cookies = request.headers.get("cookie");
  }

  async answer(): Promise<NextResponse> {
    const request = this.#request, given = this.#given;
    const path = request.nextUrl.basePath ? null : latchkeysPath(request.nextUrl.pathname);
    if (path !== null) return this.#rewriteToLatchkey(path);
    if (this.#isBuilt) return NextResponse.next();
    const foreign = isForeign(request, given);
    if (foreign && !["GET", "HEAD", "OPTIONS"].includes(request.method))
      return new NextResponse("This request came from a page of another origin.", { status: 403 });

    const presented = given.refresh.some((name) => cookiesOf(this.#cookies).some(([other]) => other === name));
    const access = await accessTokenIn(this.#cookies, given);
    const isFresh = access?.claims && access.claims.exp - Date.now() / 1000 > SECONDS_LEFT;
    if (isFresh || (access?.claims && !presented)) return this.#next(access.token);
    if (presented && foreign && isNavigation(request)) return this.#pageThatRefreshes();
    const answer = presented && !foreign ? await this.#refresh() : null;
    if (answer?.ok) return this.#withNewCookies(answer);
    if (answer?.status === REFRESHED_BY_BROWSER) return this.#retry(answer);
    if (access?.claims && answer?.status !== 401) return this.#next(access.token);

    const ended = answer?.status === 401;
    const response = this.#isPublic ? this.#next(null) : await this.#refuse(answer, access);
    // Delete cookies only when the user goes to a page: a late response to an old request must not undo a newer sign-in.
    return ended && isNavigation(request) ? withCookies(response, answer) : response;
  }

  /** Lets Latchkey answer. If it does not run, Next.js answers 500 without a reason. */
  async #rewriteToLatchkey(path: string): Promise<NextResponse> {
    const isRunning = isThere(this.#given);
    // In production the request does not wait, and only the log has the reason.
    if (process.env.NODE_ENV === "development" && !(await isRunning)) return unavailable(noAnswer(this.#given));
    return NextResponse.rewrite(this.#atLatchkey(path));
  }

  /** Passes the request on, with this access token or none. A token that was not verified is not passed on. */
  #next(token: string | null): NextResponse {
    const response = NextResponse.next(this.#withCookieHeader(this.#onlyToken(token)));
    if (!this.#isPublic) response.headers.set("Cache-Control", PRIVATE);
    return response;
  }

  #onlyToken(token: string | null): string {
    const { access } = this.#given;
    const tokens = cookiesOf(this.#cookies).filter(([name]) => name === access).map(([, value]) => value);
    if (tokens.length === 0 || (tokens.length === 1 && tokens[0] === token)) return this.#cookies ?? "";
    return withoutCookies(this.#cookies, [access], token === null ? [] : [`${access}=${token}`]);
  }

  #withCookieHeader(cookies: string): { request: { headers: Headers } } | undefined {
    const headers = new Headers(this.#request.headers);
    if (!mark(headers) && cookies === (this.#cookies ?? "")) return undefined;
    if (cookies !== (this.#cookies ?? "")) headers.set("cookie", cookies);
    return { request: { headers } };
  }

  /** Returns a URL of Latchkey. The host stays Latchkey's, even if the path begins with two slashes. */
  #atLatchkey(path: string): URL {
    const url = new URL(this.#given.authServer);
    url.pathname = path;
    url.search = this.#request.nextUrl.search;
    return url;
  }

  /** Lets Latchkey answer. It has a page that refreshes, and then goes on to the URL that the browser shows. */
  #pageThatRefreshes(): NextResponse {
    const headers = new Headers(this.#request.headers);
    // The access token may still be valid for a few seconds. With a token in this header no page would refresh.
    headers.set("cookie", withoutCookies(this.#cookies, [this.#given.access]));
    headers.delete("authorization");
    // Always the same path, so that no other path of Latchkey can be reached like this.
    return NextResponse.rewrite(this.#atLatchkey("/sign-in"), { request: { headers } });
  }

  /** Requests new tokens for the browser. Parallel requests may all do so, because they get the same new token. */
  #refresh(): Promise<Response> {
    return ask(this.#given, "POST", "/api/auth/refresh", this.#request.headers, { cookie: this.#cookies ?? "" });
  }

  /** Passes the new cookies to the browser, and to the code that renders this request. */
  async #withNewCookies(answer: Response): Promise<NextResponse> {
    const cookies = afterResponse(this.#cookies, answer.headers.getSetCookie());
    const access = await accessTokenIn(cookies, this.#given);
    if (access?.claims) {
      return withCookies(NextResponse.next(this.#withCookieHeader(cookies)), answer);
    }
    if (this.#isPublic) return withCookies(this.#next(null), answer);
    if (access?.unavailable) return withCookies(unavailable(), answer);
    const why = access?.why ?? `Latchkey's answer sets no cookie ${this.#given.access}`;
    return withCookies(misconfigured(this.#request, `Latchkey has refreshed the session, but ${why}.`), answer);
  }

  /**
   * Lets the browser send the request again, without the access token.
   *
   * The session is bound to its device, so that the browser refreshes it by itself as soon as that cookie is missing.
   */
  #retry(answer: Response): NextResponse {
    const { basePath, pathname, search } = this.#request.nextUrl;
    const url = new URL(this.#given.origin);
    // The host stays that of the site, even if the path begins with two slashes.
    url.pathname = basePath + pathname;
    url.search = search;
    return withCookies(NextResponse.redirect(url, REFRESHED_BY_BROWSER), answer);
  }

  async #refuse(answer: Response | null, access: Awaited<ReturnType<typeof accessTokenIn>>): Promise<NextResponse> {
    if (answer && answer.status !== 401) {
      const isTemporary = answer.status === 429 || answer.status >= 500;
      if (isTemporary) return unavailable();
      const why = `AUTH_SERVER answers a refresh with the status ${answer.status}. Is it Latchkey's address, and is its host in ALLOWED_HOSTS?`;
      return misconfigured(this.#request, why);
    }
    if (access?.claims === null && access.unavailable) return unavailable();
    // The session is bound to its device, and the browser could not refresh it.
    if (this.#request.headers.has("secure-session-skipped")) return unavailable();
    if (!isNavigation(this.#request)) return NextResponse.json({ code: "not_authenticated" }, { status: 401 });
    const why = answer ? null : await this.#whyLatchkeyDisagrees(access?.claims === null ? access.why : "");
    return why === null ? this.#signIn() : misconfigured(this.#request, why);
  }

  #signIn(): NextResponse {
    const { basePath, pathname, search } = this.#request.nextUrl;
    const url = new URL("/sign-in", this.#given.origin);
    url.search = `?next=${encodeURIComponent(basePath + pathname + search)}`;
    const response = NextResponse.redirect(url, 303);
    response.headers.set("Cache-Control", PRIVATE);
    return response;
  }

  /**
   * Returns why Latchkey accepts a token of this request that this application does not accept, or null.
   *
   * Latchkey's sign-in page would send such a user back at once, for ever.
   */
  async #whyLatchkeyDisagrees(why: string): Promise<string | null> {
    const isAccessToken = (value: string): boolean => unverified(value, 0)["typ"] === "at+jwt";
    const held = cookiesOf(this.#cookies).filter(([name, value]) => name.includes("access") && isAccessToken(value));
    for (const [name, token] of held.slice(0, 3)) {
      const answer = await ask(this.#given, "GET", "/api/auth/me", this.#request.headers, { authorization: `Bearer ${token}` });
      if (!answer.ok) continue;
      if (name === this.#given.access) return `Latchkey accepts the user's session, but ${why}.`;
      return `Latchkey calls its cookie ${name}, and this application expects ${this.#given.access}. ORIGIN has to be the same in both.`;
    }
    return null;
  }
}

function withCookies(response: NextResponse, answer: Response): NextResponse {
  for (const line of answer.headers.getSetCookie()) response.headers.append("Set-Cookie", line);
  response.headers.set("Cache-Control", PRIVATE);
  return response;
}

const unavailable = (text = "Try again in a moment."): NextResponse =>
  new NextResponse(`${text}\n`, { status: 503, headers: { "Retry-After": "2", "Cache-Control": PRIVATE } });

/** The error is in the server's log. It is also on the page, so that the person who sets the site up sees it. It contains no secret. */
function misconfigured(request: NextRequest, why: string): NextResponse {
  console.error(`django-latchkey-next: ${why}`);
  const init = { status: 500, headers: { "Cache-Control": PRIVATE } };
  if (!isNavigation(request)) return NextResponse.json({ code: "misconfigured", detail: why }, init);
  return new NextResponse(`The sign-in of this site is not set up correctly.\n\n${why}\n`, {
    ...init,
    headers: { ...init.headers, "Content-Type": "text/plain; charset=utf-8" },
  });
}

function isNavigation({ headers }: NextRequest): boolean {
  const mode = headers.get("sec-fetch-mode");
  return mode === null ? headers.get("accept")?.includes("text/html") === true : mode === "navigate";
}

/** Returns whether a page of another origin has sent the request. It could cancel it, and lose the new tokens. */
function isForeign({ headers }: NextRequest, given: Settings): boolean {
  const site = headers.get("sec-fetch-site"), origin = headers.get("origin");
  return site ? !["same-origin", "none"].includes(site) : origin !== null && origin !== given.origin;
}
