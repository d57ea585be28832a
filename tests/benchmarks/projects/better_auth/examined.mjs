// The server for the table of correctness. It prints its port. Each line of standard input is a number of seconds, by which
// this process's clock is moved forward. The server stops when standard input ends.

import { createInterface } from "node:readline";

const Real = Date;
let ahead = 0;

globalThis.Date = class Date extends Real {
  constructor(...given) {
    super(...(given.length ? given : [Real.now() + ahead]));
  }

  static now() {
    return Real.now() + ahead;
  }
};

// Better Auth is loaded after the clock has been replaced.
const { port } = await import("./server.mjs");

console.log(port);
for await (const line of createInterface({ input: process.stdin })) {
  ahead += Number(line) * 1000;
  console.log("done");
}
process.exit();
