// middleware.js
export { guard as middleware } from "./latchkey";

export const config = { matcher: "/((?!_next/static|_next/image|favicon.ico).*)" };
