"use client";

/** The hook, for a session of any platform. */

import { createContext, createElement, useContext, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import type { ReactElement, ReactNode } from "react";
import type { User } from "django-latchkey-browser";
import { SessionStore, type CreateSession, type SessionActions, type SessionState } from "./store.js";

export type { AnySession, CreateSession, SessionActions, SessionState } from "./store.js";

export interface StoreProviderProps {
  /** Makes the session. Only that of the first rendering counts. */
  create: CreateSession;
  /** Who is signed in, if the server that renders the page knows it. null: nobody. undefined: that is not known. */
  initialUser?: User | null | undefined;
  children?: ReactNode;
}

const Store = createContext<SessionStore | null>(null);

/** Gives the session to all components below. */
export function StoreProvider({ create, initialUser, children }: StoreProviderProps): ReactElement {
  const [store] = useState(() => new SessionStore(create, initialUser));
  useEffect(() => {
    store.start();
    return () => store.stop();
  }, [store]);
  return createElement(Store.Provider, { value: store }, children);
}

/** Returns the state of the session, and what changes it. The component renders again with each change of the state. */
export function useSession(): SessionState & SessionActions {
  const store = useContext(Store);
  if (!store) throw new Error("useSession() needs a <SessionProvider> around the component.");
  const state = useSyncExternalStore(store.subscribe, store.state, store.firstState);
  return useMemo(() => ({ ...state, ...store.actions }), [state, store]);
}
