// Verifies access tokens as any Node service would. It reads {address, issuer, audience, tokens: [...]} from stdin, and
// writes {header, claims}, or {refused: <the code of jose's error>}, for each token to stdout.
import { createRemoteJWKSet, jwtVerify } from "jose";

let text = "";
for await (const chunk of process.stdin) text += chunk;
const { address, issuer, audience, tokens } = JSON.parse(text);
const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", address));
const results = [];
for (const token of tokens) {
  try {
    const found = await jwtVerify(token, keys, { issuer, audience, typ: "at+jwt", algorithms: ["EdDSA"] });
    results.push({ header: found.protectedHeader, claims: found.payload });
  } catch (error) {
    if (!error.code?.startsWith("ERR_J")) throw error;
    results.push({ refused: error.code });
  }
}
console.log(JSON.stringify(results));
