// axios with axios-auth-refresh as an app configures them: in a page, where cookies carry the tokens, or in Node, where
// this module keeps them.
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
    // This request was sent before the last refresh and answered after it. It only has to be sent again.
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
    // Only this 401 can be solved by a refresh. After the others the user must sign in.
    shouldRefresh: ({ response }) => response.data?.code === "token_expired",
    // By default requests that were sent together with the first get a 401 instead of being repeated.
    deduplicateRefresh: false,
    maxRetries: 1,
  });

  return {
    api,
    tokens,
    signIn: async (credentials) => keep(await api.post("/api/auth/login", credentials)),
    /** Returns who is signed in, or how the request was rejected. */
    me: () =>
      api.get(who).then(
        ({ data }) => data.user.email,
        ({ response }) => ({ status: response.status, code: response.data.code, retryAfter: response.headers["retry-after"] }),
      ),
  };
}
