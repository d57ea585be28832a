/** What `django-latchkey-next init` writes. The documentation shows the same files. */

export const CONFIG_IMPORT = `import { withLatchkey } from "django-latchkey-next/config";`;

/** A new `next.config`, in an application that has none. */
export const CONFIG = `${CONFIG_IMPORT}

export default withLatchkey();
`;

/** Returns the export of an ES module, with what it exported before. */
export const exportOf = (value: string): string => `export default withLatchkey(${value})`;

/** Returns the export of a CommonJS module. The package is an ES module, which is imported when Next.js asks for it. */
export const commonJsExportOf = (value: string): string =>
  `module.exports = (...given) => import("django-latchkey-next/config").then(({ withLatchkey }) => withLatchkey(${value})(...given))`;

/** Returns the call that makes a guard, which lets everybody see these files besides the first page. */
function createGuard(files: readonly string[]): string {
  const paths = ["/", "/favicon.ico", ...files].map((path) => JSON.stringify(path));
  const inOneLine = `createGuard({ public: [${paths.join(", ")}] });`;
  return inOneLine.length < 90 ? inOneLine : `createGuard({\n  public: [\n${paths.map((path) => `    ${path},\n`).join("")}  ],\n});`;
}

/** `proxy` from Next.js 16 on, and before `middleware`: the name of the file, and of its export. */
export const guard = (name: string, files: readonly string[]): string => `import { createGuard } from "django-latchkey-next/guard";

export const ${name} = ${createGuard(files)}
`;

/** Returns the lines with which an application's own function calls the guard. */
export const mergedGuard = (files: readonly string[]): string => `import { continues, createGuard } from "django-latchkey-next/guard";
const guard = ${createGuard(files)}
// First in your function, which becomes async:
const response = await guard(request);
if (!continues(response)) return response;
// Then what your function did. Set its headers on this response, and return it.`;

export const PAGE = `import { Suspense } from "react";
import { session } from "django-latchkey-next";
import { SignOut } from "./sign-out";

export default function Account() {
  return (
    <main style={{ padding: "2rem" }}>
      <Suspense>
        <Greeting />
      </Suspense>
    </main>
  );
}

async function Greeting() {
  const found = await session();
  if (!found) return <a href="/sign-in?next=/account">Your session has ended. Sign in again.</a>;
  return (
    <>
      <h1>Hello {found.user.name}</h1>
      <p style={{ margin: "1rem 0", textDecoration: "underline" }}><a href="/devices">Your devices</a></p>
      <SignOut />
    </>
  );
}
`;

export const SIGN_OUT = `"use client";

import { signOut } from "django-latchkey-next/client";

export function SignOut() {
  return (
    <button style={{ padding: "0.25rem 0.75rem", border: "1px solid" }} onClick={() => signOut()}>
      Sign out
    </button>
  );
}
`;
