// Call quality over the last minutes: kept once a second per participant, and
// drawn as a line of MOS above bars of loss.

/** @import { Quality } from "./types.js" */
import { make, setText, shape } from "./dom.js";
import { satisfaction } from "./words.js";

const spanMs = 5 * 60_000;
const staleMs = 15_000; // an old figure is no figure
const wide = 300, high = 72, lossHigh = 16;

/** @typedef {{at: number, mos: number, loss: number}} Point */

export class History {
  /** @type {Point[]} */ points = [];
  /** @type {Quality | undefined} */ latest;
  #latestAt = 0;
  /** @type {Quality | undefined} */ #counted;
  #loss = 0;
  #lost = 0;
  #received = 0;

  /**
   * @param {Quality | undefined} quality
   * @param {number} now
   */
  note(quality, now) {
    if (!quality || JSON.stringify(quality) === JSON.stringify(this.latest)) return;
    this.latest = quality;
    this.#latestAt = now;
  }

  /**
   * Adds a point if there is a fresh figure.
   * @param {number} now
   */
  sample(now) {
    while (this.points.length && this.points[0].at < now - spanMs) this.points.shift();
    const q = this.latest;
    if (!q?.mos || now - this.#latestAt > staleMs) return;
    this.points.push({ at: now, mos: q.mos, loss: this.#lossSince(q) });
  }

  /**
   * Loss in percent between the last two reports that differ.
   * @param {Quality} q
   */
  #lossSince(q) {
    if (q === this.#counted) return this.#loss;
    const received = (q.packets_received ?? 0) - this.#received;
    const lost = (q.packets_lost ?? 0) - this.#lost;
    const counts = this.#counted && received + lost > 0;
    this.#loss = counts ? Math.min(100, Math.max(0, (100 * lost) / (received + lost))) : 0;
    this.#counted = q;
    this.#received += received;
    this.#lost += lost;
    return this.#loss;
  }
}

/** The MOS of the last minute as a small line. */
export class Spark {
  element = shape("svg", { viewBox: "0 0 48 16", class: "spark", "aria-hidden": "true" });
  #line = shape("polyline", { class: "spark-line" });

  constructor() {
    this.element.append(this.#line);
  }

  /**
   * @param {History} history
   * @param {number} now
   */
  draw(history, now) {
    const recent = history.points.filter((p) => p.at > now - 60_000);
    const points = recent.map((p) => `${(48 * (1 - (now - p.at) / 60_000)).toFixed(1)},${rise(p.mos, 14, 1)}`);
    this.#line.setAttribute("points", points.join(" "));
  }
}

/** The drawing of the last five minutes, with its figures. */
export class Chart {
  #area = shape("path", { class: "chart-area" });
  #line = shape("path", { class: "chart-line", "vector-effect": "non-scaling-stroke" });
  #loss = shape("path", { class: "chart-loss" });
  #figures = make("dl", { className: "figures" });
  #summary = make("p", { className: "visually-hidden" });
  element = make("div", { className: "chart" });

  constructor() {
    const grid = [4.03, 3.6].map((mos) =>
      shape("line", {
        class: "chart-grid", x1: 0, x2: wide, y1: rise(mos, high), y2: rise(mos, high),
        "vector-effect": "non-scaling-stroke",
      }),
    );
    const box = { viewBox: `0 0 ${wide} ${high + lossHigh}`, preserveAspectRatio: "none", "aria-hidden": "true" };
    const plot = make("div", { className: "chart-plot" });
    const label = (/** @type {string} */ name, /** @type {string} */ text) =>
      make("span", { className: `chart-label ${name}`, "aria-hidden": "true" }, text);
    plot.append(
      shape("svg", box, ...grid, this.#loss, this.#area, this.#line),
      label("good", "good"), label("fair", "fair"), label("poor", "poor"),
      label("then", "5 min ago"), label("now", "now"),
    );
    this.element.append(plot, this.#summary, this.#figures);
  }

  /**
   * @param {History} history
   * @param {number} now
   */
  draw(history, now) {
    const { points, latest } = history;
    const x = (/** @type {Point} */ p) => (wide * (1 - (now - p.at) / spanMs)).toFixed(2);
    const runs = unbroken(points);
    this.#line.setAttribute("d", runs.map((run) => "M" + run.map((p) => `${x(p)} ${rise(p.mos, high)}`).join("L")).join(""));
    this.#area.setAttribute("d", runs.map((run) =>
      `M${x(run[0])} ${high}L` + run.map((p) => `${x(p)} ${rise(p.mos, high)}`).join("L") + `L${x(run[run.length - 1])} ${high}Z`).join(""));
    this.#loss.setAttribute("d", points.filter((p) => p.loss > 0.05).map((p) => {
      const tall = Math.max(2, Math.min(1, p.loss / 10) * lossHigh);
      return `M${x(p)} ${high + lossHigh}v${-tall.toFixed(1)}h1.2v${tall.toFixed(1)}z`;
    }).join(""));
    this.#write(latest);
  }

  /** @param {Quality | undefined} q */
  #write(q) {
    const ms = (/** @type {number | undefined} */ v) => (v ? `${v.toFixed(v < 10 ? 1 : 0)} ms` : "–");
    const figures = [
      ["MOS", q?.mos ? q.mos.toFixed(2) : "–"],
      ["Loss", q ? `${(q.loss_percent ?? 0).toFixed(1)} %` : "–"],
      ["Jitter", ms(q?.jitter_ms)],
      ["Round trip", ms(q?.round_trip_ms)],
      ["Loss towards them", q ? `${(q.remote_loss_percent ?? 0).toFixed(1)} %` : "–"],
    ];
    if (!this.#figures.childElementCount) {
      for (const [name] of figures) this.#figures.append(make("div", {}, make("dt", {}, name), make("dd")));
    }
    figures.forEach(([, value], i) => setText(this.#figures.children[i].children[1], value));
    setText(this.#summary, `Quality over the last five minutes; now ${satisfaction(q?.mos).word}.`);
  }
}

/**
 * Where a MOS is drawn in a height; below 2 all is lost, and drawn at the foot.
 * @param {number} mos
 * @param {number} tall
 * @param {number} [top]
 */
function rise(mos, tall, top = 2) {
  return (top + (tall - top) * (1 - (Math.min(4.5, Math.max(2, mos)) - 2) / 2.5)).toFixed(1);
}

/**
 * Points in runs without a gap of more than 5 s.
 * @param {Point[]} points
 */
function unbroken(points) {
  /** @type {Point[][]} */
  const runs = [];
  let last = -Infinity;
  for (const p of points) {
    if (p.at - last > 5000) runs.push([]);
    runs[runs.length - 1].push(p);
    last = p.at;
  }
  return runs;
}
