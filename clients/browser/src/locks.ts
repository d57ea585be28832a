/** One tab at a time. */

import { bare } from "./own_properties.ts";

const LOCK_TIMEOUT = 10_000; // Milliseconds that a tab waits for the lock of another tab, which may be frozen.
const MESSAGE_DELAY = 20; // Milliseconds that a message between tabs usually takes at most.

/**
 * Lets one tab at a time do `work`. The lock only saves requests: without locks (over http), or after taking the lock from
 * a tab that is frozen, the server gives the same tokens to both tabs.
 */
export async function withLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  let done: Promise<T> | undefined;
  const begin = () => (done ??= work()).catch(() => {});
  if (!globalThis.navigator?.locks) return work();
  await navigator.locks.request(name, bare({ ifAvailable: true }), (lock) => lock && begin()).catch(() => {});
  if (done) return done;
  // The message of the tab that had the lock may arrive after the lock.
  const beginNext = () => new Promise((resolve) => setTimeout(resolve, MESSAGE_DELAY)).then(begin);
  try {
    await navigator.locks.request(name, bare({ signal: AbortSignal.timeout(LOCK_TIMEOUT) }), beginNext);
  } catch {
    // The wait has timed out. Or another tab has taken the lock, and the work goes on.
    if (!done) await navigator.locks.request(name, bare({ steal: true }), begin).catch(() => {});
  }
  return done ?? work();
}
