import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { createSession, secureStore } from "../lib/index.js";

const USER = { id: "7", email: "ada@example.org" };
const KEPT = { refresh: "first", device: "phone", user: USER, session: "s" };
const granted = (refresh_token) => ({ user: USER, session: { id: "s" }, access_token: `access of ${refresh_token}`, refresh_token, expires_in: 600 });

let server, origin, answers, asked;

before(async () => {
  server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    asked.push([request.url, body && JSON.parse(body).refresh_token, request.headers.authorization]);
    const [status, answer, headers] = answers.shift() ?? [200, {}];
    response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(await answer));
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.on("listening", resolve));
  origin = `http://127.0.0.1:${server.address().port}`;
});
after(() => {
  server.close();
  server.closeAllConnections();
});
beforeEach(() => {
  asked = [];
  answers = [];
});

/** Returns a session, the storage that it has, and what starts the app again. `write` is waited for before each write. */
function started(context, text = JSON.stringify(KEPT), write = () => {}) {
  const kept = new Map([["latchkey", text]]);
  const storage = {
    getItem: (key) => kept.get(key),
    setItem: async (key, value) => (await write(value), kept.set(key, value)),
    deleteItem: async (key) => (await write(), kept.delete(key)),
  };
  const start = () => {
    const session = createSession({ api: `${origin}/api/auth`, storage });
    context.after(() => session.close());
    return session;
  };
  return { session: start(), start, kept: () => JSON.parse(kept.get("latchkey") ?? "null") };
}

/** Waits until a condition is true. */
async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test("a token is refreshed once for all requests, and kept", async (context) => {
  const { session, kept } = started(context);
  answers = [[200, granted("second")]];
  await Promise.all([session.fetch("/api/orders"), session.fetch("/api/orders")]);
  assert.deepEqual(asked, [
    ["/api/auth/refresh", "first", undefined],
    ["/api/orders", "", "Bearer access of second"],
    ["/api/orders", "", "Bearer access of second"],
  ]);
  assert.deepEqual(kept(), { ...KEPT, refresh: "second" });
});

test("an answer of 503 is waited for as long as it says, and the same token is sent again", async (context) => {
  const { session } = started(context);
  answers = [[503, { code: "unavailable" }, { "Retry-After": "1" }], [200, granted("second")]];
  const timers = context.mock.method(globalThis, "setTimeout").mock;
  await session.fetch("/api/orders");
  assert.deepEqual(asked.map(([, token]) => token), ["first", "first", ""]);
  // At least as long, and not much longer.
  assert.ok(timers.calls.some(({ arguments: [, wait] }) => wait >= 990 && wait <= 1500));
});

test("a session that is idle is kept, and a factor can reopen it", async (context) => {
  const { session, kept } = started(context);
  answers = [[401, { code: "session_idle", offered: ["password"] }]];
  await session.restore();
  await session.fetch("/api/orders");
  assert.equal(session.user, null);
  assert.deepEqual(kept(), { refresh: "first", device: "phone" });
  answers = [[200, granted("second")]];
  await session.send("POST", "reauthenticate", { method: "password", answer: "secret" });
  assert.deepEqual([session.user, kept().refresh], [USER, "second"]);
});

test("an app that ends during a sign-out does not start with the user", async (context) => {
  let writes = 0;
  const { session, start, kept } = started(context, undefined, () => (writes += 1) > 1 && new Promise(() => {}));
  answers = [[503, { code: "unavailable" }]];
  session.signOut();
  await until(() => asked.length);
  session.close();
  answers = [[503, { code: "unavailable" }]];
  assert.equal(await start().restore(), null);
  await until(() => asked.length === 2);
  assert.deepEqual(kept(), { device: "phone", left: ["first"] });
});

test("a sign-out waits for a sign-in that is under way", async (context) => {
  let write;
  const { session, kept } = started(context, "{}", () => (write ? undefined : new Promise((resolve) => (write = resolve))));
  answers = [[200, granted("second")]];
  const signedIn = session.signIn({ email: "ada@example.org", password: "secret" });
  await until(() => write);
  const signedOut = session.signOut();
  write();
  await Promise.all([signedIn, signedOut]);
  assert.deepEqual([session.user, kept()], [null, null]);
  assert.deepEqual(asked.map(([url, token]) => [url, token]), [["/api/auth/login", undefined], ["/api/auth/logout", "second"]]);
});

test("a sign-out with a storage that fails ends the session on the server, or is an error", async (context) => {
  const fail = () => Promise.reject(new Error("locked"));
  const { session, start } = started(context, undefined, fail);
  answers = [[503, { code: "unavailable" }]];
  await assert.rejects(session.signOut(), { code: "not_kept" });
  const next = start();
  await next.signOut();
  assert.equal(next.user, null);
  assert.deepEqual(asked.map(([url, token]) => [url, token]), Array(2).fill(["/api/auth/logout", "first"]));
});

test("an answer of a captive portal ends no session that was left", async (context) => {
  const { session, kept } = started(context, JSON.stringify({ left: ["first"] }));
  for (const status of [401, 403, 404]) {
    answers = [[status, {}]];
    await session.wake();
    assert.deepEqual(kept(), { left: ["first"] });
  }
  await session.wake();
  assert.equal(kept(), null);
});

test("a session that was closed writes nothing after the next one has signed out", async (context) => {
  const { session, start, kept } = started(context);
  let answer;
  answers = [[200, new Promise((resolve) => (answer = resolve))], [200, granted("second")]];
  session.restore();
  await until(() => asked.length);
  session.close();
  const next = start();
  await next.restore();
  await next.signOut();
  answer(granted("second"));
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(kept(), { device: "phone" });
});

test("an entry that is not ours is empty", async (context) => {
  for (const text of ["", "null", "{", "7", '"x"']) assert.equal(await started(context, text).session.restore(), null);
  assert.deepEqual(asked, []);
});

test("a storage that cannot be read is an error, and is read again", async (context) => {
  let isLocked = true;
  const getItem = async () => {
    if (isLocked) throw new Error("locked");
    return JSON.stringify(KEPT);
  };
  const session = createSession({ api: `${origin}/api/auth`, storage: { getItem, setItem() {}, deleteItem() {} } });
  context.after(() => session.close());
  await assert.rejects(session.restore(), { code: "not_kept" });
  isLocked = false;
  answers = [[200, granted("second")]];
  assert.deepEqual(await session.restore(), USER);
});

test("an address that is none is refused", () => {
  for (const api of ["/api/auth/", "auth.example.org", "https://me@auth.example.org/", "file:///x"])
    assert.throws(() => createSession({ api, storage: {} }), /api: .*is no URL/);
  assert.throws(() => createSession({ api: origin, origins: ["api"], storage: {} }), /origins: "api"/);
});

test("expo-secure-store gets its options", async () => {
  const calls = [];
  const record = (name) => async (...given) => (calls.push([name, ...given]), null);
  const store = secureStore({ getItemAsync: record("get"), setItemAsync: record("set"), deleteItemAsync: record("delete") }, { keychainAccessible: 3 });
  await store.setItem("a", "b");
  await store.getItem("a");
  await store.deleteItem("a");
  const options = { keychainAccessible: 3 };
  assert.deepEqual(calls, [["set", "a", "b", options], ["get", "a", options], ["delete", "a", options]]);
});
