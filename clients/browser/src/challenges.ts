/** What a response says about the user who has sent the request. */

import { bare, own } from "./own_properties.ts";
import { REFUSALS } from "./client.ts";
import type { Idle } from "./changes.ts";
import type { Challenge } from "./types.ts";

/** The codes of RFC 9470, with status 401, and of changes to the account, with status 403. */
const STEP_UPS: readonly unknown[] = ["insufficient_user_authentication", "reauthentication_required"];

/** Returns whether the API has rejected our token. Any other 401 is left to the app. */
export async function isRefused(response: Response): Promise<boolean> {
  return response.status === 401 && REFUSALS.includes(own(await problemOf(response), "code").code);
}

/** Returns what a response asks for, if the user has to authenticate again: better, more recently, or after a break. */
export async function challengeOf(
  response: Response,
  client: { idle(): Promise<Idle | undefined> },
): Promise<Challenge | undefined> {
  if (await isRefused(response)) return client.idle();
  const { code, acr_values, max_age, offered } = own(await problemOf(response), "code", "acr_values", "max_age", "offered");
  return STEP_UPS.includes(code) ? bare<Challenge>({ acr_values, max_age, offered }) : undefined;
}

/** Returns the JSON of a 401 or 403, or null. */
async function problemOf(response: Response): Promise<unknown> {
  if (![401, 403].includes(response.status) || !response.headers.get("Content-Type")?.includes("json")) return null;
  return response.clone().json().catch(() => null);
}
