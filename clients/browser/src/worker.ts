/** What the shared worker does in mode `body`: it has the only client, and pages call its methods. */

import type { Change } from "./changes.ts";
import { takeOver } from "./reload_copy.ts";
import { METHODS, PREFIX, SessionClient } from "./client.ts";
import { own } from "./own_properties.ts";

/** A shared worker, as far as it is used here: the declarations of workers contradict those of pages. */
export interface WorkerScope {
  readonly name: string;
  onconnect: ((event: { readonly ports: readonly MessagePort[] }) => void) | null;
}

/** Serves the methods to the pages, in the worker. */
export function serve(worker: WorkerScope): void {
  // The name of the worker determines the API. If a page could choose it, it could send the refresh token anywhere.
  const { name } = worker;
  const channel = new BroadcastChannel(name);
  const publish = (change: Change) => {
    if (change.kind !== "refresh") channel.postMessage(change); // Pages ask for tokens when they send requests.
  };
  let client: Promise<SessionClient> | undefined;
  const begin = async (survives: unknown) => {
    const persistence = survives ? undefined : await takeOver(name);
    return new SessionClient(name, new URL(name.slice(PREFIX.length)), "body", publish, persistence);
  };
  worker.onconnect = ({ ports }) => {
    const port = ports[0]!;
    port.postMessage({}); // The greeting: an answer can take as long as an outage.
    port.onmessage = async ({ data }) => {
      const { id, method, given } = own(data as unknown, "id", "method", "given");
      // The first message of a page: whether the worker survives a reload, in this browser.
      if (method === "begin") client ??= begin(given[0]);
      if (!METHODS.includes(method)) return;
      try {
        client ??= begin(true);
        port.postMessage({ id, value: await ((await client) as any)[method](...given) });
      } catch (error: any) {
        port.postMessage({ id, error: { code: "error", ...error, message: error.message } });
      }
    };
  };
}
