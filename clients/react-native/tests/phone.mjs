/**
 * A phone: runs the JavaScript that a test sends, one JSON string a line, and prints its result.
 *
 * The platform's storage and `AppState` are replaced by objects here. The rest is real: the session, and the server at the
 * URL that is the first argument.
 */

import { createInterface } from "node:readline";
import { createSession } from "../lib/index.js";

const kept = new Map();
const writes = [];
let isLocked = false;
const check = () => {
  if (isLocked) throw new Error("the phone is locked");
};
const storage = {
  getItem: async (key) => (check(), kept.get(key) ?? null),
  setItem: async (key, value) => (check(), writes.push(value), void kept.set(key, value)),
  deleteItem: async (key) => (check(), void kept.delete(key)),
};
const listeners = new Set();
const appState = {
  addEventListener: (_, listener) => (listeners.add(listener), { remove: () => listeners.delete(listener) }),
};
/** The requests that were sent, oldest first. */
const sent = [];
let isOffline = false;
const real = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  sent.push({ url: String(input?.url ?? input), headers: Object.fromEntries(new Headers(init?.headers)) });
  if (isOffline) throw new TypeError("Network request failed");
  return real(input, init);
};

const phone = {
  session: undefined,
  heard: [],
  kept: () => JSON.parse(kept.get("latchkey") ?? "{}"),
  writes,
  sent,
  lock: (value) => void (isLocked = value),
  offline: (value) => void (isOffline = value),
  foreground: () => listeners.forEach((listener) => listener("active")),
  /** Starts the app again: only what is in the storage is left. */
  start(options) {
    phone.session?.close();
    phone.heard = [];
    phone.session = createSession({ api: `${process.argv[2]}/api/auth`, storage, appState, ...options });
    for (const type of ["signin", "signout", "expire"]) phone.session.addEventListener(type, () => phone.heard.push(type));
  },
  async until(condition) {
    for (let tries = 0; tries < 600 && !condition(); tries += 1) await new Promise((resolve) => setTimeout(resolve, 10));
    if (!condition()) throw new Error(`not in time: ${condition}`);
  },
};
phone.start();

const AsyncFunction = (async () => {}).constructor;
for await (const line of createInterface({ input: process.stdin })) {
  const { code, given } = JSON.parse(line);
  try {
    const result = await new AsyncFunction("phone", "given", code)(phone, given);
    console.log(JSON.stringify({ result: result ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error.code ?? error) }));
  }
}
process.exit();
