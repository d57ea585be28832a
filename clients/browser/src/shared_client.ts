/** The client in the shared worker, as a page sees it. */

import { bare, METHODS, own, SessionError, type Method, type SessionClient } from "./session-client.ts";

const WORKER = new URL("./session-client.js", import.meta.url); // Bundlers recognise this form.
const WORKER_TIMEOUT = 10_000; // Milliseconds that a shared worker may take to start.

/** The methods of the `SessionClient` that pages may call. */
export type SharedClient = Pick<SessionClient, Method | "close">;

/** Returns an object with the methods of the `SessionClient` in the shared worker. */
export function connect(name: string): SharedClient {
  // In browsers with `extendedLifetime` the worker survives a reload of the only tab.
  const options: WorkerOptions & { extendedLifetime: boolean } = bare({ type: "module", name, extendedLifetime: true });
  const worker = new SharedWorker(trusted(), options);
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: unknown) => void }>();
  const settle = (id: number, error: object | undefined, value?: unknown) => {
    const asked = waiting.get(id);
    if (!asked) return; // It is the greeting, or too late.
    waiting.delete(id);
    if (error) asked.reject(new SessionError(error));
    else asked.resolve(value);
  };
  let last = 0;
  let failure: { code: string } | undefined; // The worker could not start, for example because the Content-Security-Policy has no `worker-src`.
  const fail = () => {
    failure = { code: "no_worker" };
    for (const id of waiting.keys()) settle(id, failure);
  };
  worker.onerror = fail;
  const timer = setTimeout(fail, WORKER_TIMEOUT); // Not every browser reports that a worker did not start.
  worker.port.onmessage = ({ data }) => {
    const { id, error, value } = own(data as unknown, "id", "error", "value");
    clearTimeout(timer);
    failure = undefined;
    settle(id, error, value);
  };
  const ask = (method: Method, given: unknown[]) =>
    new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject });
      if (failure) settle(last, failure);
      else worker.port.postMessage({ id: last, method, given });
    });
  const methods = METHODS.map((method) => [method, (...given: unknown[]) => ask(method, given)]);
  return { ...Object.fromEntries(methods), close: () => worker.port.close() };
}

let policy: { createScriptURL(input: string): string } | undefined;

/** Returns the URL of the worker, as pages need it whose Content-Security-Policy requires trusted types. */
function trusted(): string | URL {
  const rules = bare({ createScriptURL: () => WORKER.href });
  try {
    // TypeScript does not know it yet.
    policy ??= (globalThis as any).trustedTypes?.createPolicy?.("latchkey", rules);
  } catch {
    // The page does not permit a policy of this name. It may not require one either.
  }
  return policy?.createScriptURL("") ?? WORKER;
}
