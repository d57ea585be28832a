/** Passkeys, by the browser's own functions (WebAuthn Level 3). */

import { bare, own, SessionError, type Caught, type Change, type SessionClient } from "./session-client.ts";
import type { SharedClient } from "./shared_client.ts";
import type { FactorAnswerOptions, Passkey, Passkeys, Session, User } from "./types.ts";

/** What these browsers have, and TypeScript does not know in every version. */
interface Credentials {
  new (): unknown;
  readonly prototype: object;
  parseRequestOptionsFromJSON(options: unknown): PublicKeyCredentialRequestOptions;
  parseCreationOptionsFromJSON(options: unknown): PublicKeyCredentialCreationOptions;
}

const known = () => Reflect.get(globalThis, "PublicKeyCredential") as Credentials | undefined;

/** See `types.ts`. */
export class BrowserPasskeys implements Passkeys {
  readonly #session: Session;
  readonly #client: SessionClient | SharedClient;
  readonly #apply: (change: Change) => void;

  constructor(session: Session, client: SessionClient | SharedClient, apply: (change: Change) => void) {
    this.#session = session;
    this.#client = client;
    this.#apply = apply;
  }

  get supported(): boolean {
    const credentials = known();
    return typeof credentials === "function" && "parseRequestOptionsFromJSON" in credentials && "toJSON" in credentials.prototype;
  }

  async signIn(options?: Parameters<Passkeys["signIn"]>[0]): Promise<User> {
    const { mediation, signal, ...given } = own(options, "mediation", "signal", "remember", "deviceName");
    const wanted = await this.#client.passkeyOptions();
    const answer = await this.#answer(wanted, bare({ mediation, signal }));
    try {
      this.#apply(await this.#client.signInByPasskey(answer, { ...given }));
    } catch (error) {
      const { rpId } = wanted;
      if ((error as Caught).code === "passkey_unknown") await tell("signalUnknownCredential", { rpId, credentialId: answer.id });
      throw error;
    }
    return this.#session.user!;
  }

  async answerFactor(options?: FactorAnswerOptions): Promise<User> {
    const answer = await this.#answer(await this.#client.factorOptions("passkey"));
    return this.#session.answerFactor("passkey", answer, options);
  }

  async enrol(options?: FactorAnswerOptions): Promise<User> {
    const answer = await this.#make(await this.#client.factorOptions("enrol_passkey"));
    return this.#session.answerFactor("enrol_passkey", answer, options);
  }

  async reauthenticate(): Promise<unknown> {
    const { options } = (await this.#session.send("POST", "reauthenticate", { method: "passkey" })) as { options: unknown };
    const answer = await this.#answer(options);
    return this.#session.send("POST", "reauthenticate", { method: "passkey", answer });
  }

  async create(name?: string): Promise<Passkey> {
    const { options } = (await this.#session.send("POST", "factors/passkeys")) as { options: unknown };
    const credential = await this.#make(options);
    return this.#changed(this.#session.send("POST", "factors/passkeys", { credential, name }));
  }

  rename(id: string, name: string): Promise<Passkey> {
    return this.#changed(this.#session.send("PATCH", `factors/passkeys/${id}`, { name }));
  }

  async remove(id: string): Promise<void> {
    await this.#changed(this.#session.send("DELETE", `factors/passkeys/${id}`));
  }

  async #answer(options: unknown, more: object = bare({})): Promise<any> {
    if (!this.supported || !options) throw new SessionError({ code: "unsupported" });
    const publicKey = known()!.parseRequestOptionsFromJSON(options);
    const found: any = await navigator.credentials.get(bare({ publicKey, ...more }));
    return found.toJSON();
  }

  async #make(options: unknown): Promise<any> {
    if (!this.supported || !options) throw new SessionError({ code: "unsupported" });
    const publicKey = known()!.parseCreationOptionsFromJSON(options);
    const made: any = await navigator.credentials.create(bare({ publicKey }));
    return made.toJSON();
  }

  /** Tells the browser which passkeys the account has now. Returns the passkey of the answer. */
  async #changed(answering: Promise<unknown>): Promise<Passkey> {
    const { passkey, accepted } = own(await answering, "passkey", "accepted");
    const { rp_id: rpId, user_handle: userId, user_name: name, credential_ids: allAcceptedCredentialIds } = accepted;
    if (userId) {
      await tell("signalAllAcceptedCredentials", { rpId, userId, allAcceptedCredentialIds });
      await tell("signalCurrentUserDetails", { rpId, userId, name, displayName: name });
    }
    return passkey;
  }
}

/** Tells the browser something about passkeys, if it has this function (WebAuthn Level 3 section 5.1.10). */
async function tell(what: string, given: object): Promise<void> {
  const credentials = known() as Record<string, any> | undefined;
  await credentials?.[what]?.(bare(given)).catch(() => {});
}
