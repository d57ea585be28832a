/** The configuration of Next.js. */

import type { NextConfig } from "next";
import { settings } from "./settings.js";

type Context = { defaultConfig: NextConfig };
type ConfigFunction = (phase: string, context: Context) => NextConfig | Promise<NextConfig>;

/** The phases in which the server starts (`next/constants`). A build needs no variables. */
const SERVERS: readonly string[] = ["phase-development-server", "phase-production-server"];

/**
 * Returns the configuration of an application with the guard.
 *
 * A server whose environment is not complete does not start. The guard lets everybody read the files of the build, so
 * a path among them without a file must not reach a page of the application, such as one at `app/[...path]`.
 */
export function withLatchkey(config: NextConfig | ConfigFunction = {}): (phase: string, context: Context) => Promise<NextConfig> {
  return async (phase, context) => {
    if (SERVERS.includes(phase)) settings();
    const given = typeof config === "function" ? await config(phase, context) : config;
    return {
      ...given,
      // The guard checks that this function was used.
      env: { ...given.env, LATCHKEY_CONFIGURED: "yes" },
      rewrites: async () => {
        const found = (await given.rewrites?.()) ?? [];
        const { beforeFiles = [], afterFiles = [], fallback = [] } = Array.isArray(found) ? { afterFiles: found } : found;
        return { beforeFiles, afterFiles: [noPage(phase), ...afterFiles], fallback };
      },
    };
  };
}

/** Next.js applies it after it has looked for a file, and before it looks for a page with a dynamic path. */
function noPage(phase: string): { source: string; destination: string } {
  // In development the page for unknown paths has no path. A file that is always there is as good.
  const nothing = phase === SERVERS[0] ? "/_next/static/development/_buildManifest.js" : "/_not-found";
  return { source: "/_next/static/:path*", destination: nothing };
}
