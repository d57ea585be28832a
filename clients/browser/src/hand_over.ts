/**
 * What lets the session in mode `body` survive the reload of its only tab, in browsers that end the shared worker then.
 *
 * A service worker keeps a copy of the refresh token in its memory, for some seconds after the shared worker has ended. It
 * runs the same file. The shared worker asks it by requests to a URL that does not exist. Without the service worker they
 * fail before anything is sent.
 *
 * No page gets the token. The service worker answers only shared workers that run this file, and it knows by the browser
 * who asks. It listens to no messages, and stores nothing.
 */

import type { Keeping, Kept } from "./changes.ts";
import { bare, own } from "./own_properties.ts";

const URL_OF_REQUESTS = "https://hand-over.invalid/"; // Names that end in `.invalid` do not exist (RFC 6761).
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
  const held = new Map<unknown, { readonly kept: unknown; readonly since: number }>();
  const answer = async ({ clientId, request }: FetchEvent): Promise<Response> => {
    const client = await scope.clients.get(clientId);
    if (client?.type !== "sharedworker" || client.url !== scope.location.href) return Response.error();
    const { name, kept } = own((await request.json()) as unknown, "name", "kept");
    if (kept) held.set(name, { kept, since: performance.now() });
    const found = held.get(name);
    return Response.json(found && performance.now() - found.since < LIFETIME ? found.kept : null);
  };
  scope.addEventListener("install", () => scope.skipWaiting());
  scope.addEventListener("fetch", (event) => {
    if (event.request.url === URL_OF_REQUESTS) event.respondWith(answer(event));
  });
}

/** Takes the copy of an earlier shared worker of this name, and gives the service worker one from now on. */
export async function takeOver(name: string): Promise<Keeping> {
  let last: Kept | undefined;
  const ask = async (kept?: Kept): Promise<any> => {
    const init = { method: "POST", body: JSON.stringify(bare({ name, kept })), signal: AbortSignal.timeout(TIMEOUT) };
    const response = await fetch(URL_OF_REQUESTS, bare(init));
    return response.json();
  };
  const keep = async (kept: Kept) => {
    last = kept;
    await ask(kept).catch(() => {}); // It is only a copy.
  };
  setInterval(() => last?.refresh && keep(last), INTERVAL);
  const kept = (await ask().catch(() => null)) as Kept | null;
  last = kept ?? undefined;
  return { kept: kept ?? bare({}), keep };
}
