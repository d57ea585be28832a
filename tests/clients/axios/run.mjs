// The client in Node: storage mode `body`. The arguments are the site, and a user's e-mail address and password.
import { client } from "./client.mjs";

const [origin, email, password] = process.argv.slice(2);
const { api, tokens, signIn, me } = client(origin);
await signIn({ email, password, mode: "body" });
const first = tokens.refresh;
await say({ one: await me() });
await say({ expire: true });
await say({ twenty: await Promise.all(Array.from({ length: 20 }, me)) });
await say({ expire: true });
await say({ again: await me() });
const replay = await client(origin).api.post("/api/auth/refresh", { refresh_token: first }).catch((error) => error.response);
await say({ replay: { status: replay.status, code: replay.data.code } });
await say({ after: await me() });
await signIn({ email, password, mode: "body" });
const { status } = await api.post("/api/auth/logout", { refresh_token: tokens.refresh });
await say({ logout: status });
await say({ expire: true });
await say({ signedOut: await me() });
process.exit();
