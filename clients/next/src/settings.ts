/** What the environment says. It is read at the first request, so that an application can be built without it. */

export interface Settings {
  /** The public origin, without a slash at its end. */
  readonly origin: string;
  /** The address of Latchkey for this server, without a slash at its end. */
  readonly authServer: string;
  readonly issuer: string;
  readonly audience: string;
  /** The name of the tenant whose tokens are good here. Empty: Latchkey has no tenants. */
  readonly tenant: string;
  /** The name of the cookie with the access token. */
  readonly access: string;
  /** The names of the cookie with the refresh token: the one that is written, and the one of earlier releases. */
  readonly refresh: readonly string[];
}

/** A variable of the environment is missing, or is not valid. The message begins with its name. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Returns the settings of this process. Throws a ConfigurationError. */
export function settings(): Settings {
  // Each variable is named in full, because a bundler may replace it.
  return settingsFrom({
    ORIGIN: process.env.ORIGIN,
    AUTH_SERVER: process.env.AUTH_SERVER,
    LATCHKEY_ISSUER: process.env.LATCHKEY_ISSUER,
    LATCHKEY_AUDIENCE: process.env.LATCHKEY_AUDIENCE,
    LATCHKEY_TENANT: process.env.LATCHKEY_TENANT,
    LATCHKEY_COOKIE_SUFFIX: process.env.LATCHKEY_COOKIE_SUFFIX,
  });
}

export function settingsFrom(environment: Environment): Settings {
  const origin = originOf("ORIGIN", environment, "the address of this site in the browser", "https://example.org");
  const authServer = originOf("AUTH_SERVER", environment, "Latchkey's address for this server", "http://127.0.0.1:8000");
  if (origin === authServer)
    throw new ConfigurationError("AUTH_SERVER is the same as ORIGIN. It has to be Latchkey's own address, not the address of this site.");
  const suffix = environment.LATCHKEY_COOKIE_SUFFIX;
  if (suffix && !/^[A-Za-z0-9]{1,32}$/.test(suffix))
    throw new ConfigurationError("LATCHKEY_COOKIE_SUFFIX is not valid. It has at most 32 letters and digits, as COOKIE_SUFFIX of Latchkey.");
  return {
    origin,
    authServer,
    issuer: environment.LATCHKEY_ISSUER || origin,
    audience: environment.LATCHKEY_AUDIENCE || origin,
    tenant: environment.LATCHKEY_TENANT || "",
    ...cookieNames(origin, suffix ? `-${suffix}` : ""),
  };
}

/** Returns the names that Latchkey gives its cookies: over http, in development, they have no prefix. */
function cookieNames(origin: string, suffix: string): Pick<Settings, "access" | "refresh"> {
  if (origin.startsWith("http:")) return { access: `access${suffix}`, refresh: [`refresh${suffix}`] };
  return { access: `__Host-access${suffix}`, refresh: [`__Host-Http-refresh${suffix}`, `__Host-refresh${suffix}`] };
}

function originOf(name: string, environment: Environment, meaning: string, example: string): string {
  const given = environment[name]?.trim();
  if (!given) throw new ConfigurationError(`${name} is not set. Set it to ${meaning}, such as ${example}.`);
  const url = URL.canParse(given) ? new URL(given) : null;
  const isOrigin =
    url && ["http:", "https:"].includes(url.protocol) && url.pathname === "/" && !url.search && !url.hash && !url.username;
  if (!isOrigin)
    throw new ConfigurationError(`${name} is ${JSON.stringify(given)}. It has to be a scheme and a host, without a path, such as ${example}.`);
  return url.origin;
}
