/** The header Cookie. Its other parts are passed on unchanged, because an application may read them. */

const pairsOf = (header: string | null): string[] => (header ? header.split(/; */).filter(Boolean) : []);
// `trim` would also remove blanks that a browser keeps. Then a cookie whose name begins with one would pass for ours.
const trimmed = (text: string): string => text.replace(/^[ \t]+|[ \t]+$/g, "");
const nameOf = (pair: string): string => trimmed(pair.split("=", 1)[0]!);
const valueOf = (pair: string): string => trimmed(pair.slice(pair.indexOf("=") + 1)).replace(/^"(.*)"$/, "$1");

/** Returns the name and value of each cookie with a value, in their order. */
export function cookiesOf(header: string | null): [name: string, value: string][] {
  const found = pairsOf(header).filter((pair) => pair.includes("="));
  return found.map((pair): [string, string] => [nameOf(pair), valueOf(pair)]).filter(([, value]) => value !== "");
}

export function valuesOf(header: string | null, name: string): string[] {
  return cookiesOf(header).filter(([other]) => other === name).map(([, value]) => value);
}

/** Returns the header without the cookies of these names, and with the given ones at its end. */
export function withoutCookies(header: string | null, names: readonly string[], added: readonly string[] = []): string {
  return [...pairsOf(header).filter((pair) => !names.includes(nameOf(pair))), ...added].join("; ");
}

/** Returns the header as the browser will send it after the response with these Set-Cookie lines. */
export function afterResponse(header: string | null, lines: readonly string[]): string {
  const changed = lines.map((line) => line.split(";", 1)[0]!);
  return withoutCookies(header, changed.map(nameOf), changed.filter((pair) => valueOf(pair) !== ""));
}
