/**
 * Builds the package in `lib/`.
 *
 * `session.js` imports `session-client.js`, which the shared worker runs. Each is one file, because a bundler copies the
 * worker's file without what it imports. The code stays as it was written, without the types.
 *
 *     npm run build           builds the package
 *     npm run build:django    also writes the copies in `tokens/static/tokens`, which Django serves
 */

import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import * as prettier from "prettier";
import { rollup } from "rollup";
import { dts } from "rollup-plugin-dts";
import tsBlankSpace from "ts-blank-space";
import ts from "typescript";

const from = (path) => fileURLToPath(new URL(path, import.meta.url));
const LIB = from("lib");
const FOLDERS = [LIB, ...(process.argv.includes("--django") ? [from("../../tokens/static/tokens")] : [])];
const CLIENT_SOURCE = from("src/session-client.ts");
/** The comment at the beginning of a module. */
const HEADING = /^\/\*\*.*?\*\/\n\n/s;

/** A plugin that removes what is only TypeScript, with its comments, and leaves the rest as it is. */
const withoutTypes = (entry) => ({
  name: "without-types",
  transform(code, id) {
    const blank = tsBlankSpace(withoutComments(code), (node) => fail(`${id}: ${node.getText()} is more than a type.`));
    return { code: id === entry ? blank.replace(HEADING, "") : blank };
  },
});

/** Returns the code without the comments of its interfaces and types, which would be left over. */
function withoutComments(code) {
  const file = ts.createSourceFile("module.ts", code, ts.ScriptTarget.Latest);
  const types = file.statements.filter((node) => ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node));
  const begin = (node) => ts.getLeadingCommentRanges(code, node.getFullStart())?.[0].pos ?? node.getStart(file);
  return types.reduceRight((rest, node) => rest.slice(0, begin(node)) + rest.slice(node.getStart(file)), code);
}

function fail(message) {
  throw new Error(message);
}

/** Returns the code of one file: the modules that it consists of, or their declarations. */
async function bundled(entry, plugin, external, banner) {
  const bundle = await rollup({
    input: entry,
    external,
    plugins: [plugin],
    treeshake: false,
    onwarn: ({ message }) => fail(message),
  });
  const { output } = await bundle.generate({ format: "es", banner, paths: { [CLIENT_SOURCE]: "./session-client.js" } });
  await bundle.close();
  return output[0].code;
}

async function code(name, external = []) {
  const entry = from(`src/${name}.ts`);
  const [heading] = HEADING.exec(await readFile(entry, "utf8"));
  return bundled(entry, withoutTypes(entry), external, heading);
}

/** Returns the declarations of all modules, without the comments at their beginnings. */
async function declarations(name) {
  const entry = from(`src/${name}.ts`);
  const found = await bundled(entry, dts());
  const modules = await readdir(from("src"));
  const headings = modules.map(async (name) => HEADING.exec(await readFile(from(`src/${name}`), "utf8"))[0].trim());
  return (await Promise.all(headings)).reduce((rest, heading) => rest.replace(heading, ""), found);
}

async function write(folders, name, code, parser) {
  const text = await prettier.format(code, { parser, printWidth: 120 });
  for (const folder of folders) await writeFile(`${folder}/${name}`, text);
}

await rm(LIB, { recursive: true, force: true });
await mkdir(LIB);
await write(FOLDERS, "session-client.js", await code("session-client"), "babel");
await write(FOLDERS, "session.js", await code("session", [CLIENT_SOURCE]), "babel");
await write(FOLDERS, "session.d.ts", await declarations("session"), "typescript");
await write([LIB], "core.js", await code("core"), "babel");
await write([LIB], "core.d.ts", await declarations("core"), "typescript");
