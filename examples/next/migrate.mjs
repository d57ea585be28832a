/** Runs the files in database/ that begin with a number and have not run yet, each in a transaction. */

import { readdir, readFile } from "node:fs/promises";
import pg from "pg";

const folder = new URL("database/", import.meta.url);
const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
try {
  // Only one process migrates at a time.
  await client.query("SELECT pg_advisory_lock(hashtext('shop migrations'))");
  await client.query("CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, ran_at timestamptz NOT NULL DEFAULT now())");
  const { rows } = await client.query("SELECT name FROM migrations");
  const done = new Set(rows.map(({ name }) => name));
  const files = (await readdir(folder)).filter((name) => /^\d+_.*\.sql$/.test(name) && !done.has(name)).sort();
  for (const name of files) {
    await client.query("BEGIN");
    await client.query(await readFile(new URL(name, folder), "utf8"));
    await client.query("INSERT INTO migrations (name) VALUES ($1)", [name]);
    await client.query("COMMIT");
    console.log(`migrated: ${name}`);
  }
} finally {
  await client.end();
}
