// Draws quality over time: a small line for the row, and a graph of five minutes
// with what was heard above, what was lost below it, and the delay at the foot.

/** @import { History, Point } from "./quality.js" */
import { make, shape } from "./dom.js";
import { spanMs, unbroken } from "./quality.js";
import { Readout, Table } from "./readout.js";
import { ago } from "./words.js";

const wide = 300;
const score = { top: 0, tall: 92 }; // R from 50 to 94
const loss = { top: 100, tall: 26, most: 20 }; // percent, by its root: little loss matters most
const delay = { top: 134, tall: 26, most: 400 }; // ms
const high = delay.top + delay.tall;

/** The lowest R of each class. @type {["good" | "fair" | "poor" | "bad", number, number][]} */
const bands = [["good", 94, 80], ["fair", 80, 70], ["poor", 70, 60], ["bad", 60, 50]];

/** @param {number} r */
const rise = (r) => score.top + score.tall * (1 - (Math.min(94, Math.max(50, r)) - 50) / 44);
/** @param {number} percent */
const lossTall = (percent) => (percent < 0.05 ? 0 : Math.max(2, loss.tall * Math.sqrt(Math.min(1, percent / loss.most))));
/** @param {number} ms */
const delayTall = (ms) => delay.tall * Math.min(1, ms / delay.most);

/** The worse direction of the last minute as a small line. */
export class Spark {
  element = shape("svg", { viewBox: "0 0 48 16", class: "spark", "aria-hidden": "true" });
  #line = shape("path", { class: "spark-line" });

  constructor() {
    this.element.append(this.#line);
  }

  /**
   * @param {History} history
   * @param {number} now
   */
  draw(history, now) {
    const recent = history.points.filter((p) => history.age(p, now) < 60_000);
    const x = (/** @type {Point} */ p) => 48 * (1 - history.age(p, now) / 60_000);
    const y = (/** @type {Point} */ p) => 1 + 14 * (rise(worst(p)) / score.tall);
    this.#line.setAttribute("d", drawn(unbroken(recent, history.stride, (q) => q.r_factor || q.remote_r_factor), x, y));
  }
}

/**
 * What a chart shows.
 * @typedef {object} Scope
 * @property {number} span ms
 * @property {string} words after "Call quality of somebody"
 * @property {string} from where it begins
 * @property {string} until where it ends
 * @property {(p: Point, age: number) => string} when names a point
 */

/** @type {Scope} */
const lately = { span: spanMs, words: "over the last five minutes", from: "5 min ago", until: "now", when: (_, age) => ago(age) };

let charts = 0;

/** The graph of some minutes, with the figures of a moment. */
export class Chart {
  #heard = shape("path", { class: "chart-line", "vector-effect": "non-scaling-stroke" });
  #theirs = shape("path", { class: "chart-line theirs", "vector-effect": "non-scaling-stroke" });
  #loss = shape("path", { class: "chart-loss" });
  #madeUp = shape("path", { class: "chart-made-up" });
  #delay = shape("path", { class: "chart-delay", "vector-effect": "non-scaling-stroke" });
  #buffer = shape("path", { class: "chart-buffer" });
  #cursor = shape("path", { class: "chart-cursor", "vector-effect": "non-scaling-stroke" });
  #plot = make("div", {
    className: "chart-plot", role: "slider", tabIndex: 0, "data-test": "quality-plot",
    "aria-valuemax": "0",
  });
  #readout = new Readout();
  #table = new Table();
  element = make("div", { className: "chart" });
  /** @type {History | undefined} */ #history;
  #now = 0;
  /** @type {number | undefined} */ #looksAt; // time of the point under the cursor; undefined: now

  /**
   * @param {string} name whose sound it is
   * @param {Scope} [scope]
   */
  constructor(name, scope = lately) {
    this.scope = scope;
    const paint = `class-colours-${++charts}`;
    for (const line of [this.#heard, this.#theirs]) line.setAttribute("stroke", `url(#${paint})`);
    const picture = shape("svg", { viewBox: `0 0 ${wide} ${high}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      colours(paint), ...bands.map(band), foot(loss), foot(delay),
      this.#loss, this.#madeUp, this.#buffer, this.#delay, this.#theirs, this.#heard, this.#cursor);
    const labels = Object.entries({ ...labelWords, then: scope.from, now: scope.until }).map(([which, text]) =>
      make("span", { className: `chart-label ${which}`, "aria-hidden": "true" }, text));
    this.#plot.append(picture, ...labels);
    this.#plot.setAttribute("aria-label", `Call quality of ${name} ${scope.words}`);
    this.#plot.setAttribute("aria-valuemin", String(-Math.round(scope.span / 1000)));
    this.#plot.addEventListener("pointermove", (e) => this.#point(e));
    this.#plot.addEventListener("pointerdown", (e) => this.#point(e));
    this.#plot.addEventListener("pointerleave", () => this.#look(undefined));
    this.#plot.addEventListener("keydown", (e) => this.#key(e));
    this.#plot.addEventListener("blur", () => this.#look(undefined));
    this.element.append(this.#plot, key(), this.#readout.element, this.#table.element);
  }

  /**
   * @param {History} history
   * @param {number} now
   */
  draw(history, now) {
    this.#history = history;
    this.#now = now;
    const { span } = this.scope;
    const stride = history.stride;
    const points = history.points.filter((p) => history.age(p, now) < span);
    const x = (/** @type {Point} */ p) => wide * (1 - history.age(p, now) / span);
    const path = (/** @type {(q: Point["q"]) => number} */ of) => drawn(unbroken(points, stride, of), x, (p) => rise(of(p.q)));
    this.#heard.setAttribute("d", path((q) => q.r_factor));
    this.#theirs.setAttribute("d", path((q) => q.remote_r_factor));
    const bars = (/** @type {Panel} */ panel, /** @type {(p: Point) => number} */ tall) =>
      points.map((p, i) => bar(x(p), i && p.at - points[i - 1].at < 2.4 * stride ? x(points[i - 1]) : x(p) - (wide * stride) / span, panel, tall(p))).join("");
    this.#loss.setAttribute("d", bars(loss, (p) => lossTall(Math.max(p.q.loss_percent, p.q.concealed_percent))));
    this.#madeUp.setAttribute("d", bars(loss, (p) => lossTall(p.q.concealed_percent)));
    this.#buffer.setAttribute("d", bars(delay, (p) => delayTall(p.q.buffer_ms)));
    this.#delay.setAttribute("d", drawn(unbroken(points, stride, (q) => q.delay_ms), x, (p) => delay.top + delay.tall - delayTall(p.q.delay_ms)));
    this.#show();
    this.#table.draw(points, (p) => this.scope.when(p, history.age(p, now)));
  }

  /** Writes the figures of the moment that is looked at. */
  #show() {
    const history = this.#history;
    if (!history) return;
    const looked = history.points.find((p) => p.at === this.#looksAt);
    const p = looked ?? history.newest(this.#now);
    const age = looked ? history.age(looked, this.#now) : 0;
    const at = wide * (1 - age / this.scope.span);
    const when = looked ? this.scope.when(looked, age) : this.scope.until;
    this.#cursor.setAttribute("d", looked ? `M${at.toFixed(1)} 0V${high}` : "");
    this.#readout.draw(p?.q, history.whole, when);
    this.#plot.setAttribute("aria-valuenow", String(-Math.round(age / 1000)));
    this.#plot.setAttribute("aria-valuetext", `${when}: ${this.#readout.words}`);
  }

  /** @param {number | undefined} at */
  #look(at) {
    this.#looksAt = at;
    this.#show();
  }

  /** @param {PointerEvent} e */
  #point(e) {
    const history = this.#history;
    const box = this.#plot.querySelector("svg")?.getBoundingClientRect();
    if (!history || !box?.width) return;
    const age = this.scope.span * (1 - (e.clientX - box.left) / box.width);
    const off = (/** @type {Point} */ p) => Math.abs(history.age(p, this.#now) - age);
    const near = history.points.reduce((/** @type {Point | undefined} */ best, p) => (best && off(best) <= off(p) ? best : p), undefined);
    this.#look(near && off(near) < 2 * history.stride ? near.at : undefined);
  }

  /** @param {KeyboardEvent} e */
  #key(e) {
    const points = this.#history?.points ?? [];
    const last = points.length - 1;
    const found = points.findIndex((p) => p.at === this.#looksAt);
    const i = found < 0 ? last : found;
    /** @type {Record<string, number>} */
    const to = { ArrowLeft: i - 1, ArrowDown: i - 1, ArrowRight: i + 1, ArrowUp: i + 1, PageDown: i - 12, PageUp: i + 12, Home: 0, End: last + 1 };
    if (!(e.key in to) || last < 0) return;
    e.preventDefault();
    e.stopPropagation();
    this.#look(to[e.key] > last ? undefined : points[Math.max(0, to[e.key])].at);
  }
}

const labelWords = { good: "good", fair: "fair", poor: "poor", bad: "bad", loss: "20 %", delay: "0.4 s" };

/** @param {Point} p */
function worst(p) {
  const { r_factor: ours, remote_r_factor: theirs } = p.q;
  return ours && theirs ? Math.min(ours, theirs) : ours || theirs;
}

/**
 * Runs of points as a path.
 * @param {Point[][]} runs
 * @param {(p: Point) => number} x
 * @param {(p: Point) => number} y
 */
function drawn(runs, x, y) {
  return runs.map((run) => {
    const at = run.map((p) => `${x(p).toFixed(1)} ${y(p).toFixed(1)}`);
    return `M${at.length > 1 ? at.join("L") : `${at[0]}h.5`}`; // one point alone is a dot
  }).join("");
}

/** @typedef {{top: number, tall: number}} Panel */

/**
 * A bar that stands on the foot of a panel, as wide as its time.
 * @param {number} end
 * @param {number} begin
 * @param {Panel} panel
 * @param {number} tall
 */
function bar(end, begin, panel, tall) {
  const base = panel.top + panel.tall;
  const gap = 0.6;
  const from = Math.max(0, begin);
  return tall && end > from + gap ? `M${from.toFixed(1)} ${base}v${(-tall).toFixed(1)}H${(end - gap).toFixed(1)}V${base}z` : "";
}

/** The line has the colour of the class that it is in. @param {string} id */
function colours(id) {
  const stops = bands.flatMap(([name, top, least]) =>
    [top, least].map((r) => shape("stop", { class: `stop-${name}`, offset: (rise(r) / score.tall).toFixed(3) })));
  const gradient = { id, gradientUnits: "userSpaceOnUse", x1: 0, x2: 0, y1: score.top, y2: score.top + score.tall };
  return shape("defs", {}, shape("linearGradient", gradient, ...stops));
}

/** @param {["good" | "fair" | "poor" | "bad", number, number]} of */
function band([name, top, least]) {
  return shape("rect", { class: `band ${name}`, x: 0, width: wide, y: rise(top), height: rise(least) - rise(top) });
}

/** @param {Panel} panel */
function foot({ top, tall }) {
  return shape("path", { class: "chart-foot", "vector-effect": "non-scaling-stroke", d: `M0 ${top + tall}H${wide}` });
}

/** What the colours stand for. */
function key() {
  const item = (/** @type {string} */ name, /** @type {string} */ words) => make("li", { className: name }, words);
  return make("ul", { className: "chart-key", "aria-hidden": "true" },
    item("heard", "we hear"), item("theirs", "they hear"), item("lost", "lost"),
    item("made-up", "made up"), item("late", "delay"), item("buffered", "of it, jitter buffer"));
}
