import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { register } from "node:module";
import { ORIGIN, startLatchkey } from "./latchkey.mjs";

// The request is Next.js's. Here a test sets its headers, and when it arrives.
const stands = {
  "next/headers.js": `export const headers = async () => globalThis.requestHeaders;`,
  "next/server.js": `export const connection = async () => globalThis.arrival;`,
};
const hook = `const stands = ${JSON.stringify(stands)};
export async function resolve(name, context, next) {
  return name in stands ? { url: "data:text/javascript," + encodeURIComponent(stands[name]), shortCircuit: true } : next(name, context);
}`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
const { claims, LatchkeyUnavailable, session } = await import("../lib/index.js");

let latchkey;
const WHO = { user: { id: "7", email: "a@b.test" }, session: { id: "s", actor: null } };

before(async () => {
  latchkey = await startLatchkey();
  Object.assign(process.env, { ORIGIN, AUTH_SERVER: latchkey.address });
});
after(() => latchkey.stop());
beforeEach(() => Object.assign(latchkey, { requests: [], answers: { "/api/auth/me": { status: 200, body: WHO } } }));

async function requested(given, options) {
  const cookie = given === null ? "a=b" : `a=b; access=${await latchkey.token(given, options)}`;
  globalThis.requestHeaders = new Headers({ cookie, "user-agent": "Browser" });
}

test("the user has an id, an address and a name, and Latchkey is asked once for each request", async () => {
  await requested({});
  const found = await Promise.all([session(), session(), session()]);
  assert.deepEqual(found[0].user, { id: "7", email: "a@b.test", name: "a@b.test" });
  assert.equal(latchkey.asked("GET /api/auth/me").length, 1);
  assert.equal(latchkey.asked("GET /api/auth/me")[0].headers["user-agent"], "Browser");
  await requested({});
  await session();
  assert.equal(latchkey.asked("GET /api/auth/me").length, 2);
});

test("the name is the claim, the address or the id", async () => {
  await requested({ name: "Ada" });
  assert.equal((await session()).user.name, "Ada");
  latchkey.answers["/api/auth/me"] = { status: 200, body: { ...WHO, user: { id: "7", email: null } } };
  await requested({});
  assert.deepEqual((await session()).user, { id: "7", email: null, name: "7" });
});

test("nobody is signed in without a token, or with one that does not verify", async () => {
  for (const [given, options] of [[null], [{ iss: "https://evil.example" }], [{ exp: 1 }], [{}, { typ: "JWT" }]]) {
    await requested(given, options);
    assert.deepEqual([await session(), await claims()], [null, null]);
  }
  assert.equal(latchkey.asked("GET /api/auth/me").length, 0);
});

test("a session that was ended is null, although its token is still valid", async () => {
  latchkey.answers["/api/auth/me"] = { status: 401 };
  await requested({});
  assert.equal(await session(), null);
  assert.equal((await claims()).sub, "7");
});

test("a Latchkey that does not answer is an error, and not a user who is signed out", async () => {
  for (const status of [404, 429, 500, 503]) {
    latchkey.answers["/api/auth/me"] = { status };
    await requested({});
    await assert.rejects(session(), LatchkeyUnavailable);
  }
});

test("in development the first request that the guard did not see is reported", async (context) => {
  const error = context.mock.method(console, "error", () => {});
  await requested(null);
  await session();
  process.env.NODE_ENV = "development";
  context.after(() => delete process.env.NODE_ENV);
  globalThis.requestHeaders.set("x-latchkey-guard", "yes");
  await session();
  assert.equal(error.mock.callCount(), 0);
  for (const _ of [1, 2]) {
    await requested(null);
    assert.deepEqual([await session(), await claims()], [null, null]);
  }
  assert.equal(error.mock.callCount(), 1);
  assert.match(error.mock.calls[0].arguments[0], /guard did not run .*proxy\.ts .*return its response.*matcher/);
});

test("no clock is read before the request arrives, because Next.js may render a page ahead of it", async (context) => {
  await requested({});
  let arrive;
  globalThis.arrival = new Promise((done) => (arrive = done));
  const clock = context.mock.method(Date, "now");
  const real = globalThis.Date;
  let dates = 0;
  globalThis.Date = new Proxy(real, { construct: (target, given) => (given.length || dates++, Reflect.construct(target, given)) });
  try {
    const found = [session(), claims()];
    await new Promise((done) => setTimeout(done, 50));
    assert.deepEqual([clock.mock.callCount(), dates], [0, 0]);
    arrive();
    assert.deepEqual((await Promise.all(found)).map((one) => (one.claims ?? one).sub), ["7", "7"]);
    assert.ok(clock.mock.callCount() + dates > 0);
  } finally {
    globalThis.Date = real;
    globalThis.arrival = undefined;
  }
});
