// proxy.js
export { guard as proxy } from "./latchkey";

export const config = { matcher: "/((?!_next/static|_next/image|favicon.ico).*)" };
