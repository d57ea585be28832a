/**
 * Makes the test's application, with a version of React.
 *
 *     node bundle.mjs VERSION FOLDER GIVEN    writes the page that the server renders for GIVEN
 */

import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const from = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Writes `page.js` for a browser and `server.mjs` for Node into the folder. */
export async function bundle(version, folder) {
  const modules = from(version === "18" ? "../../tests/react-18/node_modules" : "../../node_modules");
  const alias = { react: `${modules}/react`, "react-dom": `${modules}/react-dom` };
  const shared = { bundle: true, alias, jsx: "automatic", define: { "process.env.NODE_ENV": '"development"' }, logLevel: "error" };
  await mkdir(folder, { recursive: true });
  await build({ ...shared, entryPoints: [from("page.jsx")], format: "esm", outfile: `${folder}/page.js` });
  const banner = { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' };
  const node = { platform: "node", format: "esm", banner };
  await build({ ...shared, ...node, entryPoints: [from("server.jsx")], outfile: `${folder}/server.mjs` });
}

/** Returns the page of the application as the server renders it. */
export async function rendered(folder, given) {
  const { render } = await import(pathToFileURL(`${folder}/server.mjs`));
  const values = JSON.stringify(given).replaceAll("<", "\\u003c");
  return `<!doctype html><title>React</title><div id="root">${render(given)}</div><script>given = ${values}</script><script type="module" src="page.js"></script>`;
}

if (process.argv[1] === from("bundle.mjs")) {
  const [version, folder, given] = process.argv.slice(2);
  await bundle(version, folder);
  await writeFile(`${folder}/page.html`, await rendered(folder, JSON.parse(given)));
}
