/**
 * What lets the session in mode `body` survive the reload of its only tab, in browsers that end the shared worker then.
 *
 * A service worker keeps a copy of the refresh token in its memory, for some seconds after the shared worker has ended. It
 * runs the same file. The shared worker asks it by requests to a URL of their origin, which every policy with
 * `connect-src 'self'` permits. The server has nothing there, and gets no token: it is sent only after the service worker
 * has answered a request without it.
 *
 * No page gets the token. The service worker answers only shared workers that run this file, and it knows by the browser
 * who asks. It listens to no messages, and stores nothing.
 */

import type { Persistence, Kept } from "./changes.ts";
import { Countdown } from "./countdown.ts";
import { bare, own } from "./own_properties.ts";

const QUERY = "?hand-over"; // With the URL of this file, it is the URL of the requests.
const LIFETIME = 30_000; // Milliseconds for which the copy can be taken.
const INTERVAL = 10_000; // Milliseconds after which the shared worker gives its copy again. Browsers end service workers.
const TIMEOUT = 2_000; // Milliseconds that the service worker may take to answer.

interface FetchEvent extends Event {
  readonly request: Request;
  readonly clientId: string;
  respondWith(answer: Promise<Response>): void;
}

/** A service worker, as far as it is used here. */
export interface ServiceWorkerScope {
  readonly location: Location;
  readonly clients: { get(id: string): Promise<{ readonly type: string; readonly url: string } | undefined> };
  addEventListener(type: "fetch", listener: (event: FetchEvent) => void): void;
  addEventListener(type: "install", listener: () => void): void;
  skipWaiting(): Promise<void>;
}

/** Keeps the copies, in the service worker. Each belongs to the name of a shared worker, and so to one API. */
export function holdCopies(scope: ServiceWorkerScope): void {
  const held = new Map<unknown, { readonly kept: unknown; readonly life: Countdown }>();
  const answer = async ({ clientId, request }: FetchEvent): Promise<Response> => {
    const client = await scope.clients.get(clientId);
    if (client?.type !== "sharedworker" || client.url !== scope.location.href) return Response.error();
    const { name, kept } = own((await request.json()) as unknown, "name", "kept");
    if (kept) held.set(name, { kept, life: new Countdown(LIFETIME) }); // Also while the machine sleeps.
    const found = held.get(name);
    if (found && found.life.left <= 0) held.delete(name);
    return Response.json({ kept: held.get(name)?.kept ?? null });
  };
  scope.addEventListener("install", () => scope.skipWaiting());
  scope.addEventListener("fetch", (event) => {
    if (event.request.url === scope.location.href + QUERY) event.respondWith(answer(event));
  });
}

/** Takes the copy of an earlier shared worker of this name, and gives the service worker one from now on. */
export async function takeOver(name: string): Promise<Persistence> {
  let last: Kept | undefined;
  let queue: Promise<unknown> = Promise.resolve(); // An earlier copy must not arrive after a later one.
  let isThere = false; // Whether the service worker has ever answered.
  const ask = async (kept?: Kept): Promise<Kept | null> => {
    const init = { method: "POST", body: JSON.stringify(bare({ name, kept })), signal: AbortSignal.timeout(TIMEOUT) };
    const response = await fetch(location.href + QUERY, bare(init));
    const answer = own((await response.json()) as unknown, "kept");
    if (!("kept" in answer)) throw new TypeError("Somebody else has answered.");
    isThere = true;
    return answer.kept;
  };
  const give = () => (queue = queue.then(() => ask()).then(() => ask(last)).catch(() => {})); // It is only a copy.
  const keep = async (kept: Kept) => {
    last = kept;
    await give();
  };
  setInterval(() => isThere && last?.refresh && give(), INTERVAL);
  const kept = await ask().catch(() => null);
  last ??= kept ?? undefined;
  return { kept: kept ?? bare({}), keep };
}
