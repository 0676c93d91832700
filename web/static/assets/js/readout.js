// The figures of one moment, and all moments as a table.

/** @import { Quality, QualityPoint } from "./types.js" */
/** @import { Point } from "./quality.js" */
import { make, setText } from "./dom.js";
import { satisfaction } from "./words.js";

const percent = (/** @type {number | undefined} */ v) => (v === undefined ? "–" : `${v.toFixed(1)} %`);
const ms = (/** @type {number | undefined} */ v) => (v === undefined ? "–" : `${v.toFixed(v < 10 ? 1 : 0)} ms`);
const mos = (/** @type {number | undefined} */ v) => (v ? v.toFixed(2) : "–");

export class Readout {
  #when = make("p", { className: "when", "data-test": "quality-when" });
  #figures = make("dl", { className: "figures" });
  element = make("div", { className: "readout" }, this.#when, this.#figures);
  words = "";

  /**
   * @param {QualityPoint | undefined} q of the moment; undefined: not known
   * @param {Quality | undefined} whole of the whole call
   * @param {string} when
   */
  draw(q, whole, when) {
    const figures = [
      ["We hear, MOS", mos(q?.mos ?? whole?.mos)],
      ["They hear, MOS", mos(q?.remote_mos ?? whole?.remote_mos)],
      ["Lost", percent(q?.loss_percent ?? whole?.loss_percent)],
      ["Made up", percent(q?.concealed_percent ?? whole?.concealed_percent)],
      ["Recovered", percent(q?.recovered_percent)],
      ["Lost towards them", percent(q?.remote_loss_percent ?? whole?.remote_loss_percent)],
      ["Jitter", ms(q?.jitter_ms ?? whole?.jitter_ms)],
      ["Delay", ms(q?.delay_ms ?? whole?.delay_ms)],
      ["Jitter buffer", ms(q?.buffer_ms ?? whole?.buffer_ms)],
      ["Round trip", ms(q?.round_trip_ms ?? whole?.round_trip_ms)],
      ["Whole call", mos(whole?.mos_avg)],
      ["Worst 5 s", mos(whole?.mos_min)],
    ];
    if (!this.#figures.childElementCount) {
      for (const [name] of figures) this.#figures.append(make("div", {}, make("dt", {}, name), make("dd")));
    }
    figures.forEach(([, value], i) => setText(this.#figures.children[i].children[1], value));
    setText(this.#when, when);
    const score = q?.mos || q?.remote_mos;
    this.words = q && score
      ? `${satisfaction(score).word}, MOS ${score.toFixed(1)}, ${percent(q.loss_percent)} lost, ${percent(q.concealed_percent)} made up, ${ms(q.delay_ms)} delay`
      : "not measured";
  }
}

/** Every point as a row, made only while somebody looks. */
export class Table {
  #rows = make("tbody");
  element = make("details", { className: "chart-table", "data-test": "quality-table" },
    make("summary", {}, "As a table"),
    make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Quality over time" },
      make("table", {},
        make("thead", {}, make("tr", {}, ...["When", "MOS", "Theirs", "Lost", "Made up", "Delay", "Buffer"].map((name) =>
          make("th", { scope: "col" }, name)))),
        this.#rows)));
  #shown = 0;

  /**
   * @param {Point[]} points
   * @param {(p: Point) => string} when
   */
  draw(points, when) {
    const newest = points[points.length - 1]?.at ?? 0;
    if (!this.element.open || newest === this.#shown) return;
    this.#shown = newest;
    this.#rows.replaceChildren(...points.toReversed().map((p) => make("tr", {},
      make("th", { scope: "row" }, when(p)),
      ...[mos(p.q.mos), mos(p.q.remote_mos), percent(p.q.loss_percent), percent(p.q.concealed_percent), ms(p.q.delay_ms), ms(p.q.buffer_ms)]
        .map((text) => make("td", {}, text)))));
  }
}
