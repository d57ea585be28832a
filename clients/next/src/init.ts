#!/usr/bin/env node
/**
 * The command `django-latchkey-next init`: adds Latchkey's files to an application with the App Router of Next.js.
 *
 * It overwrites no file. Run again, it changes nothing. Exit code 0: all is in place. 1: the application does not fit,
 * or something is left for the user to do. 2: the command line is wrong.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { latchkeysPath } from "./paths.js";
import { ConfigurationError, settingsFrom } from "./settings.js";
import * as templates from "./templates.js";

const USAGE = `Usage: npx django-latchkey-next init [--origin ORIGIN] [--auth-server ADDRESS] [--with-page]

Adds Latchkey to the Next.js application in this folder. No file is overwritten.

  --origin       the address of the application in the browser (default: http://localhost:3000)
  --auth-server  Latchkey's address for Next.js (default: http://127.0.0.1:8000)
  --with-page    also adds an example page at /account`;
/** Files that belong to public pages in most applications. A document, such as a PDF, may be for some users only. */
const PUBLIC_FILE = /^\w[\w.-]*\.(avif|gif|ico|jpe?g|png|svg|webp|woff2?|webmanifest)$|^(manifest\.json|robots\.txt|sitemap\.xml)$/;
const MOST_PUBLIC_FILES = 12;
const EXTENSIONS = ["ts", "tsx", "js", "jsx", "mjs", "mts"];

/** The command cannot go on. The message is for the user. */
class CommandError extends Error {}

/** The command line is wrong. */
class UsageError extends CommandError {}

interface Application {
  readonly root: string;
  /** The folder of `app/`: "" or "src/". */
  readonly base: string;
  readonly isTypeScript: boolean;
  /** The major version of Next.js. */
  readonly version: number;
}

/** What happened to a file. `toDo`: what the user has to do with it. `note`: what the user should know. */
interface Outcome {
  readonly path: string;
  readonly what: "created" | "changed" | "left as it is";
  readonly toDo?: string;
  readonly note?: string;
}

type Values = Readonly<Record<"ORIGIN" | "AUTH_SERVER", string>>;

function readJson(path: string | URL): Record<string, any> | null {
  if (!existsSync(path)) return null;
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    throw new CommandError(`${path} is not valid JSON.`);
  }
}

/** Returns what this folder has. Throws a CommandError if Latchkey cannot be added to it. */
function application(root: string): Application {
  const described = readJson(join(root, "package.json"));
  if (!described) throw new CommandError("This folder has no package.json. Run the command in the folder of your application.");
  const base = ["", "src/"].find((folder) => existsSync(join(root, folder, "app")));
  const version = checkedVersion(installedVersion(root) ?? described.dependencies?.next ?? "");
  if (base === undefined) throw new CommandError("This folder has neither app/ nor src/app/. The package is for the App Router of Next.js.");
  return { root, base, isTypeScript: existsSync(join(root, "tsconfig.json")), version };
}

function installedVersion(root: string): string | undefined {
  try {
    return readJson(createRequire(join(root, "package.json")).resolve("next/package.json"))?.version;
  } catch {
    return undefined;
  }
}

/** Returns the major version, if it is one of the package's `peerDependencies`. A range counts as its smallest version. */
function checkedVersion(given: string): number {
  const needed: string = readJson(new URL("../package.json", import.meta.url))?.peerDependencies.next;
  const found = /(\d+)\.(\d+)\.(\d+)(-)?/.exec(given);
  if (!found) throw new CommandError(`Next.js is not installed here. Install it first, in one of these versions: ${needed}`);
  const [major = 0, minor = 0, patch = 0] = found.slice(1, 4).map(Number);
  const smallest = needed.split(" || ").map((range) => range.slice(1).split(".").map(Number)).find((one) => one[0] === major);
  const [, leastMinor = 0, leastPatch = 0] = smallest ?? [];
  // A prerelease comes before the release of its number.
  const isNewEnough = minor > leastMinor || (minor === leastMinor && patch - (found[4] ? 1 : 0) >= leastPatch);
  if (smallest && isNewEnough) return major;
  const instead = smallest ? `${smallest.join(".")} or a later version ${major}: npm install next@^${smallest.join(".")}` : needed;
  throw new CommandError(`This application has Next.js ${found[0]}. The package needs ${instead}`);
}

/** Returns the path of the file that has one of these names, with any extension. */
function existing(app: Application, ...names: string[]): string | undefined {
  return names.flatMap((name) => EXTENSIONS.map((extension) => `${name}.${extension}`)).find((path) => existsSync(join(app.root, path)));
}

function write(app: Application, path: string, text: string, what: "created" | "changed"): Outcome {
  mkdirSync(dirname(join(app.root, path)), { recursive: true });
  writeFileSync(join(app.root, path), text, { flag: what === "created" ? "wx" : "w" });
  return { path, what };
}

/** Returns a program without its comments. What looks like a comment in a string stays, such as "/blog/*". */
function withoutComments(text: string): string {
  return text.replace(/("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, "$1");
}

/** Returns whether a program makes the guard of the package, and exports or calls it. */
function usesGuard(code: string): boolean {
  if (!code.includes("django-latchkey-next/guard")) return false;
  if (/\bexport\b[^;]*=\s*guard\b|\bguard\s+as\s+(proxy|middleware|default)\b|\bguard\s*\(/.test(code)) return true;
  const made = /(?:(\bexport\s+)?\b(?:const|let|var)\s+([\w$]+)\b[^=;]*=\s*)?\bcreateGuard\s*\(/.exec(code);
  if (!made) return false;
  const [, isExported, name] = made, withoutStrings = code.replace(/["'][^"'\n]*["']/g, "");
  if (!name || (isExported && /^(proxy|middleware)$/.test(name))) return true;
  return withoutStrings.split(new RegExp(`(?<![\\w$.])${name.replaceAll("$", "\\$")}(?![\\w$])`)).length > 2;
}

/** Returns a configuration whose export is wrapped, or null if its form is not one that is surely understood. */
function wrapped(text: string): string | null {
  if (text.includes("withLatchkey") || text.match(/\b(export|as) default\b|\bmodule\.exports\b/g)?.length !== 1) return null;
  const name = /^(export default|module\.exports =) ([A-Za-z_$][\w$]*)(;)[ \t]*$/m;
  // The last statement: a name, or an object in one line, or an object of which all lines but the last are indented.
  const last = /^(export default|module\.exports =) ([A-Za-z_$][\w$]*|\{[^;/\r\n]*\}|\{\r?\n(?:(?:[ \t][^\r\n]*)?\r?\n)*\})(;?)\s*(?![\s\S])/m;
  const found = name.exec(text) ?? last.exec(text);
  if (!found) return null;
  const [all, keyword, value = "", end] = found, newLine = text.includes("\r\n") ? "\r\n" : "\n";
  const isCommonJs = keyword !== "export default";
  const made = (isCommonJs ? templates.commonJsExportOf : templates.exportOf)(value) + end;
  const changed = text.slice(0, found.index) + made + newLine.repeat(/\n\s*$/.test(all) ? 1 : 0) + text.slice(found.index + all.length);
  if (isCommonJs) return changed;
  const first = /^import [^\r\n]* from ["'][^\r\n]*\r?\n/.exec(text)?.[0] ?? "";
  return first + templates.CONFIG_IMPORT + newLine.repeat(first ? 1 : 2) + changed.slice(first.length);
}

function configuration(app: Application): Outcome {
  const paths = ["js", "mjs", "ts", "mts"].map((extension) => `next.config.${extension}`);
  const path = paths.find((one) => existsSync(join(app.root, one)));
  if (!path) return write(app, `next.config.${app.isTypeScript && app.version > 14 ? "ts" : "mjs"}`, templates.CONFIG, "created");
  const text = readFileSync(join(app.root, path), "utf8");
  if (/\bwithLatchkey\s*\(/.test(withoutComments(text))) return { path, what: "left as it is" };
  const changed = wrapped(text);
  if (changed !== null) return write(app, path, changed, "changed");
  const before = "/* what the file exports now */";
  const lines = text.includes("module.exports") ? [templates.commonJsExportOf(before)] : [templates.CONFIG_IMPORT, templates.exportOf(before)];
  return { path, what: "left as it is", toDo: `Wrap what ${path} exports:\n${lines.join("\n")};` };
}

/** Returns the paths of the files in the first level of `public/` that the pages for everybody may need. */
function publicFiles(app: Application): string[] {
  const folder = join(app.root, "public");
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => PUBLIC_FILE.test(name) && name !== "favicon.ico") : [];
  return names.sort().map((name) => `/${name}`);
}

function guard(app: Application): Outcome {
  const files = publicFiles(app), listed = files.slice(0, MOST_PUBLIC_FILES), others = files.length - listed.length;
  const more = others ? ` ${others} more in public/ need a session until you add them.` : "";
  const name = app.version > 15 ? "proxy" : "middleware";
  const found = existing(app, ...(name === "proxy" ? ["proxy", "middleware"] : ["middleware"]).map((one) => app.base + one));
  if (!found) {
    const path = `${app.base}${name}.${app.isTypeScript ? "ts" : "js"}`;
    const note = `Everybody may see what is in the list public of ${path}, such as your files ${listed.join(", ")}.${more}`;
    return { ...write(app, path, templates.guard(name, listed), "created"), ...(listed.length && { note }) };
  }
  const code = withoutComments(readFileSync(join(app.root, found), "utf8"));
  const toDo = [];
  if (!usesGuard(code)) toDo.push(`Call the guard in ${found}:\n${templates.mergedGuard(listed)}`);
  if (/\bconfig\b[\s\S]*\bmatcher\b/.test(code))
    toDo.push(`Remove matcher from the config in ${found}. The guard does not run for a path that it leaves out.`);
  return { path: found, what: "left as it is", ...(toDo.length && { toDo: toDo.join("\n\n") }) };
}

/** Adds the variables that the file does not have. `given`: those of the command line, which the file should agree with. */
function environment(app: Application, values: Values, given: Partial<Values>): Outcome & { values: Values } {
  const path = ".env.local", isNew = !existsSync(join(app.root, path));
  const text = isNew ? "" : readFileSync(join(app.root, path), "utf8");
  const there = Object.fromEntries(
    Object.keys(values).flatMap((name) => {
      const found = new RegExp(`^[ \\t]*(?:export[ \\t]+)?${name}[ \\t]*=[ \\t]*["']?([^\\s"'#]+)`, "m").exec(text);
      return found ? [[name, found[1]]] : [];
    }),
  );
  const added = Object.entries(values).filter(([name]) => !(name in there)).map(([name, value]) => `${name}=${value}\n`);
  const other = Object.entries(given).filter(([name, value]) => name in there && there[name] !== value);
  const toDo = other.map(([name, value]) => `${path} has another value. Change it if you want this one:\n${name}=${value}`).join("\n");
  const outcome = added.length
    ? write(app, path, text + (text && !text.endsWith("\n") ? "\n" : "") + added.join(""), isNew ? "created" : "changed")
    : ({ path, what: "left as it is" } as const);
  return { ...outcome, ...(toDo && { toDo }), values: { ...values, ...there } };
}

/** Adds the example page and its button. */
function page(app: Application): Outcome[] {
  const files = { page: templates.PAGE, "sign-out": templates.SIGN_OUT };
  return Object.entries(files).map(([name, text]) => {
    const path = `${app.base}app/account/${name}`, found = existing(app, path);
    return found ? { path: found, what: "left as it is" } : write(app, path + (app.isTypeScript ? ".tsx" : ".js"), text, "created");
  });
}

/** Returns the path of a page that needs a session, or null if the application has none. Only paths without parameters count. */
function guardedPage(app: Application, folder = `${app.base}app`, path = ""): string | null {
  const entries = readdirSync(join(app.root, folder), { withFileTypes: true }).sort((one, other) => (one.name < other.name ? -1 : 1));
  const isPage = entries.some(({ name }) => EXTENSIONS.some((extension) => name === `page.${extension}`));
  if (path && isPage && latchkeysPath(path) === null) return path;
  for (const { name } of entries.filter((entry) => entry.isDirectory())) {
    // Next.js leaves out the name of a group, as in (shop), and has no page in _folder, @slot, [parameter] and (.)other.
    const isGroup = /^\([^.()]+\)$/.test(name);
    if (!isGroup && !/^[A-Za-z0-9-][\w-]*$/.test(name)) continue;
    const found = guardedPage(app, `${folder}/${name}`, isGroup ? path : `${path}/${name}`);
    if (found !== null) return found;
  }
  return null;
}

function nextSteps({ ORIGIN, AUTH_SERVER }: Values, page: string | null, isLeft: boolean): string {
  const server = URL.canParse(AUTH_SERVER) ? new URL(AUTH_SERVER) : null, own = URL.canParse(ORIGIN) ? new URL(ORIGIN).port : "";
  const isHere = server && ["127.0.0.1", "localhost", "[::1]"].includes(server.hostname);
  const variables = `ORIGIN=${ORIGIN} TRUSTED_PROXIES=127.0.0.1 TOKENS_ACCESS_LIFETIME=30`;
  const demo = `${variables} uv run --active --no-dev manage.py demo --port ${server?.port || "80"}`;
  const why = "With TOKENS_ACCESS_LIFETIME=30 access tokens expire after 30 seconds, so that you can see a refresh.";
  const start = `Start Latchkey in its checkout, if it does not run yet:\n   ${demo}\n   ${why}`;
  const latchkey = isHere ? start : `Let Latchkey run at ${AUTH_SERVER}, with ORIGIN=${ORIGIN}`;
  const noPage = `Add a page below app/, such as app/account, and open it. Every page but ${ORIGIN}/ needs a session.`;
  return `${isLeft ? "Next steps, after the lines above" : "Next steps"}:
1. ${latchkey}
2. Start the application: npm run dev${own && own !== "3000" ? ` -- --port ${own}` : ""}
3. ${page ? `Open ${ORIGIN}${page}. The guard leads to the sign-in, and back.` : noPage}`;
}

/** Returns what `parse` returns. Its error becomes one line: Node adds advice about how such words can be passed. */
function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (!code.startsWith("ERR_PARSE_ARGS")) throw error;
    throw new UsageError(message.split(/\. |\n/)[0]!.replace(/\.?$/, "."));
  }
}

/** Runs the command in a folder, prints what it did, and returns the exit code. */
function init(root: string, args: string[]): 0 | 1 {
  const text = { type: "string" } as const, flag = { type: "boolean" } as const;
  const options = { origin: text, "auth-server": text, "with-page": flag, help: flag };
  const { values, positionals } = parsed(() => parseArgs({ args, options, allowPositionals: true }));
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (positionals.length === 0) throw new UsageError("Say what to do: init.");
  if (positionals.join(" ") !== "init") throw new UsageError(`There is no command "${positionals.join(" ")}".`);
  const { origin = "http://localhost:3000", "auth-server": server = "http://127.0.0.1:8000" } = values;
  const { origin: ORIGIN, authServer: AUTH_SERVER } = settingsFrom({ ORIGIN: origin, AUTH_SERVER: server });
  const given = { ...(values.origin && { ORIGIN }), ...(values["auth-server"] && { AUTH_SERVER }) };
  const app = application(root);
  const variables = environment(app, { ORIGIN, AUTH_SERVER }, given);
  const outcomes = [configuration(app), guard(app), variables, ...(values["with-page"] ? page(app) : [])];
  for (const { path, what } of outcomes) console.log(`${what.padEnd(14)} ${path}`);
  if (outcomes.every(({ what }) => what === "left as it is")) console.log("\nNothing was changed.");
  for (const { note } of outcomes) if (note) console.log(`\n${note}`);
  const toDo = outcomes.flatMap((one) => one.toDo ?? []);
  if (toDo.length) console.log(`\nLeft for you to do:\n\n${toDo.join("\n\n")}`);
  console.log(`\n${nextSteps(variables.values, values["with-page"] ? "/account" : guardedPage(app), toDo.length > 0)}`);
  return toDo.length ? 1 : 0;
}

try {
  process.exitCode = init(process.cwd(), process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Error)) throw error;
  const isUsage = error instanceof UsageError || error instanceof ConfigurationError;
  // Errors with a code are those of the file system. Their messages name the path.
  if (!isUsage && !("code" in error) && !(error instanceof CommandError)) throw error;
  console.error(`django-latchkey-next: ${error.message}`);
  if (error instanceof UsageError) console.error(`\n${USAGE}`);
  process.exitCode = isUsage ? 2 : 1;
}
