/**
 * The client of the auth API. `session.js` uses it.
 *
 * A `SessionClient` knows who is signed in, and sends all requests to the auth API. In the cookie modes each tab has one. A
 * lock lets one tab at a time send a request, and each tab publishes the result to the others. In mode `body` all tabs
 * share one, in a shared worker that runs this file. The refresh token is only in the memory of the worker, and in some
 * browsers in that of a service worker, which runs this file too.
 *
 * No timer refreshes. A token is refreshed when it is used, so that the session of an idle page can expire.
 */

import { holdCopies, type ServiceWorkerScope } from "./reload_copy.ts";
import { serve, type WorkerScope } from "./worker.ts";

export type { Change, Step } from "./changes.ts";
export { challengeOf, isRefused } from "./challenges.ts";
export { METHODS, PREFIX, SessionClient, type Method } from "./client.ts";
export { SessionError, type Caught } from "./errors.ts";
export { bare, own } from "./own_properties.ts";

// A page can have an element called `onconnect`, or one with the name of any class, but no element changes this text.
const kind = Object.prototype.toString.call(globalThis);
if (kind === "[object SharedWorkerGlobalScope]") serve(globalThis as unknown as WorkerScope);
if (kind === "[object ServiceWorkerGlobalScope]") holdCopies(globalThis as unknown as ServiceWorkerScope);
