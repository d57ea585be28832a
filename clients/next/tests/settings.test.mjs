import assert from "node:assert/strict";
import { test } from "node:test";
import { withLatchkey } from "../lib/config.js";
import { settingsFrom } from "../lib/settings.js";

const GOOD = { ORIGIN: "https://example.org", AUTH_SERVER: "http://127.0.0.1:8000" };
const DEVELOPMENT = "phase-development-server", SERVER = "phase-production-server", BUILD = "phase-production-build";

test("over https the names have the prefixes that browsers enforce", () => {
  const { access, refresh } = settingsFrom(GOOD);
  assert.deepEqual([access, ...refresh], ["__Host-access", "__Host-Http-refresh", "__Host-refresh"]);
});

test("over http the names have no prefix", () => {
  const { access, refresh } = settingsFrom({ ...GOOD, ORIGIN: "http://localhost:3000" });
  assert.deepEqual([access, ...refresh], ["access", "refresh"]);
});

test("a suffix is added to each name", () => {
  const { access, refresh } = settingsFrom({ ...GOOD, LATCHKEY_COOKIE_SUFFIX: "shop" });
  assert.deepEqual([access, ...refresh], ["__Host-access-shop", "__Host-Http-refresh-shop", "__Host-refresh-shop"]);
});

test("a slash at the end, blanks, capitals and the default port change nothing", () => {
  for (const ORIGIN of ["https://example.org/", " https://example.org ", "https://EXAMPLE.org", "https://example.org:443"]) {
    const { origin, issuer, audience } = settingsFrom({ ...GOOD, ORIGIN });
    assert.deepEqual([origin, issuer, audience], Array(3).fill("https://example.org"));
  }
  assert.equal(settingsFrom({ ...GOOD, ORIGIN: "http://[::1]:3000/" }).origin, "http://[::1]:3000");
});

for (const name of ["ORIGIN", "AUTH_SERVER"])
  for (const value of [undefined, "", "  ", "example.org", "localhost:3000", "https://example.org/path", "ftp://example.org", "https://a@example.org", "https://"])
    test(`the error about ${name}=${value} begins with the name`, () => {
      const found = () => settingsFrom({ ...GOOD, [name]: value });
      assert.throws(found, { name: "ConfigurationError", message: new RegExp(`^${name} `) });
    });

test("this application cannot be its own auth server", () => {
  assert.throws(() => settingsFrom({ ...GOOD, AUTH_SERVER: "https://example.org/" }), /^ConfigurationError: AUTH_SERVER /);
});

test("a suffix that no cookie can have is refused", () => {
  assert.throws(() => settingsFrom({ ...GOOD, LATCHKEY_COOKIE_SUFFIX: "-a" }), /LATCHKEY_COOKIE_SUFFIX/);
});

test("a server does not start without its variables, and a build does", async () => {
  delete process.env.ORIGIN;
  for (const phase of [DEVELOPMENT, SERVER]) await assert.rejects(withLatchkey()(phase, {}), /ORIGIN is not set/);
  const built = await withLatchkey({ poweredByHeader: false, env: { A: "b" } })(BUILD, {});
  assert.equal(built.poweredByHeader, false);
  assert.deepEqual(built.env, { A: "b", LATCHKEY_CONFIGURED: "yes" });
});

test("the application's own rewrites stay, whatever form they have", async () => {
  const one = { source: "/a", destination: "/b" };
  const ofList = await (await withLatchkey(() => ({ rewrites: async () => [one] }))(BUILD, {})).rewrites();
  assert.deepEqual(ofList.afterFiles.slice(1), [one]);
  const full = { beforeFiles: [one], afterFiles: [one], fallback: [one] };
  const ofObject = await (await withLatchkey({ rewrites: async () => full })(BUILD, {})).rewrites();
  assert.deepEqual({ ...ofObject, afterFiles: ofObject.afterFiles.slice(1) }, full);
  assert.equal(ofObject.afterFiles[0].source, "/_next/static/:path*");
});
