// Runs the functions `proxy` of two modules, and prints what each answers. Usage: node FILE PACKAGE BEFORE AFTER.
// A stand-in takes the place of Latchkey. It refreshes the token that is named "old".

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, ...paths] = process.argv.slice(2);
const { startLatchkey, ORIGIN } = await import(pathToFileURL(`${folder}/tests/latchkey.mjs`));
const { NextRequest } = createRequire(`${folder}/package.json`)("next/server.js");
const latchkey = await startLatchkey();
Object.assign(process.env, { ORIGIN, AUTH_SERVER: latchkey.address, LATCHKEY_CONFIGURED: "yes" });
latchkey.answers["/api/auth/refresh"] = { status: 200, cookies: [`access=${await latchkey.token()}; Path=/`, "refresh=new; Path=/"] };

async function answer(proxy, path, cookie) {
  const response = await proxy(new NextRequest(ORIGIN + path, { headers: { accept: "text/html", cookie } }));
  const { status, headers } = response, location = headers.get("location");
  const isRewritten = headers.has("x-middleware-rewrite"), goesOn = headers.has("x-middleware-next");
  const kind = location ? location.replace(ORIGIN, "") : isRewritten ? "Latchkey" : goesOn ? "page" : String(status);
  const handedOn = headers.get("x-middleware-request-cookie") ?? "";
  return [kind, headers.get("x-frame-options"), headers.getSetCookie().length, handedOn.includes("refresh=new")];
}

const found = [];
for (const path of paths) {
  const { proxy } = await import(pathToFileURL(path));
  const rows = {};
  for (const cookie of ["", "refresh=old"])
    for (const visited of ["/", "/blog", "/orders", "/orders/open", "/sign-in"])
      rows[`${visited} ${cookie}`.trim()] = await answer(proxy, visited, cookie);
  found.push(rows);
}
console.log(JSON.stringify(found));
await latchkey.stop();
