import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { Window } from "happy-dom";
import { bundle, rendered } from "./bundle.mjs";

const USER = { id: "7", email: "ada@example.org" };
const CHALLENGE = { code: "insufficient_user_authentication", max_age: 300, offered: ["password"] };
/** What a page has, and Node has not. Node's own fetch and BroadcastChannel are kept. */
const GLOBALS = ["window", "document", "location", "Document", "Element", "HTMLElement", "HTMLIFrameElement", "FormData", "Event", "EventTarget", "navigator", "addEventListener"];

let folder, server, origin;
/** The answers of the server: a status and JSON for each request. */
let answers = {};
let asked = [];

before(async () => {
  folder = await mkdtemp(`${tmpdir()}/latchkey-react-`);
  server = createServer(async (request, response) => {
    const name = `${request.method} ${request.url}`;
    asked.push(name);
    const [status, body] = answers[name]?.shift?.() ?? [401, { code: "not_authenticated" }];
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.on("listening", resolve));
  origin = `http://127.0.0.1:${server.address().port}`;
});
after(async () => {
  server.close();
  server.closeAllConnections();
  await rm(folder, { recursive: true });
});

/** Resolves when the condition holds. */
async function until(condition, about) {
  for (let tries = 0; tries < 400; tries += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`it does not happen: ${about()}`);
}

for (const version of ["18", "19"])
  describe(`React ${version}`, () => {
    let window, own;
    const text = (name) => window.document.getElementById(name)?.textContent;
    const shows = (name, value) => until(() => text(name) === value, () => window.document.body.innerHTML);
    const click = (name) => window.document.getElementById(name).dispatchEvent(new window.MouseEvent("click", { bubbles: true }));

    before(async () => {
      own = `${folder}/${version}`;
      await bundle(version, own);
    });

    /** Renders the page as a server, and opens it as a browser. */
    async function open(context, given, first) {
      Object.assign(globalThis, { given });
      answers = first;
      asked = [];
      const html = await rendered(own, given);
      const settings = { disableJavaScriptFileLoading: true, disableJavaScriptEvaluation: true };
      window = new Window({ url: `${origin}/`, settings: { ...settings, handleDisabledFileLoadingAsSuccess: true } });
      window.document.write(html.replace(/<script.*/, ""));
      const kept = GLOBALS.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
      for (const name of GLOBALS) {
        const value = name === "window" ? window : name === "addEventListener" ? window.addEventListener.bind(window) : window[name];
        Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
      }
      context.after(async () => {
        page.root.unmount();
        await new Promise((resolve) => setTimeout(resolve, 20)); // React goes on for a moment.
        for (const [name, had] of kept) had ? Object.defineProperty(globalThis, name, had) : delete globalThis[name];
        return window.happyDOM.close();
      });
      const page = await import(`${pathToFileURL(`${own}/page.js`)}?${Math.random()}`);
      return html;
    }

    const options = () => ({ options: { api: `${origin}/api/auth/`, origins: [origin] } });
    const me = [200, { user: USER, session: { id: "s" }, access_token_expires_at: null, expires_in: 600 }];

    test("the first page says loading, and then that nobody is signed in", async (context) => {
      const html = await open(context, options(), {});
      assert.match(html, /<p id="status">loading/);
      await shows("status", "anonymous");
      assert.deepEqual(globalThis.reported, []);
    });

    test("what the server knows about the user is on the first page", async (context) => {
      const html = await open(context, { ...options(), initialUser: USER }, { "GET /api/auth/me": [me, me] });
      assert.match(html, /<p id="status">signed-in.*ada@example.org/);
      await until(() => asked.filter((name) => name === "GET /api/auth/me").length >= 1, () => asked.join());
      await shows("status", "signed-in");
      assert.deepEqual(globalThis.reported, []);
    });

    test("a request waits for the user to authenticate again, and is repeated", async (context) => {
      const pay = [[401, CHALLENGE], [200, {}]];
      await open(context, options(), { "GET /api/auth/me": [me, me], "POST /api/pay": pay, "POST /api/auth/reauthenticate": [[200, {}]] });
      await shows("status", "signed-in");
      click("pay");
      await shows("offered", "password");
      window.document.querySelector("#again").requestSubmit();
      await shows("paid", "200");
      assert.equal(text("offered"), undefined);
    });

    test("a challenge that is given up leaves the response as it is", async (context) => {
      await open(context, options(), { "GET /api/auth/me": [me, me], "POST /api/pay": [[401, CHALLENGE]] });
      await shows("status", "signed-in");
      click("pay");
      await shows("offered", "password");
      click("cancel");
      await shows("paid", "401");
    });

    test("a change of the account waits, too", async (context) => {
      const end = [[403, { code: "reauthentication_required", offered: ["password"] }], [204]];
      await open(context, options(), { "GET /api/auth/me": [me, me], "DELETE /api/auth/sessions": end, "POST /api/auth/reauthenticate": [[200, {}]] });
      await shows("status", "signed-in");
      click("end-others");
      await shows("offered", "password");
      window.document.querySelector("#again").requestSubmit();
      await until(() => asked.filter((name) => name === "DELETE /api/auth/sessions").length === 2, () => asked.join());
    });

    test("a session that ends while the page is used has expired", async (context) => {
      await open(context, options(), { "GET /api/auth/me": [me, me], "POST /api/pay": [[401, { code: "session_ended" }], [401, { code: "session_ended" }]] });
      await shows("status", "signed-in");
      click("pay");
      await shows("status", "expired");
    });

    test("an API that is not there is an error", async (context) => {
      await open(context, options(), { "GET /api/auth/me": [[404, {}], [404, {}]] });
      await shows("status", "anonymous");
      assert.equal(text("error"), "error");
    });
  });

test("a component without a provider is told so", async () => {
  const { useSession } = await import("../lib/index.js");
  const { renderToString } = await import("react-dom/server");
  const { createElement } = await import("react");
  assert.throws(() => renderToString(createElement(() => useSession().status)), /SessionProvider/);
});
