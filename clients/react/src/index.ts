"use client";

/** The session of a browser. */

import { createElement, type ReactElement, type ReactNode } from "react";
import { createSession, type SessionOptions, type User } from "django-latchkey-browser";
import { StoreProvider } from "./core.js";

export { SessionError } from "django-latchkey-browser";
export type { Challenge, Credentials, FactorAnswerOptions, Passkey, Passkeys, SessionOptions, User } from "django-latchkey-browser";
export { useSession, type SessionActions, type SessionState } from "./core.js";

/** The options of `createSession`. Only those of the first rendering count. */
export interface SessionProviderProps extends Omit<SessionOptions, "stepUp"> {
  /** Who is signed in, if the server that renders the page knows it. null: nobody. undefined: that is not known. */
  initialUser?: User | null | undefined;
  children?: ReactNode;
}

/** Gives the session of this browser to all components below. */
export function SessionProvider({ initialUser, children, ...options }: SessionProviderProps): ReactElement {
  return createElement(StoreProvider, { create: (given) => createSession({ ...options, ...given }), initialUser }, children);
}
