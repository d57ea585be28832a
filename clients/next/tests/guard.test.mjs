import assert from "node:assert/strict";
import { after, before, beforeEach, mock, test } from "node:test";
import { generateKeyPair } from "jose";
import { NextRequest } from "next/server.js";
import { continues, createGuard } from "../lib/guard.js";
import { KID, ORIGIN, seconds, startLatchkey } from "./latchkey.mjs";

let latchkey;
const guard = createGuard({ public: ["/", "/about", "/blog/*"] });
const NAVIGATION = { accept: "text/html", "sec-fetch-mode": "navigate", "sec-fetch-site": "same-origin" };
const REFRESHED = "refresh=new; HttpOnly";

before(async () => {
  latchkey = await startLatchkey();
  Object.assign(process.env, { ORIGIN, AUTH_SERVER: latchkey.address, LATCHKEY_CONFIGURED: "yes" });
  mock.method(console, "error", () => {});
});
after(() => latchkey.stop());
beforeEach(() => Object.assign(latchkey, { requests: [], answers: {} }));

function visit(path, cookie = "", { headers = NAVIGATION, method = "GET" } = {}) {
  return guard(new NextRequest(ORIGIN + path, { method, headers: cookie ? { ...headers, cookie } : headers }));
}

const handedOn = (response) => response.headers.get("x-middleware-request-cookie");
const isPassed = continues;
const rewritten = (response) => response.headers.get("x-middleware-rewrite");
const refreshed = async (claims, options) => [`access=${await latchkey.token(claims, options)}; Path=/`, REFRESHED];

test("an anonymous user is sent to the sign-in page, and comes back", async () => {
  const response = await visit("/item/3?colour=a%26b");
  assert.equal(response.status, 303);
  assert.equal(response.headers.get("location"), `${ORIGIN}/sign-in?next=%2Fitem%2F3%3Fcolour%3Da%2526b`);
});

test("no path but the public ones and the files of the build is open", async () => {
  const closed = [
    "/favicon.icoX", "/favicon.ico", "/_next/staticX/y", "/_next/static", "/_next/imageX", "/_next/image/y", "/_next/data/b/a.json",
    "/aboutX", "/about/x", "/blog", "/blog/", "/blogX", "/About", "/sign-inX", "/sign-in/x", "/api/authX", "/api/auth",
    "/.well-known/security.txt", "/static/x", "/account/deleteX", "/sessions/x/end", "/sessions/all", "/demo", "/mailbox", "/admin",
    "/%2Fabout", "/x/../account", "/_next/static/../account", "/_next/static/%2e%2e/account", "/_next/image?url=%2Faccount&w=64&q=75",
    "/_next/image?url=%2F_next%2Fstatic%2F..%2F..%2Faccount", "/_next/image?url=data:x",
  ];
  for (const path of closed) assert.equal((await visit(path)).status, 303, path);
  const open = [
    "/", "/about", "/about/", "/about?a=/account", "/blog/x", "/blog/x/y", "/_next/static/chunks/a.js",
    "/_next/image?url=%2Fabout&w=64&q=75", "/_next/image?url=%2F_next%2Fstatic%2Fmedia%2Fa.png&w=64&q=75",
  ];
  for (const path of open) assert.ok(isPassed(await visit(path)), path);
});

test("Latchkey's paths are passed on to it, without a slash at the end", async () => {
  for (const path of ["/sign-in?next=%2F", "/api/auth/refresh", "/devices", "/alarm?token=x", "/.well-known/jwks.json", "/password/reset"])
    assert.equal(rewritten(await visit(path)), latchkey.address + path);
  assert.equal(rewritten(await visit("/sign-in/?a=b")), `${latchkey.address}/sign-in?a=b`);
});

test("Latchkey's paths say in development that it does not run, until it does", async (context) => {
  const other = await startLatchkey();
  process.env.AUTH_SERVER = other.address;
  process.env.NODE_ENV = "development";
  context.after(() => {
    delete process.env.NODE_ENV;
    process.env.AUTH_SERVER = latchkey.address;
  });
  await other.stop();
  const response = await visit("/sign-in");
  assert.deepEqual([response.status, response.headers.get("retry-after")], [503, "2"]);
  assert.equal(await response.text(), `Latchkey does not answer at ${other.address} (AUTH_SERVER). Is it running?\n`);
  await other.start();
  for (const path of ["/sign-in", "/devices", "/api/auth/me"]) assert.equal(rewritten(await visit(path)), other.address + path);
  assert.equal(other.asked("GET /health/live").length, 1);
  await other.stop();
});

test("in production the log says once for each outage that Latchkey does not answer", async (context) => {
  const error = context.mock.method(console, "error", () => {});
  const said = () => error.mock.calls.filter(({ arguments: [line] }) => line.includes(`${other.address} (AUTH_SERVER)`)).length;
  const other = await startLatchkey();
  process.env.AUTH_SERVER = other.address;
  context.after(() => (process.env.AUTH_SERVER = latchkey.address));
  for (const outage of [1, 2]) {
    await other.stop();
    assert.equal(rewritten(await visit("/sign-in")), `${other.address}/sign-in`);
    assert.equal((await visit("/account", "refresh=old")).status, 503);
    assert.equal((await visit("/account", "refresh=old")).status, 503);
    assert.equal(said(), outage);
    await other.start();
    assert.equal((await visit("/account", "refresh=old")).status, 303);
  }
  await other.stop();
});

test("a script and a prefetch get 401", async () => {
  const response = await visit("/account", "", { headers: { "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin" } });
  assert.deepEqual([response.status, await response.json()], [401, { code: "not_authenticated" }]);
});

test("a verified token opens the page, which no cache keeps", async () => {
  const response = await visit("/account", `access=${await latchkey.token()}`);
  assert.ok(isPassed(response));
  assert.equal(response.headers.get("cache-control"), "private, no-store");
  assert.equal(handedOn(response), null);
});

const forged = {
  "of another issuer": [{ iss: "https://evil.example" }],
  "for another audience": [{ aud: "https://evil.example" }],
  "of a tenant, where none is named": [{ latchkey_tenant: "first" }],
  "that is no access token": [{}, { typ: "JWT" }],
  "that has expired": [{ exp: seconds() - 1 }],
  "without a session": [{ sid: undefined }],
  "of an unknown key": [{}, { kid: "other" }],
};
for (const [kind, args] of Object.entries(forged))
  test(`a token ${kind} opens nothing, and is handed on to no public page`, async () => {
    const token = await latchkey.token(...args);
    assert.equal((await visit("/account", `access=${token}`)).status, 303);
    const response = await visit("/about", `a=b; access=${token}; c=d`);
    assert.ok(isPassed(response));
    assert.equal(handedOn(response), "a=b; c=d");
  });

test("in development each request that is passed on has a mark, with and without new cookies", async (context) => {
  const mark = (response) => response.headers.get("x-middleware-request-x-latchkey-guard");
  assert.equal(mark(await visit("/about")), null);
  process.env.NODE_ENV = "development";
  context.after(() => delete process.env.NODE_ENV);
  latchkey.answers["/api/auth/refresh"] = { status: 200, cookies: await refreshed() };
  for (const [path, cookie] of [["/about", ""], ["/account", `a=b; access=${await latchkey.token()}`], ["/account", "refresh=old"]])
    assert.equal(mark(await visit(path, cookie)), "yes");
  assert.equal(handedOn(await visit("/about")), null);
  assert.equal(handedOn(await visit("/about", "a=b")), "a=b");
});

test("where a tenant is named, only its tokens open a page", async () => {
  process.env.LATCHKEY_TENANT = "first";
  try {
    for (const [tenant, isGood] of [["first", true], ["second", false], [undefined, false]]) {
      const token = await latchkey.token({ latchkey_tenant: tenant });
      assert.equal(isPassed(await visit("/account", `access=${token}`)), isGood, tenant);
    }
  } finally {
    delete process.env.LATCHKEY_TENANT;
  }
});

test("a token with a wrong signature, or none, opens nothing", async () => {
  const { privateKey } = await generateKeyPair("Ed25519");
  const [head, body] = (await latchkey.token()).split(".");
  const unsigned = `${btoa(JSON.stringify({ alg: "none", kid: KID, typ: "at+jwt" })).replace(/=+$/, "")}.${body}.`;
  for (const token of [await latchkey.token({}, { key: privateKey }), `${head}.${body}.`, unsigned, "x", "x".repeat(9000)])
    assert.equal((await visit("/account", `access=${token}`)).status, 303);
});

test("a refresh hands the new cookies to the browser and to the page", async () => {
  const cookies = await refreshed();
  latchkey.answers["/api/auth/refresh"] = { status: 200, cookies };
  const response = await visit("/account", `a=b; access=${await latchkey.token({ exp: seconds() - 9 })}; refresh=old`);
  assert.ok(isPassed(response));
  assert.equal(handedOn(response), `a=b; ${cookies[0].split(";")[0]}; refresh=new`);
  assert.deepEqual(response.headers.getSetCookie().length, 2);
});

test("a refreshed token that does not verify is not handed on, and the page says why", async () => {
  for (const [claims, options, why] of [
    [{ iss: "http://localhost:8000" }, {}, /issuer.*"http:\/\/localhost:8000".*ORIGIN is "http:\/\/localhost:3000"/],
    [{ latchkey_tenant: "first" }, {}, /tenant.*"first".*LATCHKEY_TENANT is ""/],
    [{ exp: seconds() - 5 }, {}, /clock/],
    [{}, { kid: "other" }, /AUTH_SERVER has no public key/],
  ]) {
    latchkey.answers["/api/auth/refresh"] = { status: 200, cookies: await refreshed(claims, options) };
    const response = await visit("/account", "refresh=old");
    assert.deepEqual([response.status, handedOn(response), isPassed(response)], [500, null, false]);
    assert.match(await response.text(), why);
    const publicPage = await visit("/about", "refresh=old; a=b");
    assert.ok(isPassed(publicPage));
    assert.ok(!(handedOn(publicPage) ?? "").includes("access="));
  }
});

test("a refreshed session under another name is an error, too", async () => {
  latchkey.answers["/api/auth/refresh"] = { status: 200, cookies: ["other=x"] };
  assert.match(await (await visit("/account", "refresh=old")).text(), /no cookie access/);
});

test("where Latchkey accepts a session that the guard does not, there is no redirect", async () => {
  latchkey.answers["/api/auth/me"] = { status: 200 };
  for (const [name, claims, why] of [
    ["access", { iss: "https://other.example" }, /issuer/],
    ["access", { exp: seconds() - 5 }, /clock/],
    ["__Host-access", {}, /calls its cookie __Host-access, and this application expects access/],
    ["access-shop", {}, /calls its cookie access-shop/],
  ]) {
    const response = await visit("/account", `${name}=${await latchkey.token(claims)}`);
    assert.equal(response.status, 500);
    assert.match(await response.text(), why);
  }
  assert.equal(latchkey.asked("GET /api/auth/me")[0].headers.cookie, undefined);
});

test("a session that has ended leads to the sign-in page, and its cookies are deleted", async () => {
  latchkey.answers["/api/auth/refresh"] = { status: 401, cookies: ["access=; Max-Age=0", "refresh=; Max-Age=0"] };
  const response = await visit("/account", `access=${await latchkey.token({ exp: seconds() - 5 })}; refresh=old`);
  assert.equal(response.status, 303);
  assert.equal(response.headers.getSetCookie().length, 2);
  assert.equal(latchkey.asked("GET /api/auth/me").length, 0);
});

test("a Latchkey that fails leads nobody to the sign-in page", async () => {
  for (const status of [429, 500, 503]) {
    latchkey.answers["/api/auth/refresh"] = { status };
    const response = await visit("/account", "refresh=old");
    assert.deepEqual([response.status, response.headers.get("retry-after")], [503, "2"]);
    assert.ok(isPassed(await visit("/about", "refresh=old")));
  }
});

test("an answer that is not Latchkey's is reported with the variable's name", async () => {
  for (const status of [302, 400, 404]) {
    latchkey.answers["/api/auth/refresh"] = { status };
    assert.match(await (await visit("/account", "refresh=old")).text(), /AUTH_SERVER/);
  }
});

test("a token of a bound session, which has no refresh cookie, counts until it expires", async () => {
  assert.ok(isPassed(await visit("/account", `access=${await latchkey.token({ exp: seconds() + 5 })}`)));
});

test("a refresh token of a bound session is no error: the browser refreshes, and asks for the page again", async () => {
  latchkey.answers["/api/auth/refresh"] = { status: 307, cookies: ["access=; Max-Age=0"] };
  const response = await visit("//evil.test/account?a=b", "refresh=old");
  assert.equal(response.status, 307);
  assert.equal(response.headers.get("location"), `${ORIGIN}//evil.test/account?a=b`);
  assert.deepEqual(response.headers.getSetCookie(), ["access=; Max-Age=0"]);
  assert.equal(response.headers.get("cache-control"), "private, no-store");
});

test("a browser that could not refresh a bound session is not sent to the sign-in page", async () => {
  const headers = { ...NAVIGATION, "secure-session-skipped": 'unreachable;session_identifier="s"' };
  assert.equal((await visit("/account", "", { headers })).status, 503);
});

test("of several tokens the only one that verifies counts, and two sessions are none", async () => {
  const good = await latchkey.token(), other = await latchkey.token({ sid: "t", sub: "8" });
  const response = await visit("/account", `access=x; access=${good}`);
  assert.ok(isPassed(response));
  assert.equal(handedOn(response), `access=${good}`);
  assert.ok(!isPassed(await visit("/account", `access=${other}; access=${good}`)));
});

test("a cookie whose name begins with a blank that browsers keep is none of ours", async () => {
  const good = await latchkey.token();
  assert.ok(!isPassed(await visit("/account", `\u00a0access=${good}`)));
});

test("a form of another origin is refused, and its link gets Latchkey's page", async () => {
  const foreign = { ...NAVIGATION, "sec-fetch-site": "cross-site" };
  assert.equal((await visit("/account", "refresh=old", { headers: foreign, method: "POST" })).status, 403);
  const response = await visit("/account?a=b", "access=x; refresh=old", { headers: { ...foreign, authorization: "Bearer x" } });
  assert.equal(rewritten(response), `${latchkey.address}/sign-in?a=b`);
  assert.equal(handedOn(response), "refresh=old");
  assert.equal(response.headers.get("x-middleware-request-authorization"), null);
  assert.equal(rewritten(await visit("//evil.example/x", "refresh=old", { headers: foreign })), `${latchkey.address}/sign-in`);
  assert.equal(latchkey.asked("POST /api/auth/refresh").length, 0);
});

test("a missing variable and a missing withLatchkey are named on the page", async () => {
  for (const name of ["ORIGIN", "AUTH_SERVER", "LATCHKEY_CONFIGURED"]) {
    const value = process.env[name];
    delete process.env[name];
    const response = await visit("/about");
    process.env[name] = value;
    assert.equal(response.status, 500);
    assert.match(await response.text(), name === "LATCHKEY_CONFIGURED" ? /withLatchkey/ : new RegExp(`${name} is not set`));
  }
});

test("a path that is none is refused where the guard is made", () => {
  for (const pattern of ["about", "/a*", "/a/*/b", "/(.*)", "/*x", "/a?b", ""])
    assert.throws(() => createGuard({ public: [pattern] }), TypeError, pattern);
});

test("without its public keys Latchkey counts as one that does not answer", async () => {
  const other = await startLatchkey();
  other.keysStatus = 500;
  process.env.AUTH_SERVER = other.address;
  const response = await visit("/account", `access=${await other.token()}`);
  process.env.AUTH_SERVER = latchkey.address;
  await other.stop();
  assert.equal(response.status, 503);
});
