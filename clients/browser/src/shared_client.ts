/** The client in the shared worker, as a page sees it. */

import { bare, METHODS, own, SessionError, type Method, type SessionClient } from "./session-client.ts";

const WORKER = new URL("./session-client.js", import.meta.url); // Bundlers recognise this form.
const WORKER_TIMEOUT = 10_000; // Milliseconds that a shared worker may take to start.
const SERVICE_WORKER_TIMEOUT = 3_000; // Milliseconds that a service worker may take to start.
const NO_URL = "http://["; // No browser can parse it.

/** The methods of the `SessionClient` that pages may call. */
export type SharedClient = Pick<SessionClient, Method | "close">;

/** Returns an object with the methods of the `SessionClient` in the shared worker. */
export function connect(name: string): SharedClient {
  let port: MessagePort | undefined;
  let isClosed = false;
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
  const timer = setTimeout(fail, WORKER_TIMEOUT); // Not every browser reports that a worker did not start.
  const asked: object[] = []; // Before the worker was started.
  const start = (survives: boolean) => {
    if (isClosed) return;
    const options: WorkerOptions & { extendedLifetime: boolean } = bare({ type: "module", name, extendedLifetime: true });
    const worker = new SharedWorker(trusted(), options);
    worker.onerror = fail;
    worker.port.onmessage = ({ data }) => {
      const { id, error, value } = own(data as unknown, "id", "error", "value");
      clearTimeout(timer);
      failure = undefined;
      settle(id, error, value);
    };
    port = worker.port;
    for (const message of [{ method: "begin", given: [survives] }, ...asked]) port.postMessage(message);
  };
  if (survivesReload()) start(true);
  else install().then(() => start(false)).catch(fail);
  const ask = (method: Method, given: unknown[]) =>
    new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject });
      const message = { id: last, method, given };
      if (failure) settle(last, failure);
      else if (port) port.postMessage(message);
      else asked.push(message);
    });
  const methods = METHODS.map((method) => [method, (...given: unknown[]) => ask(method, given)]);
  const close = () => {
    isClosed = true;
    port?.close();
  };
  return { ...Object.fromEntries(methods), close };
}

/** Returns whether this browser knows `extendedLifetime`: the worker then survives the reload of the only tab. */
function survivesReload(): boolean {
  let isKnown = false;
  const isRead = () => (isKnown = true);
  const options = Object.defineProperty(bare({}), "extendedLifetime", bare({ get: isRead }));
  try {
    new SharedWorker(trusted(NO_URL), options as WorkerOptions);
  } catch {
    // No worker has this URL. The browser has read the options before.
  }
  return isKnown;
}

/** Waits until the service worker of `reload_copy.ts` is active, at most for `SERVICE_WORKER_TIMEOUT`. Before that, a reload ends the session. */
async function install(): Promise<void> {
  const activated = async () => {
    const { installing, waiting, active } = await navigator.serviceWorker.register(trusted(), bare<RegistrationOptions>({ type: "module" }));
    const worker = active ?? waiting ?? installing!;
    await new Promise<void>((resolve) => {
      const check = () => /^(activated|redundant)$/.test(worker.state) && resolve();
      worker.addEventListener("statechange", check);
      check();
    });
  };
  const timeout = new Promise<void>((resolve) => setTimeout(resolve, SERVICE_WORKER_TIMEOUT));
  await Promise.race([activated().catch(() => {}), timeout]);
}

let policy: { createScriptURL(input: string): string } | undefined;

/** Returns the URL of the worker, as pages need it whose Content-Security-Policy requires trusted types. */
function trusted(url: typeof NO_URL | "" = ""): string | URL {
  const rules = bare({ createScriptURL: (asked: string) => (asked === NO_URL ? NO_URL : WORKER.href) });
  try {
    // TypeScript does not know it yet.
    policy ??= (globalThis as any).trustedTypes?.createPolicy?.("latchkey", rules);
  } catch {
    // The page does not permit a policy of this name. It may not require one either.
  }
  return policy?.createScriptURL(url) ?? (url || WORKER);
}
