// Sends the demo's requests, and shows the result of each in the diagram and in words.
//
// Requests to `ask` are ordinary requests. Auxiliary requests (moving the clock, theft) have an invalid Bearer token, so that
// they neither refresh nor acknowledge anything (config/demo/views.py).

import { progress, save, tick } from "./progress.js";
import { Timeline, glyph, minutes } from "./timeline.js";

const BURST = 20;
const PAUSE = 900; // Milliseconds between the steps, so that the user can follow.

const demo = document.getElementById("demo");
const part = Object.fromEntries([...demo.querySelectorAll("[id]")].map((element) => [element.id, element]));
const buttons = demo.querySelectorAll("button[data-do]");
const steps = [...demo.querySelectorAll(".demo-story > li")].map((item) => item.firstElementChild);
const legend = [...demo.querySelectorAll("li[data-outcome]")];
const names = Object.fromEntries(legend.map((item) => [item.dataset.outcome, item.firstChild.textContent]));
const sentences = Object.fromEntries(
  [...demo.querySelectorAll("template[data-sentence]")].map((each) => [each.dataset.sentence, each.content.textContent]),
);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const timeline = new Timeline(part.timeline, names);

// The session's clock, in seconds. `until` is when the access tokens of user and thief expire.
let moved = 0;
const now = () => Date.now() / 1000 + moved;
const owner = { generation: null, until: 0, lifetime: 1, ended: false };
const thief = { generation: null, until: 0 };
let current = null; // The server's generation.

class Unreachable extends Error {}

async function send(path, options) {
  const response = await fetch(path, { cache: "no-store", ...options }).catch(() => null);
  if (!response?.ok) throw new Unreachable();
  return response;
}

const ask = async (query = "") => (await send(demo.dataset.ask + query)).json();

function backstage(path, fields = {}) {
  const token = demo.querySelector("[name=csrfmiddlewaretoken]").value;
  const headers = { Authorization: `Bearer ${demo.dataset.nobody}`, "X-CSRFToken": token };
  return send(path, { method: "POST", headers, body: new URLSearchParams(fields) });
}

// Steps

async function request() {
  take(await ask());
}

/** Makes a request, and shows what the server reads in the two tokens. */
async function lookAtCookies() {
  const { claims = {}, refresh = {}, ...answer } = await ask("?claims");
  take(answer);
  if (answer.outcome === "refused") return;
  const clock = (claim) => new Date(claims[claim] * 1000).toLocaleTimeString(document.documentElement.lang);
  list(part["access-parts"], [...demo.querySelectorAll("template[data-claim]")].map(({ dataset: { claim }, content }) =>
    [`${claim}: ${content.textContent}`, ["iat", "exp"].includes(claim) && claims[claim] ? clock(claim) : claims[claim]]));
  list(part["refresh-parts"], [...demo.querySelectorAll("template[data-part]")].map(({ dataset, content }) =>
    [content.textContent, dataset.value ?? refresh[dataset.part]]));
  part.claims.hidden = false;
}

/** Fills a list with names and values. */
function list(element, pairs) {
  element.replaceChildren(...pairs.flatMap((pair) => ["dt", "dd"].map((tag, place) => {
    const made = document.createElement(tag);
    made.textContent = pair[place] ?? "–";
    return made;
  })));
}

async function revoke() {
  await backstage(demo.dataset.revoke);
  say("revoked", { time: minutes(owner.until - now()) });
}

async function lose() {
  const before = owner.generation;
  const answer = await ask("?lose");
  if (answer.outcome === "refused") return take(answer);
  current = answer.generation;
  draw({ kind: "requests", at: now(), lane: "owner", answers: [{ ...answer, lost: true }], until: owner.until });
  say("lost", { before, after: answer.generation });
}

async function burst() {
  const before = owner.generation;
  const answers = [];
  await Promise.all(Array.from({ length: BURST }, () => ask("?slowly").then((answer) => answers.push(answer))));
  answers.forEach(keep);
  await spend(0); // Twenty responses contained twenty access tokens. The browser has kept one.
  draw({ kind: "requests", at: now(), lane: "owner", answers, until: owner.until });
  const counts = Object.keys(names).map((outcome) => [answers.filter((each) => each.outcome === outcome).length, outcome]);
  const outcomes = counts.filter(([count]) => count).map(([count, outcome]) => `${count} ${names[outcome]}`).join(", ");
  say(owner.ended ? "refused" : "burst", { count: BURST, outcomes, before, after: owner.generation });
}

const wait = () => pass(Number(demo.dataset.later));

async function expire() {
  await pass("the rest");
  say(owner.bound ? "expired-bound" : "expired");
}

async function steal() {
  if (owner.until <= now()) await request();
  await backstage(demo.dataset.steal);
  Object.assign(thief, { generation: owner.generation, until: owner.until });
  draw({ kind: "theft", at: now() });
  say("stolen", { after: thief.generation });
}

async function askAsThief() {
  const answer = await (await backstage(demo.dataset.thief)).json();
  const before = thief.generation;
  if (answer.outcome !== "refused") {
    current = thief.generation = answer.generation;
    thief.until = now() + answer.expires_in;
  }
  draw({ kind: "requests", at: now(), lane: "thief", answers: [answer], until: thief.until });
  const sentence = owner.bound && answer.outcome === "refused" ? "thief-refused-bound" : `thief-${answer.outcome}`;
  say(sentence in sentences ? sentence : answer.outcome, { before, after: current });
}

const STORIES = {
  cookies: [lookAtCookies],
  renew: [expire, request],
  revoke: [request, revoke, request],
  ask: [request],
  wait: [wait],
  expire: [expire],
  burst: [expire, burst],
  lose: [expire, lose, wait, request],
  // The user refreshes and uses the next generation before the thief presents the old one.
  thief: [steal, askAsThief, expire, request, wait, request, askAsThief, request],
  clear: [clear],
};

const ENDINGS = ["revoke", "thief"]; // The stories whose last step finds that the session has ended.

async function pass(seconds) {
  const { at, passed } = await spend(seconds);
  if (!passed) return;
  draw({ kind: "gap", at, seconds: passed, until: owner.until });
  say("passed", { time: minutes(passed) });
}

/** Moves the clock on the server. Returns since when, and by how much. */
async function spend(seconds) {
  const at = now();
  const { passed = 0, expires_in: left = 0 } = await (await backstage(demo.dataset.time, { seconds })).json();
  moved += passed;
  owner.until = at + passed + left;
  return { at, passed };
}

function clear() {
  timeline.clear();
  Object.assign(progress, { events: [], log: [] });
  part.log.replaceChildren();
  return request();
}

// Results

/** Updates what the browser knows after this response. */
function keep(answer) {
  owner.last = answer.outcome;
  if (answer.outcome === "refused") {
    owner.ended = true;
    return;
  }
  owner.generation = answer.generation;
  owner.bound = Boolean(answer.bound);
  owner.until = now() + answer.expires_in;
  owner.lifetime = answer.lifetime;
  current = answer.generation;
}

function take(answer) {
  const before = owner.generation;
  keep(answer);
  draw({ kind: "requests", at: now(), lane: "owner", answers: [answer], until: owner.until });
  const sentence = owner.bound && answer.outcome === "refreshed" ? "refreshed-bound" : answer.outcome;
  say(sentence, { before, after: owner.generation });
}

function draw(event) {
  timeline.add(event);
  progress.events.push(event);
  save();
}

function say(sentence, values = {}) {
  const text = sentences[sentence].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "–");
  write(part.log, sentence, text);
  progress.log.push([sentence, text]);
  save();
  show();
}

function write(log, sentence, text) {
  const item = document.createElement("li");
  item.dataset.sentence = sentence;
  item.textContent = text;
  log.prepend(item);
}

/** Shows the diagram that this tab had before the page was loaded, such as that of a session which has ended. */
function showBefore() {
  if (progress.events.length > 1) progress.before = { events: progress.events, log: progress.log };
  Object.assign(progress, { events: [], log: [] });
  if (!progress.before) return;
  new Timeline(part["timeline-before"], names).restore(progress.before.events);
  for (const [sentence, text] of progress.before.log) write(part["log-before"], sentence, text);
  part.before.hidden = false;
}

/** Shows the current state, after every change and every second. */
function show() {
  const left = owner.ended ? 0 : Math.max(0, owner.until - now());
  const life = owner.ended ? "ended" : left > 0 ? "good" : "expired";
  if (demo.dataset.life !== life) timeline.draw(now());
  demo.dataset.life = life;
  demo.querySelector(".demo-ring .left").style.strokeDasharray = `${100 * Math.min(1, left / owner.lifetime)} 200`;
  part.left.textContent = minutes(Math.ceil(left));
  part["left-is"].textContent = part["left-is"].dataset[life];
  part.life.textContent = part.life.dataset[life];
  part.held.textContent = owner.generation ?? "–";
  if (owner.ended) part.server.textContent = part.server.dataset.ended;
  else part.current.textContent = current ?? "–";
  part.last.textContent = names[owner.last] ?? "–";
  part.last.dataset.outcome = owner.last ?? "";
  part.ended.hidden = !owner.ended;
  // The browser receives these responses itself, and no script sees them.
  demo.querySelector("[data-do=lose]").hidden = Boolean(owner.bound);
  part["lose-bound"].hidden = !owner.bound;
}

// The steps of the story

const opened = () => steps.findIndex((step) => step.open);

/** Opens a step, and closes the others, which their common name does in newer browsers. */
function open(index) {
  steps.forEach((step, place) => { step.open = place === index; });
}

/** Shows the button that leads to the step after the open one, which is also where a new session goes on. */
function showNext() {
  const following = steps[opened() + 1];
  const isStuck = owner.ended && opened() < steps.length - 2; // The following step needs a session.
  part.next.hidden = opened() < 0 || !following || isStuck;
  if (!following) return;
  part.next.textContent = part.next.dataset.label.replace("{step}", following.querySelector("h2").textContent);
  const field = part.ended.querySelector("[name=next]");
  const isDone = "done" in (steps[opened()]?.parentElement.dataset ?? { done: "" });
  if (field) field.value = `${location.pathname}?step=${opened() + (isDone ? 2 : 1)}`;
}

part.next.addEventListener("click", () => {
  open(opened() + 1);
  const summary = steps[opened()].querySelector("summary");
  summary.scrollIntoView({ block: "start", behavior: calm.matches ? "auto" : "smooth" });
  summary.focus({ preventScroll: true });
});
for (const step of steps) step.addEventListener("toggle", showNext);

/** Returns what leads on after the end of the session: in the open step if it has that. */
function lead() {
  const offers = [...(steps[opened()]?.querySelectorAll(".demo-resume") ?? [])];
  return offers.find((offer) => offer.getClientRects().length) ?? part.ended;
}

async function tell(story) {
  demo.setAttribute("aria-busy", "true");
  part.drawn.closest("section").scrollIntoView({ block: "nearest", behavior: calm.matches ? "auto" : "smooth" });
  for (const button of buttons) button.setAttribute("aria-disabled", "true");
  try {
    for (const [index, step] of STORIES[story].entries()) {
      if (index) await new Promise((resolve) => setTimeout(resolve, PAUSE));
      await step();
      const isEnd = ENDINGS.includes(story) && index === STORIES[story].length - 1;
      if (owner.ended && !isEnd) return; // Something else has ended the session: the step was not done.
    }
    const item = demo.querySelector(`.demo-story [data-do=${story}]`)?.closest("li");
    if (item) tick(item);
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    say("unreachable");
  } finally {
    // `disabled` would take the focus away from users of the keyboard.
    for (const button of buttons) button.setAttribute("aria-disabled", String(owner.ended));
    showNext();
    if (owner.ended) lead().scrollIntoView({ block: "nearest" });
    demo.setAttribute("aria-busy", "false");
  }
}

for (const item of legend) item.prepend(glyph(item.dataset.outcome));
part.wait.textContent = part.wait.textContent.replace("{time}", minutes(Number(demo.dataset.later)));
for (const button of buttons) {
  button.addEventListener("click", () => button.getAttribute("aria-disabled") === "true" || tell(button.dataset.do));
}
document.getElementById("unscripted").remove();
demo.hidden = false;
showBefore();
showNext();
take(JSON.parse(demo.dataset.answer));
setInterval(show, 1000);
