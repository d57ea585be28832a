// Code as an app has it, and mistakes that its compiler must report.
import { createSession, SessionError, type Session, type User } from "../../../../tokens/static/tokens/session.js";

const session: Session = createSession({ mode: "subdomain", api: "https://auth.example.org/api/auth/", origins: [] });
session.addEventListener("expire", (event) => event.preventDefault());

export async function use(): Promise<string> {
  const user: User | null = await session.restore({ signal: AbortSignal.timeout(1000) });
  try {
    await session.signIn({ email: "a", password: "b", remember: true, deviceName: "mine" });
  } catch (error) {
    if (error instanceof SessionError && error.code === "factor_required") {
      const options: unknown = await session.factorOptions("enrol_totp");
      if (options) await session.answerFactor("enrol_totp", "123456", { trustDevice: (error.trustDeviceFor ?? 0) > 0 });
      await session.answerFactor(error.offered?.[0] ?? "totp", "123456");
    }
    if (error instanceof SessionError && error.code === "invalid") return error.errors?.email?.[0] ?? "";
  }
  const response: Response = await session.fetch(new Request("/"), { method: "POST", body: new FormData() });
  const changed: unknown = await session.send("POST", "email/change", { email: "a@example.org", current_password: "b" });
  await session.send("DELETE", "me");
  await session.signOut();
  await session.passkeys.signIn({ mediation: "conditional", signal: AbortSignal.timeout(1000), remember: true });
  await session.passkeys.answerFactor({ trustDevice: true });
  await session.passkeys.enrol();
  const { id, name } = await session.passkeys.create("mine");
  await session.passkeys.rename(id, name);
  await session.passkeys.remove(id);
  if (session.passkeys.supported) await session.passkeys.reauthenticate();
  session.close();
  return user?.email ?? (changed ? "changed" : response.statusText);
}

// @ts-expect-error: there is no such mode
createSession({ mode: "local-storage" });
// @ts-expect-error: there is no such event
session.addEventListener("logout", () => {});
// @ts-expect-error: a password is needed
session.signIn({ email: "a" });
// @ts-expect-error: a body is an object
session.send("POST", "email/change", "a@example.org");
// @ts-expect-error: an answer is needed
session.answerFactor("totp");
// @ts-expect-error: there is no such mediation
session.passkeys.signIn({ mediation: "silently" });
// @ts-expect-error: a page cannot set the user
session.user = null;
// @ts-expect-error: there may be no user
session.user.email;
