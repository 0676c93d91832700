// How the sound of a participant has travelled in the last minutes, as the gateway
// tells it: a point about every five seconds. No drawing.

/** @import { Quality, QualityPoint } from "./types.js" */

export const spanMs = 5 * 60_000;
const staleMs = 20_000; // an old figure is no figure

/** @typedef {{at: number, q: QualityPoint}} Point at: by the gateway's clock */

export class History {
  /** @type {Point[]} */ points = [];
  /** @type {Quality | undefined} */ whole;
  #wholeAt = 0;
  /** @type {QualityPoint[] | undefined} */ #past;
  #skew = Infinity; // our clock less the gateway's, with the shortest way that was seen

  /** @param {number} [span] how much is kept, in ms */
  constructor(span = spanMs) {
    this.span = span;
  }

  /**
   * Takes what happened before we came, or while we were away.
   * @param {QualityPoint[] | undefined} past oldest first; the same one again changes nothing
   * @param {number} now
   */
  remember(past, now) {
    if (!past || past === this.#past) return;
    this.#past = past;
    const known = this.points.map((p) => p.q);
    this.points = [];
    const all = new Map([...past, ...known].map((q) => [Date.parse(q.at), q]));
    for (const at of [...all.keys()].sort((a, b) => a - b)) this.#add(/** @type {QualityPoint} */ (all.get(at)), now);
  }

  /**
   * Takes what the gateway says now.
   * @param {Quality | undefined} quality
   * @param {number} now
   */
  note(quality, now) {
    if (!quality) return;
    if (JSON.stringify(quality) !== JSON.stringify(this.whole)) this.#wholeAt = now;
    this.whole = quality;
    if (quality.live) this.#add(quality.live, now);
  }

  /**
   * @param {QualityPoint} q
   * @param {number} now
   */
  #add(q, now) {
    const at = Date.parse(q.at);
    const last = this.points[this.points.length - 1];
    if (!(at > (last?.at ?? -Infinity))) return;
    this.#skew = Math.min(this.#skew, now - at);
    this.points.push({ at, q });
    while (this.points[0].at < at - this.span) this.points.shift();
  }

  /** The time of one point, in ms. */
  get stride() {
    const steps = this.points.slice(1).map((p, i) => p.at - this.points[i].at);
    return Math.max(5000, Math.min(...steps, 60_000));
  }

  /**
   * How long ago a point was, in ms.
   * @param {Point} p
   * @param {number} now
   */
  age(p, now) {
    return Math.max(0, now - this.#skew - p.at);
  }

  /**
   * The newest point, if it is fresh.
   * @param {number} now
   */
  newest(now) {
    const last = this.points[this.points.length - 1];
    return last && this.age(last, now) < staleMs ? last : undefined;
  }

  /**
   * The opinion score of the worse direction now; before the first point what the
   * call says as a whole.
   * @param {number} now
   * @returns {number} 0: not known
   */
  score(now) {
    const p = this.newest(now);
    if (p) return worse(p.q.mos, p.q.remote_mos);
    const fresh = !this.points.length && now - this.#wholeAt < staleMs;
    return fresh ? worse(this.whole?.mos ?? 0, this.whole?.remote_mos ?? 0) : 0;
  }
}

/**
 * The lesser of two figures of which 0 is not known.
 * @param {number} a
 * @param {number} b
 */
const worse = (a, b) => (a && b ? Math.min(a, b) : a || b || 0);

/**
 * Points in runs without a gap, and without those that a figure is not known of.
 * @param {Point[]} points
 * @param {number} stride
 * @param {(q: QualityPoint) => number} figure
 */
export function unbroken(points, stride, figure) {
  /** @type {Point[][]} */
  const runs = [];
  let last = -Infinity;
  for (const p of points) {
    if (!figure(p.q)) continue;
    if (p.at - last > 2.4 * stride) runs.push([]);
    runs[runs.length - 1].push(p);
    last = p.at;
  }
  return runs;
}
