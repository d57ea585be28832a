/** Objects that are safe from what somebody has added to `Object.prototype`. */

/**
 * Returns a copy of an object without a prototype. If somebody can add values to `Object.prototype`, they must not choose
 * URLs, tokens and the options of functions that are called here.
 */
export function bare<T extends object>(given: T): T {
  return Object.assign(Object.create(null), given);
}

export function own<T extends object, Name extends keyof T>(value: T | undefined, ...names: Name[]): Partial<Pick<T, Name>>;
export function own<Name extends string>(value: unknown, ...names: Name[]): Partial<Record<Name, any>>;
/** Returns the own properties of a value with these names. The value may be anything, such as the JSON of an answer. */
export function own(value: any, ...names: string[]): Record<string, unknown> {
  const found: Record<string, unknown> = bare({});
  for (const name of names) if (Object(value) === value && Object.hasOwn(value, name)) found[name] = value[name];
  return found;
}
