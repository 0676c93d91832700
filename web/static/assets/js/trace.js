// Levels, drawn: each participant has one line on which their voice swells, as
// on a chart recorder. One animation loop draws all of them. With reduced
// motion nothing scrolls; a bar shows the level, four times a second.

const spanMs = 8000; // what a line shows
const stepMs = 50; // one sample
const floorDb = -60;

/**
 * A level as a share of the height that is drawn: -60 dB and below is 0.
 * @param {number} db
 */
export const loudness = (db) => Math.min(1, Math.max(0, 1 - db / floorDb));

/** @param {number} linear RMS, 0 to 1 */
export const decibels = (linear) => (linear > 0 ? 20 * Math.log10(linear) : -127);

const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Trace {
  #levels = new Float32Array(Math.ceil(spanMs / stepMs) + 2);
  #head = 0;
  #headAt = 0;
  #ink = "";
  #width = 0;
  #height = 0;

  /**
   * @param {HTMLCanvasElement} canvas drawn in its own text colour
   * @param {() => number} level loudness now, 0 to 1
   */
  constructor(canvas, level) {
    this.canvas = canvas;
    this.level = level;
    this.pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.sizes = new ResizeObserver(() => this.#resize());
    this.sizes.observe(canvas);
    traces.add(this);
    start();
  }

  close() {
    this.sizes.disconnect();
    traces.delete(this);
  }

  /** Reads the colour again; themes change. */
  tint() {
    this.#ink = getComputedStyle(this.canvas).color;
  }

  /** @param {number} now milliseconds */
  draw(now) {
    this.#advance(now);
    if (!this.#width) return;
    this.pen.clearRect(0, 0, this.#width, this.#height);
    if (calm.matches) this.#drawBar();
    else this.#drawLine(now);
  }

  /** @param {number} now */
  #advance(now) {
    if (now - this.#headAt > spanMs) this.#headAt = now - stepMs;
    while (this.#headAt + stepMs <= now) {
      this.#headAt += stepMs;
      this.#head = (this.#head + 1) % this.#levels.length;
      this.#levels[this.#head] = this.level();
    }
  }

  /** The level now, from the left. */
  #drawBar() {
    this.pen.fillStyle = this.#ink;
    const middle = this.#height / 2;
    this.pen.fillRect(0, middle - 0.5, this.#width, 1);
    this.pen.fillRect(0, middle - 3, this.#width * this.#levels[this.#head], 6);
  }

  /**
   * The last seconds, newest on the right, mirrored on the middle.
   * @param {number} now
   */
  #drawLine(now) {
    const { pen } = this;
    const n = this.#levels.length;
    const middle = this.#height / 2;
    const step = this.#width / (n - 2);
    const right = this.#width + step - ((now - this.#headAt) / stepMs) * step;
    const at = (/** @type {number} */ i) => this.#levels[(this.#head - i + n) % n];
    const tall = (/** @type {number} */ i) => 0.6 + at(i) ** 1.4 * (middle - 1.5);
    pen.beginPath();
    pen.moveTo(right, middle);
    for (let i = 0; i < n; i++) pen.lineTo(right - i * step, middle - tall(i));
    for (let i = n - 1; i >= 0; i--) pen.lineTo(right - i * step, middle + tall(i));
    pen.closePath();
    pen.fillStyle = this.#ink;
    pen.fill();
  }

  #resize() {
    const scale = devicePixelRatio || 1;
    this.#width = this.canvas.clientWidth;
    this.#height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.#width * scale);
    this.canvas.height = Math.round(this.#height * scale);
    this.pen.setTransform(scale, 0, 0, scale, 0, 0);
    this.tint();
  }
}

/** @type {Set<Trace>} */
const traces = new Set();
let running = false;
let drawnAt = 0;
let tintedAt = 0;

function start() {
  if (running) return;
  running = true;
  requestAnimationFrame(loop);
}

/** @param {number} now */
function loop(now) {
  running = traces.size > 0;
  if (!running) return;
  requestAnimationFrame(loop);
  if (now - drawnAt < (calm.matches ? 250 : 30)) return;
  drawnAt = now;
  const tint = now - tintedAt > 200;
  if (tint) tintedAt = now;
  for (const trace of traces) {
    if (tint) trace.tint();
    trace.draw(now);
  }
}
