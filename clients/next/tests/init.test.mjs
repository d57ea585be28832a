import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, beforeEach, test } from "node:test";

const COMMAND = join(import.meta.dirname, "..", "lib", "init.js");
const made = mkdtempSync(join(tmpdir(), "latchkey-init-"));
after(() => rmSync(made, { recursive: true }));
let folder;
beforeEach(() => void (folder = mkdtempSync(join(made, "app-"))));

const TYPED = "/** @type {import('next').NextConfig} */\nconst nextConfig = {};\n\nexport default nextConfig;\n";
const TYPESCRIPT = `import type { NextConfig } from "next";

const nextConfig: NextConfig = {
  /* config options here */
  cacheComponents: true,
};

export default nextConfig;
`;
const IMPORT = 'import { withLatchkey } from "django-latchkey-next/config";\n';
const WRAPPED = "export default withLatchkey(nextConfig);";
const wrappedTyped = `${IMPORT}\n${TYPED.replace("export default nextConfig;", WRAPPED)}`;
const [ofNext, ...rest] = TYPESCRIPT.replace("export default nextConfig;", WRAPPED).split(/(?<=\n)/);
const wrappedTypeScript = ofNext + IMPORT + rest.join("");
const SAFE = { 14: "14.2.35", 15: "15.5.28", 16: "16.4.3" };

/** Writes the files that `create-next-app` makes, as far as the command reads them. */
function create(files = {}, version = "16.4.3") {
  const installed = { "package.json": '{"dependencies": {}}', "node_modules/next/package.json": JSON.stringify({ name: "next", version }) };
  for (const [path, text] of Object.entries({ ...installed, "app/page.tsx": "", ...files })) {
    if (text === null) continue;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

function init(...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, ...args], { cwd: folder, encoding: "utf8" });
  return { status, stdout, stderr };
}

const read = (path) => readFileSync(join(folder, path), "utf8");

/** Returns all files with their contents, without those of node_modules. */
function files() {
  const paths = readdirSync(folder, { recursive: true }).filter((path) => !path.startsWith("node_modules"));
  return Object.fromEntries(paths.filter((path) => statSync(join(folder, path)).isFile()).map((path) => [path, read(path)]));
}

const LAYOUTS = [14, 15, 16].flatMap((version) => ["ts", "js"].flatMap((kind) => ["", "src/"].map((base) => [version, kind, base])));
for (const [version, kind, base] of LAYOUTS)
  test(`an application of create-next-app ${version} in ${base || "the root folder"} with ${kind} gets its files, once`, () => {
    const isTypeScript = kind === "ts", config = isTypeScript && version > 14 ? "next.config.ts" : "next.config.mjs";
    const given = config === "next.config.ts" ? TYPESCRIPT : TYPED;
    create({ "app/page.tsx": null, [`${base}app/page.${kind}`]: "", [config]: given, ...(isTypeScript && { "tsconfig.json": "{}" }) }, SAFE[version]);
    const before = files(), first = init("init", "--with-page"), found = files();
    assert.deepEqual([first.status, first.stderr], [0, ""]);
    const name = version > 15 ? "proxy" : "middleware", component = isTypeScript ? "tsx" : "js";
    const added = [`${base}${name}.${kind}`, ".env.local", ...["page", "sign-out"].map((one) => `${base}app/account/${one}.${component}`)];
    assert.deepEqual(Object.keys(found).sort(), [...Object.keys(before), ...added].sort());
    assert.equal(found[config], config === "next.config.ts" ? wrappedTypeScript : wrappedTyped);
    assert.match(found[added[0]], new RegExp(`^export const ${name} = createGuard\\(`, "m"));
    assert.equal(found[".env.local"], "ORIGIN=http://localhost:3000\nAUTH_SERVER=http://127.0.0.1:8000\n");
    for (const path of added) assert.match(first.stdout, new RegExp(`^created +${path.replace(".", "\\.")}$`, "m"));
    assert.match(first.stdout, new RegExp(`^changed +${config}$`, "m"));
    assert.match(first.stdout, /^3\. Open http:\/\/localhost:3000\/account\. The guard leads to the sign-in, and back\.$/m);

    const second = init("init", "--with-page");
    assert.equal(second.status, 0);
    assert.match(second.stdout, /^Nothing was changed\.$/m);
    assert.equal(second.stdout.match(/^left as it is/gm).length, 5);
    assert.deepEqual(files(), found);
  });

const COMMON_JS = (value) =>
  `module.exports = (...given) => import("django-latchkey-next/config").then(({ withLatchkey }) => withLatchkey(${value})(...given))`;
const FORMS = {
  "the name without a semicolon": ["const a = {}\nexport default a\n", `${IMPORT}\nconst a = {}\nexport default withLatchkey(a)\n`],
  "code after the name": ["export default a;\nstart();\n", `${IMPORT}\nexport default withLatchkey(a);\nstart();\n`],
  "an object": ["export default {\n  a: { b: 1 },\n\n};\n", `${IMPORT}\nexport default withLatchkey({\n  a: { b: 1 },\n\n});\n`],
  "an object in one line": ["export default { a: 1 };", `${IMPORT}\nexport default withLatchkey({ a: 1 });`],
  "another system's ends of lines": ["const a = {};\r\nexport default a;\r\n", `${IMPORT}\nconst a = {};\nexport default withLatchkey(a);\n`.replaceAll("\n", "\r\n")],
  "the name in CommonJS": ["const a = {}\n\nmodule.exports = a\n", `const a = {}\n\n${COMMON_JS("a")}\n`],
  "an object in CommonJS": ["module.exports = {\n  a: 1,\n};\n", `${COMMON_JS("{\n  a: 1,\n}")};\n`],
};
for (const [form, [before, expected]] of Object.entries(FORMS))
  test(`a configuration is wrapped that exports ${form}`, () => {
    create({ "next.config.js": before });
    assert.equal(init("init").status, 0);
    assert.equal(read("next.config.js"), expected);
  });

test("a configuration in CommonJS is still the application's, and the guard finds it wrapped", () => {
  create({ "next.config.js": "module.exports = {\n  poweredByHeader: false,\n};\n" });
  assert.equal(init("init").status, 0);
  const text = read("next.config.js").replace('"django-latchkey-next/config"', JSON.stringify(join(dirname(COMMAND), "config.js")));
  writeFileSync(join(folder, "next.config.js"), text);
  const program = 'require("./next.config.js")("phase-production-build", {}).then((found) => console.log(found.poweredByHeader, found.env))';
  const done = spawnSync(process.execPath, ["--eval", program], { cwd: folder, encoding: "utf8" });
  assert.equal(done.stdout, "false { LATCHKEY_CONFIGURED: 'yes' }\n", done.stderr);
});

for (const text of [
  "export default withMDX(nextConfig);\n",
  "export default async (phase) => ({});\n",
  "export default nextConfig\n  as unknown;\n",
  "export default {\n  a: 1,\n} satisfies NextConfig;\n",
  "export default { a: 1 } // }",
  "export default {\n}; const a = {\n};\n",
  "// export default a;\nexport default b;\n",
  "module.exports.a = 1;\n",
  "/*\nexport default a;\n*/\nexport { b as default };\n",
  "import { withLatchkey } from 'django-latchkey-next/config';\nexport default a;\n",
])
  test(`a configuration of another form stays: ${JSON.stringify(text)}`, () => {
    create({ "next.config.mjs": text });
    const { status, stdout } = init("init");
    assert.deepEqual([status, read("next.config.mjs")], [1, text]);
    assert.match(stdout, /^left as it is +next\.config\.mjs$/m);
    assert.match(stdout, /^Wrap what next\.config\.mjs exports:$/m);
    assert.match(stdout, /withLatchkey\(\/\* what the file exports now \*\/\)/);
    assert.ok(existsSync(join(folder, "proxy.js")));
  });

test("an application without a configuration gets one", () => {
  create({ "tsconfig.json": "{}" });
  assert.match(init("init").stdout, /^created +next\.config\.ts$/m);
  assert.equal(read("next.config.ts"), `${IMPORT}\nexport default withLatchkey();\n`);
});

test("an application's own guard and page stay, and the user is told what to merge", () => {
  const own = { "src/middleware.ts": "export function middleware() {}\n", "src/app/account/page.jsx": "own", ".env.local": "A=1\n#AUTH_SERVER=x\nAUTH_SERVER=\nORIGIN='https://a.example'" };
  create({ "app/page.tsx": null, "src/app/page.tsx": "", ...own });
  const { status, stdout } = init("init", "--with-page", "--origin", "https://b.example");
  const found = files();
  assert.equal(status, 1);
  for (const path of ["src/middleware.ts", "src/app/account/page.jsx"]) assert.equal(found[path], own[path]);
  assert.equal(found[".env.local"], `${own[".env.local"]}\nAUTH_SERVER=http://127.0.0.1:8000\n`);
  assert.match(stdout, /^Call the guard in src\/middleware\.ts:$/m);
  assert.doesNotMatch(stdout, /matcher/);
  assert.match(stdout, /^\.env\.local has another value\..*\nORIGIN=https:\/\/b\.example$/m);
  assert.match(stdout, /^3\. Open https:\/\/a\.example\/account\. /m);
});

const GUARD = 'import { createGuard } from "django-latchkey-next/guard";\n';
const CALLED = `${GUARD}const guard = createGuard({ public: ["/blog/*"] });\nexport const proxy = (request) => guard(request);\n`;
const MATCHER = 'export const config = { matcher: ["/dashboard/:path*"] };\n';
const CALL = /^Call the guard in proxy\.ts:$/m, REMOVE = /^Remove matcher from the config in proxy\.ts\./m;
const MERGED = {
  "only imports the guard": [GUARD, [CALL]],
  "makes a guard that it never calls": [`${GUARD}const guard = createGuard();\nexport function proxy() {}\n`, [CALL]],
  "calls the guard in a comment": [`${GUARD}// const response = await guard(request), of createGuard()\n/* createGuard() */\n`, [CALL]],
  "exports the guard under another name": [`${GUARD}export const guard = createGuard();\n`, [CALL]],
  "calls another function of this name": ["const guard = createGuard();\nguard();\n", [CALL]],
  "calls the guard and has a matcher": [CALLED + MATCHER, [REMOVE]],
  "only imports the guard and has a matcher": [GUARD + MATCHER, [CALL, REMOVE]],
  "has a matcher and no guard": [MATCHER, [CALL, REMOVE]],
  "has a matcher under an assigned config": [`${CALLED}const config = { runtime: "nodejs", "matcher": "/a" };\nexport { config };\n`, [REMOVE]],
  "calls the guard": [CALLED, []],
  "calls the guard, and a comment has a matcher": [`${CALLED}// ${MATCHER}/*\n${MATCHER}*/\n`, []],
  "calls the guard, and its config has something else": [`${CALLED}export const config = { runtime: "nodejs" };\n`, []],
  "exports the guard": [`${GUARD}export const proxy = createGuard();\n`, []],
  "exports the guard at its end": [`${GUARD}const one: Guard = createGuard();\nexport { one as proxy };\n`, []],
  "exports the guard as its default": [`${GUARD}export default createGuard({});\n`, []],
  "exports the guard without public pages": ['export { guard as proxy } from "django-latchkey-next/guard";\n', []],
};
for (const [what, [text, expected]] of Object.entries(MERGED))
  test(`a file that ${what} ${expected.length ? "is not finished" : "is finished"}`, () => {
    create({ "proxy.ts": text });
    init("init");
    const { status, stdout } = init("init");
    assert.equal(status, expected.length ? 1 : 0, stdout);
    assert.match(stdout, expected.length ? /^Next steps, after the lines above:$/m : /^Next steps:$/m);
    for (const line of [CALL, REMOVE]) assert.equal(line.test(stdout), expected.includes(line), stdout);
    assert.equal(read("proxy.ts"), text);
  });

test("up to version 15 a file proxy.ts is no guard", () => {
  create({ "proxy.ts": "", "tsconfig.json": "{}" }, "15.5.18");
  assert.match(init("init").stdout, /^created +middleware\.ts$/m);
});

test("the addresses are written as origins, and the next steps have their ports", () => {
  create();
  const { stdout } = init("init", "--origin", "HTTP://localhost:4000/", "--auth-server=http://127.0.0.1:9000");
  assert.equal(read(".env.local"), "ORIGIN=http://localhost:4000\nAUTH_SERVER=http://127.0.0.1:9000\n");
  assert.match(stdout, /^ +ORIGIN=http:\/\/localhost:4000 .* TOKENS_ACCESS_LIFETIME=30 .* manage\.py demo --port 9000$/m);
  assert.match(stdout, /^ +With TOKENS_ACCESS_LIFETIME=30 access tokens expire after 30 seconds/m);
  assert.match(stdout, /npm run dev -- --port 4000$/m);
});

test("the pictures of public pages are in the list of the guard, and documents and folders are not", () => {
  const names = ["next.svg", "vercel.svg", "robots.txt", "site.webmanifest", "favicon.ico"];
  const closed = ["report.pdf", "data.json", ".hidden.svg", "a picture.png", "x*.svg", "private/secret.png"];
  create(Object.fromEntries([...names, ...closed].map((name) => [`public/${name}`, ""])));
  const { stdout } = init("init");
  assert.equal(read("proxy.js").match(/public: (\[[^\]]*\])/)[1].replace(/\s+|,\s*(?=\])/g, ""), '["/","/favicon.ico","/next.svg","/robots.txt","/site.webmanifest","/vercel.svg"]');
  assert.match(stdout, /^Everybody may see .* proxy\.js, such as your files \/next\.svg, \/robots\.txt, \/site\.webmanifest, \/vercel\.svg\.$/m);
});

test("at most a dozen files are in the list, and the command says how many are not", () => {
  create(Object.fromEntries(Array.from({ length: 15 }, (_, index) => [`public/${String.fromCharCode(97 + index)}.svg`, ""])));
  const { stdout } = init("init");
  assert.match(read("proxy.js"), /^    "\/l\.svg",\n  \],\n\}\);\n$/m);
  assert.match(stdout, /\/l\.svg\. 3 more in public\/ need a session until you add them\.$/m);
  writeFileSync(join(folder, "proxy.js"), "");
  assert.match(init("init").stdout, /^const guard = createGuard\(\{\n  public: \[\n(    "\/.*",\n){14}  \],\n\}\);$/m);
});

const PAGES = {
  "a page that needs a session": [["dashboard/page.tsx"], "/dashboard"],
  "the first of several": [["shop/page.js", "about/team/page.tsx"], "/about/team"],
  "a page in a group": [["(shop)/(inner)/cart/page.tsx"], "/cart"],
  "no page of Latchkey": [["sign-in/page.tsx", "devices/page.tsx", "yours/page.tsx"], "/yours"],
  "no page whose path has a parameter, or that is none": [["[id]/page.tsx", "@modal/x/page.tsx", "_x/page.tsx", "(.)x/page.tsx", "api/route.ts", "a.b/page.tsx"], null],
  "no page of a group in the root folder": [["(home)/page.tsx"], null],
  "none at all": [[], null],
};
for (const [what, [paths, expected]] of Object.entries(PAGES))
  test(`without the example page the last step names ${what}`, () => {
    create(Object.fromEntries(paths.map((path) => [`app/${path}`, ""])));
    const { stdout } = init("init");
    if (expected) assert.ok(stdout.includes(`\n3. Open http://localhost:3000${expected}. The guard leads`), stdout);
    else assert.match(stdout, /^3\. Add a page below app\/.* Every page but http:\/\/localhost:3000\/ needs a session\.$/m);
  });

test("an auth server on another machine is not started", () => {
  create();
  assert.match(init("init", "--auth-server", "https://auth.example").stdout, /^1\. Let Latchkey run at https:\/\/auth\.example, with ORIGIN=/m);
});

for (const version of ["14.2.35", "15.5.18", "15.6.0", "16.2.6", "16.3.0-canary.1"])
  test(`Next.js ${version} is accepted`, () => {
    create({}, version);
    assert.equal(init("init").status, 0);
  });

test("without node_modules the range in package.json counts", () => {
  create({ "package.json": '{"dependencies": {"next": "^16.2.6"}}', "node_modules/next/package.json": null });
  assert.equal(init("init").status, 0);
});

const REFUSED = {
  "no package.json": [{ "package.json": null }, [], 1, /no package\.json/],
  "a package.json that is no JSON": [{ "package.json": "{" }, [], 1, /not valid JSON/],
  "no folder app": [{ "app/page.tsx": null, "pages/index.js": "" }, [], 1, /neither app\/ nor src\/app\//],
  "no Next.js": [{ "node_modules/next/package.json": null }, [], 1, /not installed.*16\.2\.6/],
  "an old Next.js 16": [{ "node_modules/next/package.json": '{"version": "16.2.5"}' }, [], 1, /has Next\.js 16\.2\.5.*npm install next@\^16\.2\.6/],
  "a prerelease of the first version": [{ "node_modules/next/package.json": '{"version": "15.5.18-canary.1"}' }, [], 1, /\^15\.5\.18/],
  "Next.js 13": [{ "node_modules/next/package.json": '{"version": "13.5.9"}' }, [], 1, /\^14\.2\.35 \|\| \^15\.5\.18 \|\| \^16\.2\.6/],
  "an unknown option": [{}, ["--with-pages"], 2, /^django-latchkey-next: Unknown option '--with-pages'\.\n\nUsage: .*\n/],
  "an option without its value": [{}, ["--origin"], 2, /^django-latchkey-next: Option '--origin <value>' argument missing\.\n\nUsage: /],
  "an option whose value is another option": [{}, ["init", "--origin", "--with-page"], 2, /^django-latchkey-next: Option '--origin' argument is ambiguous\.\n\nUsage: /],
  "an origin with a path": [{}, ["--origin", "http://localhost:3000/a"], 2, /ORIGIN is "http:\/\/localhost:3000\/a"/],
  "an origin without a scheme": [{}, ["--origin", "localhost:3000"], 2, /ORIGIN is/],
  "an auth server that is the origin": [{}, ["--auth-server", "http://localhost:3000"], 2, /AUTH_SERVER is the same/],
  "another command": [{}, ["start"], 2, /^django-latchkey-next: There is no command "init start"\.\n\nUsage: /],
  "a file in the place of a folder": [{ "app/account": "" }, ["--with-page"], 1, /account/],
};
for (const [what, [given, args, code, message]] of Object.entries(REFUSED))
  test(`${what} is an error without a stack trace`, () => {
    create({ "next.config.mjs": TYPED, ...given });
    const before = files(), { status, stderr } = init("init", ...args);
    assert.equal(status, code);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /^ +at /m);
    if (what !== "a file in the place of a folder") assert.deepEqual(files(), before);
  });

test("--help and no command say how the command is used", () => {
  assert.match(init("--help").stdout, /^Usage: npx django-latchkey-next init/);
  assert.deepEqual([init("--help").status, init().status], [0, 2]);
});

test("the archive, which is built without Next.js, has the files of the checked build", () => {
  const root = join(import.meta.dirname, "..");
  for (const path of ["package.json", "tsconfig.json", "tsconfig.pack.json", ...readdirSync(join(root, "src")).map((name) => `src/${name}`)]) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), readFileSync(join(root, path)));
  }
  const { scripts, devDependencies } = JSON.parse(read("package.json"));
  assert.ok(scripts.prepack.includes(`typescript@${devDependencies.typescript} tsc --project tsconfig.pack.json`));
  const compiler = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  const tsc = spawnSync(process.execPath, [compiler, "--project", folder + "/tsconfig.pack.json"], { encoding: "utf8" });
  assert.equal(tsc.status, 0, tsc.stdout);
  const names = (parent) => readdirSync(join(parent, "lib")).sort();
  assert.deepEqual(names(folder), names(root));
  for (const name of names(root)) assert.equal(read(`lib/${name}`), readFileSync(join(root, "lib", name), "utf8"));
});
