// Draws the timeline: the lane of the user, the session's row with its generations, and the lane of the thief.
//
// An event is one of
//   { kind: "requests", at, lane, answers: [{ outcome, generation, lost }], until }
//   { kind: "gap", at, seconds, until }
//   { kind: "theft", at }
// in the order in which they happened. `at` and `until` are seconds of the session's clock. `until` is when the access token
// of the lane expires, in a gap that of the user. The width of a column depends on its content, and not on the time. The
// time is written below.

const NAMESPACE = "http://www.w3.org/2000/svg";
const HEIGHT = 292;
const Y = { owner: 66, row: 152, thief: 238 };
const HALF = 15; // Half of the height of the row's band.
const RADIUS = 11;
const SMALL = 7.5;
const COLUMNS = 5;
const PITCH = 17; // Distance between the marks of parallel requests.
const WIDTH = { request: 37, burst: 102, gap: 54, theft: 33, margin: 14 };

// Each outcome has its own shape and sign within a circle of RADIUS, so that colour is not needed to distinguish them.
const SHAPES = {
  served: ["M-9 0a9 9 0 1 0 18 0a9 9 0 1 0-18 0z", "M-4 .5l3 3l5-6.5"],
  refreshed: ["M-11 0a11 11 0 1 0 22 0a11 11 0 1 0-22 0z", "M0 5.5V-5M-4.5-.5L0-5.5l4.5 5"],
  repeated: ["M-9-6.5a2.5 2.5 0 0 1 2.5-2.5h13a2.5 2.5 0 0 1 2.5 2.5v13a2.5 2.5 0 0 1-2.5 2.5h-13a2.5 2.5 0 0 1-2.5-2.5z", "M-4.5-2.5h9M-4.5 2.5h9"],
  recovered: ["M0-12.5L12.5 0L0 12.5L-12.5 0z", "M4 3.5V0a3 3 0 0 0-3-3h-5M-1.5-6l-3 3l3 3"],
  refused: ["M-4.6-11h9.2L11-4.6v9.2L4.6 11h-9.2L-11 4.6v-9.2z", "M-4-4l8 8M4-4l-8 8"],
};

function node(name, attributes = {}, ...children) {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Draws a mark: the outcome of one request. Parallel requests have a smaller `radius`. */
export function mark(outcome, x, y, radius = RADIUS) {
  const [shape, sign] = SHAPES[outcome];
  const transform = `translate(${x} ${y}) scale(${radius / RADIUS})`;
  return node("g", { class: "stamp", "data-outcome": outcome, transform },
    node("path", { class: "shape", d: shape }), node("path", { class: "sign", d: sign }));
}

/** Draws a mark for the legend. */
export function glyph(outcome) {
  return node("svg", { class: "demo-timeline", viewBox: "-14 -14 28 28", width: 28, height: 28, "aria-hidden": "true" },
    mark(outcome, 0, 0));
}

/** Returns minutes and seconds, such as 9:58. */
export function minutes(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export class Timeline {
  #events = [];
  #seen = 0;

  /** `names` are the outcomes in the user's language. */
  constructor(svg, names) {
    this.svg = svg;
    this.names = names;
  }

  add(event) {
    this.#events.push(event);
    this.draw(event.at + (event.seconds ?? 0));
    this.#seen = this.#events.length;
    this.svg.parentElement.scrollLeft = this.svg.scrollWidth;
  }

  /** Draws the events of an earlier page. */
  restore(events) {
    this.#events = events;
    this.#seen = events.length;
    const last = events.at(-1);
    this.draw(last.at + (last.seconds ?? 0));
  }

  clear() {
    this.#events = [];
    this.#seen = 0;
    this.svg.replaceChildren();
  }

  /** Draws everything at the time `now`. */
  draw(now) {
    if (!this.#events.length) return;
    const drawing = new Drawing(this.names, this.#events[0].at);
    this.#events.forEach((event, index) => drawing.add(event, index >= this.#seen));
    drawing.finish(now);
    this.svg.setAttribute("width", drawing.x);
    this.svg.setAttribute("height", HEIGHT);
    this.svg.setAttribute("viewBox", `0 0 ${drawing.x} ${HEIGHT}`);
    this.svg.replaceChildren(...Object.values(drawing.layers));
  }
}

class Drawing {
  x = WIDTH.margin;
  layers = Object.fromEntries(
    ["gaps", "lanes", "ways", "server", "marks"].map((name) => [name, node("g", { class: name })]),
  );
  lanes = {};
  generation = null;
  began = 0; // Where the current generation of the row begins.
  rowEnded = false;
  isTimeDue = true; // Whether the time is written under the next request.

  constructor(names, start) {
    this.names = names;
    this.start = start;
  }

  add(event, isNew) {
    this.isNew = isNew;
    this[event.kind](event);
  }

  requests({ at, lane: name, answers, until }) {
    const isBurst = answers.length > 1;
    const width = isBurst ? WIDTH.burst : WIDTH.request;
    const x = this.x + width / 2;
    const lane = (this.lanes[name] ??= { y: Y[name], x: x - RADIUS, at, until });
    this.#run(lane, x, at);
    if (isBurst) this.#burst(lane, name, x, answers);
    else this.#one(lane, name, x, answers[0]);
    lane.until = until;
    if (answers.some((answer) => answer.outcome === "refused")) {
      lane.ended = true;
      this.#end(x);
      this.#put("lanes", node("path", { class: `stop ${name}`, d: `M${x + RADIUS + 5} ${lane.y - 12}v24` }));
    }
    if (this.isTimeDue) this.#put("gaps", this.#text(x, HEIGHT - 8, minutes(at - this.start), "time"));
    this.isTimeDue = false;
    this.x += width;
  }

  gap({ at, seconds, until }) {
    for (const [name, lane] of Object.entries(this.lanes)) {
      if (name === "owner") lane.until = until;
      this.#run(lane, this.x + 3, at);
      this.#run(lane, this.x + WIDTH.gap - 3, at + seconds);
    }
    this.#put("gaps",
      node("rect", { x: this.x + 3, y: 4, width: WIDTH.gap - 6, height: HEIGHT - 28, rx: 6 }),
      this.#text(this.x + WIDTH.gap / 2, 22, `+${minutes(seconds)}`, "gap"));
    this.isTimeDue = true;
    this.x += WIDTH.gap;
  }

  theft({ at }) {
    const x = this.x + WIDTH.theft / 2;
    const { owner } = this.lanes;
    this.#run(owner, x, at);
    this.lanes.thief = { y: Y.thief, x, at, until: owner.until };
    const jar = "M-6.5-9h9v9h-9zM-2.5-5h9v9h-9z"; // A sheet and its copy.
    this.#put("ways", node("path", { class: "theft", d: `M${x} ${Y.owner}V${Y.thief}` }));
    this.#put("marks", node("g", { class: "stamp", "data-theft": "", transform: `translate(${x} ${Y.thief})` },
      node("circle", { class: "shape", r: RADIUS }), node("path", { class: "sign", d: jar, transform: "translate(0 2) scale(.75)" })));
    this.x += WIDTH.theft;
  }

  finish(now) {
    this.isNew = false;
    this.x += 8;
    for (const lane of Object.values(this.lanes)) if (!lane.ended) this.#run(lane, this.x, now);
    this.#ribbon(this.x);
    this.x += 8;
  }

  /** Extends a lane to x: a solid line while its access token is valid, and a dashed line after that. */
  #run(lane, x, at) {
    if (lane.ended || x <= lane.x) return;
    const share = at > lane.at ? (lane.until - lane.at) / (at - lane.at) : Number(lane.until > at);
    const turn = lane.x + (x - lane.x) * Math.min(1, Math.max(0, share));
    const side = lane.y === Y.thief ? "thief" : "owner";
    if (turn > lane.x) this.#put("lanes", node("path", { class: `good ${side}`, d: `M${lane.x} ${lane.y}H${turn}` }));
    if (turn < x) this.#put("lanes", node("path", { class: `expired ${side}`, d: `M${turn} ${lane.y}H${x}` }));
    lane.x = x;
    lane.at = at;
  }

  #one(lane, name, x, answer) {
    this.#mark(answer, name, x, lane.y, RADIUS);
    if (answer.outcome !== "served") this.#way(lane, x, answer);
    this.#move(answer, x);
  }

  /** Draws parallel requests. Those that were answered first are nearest to the row. */
  #burst(lane, name, x, answers) {
    const rows = Math.ceil(answers.length / COLUMNS);
    const foot = lane.y + ((rows - 1) * PITCH) / 2;
    const places = answers.map((_, index) => ({
      x: x + ((index % COLUMNS) - (COLUMNS - 1) / 2) * PITCH,
      y: foot - Math.floor(index / COLUMNS) * PITCH,
    }));
    places.sort((one, other) => other.y - one.y || Math.abs(one.x - x) - Math.abs(other.x - x));
    const sorted = [...answers].sort((one, other) => (other.outcome === "refreshed") - (one.outcome === "refreshed"));
    sorted.forEach((answer, index) => {
      const place = places[index];
      if (answer.outcome !== "served") {
        const target = Y.row - HALF - 3;
        this.#put("ways", node("path", { class: `fan ${answer.outcome}`, d: `M${place.x} ${place.y}Q${place.x} ${target - 14} ${x} ${target}` }));
      }
      this.#mark(answer, name, place.x, place.y, SMALL);
      this.#move(answer, x);
    });
  }

  #mark(answer, lane, x, y, radius) {
    const made = mark(answer.outcome, x, y, radius);
    made.dataset.lane = lane;
    if (answer.generation !== undefined) made.dataset.generation = answer.generation;
    if (answer.lost) made.dataset.lost = "";
    made.append(node("title", {}, this.names[answer.outcome]));
    this.#put("marks", made);
  }

  /** Draws the line of a request to the row, and of its response back, which may be lost. */
  #way(lane, x, { outcome, lost }) {
    const down = lane.y < Y.row ? 1 : -1;
    const top = lane.y + down * (RADIUS + 4);
    const foot = Y.row - down * (HALF + 3);
    const head = (at, y, direction) => `M${at - 3.5} ${y - 5 * direction}L${at} ${y}l3.5 ${-5 * direction}`;
    this.#put("ways", node("path", { class: `way ${outcome}`, d: `M${x - 5} ${top}V${foot}${head(x - 5, foot, down)}` }));
    if (!lost) {
      this.#put("ways", node("path", { class: `way ${outcome}`, d: `M${x + 5} ${foot}V${top}${head(x + 5, top, -down)}` }));
      return;
    }
    const middle = (top + foot) / 2;
    const broken = `M${x + 5} ${foot}V${middle + 9}M${x} ${middle - 5}l10 10m0-10l-10 10`;
    this.#put("ways",
      node("path", { class: "way missing", d: `M${x + 5} ${middle - 9}V${top}${head(x + 5, top, -down)}` }),
      node("path", { class: "way broken", d: broken }));
  }

  /** Begins a generation of the row, if this response is the first with it. */
  #move({ generation }, x) {
    if (generation === undefined || generation === null) return;
    if (this.generation === null) {
      [this.generation, this.began] = [generation, x - 18];
    } else if (generation > this.generation) {
      this.#ribbon(x);
      [this.generation, this.began] = [generation, x];
    }
  }

  #end(x) {
    if (this.rowEnded) return;
    this.#ribbon(x);
    this.rowEnded = true;
    this.began = x;
  }

  /** Draws the current generation of the row up to x: a band whose end points to the next. */
  #ribbon(x) {
    const [top, foot, start] = [Y.row - HALF, Y.row + HALF, this.began];
    if (this.rowEnded) {
      this.#put("server", node("path", { class: "ended", d: `M${start + 8} ${Y.row}H${x}` }),
        node("path", { class: "cross", d: `M${start - 5} ${Y.row - 5}l10 10m0-10l-10 10` }));
      return;
    }
    if (this.generation === null) return;
    const shape = `M${start} ${top}H${x - 7}L${x} ${Y.row}L${x - 7} ${foot}H${start}L${start + 7} ${Y.row}z`;
    this.#put("server", node("g", { class: "generation", "data-generation": this.generation },
      node("path", { d: shape }), this.#text(start + 19, Y.row + 5, this.generation, "number")));
  }

  #text(x, y, content, kind) {
    return node("text", { x, y, class: kind, "text-anchor": "middle" }, String(content));
  }

  #put(layer, ...made) {
    if (this.isNew) for (const each of made) each.classList.add("new");
    this.layers[layer].append(...made);
  }
}
