// One row: who somebody is, their voice as a line, their quality, and what may
// be done about them.

/** @import { Participant } from "./types.js" */
/** @import { People } from "./people.js" */
import { icon, make, setIcon, setText } from "./dom.js";
import { Chart, Spark } from "./chart.js";
import { History } from "./quality.js";
import { heardWords } from "./supervise.js";
import { loudness, Trace } from "./trace.js";
import { kindOf, nameOf, satisfaction } from "./words.js";

const speakingAbove = -45; // dB, of what we hear ourselves
const speakingHoldMs = 400;

export class Row {
  history = new History();
  spark = new Spark();
  #loudAt = 0;
  #sampledAt = 0;
  #speaking = false;

  /**
   * @param {Participant} p
   * @param {People} people
   */
  constructor(p, people) {
    this.p = p;
    this.people = people;
    this.mine = p.id === people.seat.me;
    this.chart = new Chart(nameOf(p));
    this.parts = build(this, p);
    this.element = this.parts.element;
    this.trace = new Trace(this.parts.canvas, () => this.people.level(this.p));
  }

  /** @param {Participant} p */
  update(p) {
    this.p = p;
    const name = nameOf(p);
    this.element.dataset.kind = p.kind;
    this.element.classList.toggle("muted", p.muted);
    this.element.classList.toggle("away", Boolean(p.away));
    setIcon(this.parts.avatar, kindOf(p.kind).icon);
    setText(this.parts.name, name);
    setText(this.parts.about, [...aboutWords(p), heardWords(p, this.people.seat.participants)].filter(Boolean).join(" · "));
    this.#tools(p, name);
    this.history.remember(this.people.seat.history[p.id], Date.now());
    this.history.note(p.quality, Date.now());
    this.#rate(name, Date.now());
  }

  /**
   * @param {Participant} p
   * @param {string} name
   */
  #tools(p, name) {
    this.parts.keypad.hidden = !p.call_id || p.kind !== "phone" || !this.people.seat.grants.digits;
    this.parts.hangup.hidden = this.mine || !this.people.seat.grants.hang_up;
    const { seat } = this.people;
    this.parts.whisper.hidden = this.mine || !seat.grants.whisper;
    this.parts.whisper.setAttribute("aria-pressed", String(seat.participant(seat.me)?.heard_by === p.id));
    this.parts.whisper.setAttribute("aria-label", `Whisper to ${name}`);
    this.parts.keypad.setAttribute("aria-label", `Keypad for ${name}`);
    this.parts.hangup.setAttribute("aria-label", `Hang up ${name}`);
  }

  /**
   * @param {string} name
   * @param {number} now
   */
  #rate(name, now) {
    const mos = this.history.score(now);
    const { word, level } = satisfaction(mos);
    this.parts.quality.dataset.level = level;
    const alarm = level === "poor" || level === "bad";
    setText(this.parts.mos, mos ? `${alarm ? `${word} ` : ""}${mos.toFixed(1)}` : "–");
    const label = `Call quality of ${name}: ${word}${mos ? `, MOS ${mos.toFixed(1)}` : ""}`;
    if (this.parts.quality.getAttribute("aria-label") !== label) this.parts.quality.setAttribute("aria-label", label);
  }

  /** @param {number} now */
  tick(now) {
    const level = this.people.level(this.p);
    if (level > loudness(speakingAbove)) this.#loudAt = now;
    const silenced = this.p.muted || this.p.away;
    const speaking = !silenced && (now - this.#loudAt < speakingHoldMs || (!this.mine && this.p.speaking));
    if (speaking !== this.#speaking) {
      this.#speaking = speaking;
      this.element.classList.toggle("speaking", speaking);
      setText(this.parts.state, speaking ? "speaking" : "");
    }
    this.parts.avatar.style.setProperty("--level", level.toFixed(2));
    if (now - this.#sampledAt < 1000) return;
    this.#sampledAt = now;
    this.#rate(nameOf(this.p), now);
    this.spark.draw(this.history, now);
    if (!this.parts.detail.hidden) this.chart.draw(this.history, now);
  }

  close() {
    this.trace.close();
    this.element.remove();
  }

  toggle() {
    const open = this.parts.detail.hidden;
    this.parts.detail.hidden = !open;
    this.parts.quality.setAttribute("aria-expanded", String(open));
    if (open) this.chart.draw(this.history, Date.now());
  }
}

/**
 * Makes the elements of a row.
 * @param {Row} row
 * @param {Participant} p
 */
function build(row, p) {
  const name = make("span", { className: "name", "data-test": "name" });
  const about = make("span", { className: "about" });
  const state = make("span", { className: "visually-hidden", "data-test": "speaking" });
  const badge = make("span", { className: "mute-badge" }, icon("mic-off"));
  const avatar = make("span", { className: "avatar", "data-test": "kind" }, icon("browser"), badge);
  const canvas = make("canvas", { className: "trace", "aria-hidden": "true" });
  const mos = make("span", { className: "mos" });
  const detail = make("div", { className: "detail", hidden: true, "data-test": "quality-chart" }, row.chart.element);
  detail.id = `quality-${p.id}`;
  const quality = make("button", {
    type: "button", className: "quality", "data-test": "quality", "aria-expanded": "false",
    "aria-controls": detail.id, click: () => row.toggle(),
  }, row.spark.element, mos);
  const keypad = make("button", {
    type: "button", className: "small", "data-test": "row-keypad", hidden: true,
    click: () => row.people.actions.keypad(row.p),
  }, icon("keypad"));
  const whisper = make("button", {
    type: "button", className: "small", "data-test": "whisper", hidden: true, title: "Whisper", "aria-pressed": "false",
    click: () => row.people.actions.whisper(row.p),
  }, icon("ear"));
  const hangup = make("button", {
    type: "button", className: "small danger", "data-test": "hangup", hidden: true,
    click: () => row.people.actions.hangUp(row.p),
  }, icon("hangup"));
  const element = make("li", { className: "person", "data-test": "participant", "data-id": p.id },
    avatar,
    make("div", { className: "who" }, make("div", { className: "name-line" }, name), about, state),
    canvas,
    quality,
    make("div", { className: "row-tools" }, whisper, keypad, hangup),
    detail);
  if (row.mine) name.after(make("span", { className: "you" }, "you"));
  return { element, name, about, state, avatar, canvas, detail, quality, mos, whisper, keypad, hangup };
}

/**
 * @param {Participant} p
 * @returns {string[]}
 */
function aboutWords(p) {
  const words = [kindOf(p.kind).word];
  if (p.kind === "phone" && digits(p.identity) !== digits(p.name)) words.push(p.identity);
  if (p.role && p.kind !== "phone") words.push(p.role);
  const codec = p.tracks?.find((t) => t.kind === "audio")?.codec;
  if (codec) words.push(codec);
  if (p.tracks?.some((t) => t.kind === "video")) words.push("camera on");
  if (p.road && p.kind !== "browser") words.push(`hears ${p.road}`);
  if (p.away) words.push("network lost, may come back");
  else if (p.muted) words.push("muted");
  return words;
}

/** @param {string} number */
const digits = (number) => number.replace(/[^0-9a-z]/gi, "");
