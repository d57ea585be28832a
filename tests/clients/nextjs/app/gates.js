const gates = (globalThis.gates ??= new Map());

/** Returns the gate of this name. `open` resolves the promise `opened`. */
export function gate(name) {
  if (!gates.has(name)) {
    const made = {};
    made.opened = new Promise((resolve) => (made.open = resolve));
    gates.set(name, made);
  }
  return gates.get(name);
}
