import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { register } from "node:module";
import { ORIGIN, startLatchkey } from "./latchkey.mjs";

// The headers of the request are Next.js's. Here a test sets them.
const stand = `export const headers = async () => globalThis.requestHeaders;`;
const hook = `export async function resolve(name, context, next) {
  return name === "next/headers.js" ? { url: "data:text/javascript,${encodeURIComponent(stand)}", shortCircuit: true } : next(name, context);
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
