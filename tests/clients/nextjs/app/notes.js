const notes = (globalThis.notes ??= new Map());

/** Returns the note that somebody keeps here, or "". */
export const noteOf = (person) => notes.get(person) ?? "";

export const keepNote = (person, note) => notes.set(person, note);
