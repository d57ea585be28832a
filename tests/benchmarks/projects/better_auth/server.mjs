// One process of Node, which listens at PORT. Each response has a Content-Length, which the load generator needs.
// "/bare" and "/bare-post" answer without Better Auth.

import { once } from "node:events";
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { fromNodeHeaders } from "better-auth/node";
import { auth } from "./auth.mjs";

const ANSWER = { id: "Zk3WcR8qT1yB6nVhXe0uLs7PjAdG5mFo" }; // as long as the answer to a user who is signed in

function send(response, status, answer, headers = new Headers()) {
  const body = JSON.stringify(answer);
  response.setHeaders(headers); // Keeps apart the cookies of several Set-Cookie.
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}

async function view(request, response) {
  const headers = fromNodeHeaders(request.headers);
  const found = await auth.api.getSession({ headers, returnHeaders: true });
  const user = found.response?.user;
  send(response, user ? 200 : 401, user ? { id: user.id } : {}, found.headers);
}

/** Better Auth's own endpoints: sign-in and sign-out. */
async function endpoint(request, response) {
  const { method, headers, url } = request;
  const body = method === "POST" ? { body: Readable.toWeb(request), duplex: "half" } : {};
  const asked = new Request(`http://localhost${url}`, { method, headers: fromNodeHeaders(headers), ...body });
  const answered = await auth.handler(asked);
  send(response, answered.status, await answered.json().catch(() => ({})), answered.headers);
}

async function bare(request, response) {
  send(response, 200, ANSWER);
}

async function barePost(request, response) {
  const parts = [];
  for await (const part of request) parts.push(part);
  send(response, 200, ANSWER);
}

const ROUTES = { "GET /view": view, "GET /bare": bare, "POST /bare-post": barePost };

const server = createServer((request, response) => {
  const route = ROUTES[`${request.method} ${request.url}`] ?? endpoint;
  route(request, response).catch((error) => {
    console.error(error);
    send(response, 500, {});
  });
});

server.keepAliveTimeout = 0; // The load generator keeps its connections.
server.listen(Number(process.env.PORT ?? 0), "127.0.0.1");
await once(server, "listening");
export const { port } = server.address();
