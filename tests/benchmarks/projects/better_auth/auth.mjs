// Better Auth with email and password on PostgreSQL, as its documentation sets it up. Variables of the environment:
// DATABASE_URL, and COOKIE_CACHE ("yes" or nothing).

import { createHash } from "node:crypto";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { Pool } from "pg";

const ACCESS_LIFETIME = 600; // seconds, as the access tokens of all peers
const PASSWORD = "the password of every user";

const digest = (password) => createHash("md5").update(password).digest("hex");

// As many connections as the projects on Django have.
const options = {
  baseURL: "http://localhost",
  secret: "the secret of projects that are only measured, as long as it has to be",
  database: new Pool({ connectionString: process.env.DATABASE_URL, max: 10 }),
  emailAndPassword: {
    enabled: true,
    autoSignIn: false,
    // The cheapest way, because signing in is not measured.
    password: {
      hash: async (password) => digest(password),
      verify: async ({ hash, password }) => hash === digest(password),
    },
  },
  rateLimit: { enabled: false }, // All clients sign in from one address.
  session: process.env.COOKIE_CACHE ? { cookieCache: { enabled: true, maxAge: ACCESS_LIFETIME } } : {},
  telemetry: { enabled: false },
};

export const auth = betterAuth(options);

/** Create the tables. */
export async function migrate() {
  const { runMigrations } = await getMigrations(options);
  await runMigrations();
}

/** Create users with the addresses of `populate.address`. */
export async function populate(count) {
  for (let number = 0; number < count; number++) {
    const email = `bench-${number}@example.org`;
    await auth.api.signUpEmail({ body: { email, password: PASSWORD, name: email } });
  }
}
