// Who is in the room: keeps one row per participant, in order.

/** @import { Participant } from "./types.js" */
/** @import { Seat } from "./seat.js" */
import { announce } from "./dom.js";
import { Row } from "./person.js";
import { decibels, loudness } from "./trace.js";
import { nameOf } from "./words.js";

/**
 * @typedef {object} Actions
 * @property {(p: Participant) => void} keypad
 * @property {(p: Participant) => void} hangUp
 * @property {(p: Participant) => void} whisper
 */

export class People {
  /** @type {Map<string, Row>} */ rows = new Map();
  /** @type {Map<string, number>} linear level by participant */ heard = new Map();
  #settled = false;

  /**
   * @param {HTMLElement} list
   * @param {Seat} seat
   * @param {() => number} own linear level of our microphone
   * @param {Actions} actions
   */
  constructor(list, seat, own, actions) {
    this.list = list;
    this.seat = seat;
    this.own = own;
    this.actions = actions;
    this.timer = setInterval(() => this.tick(Date.now()), 100);
  }

  /** Shows who is there now. */
  update() {
    const here = arrange(this.seat.participants, this.seat.me);
    const ids = new Set(here.map((p) => p.id));
    for (const [id, row] of this.rows) if (!ids.has(id)) this.#remove(id, row);
    here.forEach((p, i) => {
      const row = this.rows.get(p.id) ?? this.#add(p);
      row.update(p);
      if (this.list.children[i] !== row.element) this.list.insertBefore(row.element, this.list.children[i] ?? null);
    });
    this.#settled ||= here.length > 0;
  }

  /** @param {number} now */
  tick(now) {
    for (const row of this.rows.values()) row.tick(now);
  }

  close() {
    clearInterval(this.timer);
    for (const [id, row] of this.rows) this.#remove(id, row, true);
  }

  /**
   * A participant's loudness now, 0 to 1: our own microphone, what we hear, or
   * what the gateway says.
   * @param {Participant} p
   */
  level(p) {
    if (p.away) return 0;
    if (p.id === this.seat.me) return loudness(decibels(this.own()));
    const heard = this.heard.get(p.id);
    if (p.muted) return 0;
    return heard === undefined ? loudness(p.level_db) : loudness(decibels(heard));
  }

  /** @param {Participant} p */
  #add(p) {
    const row = new Row(p, this);
    this.rows.set(p.id, row);
    if (this.#settled && p.id !== this.seat.me) announce(`${nameOf(p)} joined`);
    return row;
  }

  /**
   * @param {string} id
   * @param {Row} row
   * @param {boolean} [quiet]
   */
  #remove(id, row, quiet) {
    row.close();
    this.rows.delete(id);
    this.heard.delete(id);
    if (!quiet && id !== this.seat.me) announce(`${nameOf(row.p)} left`);
  }
}

/**
 * Us first, then by arrival, the legs of one person together.
 * @param {Participant[]} participants
 * @param {string} me
 */
function arrange(participants, me) {
  /** @type {Map<string, string>} */
  const arrival = new Map();
  const mine = participants.find((p) => p.id === me)?.person;
  for (const p of participants) {
    const person = p.person || p.id;
    const first = arrival.get(person);
    if (!first || p.joined_at < first) arrival.set(person, p.joined_at);
  }
  /** @param {Participant} p */
  const key = (p) => {
    const person = p.person || p.id;
    const own = p.id === me ? "0" : mine && person === mine ? "1" : "2";
    return `${own} ${arrival.get(person)} ${person} ${p.joined_at} ${p.id}`;
  };
  return participants.map((p) => ({ p, k: key(p) })).sort((a, b) => (a.k < b.k ? -1 : a.k > b.k ? 1 : 0)).map(({ p }) => p);
}
