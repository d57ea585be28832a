/**
 * The client of the auth API in mode `body`, for programs that are no browser. `django-latchkey-react-native` uses it.
 */

export type { Change, Persistence, Kept, Step } from "./changes.ts";
export { challengeOf, isRefused } from "./challenges.ts";
export { SessionClient } from "./client.ts";
export { SessionError } from "./errors.ts";
export type { Challenge, Credentials, FactorAnswerOptions, User } from "./types.ts";
