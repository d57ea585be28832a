import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

const { createPasskey, signInByPasskey, stepUp } = await import("../lib/client.js");

// The browser's, which Node has not.
const loaded = [];
globalThis.location = { pathname: "/orders", search: "?page=2", assign: (url) => loaded.push(url) };
beforeEach(() => loaded.splice(0));

const answer = (status, body) => new Response(JSON.stringify(body), { status });

test("a response that asks for more leads to the page that asks the user, and back", async () => {
  const challenge = answer(401, { code: "insufficient_user_authentication", acr_values: ["aal2", "aal3"], max_age: 300 });
  assert.equal(await stepUp(challenge), true);
  assert.deepEqual(loaded, ["/sign-in/again?next=%2Forders%3Fpage%3D2&acr=aal2"]);
  assert.equal((await challenge.json()).max_age, 300); // It can still be read.
  await stepUp(answer(401, { code: "insufficient_user_authentication", max_age: 0 }), "/pay");
  assert.equal(loaded[1], "/sign-in/again?next=%2Fpay");
});

test("any other response leads nowhere", async () => {
  for (const other of [answer(200, {}), answer(403, { code: "insufficient_user_authentication" }), answer(401, { code: "session_ended" }), answer(401, null), new Response("<html>", { status: 401 })]) {
    assert.equal(await stepUp(other), false);
  }
  assert.deepEqual(loaded, []);
});

/** Lets the browser have passkeys, and Latchkey give these answers, one after another. Returns what was sent. */
function withPasskeys(context, ...answers) {
  const sent = [];
  const credential = { toJSON: () => ({ id: "mine" }) };
  globalThis.PublicKeyCredential = class {
    static parseRequestOptionsFromJSON = (options) => options;
    static parseCreationOptionsFromJSON = (options) => options;
  };
  const credentials = { get: async () => credential, create: async () => credential };
  Object.defineProperty(globalThis, "navigator", { value: { credentials }, configurable: true });
  context.mock.method(globalThis, "fetch", async (url, { body }) => sent.push([url, JSON.parse(body)]) && answers.shift());
  context.after(() => delete globalThis.PublicKeyCredential);
  return sent;
}

test("a passkey signs in, and leads to a page", async (context) => {
  const sent = withPasskeys(context, answer(200, { options: { challenge: "x" } }), answer(200, {}));
  await signInByPasskey("/orders", { remember: true });
  assert.deepEqual(sent, [["/api/auth/passkey", {}], ["/api/auth/passkey", { answer: { id: "mine" }, remember: true }]]);
  assert.deepEqual(loaded, ["/orders"]);
});

test("a passkey that is not enough leads to the page that asks for more, and a refused one nowhere", async (context) => {
  const more = answer(401, { code: "factor_required" });
  withPasskeys(context, answer(200, { options: {} }), more, answer(200, { options: {} }), answer(401, { code: "factor_refused" }));
  await signInByPasskey("/orders");
  assert.deepEqual(loaded, ["/sign-in/factor?next=%2Forders"]);
  await assert.rejects(signInByPasskey(), { code: "factor_refused" });
  assert.equal(loaded.length, 1);
});

test("a passkey is created, and a browser without passkeys is told so", async (context) => {
  const sent = withPasskeys(context, answer(200, { options: {} }), answer(200, { passkey: { name: "Mine" } }));
  assert.equal((await createPasskey("Mine")).name, "Mine");
  assert.deepEqual(sent[1], ["/api/auth/factors/passkeys", { credential: { id: "mine" }, name: "Mine" }]);
  delete globalThis.PublicKeyCredential;
  await assert.rejects(createPasskey(), { code: "unsupported" });
});
