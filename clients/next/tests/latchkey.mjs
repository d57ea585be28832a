/** A stand-in for Latchkey: its key set, and answers that a test chooses. The walk in a browser uses the real one. */

import { createServer } from "node:http";
import { exportJWK, generateKeyPair, SignJWT } from "jose";

export const ORIGIN = "http://localhost:3000";
export const KID = "key";
const now = () => Math.floor(Date.now() / 1000);

export async function startLatchkey() {
  const { publicKey, privateKey } = await generateKeyPair("Ed25519");
  const jwk = { ...(await exportJWK(publicKey)), kid: KID, use: "sig", alg: "EdDSA" };
  const latchkey = { requests: [], answers: {}, keysStatus: 200 };
  const server = createServer((request, response) => {
    latchkey.requests.push({ line: `${request.method} ${request.url}`, headers: request.headers });
    if (request.url === "/.well-known/jwks.json") {
      response.writeHead(latchkey.keysStatus, { "content-type": "application/json" }).end(JSON.stringify({ keys: [jwk] }));
      return;
    }
    const { status = 401, cookies = [], body = {} } = latchkey.answers[request.url] ?? {};
    response.writeHead(status, { "set-cookie": cookies, "content-type": "application/json" }).end(JSON.stringify(body));
  });
  latchkey.start = (port = latchkey.port) => new Promise((done) => server.listen(port, "127.0.0.1", done));
  await latchkey.start(0);
  latchkey.port = server.address().port;
  latchkey.address = `http://127.0.0.1:${latchkey.port}`;
  latchkey.stop = () => new Promise((done) => server.close(done).closeAllConnections());
  latchkey.token = (claims = {}, { typ = "at+jwt", kid = KID, key = privateKey, alg = "EdDSA" } = {}) =>
    new SignJWT({ iss: ORIGIN, aud: ORIGIN, sub: "7", sid: "s", iat: now(), exp: now() + 600, ...claims })
      .setProtectedHeader({ alg, kid, typ })
      .sign(key);
  latchkey.asked = (line) => latchkey.requests.filter((request) => request.line === line);
  return latchkey;
}

export const seconds = now;
