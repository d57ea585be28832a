const notes = (globalThis.notes ??= new Map());

/** Returns a user's note, or "". */
export const noteOf = (person) => notes.get(person) ?? "";

export const keepNote = (person, note) => notes.set(person, note);
