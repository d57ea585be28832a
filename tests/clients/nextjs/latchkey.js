// latchkey.js
import { NextResponse } from "next/server";
import { createRemoteJWKSet } from "jose/jwks/remote";
import { jwtVerify } from "jose/jwt/verify";

const ORIGIN = process.env.ORIGIN; // the public origin, the same as Latchkey's ORIGIN
const AUTH = process.env.AUTH_SERVER; // the address of Latchkey for this server: http://127.0.0.1:8000
// paths that Latchkey answers
const FORWARDED = /^\/(account\/delete|(api\/auth|\.well-known|static|sign-in|sign-out|signed-out|register|mail-sent|email|password|alarm)(\/|$))/;
const PUBLIC = /^\/($|about$)/; // pages for anonymous users
const ACCESS = "__Host-access"; // over http in development: access
const REFRESH = ["__Host-Http-refresh", "__Host-refresh"]; // the name, and the one before; over http: refresh
const PRIVATE = { "Cache-Control": "private, no-store" }; // Next.js allows caches to keep pages that were rendered at build time

const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", AUTH));
const expected = { issuer: ORIGIN, audience: ORIGIN, typ: "at+jwt", algorithms: ["EdDSA"] };

/** Returns the claims of an access token that is valid for at least so many more seconds. Throws for any other. */
export async function verify(token, seconds = 0) {
  const currentDate = new Date(Date.now() + 1000 * seconds);
  const requiredClaims = ["exp", "sub", "sid"];
  return (await jwtVerify(token, keys, { ...expected, requiredClaims, currentDate })).payload;
}

export async function guard(request) {
  const path = request.nextUrl.pathname, here = path + request.nextUrl.search;
  if (FORWARDED.test(path)) return NextResponse.rewrite(new URL(here, AUTH));
  const foreign = isForeign(request);
  if (foreign && !["GET", "HEAD", "OPTIONS"].includes(request.method))
    return new NextResponse("This request came from a page of another origin.", { status: 403 });
  const access = request.cookies.get(ACCESS)?.value;
  if (access && (await verify(access, 10).catch(() => null)))
    return NextResponse.next(PUBLIC.test(path) ? {} : { headers: PRIVATE });

  const presented = REFRESH.some((name) => request.cookies.has(name));
  if (presented && foreign && isNavigation(request)) return pageThatRefreshes(request, here);
  const answer = presented && !foreign ? await refresh(request) : null;
  if (answer?.ok) return handOver(request, answer);
  const ended = answer?.status === 401;
  const response = PUBLIC.test(path) ? NextResponse.next() : answer && !ended ? unavailable() : signIn(request, here);
  // Delete cookies only when the user goes to a page: a late response to an old request must not undo a newer sign-in.
  return ended && isNavigation(request) ? withCookies(response, answer) : response;
}

/** Lets Latchkey answer. For any path it has a page that refreshes, and then goes on to the same URL. */
function pageThatRefreshes(request, here) {
  const headers = new Headers(request.headers);
  const isAccess = (pair) => pair.startsWith(`${ACCESS}=`); // It may still be valid for a few seconds.
  headers.set("cookie", headers.get("cookie").split(/; */).filter((pair) => !isAccess(pair)).join("; "));
  return NextResponse.rewrite(new URL(here, AUTH), { request: { headers } });
}

/** Requests new tokens for the browser. Parallel requests may all do so, because they get the same new token. */
const refresh = ({ headers }) =>
  fetch(new URL("/api/auth/refresh", AUTH), {
    method: "POST",
    headers: ["cookie", "user-agent", "x-forwarded-for"].map((name) => [name, headers.get(name) ?? ""]),
    signal: AbortSignal.timeout(5000),
  }).catch(() => new Response(null, { status: 503 }));

/** Passes the new cookies to the browser, and to the code that renders this request. */
function handOver(request, answer) {
  const headers = new Headers(request.headers);
  const changed = answer.headers.getSetCookie().map((line) => line.split(";", 1)[0]);
  const isChanged = (pair) => changed.some((other) => other.split("=", 1)[0] === pair.split("=", 1)[0]);
  const others = headers.get("cookie").split(/; */).filter((pair) => !isChanged(pair));
  const fresh = changed.filter((pair) => !pair.endsWith("=")); // The others are deleted.
  headers.set("cookie", [...others, ...fresh].join("; "));
  return withCookies(NextResponse.next({ request: { headers } }), answer);
}

function withCookies(response, answer) {
  for (const line of answer.headers.getSetCookie()) response.headers.append("Set-Cookie", line);
  response.headers.set("Cache-Control", PRIVATE["Cache-Control"]);
  return response;
}

const unavailable = () => new NextResponse("Try again in a moment.", { status: 503, headers: { "Retry-After": "2" } });

/** Requests of Next.js itself, such as prefetches, get 401. Next.js then loads the page. */
function signIn(request, here) {
  if (!isNavigation(request)) return NextResponse.json({ code: "not_authenticated" }, { status: 401 });
  return NextResponse.redirect(new URL(`/sign-in?next=${encodeURIComponent(here)}`, ORIGIN), 303);
}

const isNavigation = ({ headers }) =>
  (headers.get("sec-fetch-mode") ?? (headers.get("accept")?.includes("text/html") && "navigate")) === "navigate";

/** Returns whether a page of another origin has sent the request. It could cancel it, and lose the new tokens. */
function isForeign({ headers }) {
  const site = headers.get("sec-fetch-site"), origin = headers.get("origin");
  return site ? !["same-origin", "none"].includes(site) : origin !== null && origin !== ORIGIN;
}
