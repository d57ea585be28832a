// axios with axios-auth-refresh, as an app sets them up: in a page, where cookies carry the tokens, or in Node, where
// they are kept here.
import axios from "axios";
import { createAuthRefresh } from "axios-auth-refresh";

/** `who`: the path of the view that `me` asks. */
export function client(baseURL, who = "/api/auth/me") {
  const tokens = {};
  let refreshes = 0;
  const api = axios.create({ baseURL });
  const plain = axios.create({ baseURL });

  function keep({ data }) {
    if (data.access_token) tokens.access = data.access_token;
    if (data.refresh_token) tokens.refresh = data.refresh_token;
    return data;
  }

  async function refresh({ config }) {
    // It had gone out before the last refresh, and was answered after it: all it needs is to be sent again.
    if (config.sentAfter < refreshes) return;
    keep(await plain.post("/api/auth/refresh", tokens.refresh ? { refresh_token: tokens.refresh } : undefined));
    refreshes += 1;
  }

  api.interceptors.request.use((request) => {
    request.sentAfter = refreshes;
    if (tokens.access) request.headers.Authorization = `Bearer ${tokens.access}`;
    return request;
  });
  createAuthRefresh(api, refresh, {
    // Of the 401s this one alone is mended by a refresh; the others ask for a sign-in.
    shouldRefresh: ({ response }) => response.data?.code === "token_expired",
    // Its default gives requests that were under way together with the first a plain 401, instead of a retry.
    deduplicateRefresh: false,
    maxRetries: 1,
  });

  return {
    api,
    tokens,
    signIn: async (credentials) => keep(await api.post("/api/auth/login", credentials)),
    /** Who is signed in, or how the request was refused. */
    me: () =>
      api.get(who).then(
        ({ data }) => data.user.email,
        ({ response }) => ({ status: response.status, code: response.data.code, retryAfter: response.headers["retry-after"] }),
      ),
  };
}
