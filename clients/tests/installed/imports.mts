// Everything that the packages export, as Node resolves it and as the compiler does.
import * as browser from "django-latchkey-browser";
import * as core from "django-latchkey-browser/core";
import * as next from "django-latchkey-next";
import * as client from "django-latchkey-next/client";
import * as config from "django-latchkey-next/config";
import * as guard from "django-latchkey-next/guard";
import * as react from "django-latchkey-react";
import * as reactCore from "django-latchkey-react/core";
import * as native from "django-latchkey-react-native";

const functions: readonly unknown[] = [
  browser.createSession,
  core.SessionClient,
  next.session,
  client.signOut,
  config.withLatchkey,
  guard.createGuard,
  react.useSession,
  react.SessionProvider,
  reactCore.StoreProvider,
  native.createSession,
  native.SessionProvider,
];
if (functions.some((one) => typeof one !== "function")) throw new Error("an export is missing");
if (native.SessionError !== core.SessionError || native.useSession !== react.useSession) throw new Error("there are two copies");

// The types are found, too: with any in their place, these would be no mistakes.
export const mistakes = () => {
  // @ts-expect-error: a storage is needed
  native.createSession({ api: "https://auth.example.org/api/auth/" });
  // @ts-expect-error: there is no such state
  if (react.useSession().status === "nothing") return;
  // @ts-expect-error: there is no such level
  browser.createSession({ mode: "local-storage" });
  // @ts-expect-error: it is a promise
  next.session().user;
};
