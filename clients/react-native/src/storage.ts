/** Where the tokens are kept: the keychain of iOS, or the keystore of Android. */

import type { Kept } from "django-latchkey-browser/core";

/** A store of strings, such as `expo-secure-store` (by `secureStore`). Each method may return a promise. */
export interface Storage {
  getItem(key: string): string | null | undefined | Promise<string | null | undefined>;
  setItem(key: string, value: string): unknown;
  deleteItem(key: string): unknown;
}

/** What is used of `expo-secure-store`. */
export interface ExpoSecureStore<Options> {
  getItemAsync(key: string, options?: Options): Promise<string | null>;
  setItemAsync(key: string, value: string, options?: Options): Promise<void>;
  deleteItemAsync(key: string, options?: Options): Promise<void>;
}

/**
 * Returns `expo-secure-store` as a `Storage`.
 *
 * `options`: those of its functions, for example `{ keychainAccessible: AFTER_FIRST_UNLOCK_THIS_DEVICE_ONLY }`, with which
 * no backup contains the tokens.
 */
export function secureStore<Options>(store: ExpoSecureStore<Options>, options?: Options): Storage {
  return {
    getItem: (key) => store.getItemAsync(key, options),
    setItem: (key, value) => store.setItemAsync(key, value, options),
    deleteItem: (key) => store.deleteItemAsync(key, options),
  };
}

/** All that is kept. */
export interface Record extends Kept {
  /** The refresh tokens of sessions that the user has left while the server could not be reached. */
  readonly left?: readonly string[] | undefined;
}

/** One entry of a `Storage`. Writes do not overtake each other. */
export class Entry {
  readonly #storage: Storage;
  readonly #key: string;
  #record: Record = {};
  #last: Promise<unknown> = Promise.resolve();

  constructor(storage: Storage, key: string) {
    this.#storage = storage;
    this.#key = key;
  }

  /** What was read or written last. */
  get record(): Record {
    return this.#record;
  }

  /** Reads the entry. What is not ours counts as empty. */
  async read(): Promise<Record> {
    const text = await this.#storage.getItem(this.#key);
    this.#record = recordOf(text);
    return this.#record;
  }

  /** Changes the entry. If that fails, the entry is as before. */
  write(changes: Record): Promise<void> {
    const write = async () => {
      const record = { ...this.#record, ...changes };
      const text = JSON.stringify(record, (_, value) => (value instanceof Array && !value.length ? undefined : value));
      await (text === "{}" ? this.#storage.deleteItem(this.#key) : this.#storage.setItem(this.#key, text));
      this.#record = record;
    };
    const done = this.#last.then(write);
    this.#last = done.catch(() => {});
    return done;
  }
}

function recordOf(text: string | null | undefined): Record {
  try {
    const found: unknown = JSON.parse(text || "{}");
    return found !== null && typeof found === "object" ? found : {};
  } catch {
    return {};
  }
}
