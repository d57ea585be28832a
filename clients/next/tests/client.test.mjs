import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

const { stepUp } = await import("../lib/client.js");

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
