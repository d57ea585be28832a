// A client made from the API's description: openapi-fetch with a middleware that refreshes, in storage mode `body`.
// The arguments are the site, and a user's e-mail address and password.
import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[]; exit(): never };
declare function say(what: unknown): Promise<void>;

type Problem = components["schemas"]["ProblemOutput"];
type Grant = components["schemas"]["GrantOutput"];

const [, , origin = "", email = "", password = ""] = process.argv;
const tokens: { access?: string; refresh?: string } = {};
const plain = createClient<paths>({ baseUrl: origin });
const api = createClient<paths>({ baseUrl: origin });
let refreshing: Promise<Problem | undefined> | undefined;

function keep(grant: Grant): void {
  if (grant.access_token !== undefined) tokens.access = grant.access_token;
  if (grant.refresh_token !== undefined) tokens.refresh = grant.refresh_token;
}

async function refresh(): Promise<Problem | undefined> {
  if (tokens.refresh === undefined) throw new Error("nobody has signed in");
  const { data, error } = await plain.POST("/api/auth/refresh", { body: { refresh_token: tokens.refresh } });
  if (data) keep(data);
  return error;
}

/** A change of the account needs more than the access token. */
const proof = () => ({ refresh_token: tokens.refresh ?? "" });

const bearer = () => `Bearer ${tokens.access ?? ""}`;
const copies = new Map<string, Request>();
const withTokens: Middleware = {
  onRequest({ request, id }) {
    if (tokens.access !== undefined) request.headers.set("Authorization", bearer());
    copies.set(id, request.clone()); // A request's body can be sent only once.
    return request;
  },
  async onResponse({ response, id }) {
    const copy = copies.get(id);
    copies.delete(id);
    if (copy === undefined || response.status !== 401) return undefined;
    const problem = (await response.clone().json()) as Problem;
    if (problem.code !== "token_expired") return undefined;
    // Another request may have refreshed since this one was sent.
    if (copy.headers.get("Authorization") === bearer()) {
      refreshing ??= refresh().finally(() => (refreshing = undefined));
      const refused = await refreshing;
      if (refused) return Response.json(refused, { status: refused.status });
    }
    copy.headers.set("Authorization", bearer());
    return fetch(copy);
  },
};
api.use(withTokens);

/** Returns what an app does after a problem. The compiler knows all codes, and reports one that is missing. */
function next(problem: Problem): "sign in" | "ask for the password" | "try again" | "tell the person" | "mend the program" {
  switch (problem.code) {
    case "not_authenticated":
    case "session_ended":
      return "sign in";
    case "factor_required":
    case "insufficient_user_authentication":
    case "reauthentication_required":
    case "refresh_token_required":
    case "session_idle":
      return "ask for the password";
    case "throttled":
    case "token_expired":
    case "unavailable":
      return "try again";
    case "factor_refused":
    case "form_outdated":
    case "invalid":
    case "invalid_credentials":
    case "invalid_token":
    case "last_factor":
    case "link_used":
    case "not_found":
    case "passkey_refused":
    case "passkey_unknown":
    case "permission_denied":
    case "sign_in_refused":
    case "wrong_code":
      return "tell the person";
    case "cross_origin":
    case "error":
    case "invalid_client":
    case "length_required":
    case "malformed":
    case "method_not_allowed":
    case "payload_too_large":
    case "proof_required":
    case "unsupported_media_type":
      return "mend the program";
  }
}

async function signIn(device_name: string): Promise<string> {
  const { data, error } = await plain.POST("/api/auth/login", { body: { email, password, mode: "body", device_name } });
  if (error) throw new Error(error.detail);
  keep(data);
  return data.session.id;
}

async function me(): Promise<string> {
  const { data, error } = await api.GET("/api/auth/me");
  return error ? next(error) : data.user.email;
}

// What a passkey has to sign, for a client without cookies.
const asked = await plain.POST("/api/auth/passkey", { body: { mode: "body" } });
await say({ asked: [asked.data?.options?.["userVerification"], typeof asked.data?.ceremony] });

const other = await signIn("an old phone");
const first = tokens.refresh;
const own = await signIn("a laptop");
await say({ one: await me() });
await say({ expire: true });
await say({ twenty: await Promise.all(Array.from({ length: 20 }, me)) });

// A request with a body is sent again with its body.
await say({ expire: true });
const renamed = await api.PATCH("/api/auth/sessions/{session_id}", {
  params: { path: { session_id: own } },
  body: { device_name: "the laptop", ...proof() },
});
await say({ renamed: renamed.data?.device.name });

const unnamed = await api.PATCH("/api/auth/sessions/{session_id}", {
  params: { path: { session_id: own } },
  body: { device_name: "" },
});
await say({ unnamed: unnamed.error && [next(unnamed.error), Object.keys(unnamed.error.errors ?? {})] });

const listed = await api.GET("/api/auth/sessions", { params: { query: {} } });
await say({ listed: listed.data?.results.map(({ device, mode, current }) => [device.name, mode, current]) });

const alone = await api.PATCH("/api/auth/sessions/{session_id}", {
  params: { path: { session_id: own } },
  body: { device_name: "with an access token alone" },
});
await say({ alone: alone.error && next(alone.error) });

const early = await api.DELETE("/api/auth/sessions/{session_id}", {
  params: { path: { session_id: other } },
  body: proof(),
});
await say({ early: early.error && next(early.error) });
const confirmed = await api.POST("/api/auth/reauthenticate", { body: { password } });
const { user, session, access_token_expires_at } = confirmed.data ?? {};
// Without an answer to a factor, there would be options and no session.
if (user && session && access_token_expires_at) keep({ ...confirmed.data, user, session, access_token_expires_at });
const ended = await api.DELETE("/api/auth/sessions/{session_id}", {
  params: { path: { session_id: other } },
  body: proof(),
});
await say({ ended: ended.response.status });
const missing = await api.DELETE("/api/auth/sessions/{session_id}", {
  params: { path: { session_id: other } },
  body: proof(),
});
await say({ missing: missing.error && next(missing.error) });

const replayed = await plain.POST("/api/auth/refresh", { body: { refresh_token: first ?? "" } });
await say({ replayed: replayed.error?.code });
const wrong = await plain.POST("/api/auth/login", { body: { email, password: "not it" } });
await say({ wrong: wrong.error && next(wrong.error) });

const left = await plain.POST("/api/auth/logout", { body: { refresh_token: tokens.refresh ?? "" } });
await say({ left: left.response.status });
await say({ expire: true });
await say({ after: await me() });
process.exit();
