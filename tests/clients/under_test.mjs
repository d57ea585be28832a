// Is loaded before a client in Node (`--import`). It resolves *.test to this machine, as the tests' browser does.
// say(what) sends the test a line of JSON, and resolves when the test has answered.
import dns from "node:dns";
import { createInterface } from "node:readline";

const { lookup } = dns;
dns.lookup = (host, ...rest) => lookup(host.endsWith(".test") ? "127.0.0.1" : host, ...rest);

let lines;
globalThis.say = async (what) => {
  lines ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  console.log(JSON.stringify(what));
  await lines.next();
};
