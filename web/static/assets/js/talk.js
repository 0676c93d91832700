// The two logs beside the room: texts, written or said, and what happened.

/** @import { RoomEvent } from "./types.js" */
/** @import { Seat } from "./seat.js" */
import { announce, find, make } from "./dom.js";
import { clock, digitsOf, duration, happening, nameOf } from "./words.js";

const longest = 300; // lines kept

export class Chat {
  #list = find("chat-log", HTMLElement);
  #form = find("chat-form", HTMLFormElement);
  #input = find("chat-text", HTMLInputElement);
  #empty = find("chat-empty", HTMLElement);
  /** @type {Map<string, HTMLElement>} by speaker: a line that may still change */ #unfinished = new Map();

  /**
   * @param {Seat} seat
   * @param {() => void} arrived a text of somebody else
   */
  constructor(seat, arrived) {
    this.seat = seat;
    this.arrived = arrived;
    this.#form.onsubmit = (event) => {
      event.preventDefault();
      this.#send();
    };
  }

  /** @param {RoomEvent} event of type text */
  received(event) {
    const from = senderOf(event);
    if (from === this.seat.me) return; // shown when it was sent
    const p = this.seat.participant(from);
    const name = p ? nameOf(p) : String(event.data?.name ?? event.data?.identity ?? "Somebody");
    const text = String(event.data?.text ?? "");
    this.#add(name, text, event.time, "theirs");
    announce(`${name} writes: ${text}`);
    this.arrived();
  }

  /**
   * What somebody said, in words. A line that may still change is replaced by the next.
   * @param {RoomEvent} event of type transcript.partial or transcript.final
   */
  spoken(event) {
    const u = event.data?.utterance;
    if (!u) return;
    const speaker = u.participant || u.identity;
    this.#unfinished.get(speaker)?.remove();
    this.#unfinished.delete(speaker);
    const p = this.seat.participant(u.participant);
    const line = this.#add(p ? nameOf(p) : String(u.identity || "Somebody"), u.text + (u.cut ? " –" : ""), undefined, "spoken");
    line.querySelector("time")?.replaceChildren(duration(u.start_ms));
    line.dataset.final = String(u.final);
    if (!u.final) this.#unfinished.set(speaker, line);
  }

  focus() {
    this.#input.focus();
  }

  #send() {
    const text = this.#input.value.trim();
    if (!text) return;
    if (!this.seat.say(text)) {
      announce("Not connected: the text was not sent. It stays in the field.");
      this.#input.setCustomValidity("Not connected. Try again in a moment.");
      this.#input.reportValidity();
      this.#input.oninput = () => this.#input.setCustomValidity("");
      return;
    }
    this.#input.value = "";
    this.#add("You", text, undefined, "mine");
  }

  /**
   * @param {string} name
   * @param {string} text
   * @param {string | undefined} time
   * @param {string} side
   */
  #add(name, text, time, side) {
    this.#empty.hidden = true;
    const line = make("li", { className: side, "data-test": side === "spoken" ? "spoken-line" : "chat-line" },
      make("div", { className: "by" }, make("span", {}, name), make("time", {}, clock(time).slice(0, 5))),
      make("p", {}, text));
    append(this.#list, line);
    return line;
  }
}

export class Timeline {
  #list = find("event-log", HTMLElement);
  #empty = find("event-empty", HTMLElement);
  /** @type {Map<string, string>} names of those who left */ #names = new Map();

  /** @param {Seat} seat */
  constructor(seat) {
    this.seat = seat;
  }

  /** Remembers names, for events about people who have left. */
  update() {
    for (const p of this.seat.participants) {
      this.#names.set(p.id, nameOf(p));
      if (p.call_id) this.#names.set(p.call_id, nameOf(p));
    }
  }

  /** @param {RoomEvent} event */
  add(event) {
    this.#empty.hidden = true;
    if (event.type === "participant.quality") announce(`${happening(event)}: ${this.#about(event)}`);
    append(this.#list, make("li", { "data-test": "event-line", "data-type": event.type },
      make("time", {}, clock(event.time)),
      make("span", { className: "what" }, happening(event)),
      make("span", { className: "whom" }, this.#about(event))));
  }

  /** @param {RoomEvent} event */
  #about(event) {
    const d = event.data ?? {};
    const name = this.#names.get(senderOf(event)) ?? this.#names.get(event.call_id ?? "") ?? d.name ?? d.identity ?? d.call?.from ?? "";
    const digits = event.type.startsWith("dtmf") ? digitsOf(event) : "";
    const reason = event.type === "call.ended" ? d.call?.reason || d.call?.cause : "";
    return [name, digits, d.kind === "video" ? "camera" : "", reason].filter(Boolean).join(" · ");
  }
}

/**
 * The participant whom an event is about.
 * @param {RoomEvent} event
 * @returns {string}
 */
function senderOf(event) {
  const p = event.data?.participant ?? event.data?.participant_id ?? "";
  return typeof p === "object" ? String(p?.id ?? "") : String(p);
}

/**
 * Adds a line; stays at the end if the reader was there.
 * @param {HTMLElement} list
 * @param {HTMLElement} line
 */
function append(list, line) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(line);
  while (list.childElementCount > longest) list.firstElementChild?.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}
