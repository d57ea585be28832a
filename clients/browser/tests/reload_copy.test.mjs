import assert from "node:assert/strict";
import { test } from "node:test";

const URL_OF_FILE = "https://app.test/static/tokens/session-client.js";
const TOKEN = { refresh: "secret" };

const listeners = {};
Object.assign(globalThis, {
  location: { href: URL_OF_FILE },
  clients: { get: async (id) => ({ type: id, url: URL_OF_FILE }) },
  addEventListener: (type, listener) => (listeners[type] = listener),
});
Object.defineProperty(globalThis, Symbol.toStringTag, { value: "ServiceWorkerGlobalScope" });
await import("../lib/session-client.js");

/** Sends a request to the service worker, as a client of this type. */
async function ask(given, clientId = "sharedworker") {
  const request = new Request(`${URL_OF_FILE}?hand-over`, { method: "POST", body: JSON.stringify(given) });
  let answer;
  listeners.fetch({ request, clientId, respondWith: (promise) => (answer = promise) });
  const response = await answer;
  return response.type === "error" ? "refused" : response.json();
}

test("a copy is given for 30 seconds, also if the machine sleeps meanwhile", async (context) => {
  context.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  await ask({ name: "one", kept: TOKEN });
  assert.deepEqual(await ask({ name: "one" }), { kept: TOKEN });
  assert.deepEqual(await ask({ name: "other" }), { kept: null });
  context.mock.timers.tick(31_000); // Only the date moves: `performance.now()` may stop while a machine sleeps.
  assert.deepEqual(await ask({ name: "one" }), { kept: null });
});

test("only a shared worker gets it", async () => {
  await ask({ name: "one", kept: TOKEN });
  for (const type of ["window", "worker"]) assert.equal(await ask({ name: "one" }, type), "refused");
});
