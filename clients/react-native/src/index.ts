/** Latchkey for React Native and Expo. */

import { createElement, type ReactElement, type ReactNode } from "react";
import { StoreProvider } from "django-latchkey-react/core";
import { NativeSession, type NativeSessionOptions } from "./native_session.js";

export { SessionError } from "django-latchkey-browser/core";
export type { Challenge, Credentials, FactorAnswerOptions, User } from "django-latchkey-browser/core";
export { useSession, type SessionActions, type SessionState } from "django-latchkey-react/core";
export type { AppState, NativeSession, NativeSessionOptions } from "./native_session.js";
export { secureStore, type ExpoSecureStore, type Storage } from "./storage.js";

/** Creates the session of an app. There has to be one only for each `key`. */
export function createSession(options: NativeSessionOptions): NativeSession {
  return new NativeSession(options);
}

/** The options of `createSession`. Only those of the first rendering count. */
export interface SessionProviderProps extends Omit<NativeSessionOptions, "stepUp"> {
  children?: ReactNode;
}

/** Gives the session of this app to all components below, for `useSession`. */
export function SessionProvider({ children, ...options }: SessionProviderProps): ReactElement {
  return createElement(StoreProvider, { create: (given) => createSession({ ...options, ...given }) }, children);
}
