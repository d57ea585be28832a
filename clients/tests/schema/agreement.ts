// The types of the packages are those of the API's description. `schema.d.ts` is generated from it by openapi-typescript.
import type { Credentials, Me, Mode, Passkey, Problem, ProblemCode, SessionInfo, SessionList, User } from "django-latchkey-browser";
import type { Passkey as NextPasskey } from "django-latchkey-next/client";
import type { User as NativeUser } from "django-latchkey-react-native";
import type { components } from "./schema.d.ts";

type Schemas = components["schemas"];
type Readonly_<T> = T extends (infer One)[]
  ? readonly Readonly_<One>[]
  : T extends object
    ? { readonly [Name in keyof T]: Readonly_<T[Name]> }
    : T;
/** Whether each is assignable to the other. */
type Same<Ours, Described> = [Ours, Readonly_<Described>] extends [Readonly_<Described>, Ours] ? true : false;

export const same: {
  mode: Same<Mode, Schemas["ModeEnum"]>;
  user: Same<User, Schemas["UserOutput"]>;
  user_of_react_native: Same<NativeUser, Schemas["UserOutput"]>;
  me: Same<Me, Schemas["MeOutput"]>;
  session: Same<SessionInfo, Schemas["SessionOutput"]>;
  sessions: Same<SessionList, Schemas["SessionsOutput"]>;
  passkey: Same<Passkey, Schemas["PasskeyOutput"]>;
  code: Same<ProblemCode, Schemas["CodeEnum"]>;
  problem: Same<Problem, Schemas["ProblemOutput"]>;
} = {
  mode: true,
  user: true,
  user_of_react_native: true,
  me: true,
  session: true,
  sessions: true,
  passkey: true,
  code: true,
  problem: true,
};

// The package for Next.js declares only a part, so the API has to have that part.
export const part: NextPasskey = {} as Schemas["PasskeyOutput"];

// What a sign-in sends is what the API takes.
export const sent = ({ email, password, remember, deviceName }: Required<Credentials>): Schemas["LoginInputRequest"] => ({
  email,
  password,
  remember,
  device_name: deviceName,
});
