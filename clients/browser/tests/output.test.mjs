import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const read = (path) => readFile(new URL(path, import.meta.url), "utf8");

for (const name of ["session.js", "session-client.js", "session.d.ts"])
  test(`the ${name} that Django serves is what the sources give`, async () => {
    assert.equal(await read(`../../../tokens/static/tokens/${name}`), await read(`../lib/${name}`), "Run npm run build:django.");
  });
