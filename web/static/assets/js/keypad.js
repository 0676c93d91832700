// The keypad: sends digits to one phone, shows those that phones pressed. Keys
// work by click, and by typing while the keypad has the focus.

/** @import { RoomEvent } from "./types.js" */
/** @import { Seat } from "./seat.js" */
import { announce, find, make, setText } from "./dom.js";
import { clock, digitsOf, nameOf } from "./words.js";

const keys = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
const letters = ["", "ABC", "DEF", "GHI", "JKL", "MNO", "PQRS", "TUV", "WXYZ", "", "+", ""];
/** @type {Record<string, string>} */
const spoken = { "*": "star", "#": "pound" };
const noPhone = "No phone is in this room. When one joins, you can send it digits here.";
const notAllowed = "Your role does not send digits. Those that phones press are listed here.";
const joinWithinMs = 4000; // digits closer than this are written together

export class Keypad {
  panel = find("panel-keypad", HTMLElement);
  #choice = find("keypad-call", HTMLSelectElement);
  #sent = find("keypad-sent", HTMLOutputElement);
  #received = find("keypad-received", HTMLElement);
  #grid = find("keypad-keys", HTMLElement);
  #none = find("keypad-none", HTMLElement);
  #some = find("keypad-some", HTMLElement);
  /** @type {{callId: string, at: number, line: HTMLElement} | null} */ #last = null;

  /** @param {Seat} seat */
  constructor(seat) {
    this.seat = seat;
    keys.forEach((key, i) => this.#grid.append(this.#button(key, letters[i])));
    this.panel.addEventListener("keydown", (event) => this.#typed(event));
    this.#choice.onchange = () => setText(this.#sent, "");
  }

  /** Offers the phones that are there now. */
  update() {
    const phones = this.seat.grants.digits ? this.#phones() : [];
    const known = [...this.#choice.options].map((o) => `${o.value} ${o.text}`).join("\n");
    const wanted = phones.map((p) => `${p.call_id} ${nameOf(p)}`).join("\n");
    if (known !== wanted) {
      const chosen = this.#choice.value;
      this.#choice.replaceChildren(...phones.map((p) => make("option", { value: p.call_id, textContent: nameOf(p) })));
      if (phones.some((p) => p.call_id === chosen)) this.#choice.value = chosen;
    }
    setText(this.#none, this.seat.grants.digits ? noPhone : notAllowed);
    this.#none.hidden = phones.length > 0;
    this.#some.hidden = phones.length === 0;
  }

  /** @param {string} callId */
  choose(callId) {
    this.#choice.value = callId;
    setText(this.#sent, "");
    this.focus();
  }

  focus() {
    const first = this.#grid.querySelector("button");
    if (!this.#some.hidden) first?.focus();
  }

  /** @param {RoomEvent} event a dtmf.received */
  received(event) {
    const callId = event.call_id ?? String(event.data?.call_id ?? "");
    const digits = digitsOf(event), now = Date.now();
    if (!digits) return;
    if (this.#last?.callId === callId && now - this.#last.at < joinWithinMs) {
      this.#last.line.append(digits);
      this.#last.at = now;
      return;
    }
    const phone = this.seat.participants.find((p) => p.call_id === callId);
    const line = make("strong", { "data-test": "received-digits" }, digits);
    this.#received.prepend(make("li", {}, make("span", {}, phone ? nameOf(phone) : "A phone"), line,
      make("time", {}, clock(event.time))));
    while (this.#received.childElementCount > 20) this.#received.lastElementChild?.remove();
    this.#last = { callId, at: now, line };
  }

  #phones() {
    return this.seat.participants.filter((p) => p.call_id && p.kind === "phone");
  }

  /**
   * @param {string} key
   * @param {string} under
   */
  #button(key, under) {
    return make("button", {
      type: "button", "data-test": `key-${spoken[key] ?? key}`, "aria-label": spoken[key] ?? key,
      click: () => this.#press(key),
    }, make("span", {}, key), make("small", { "aria-hidden": "true" }, under));
  }

  /** @param {KeyboardEvent} event */
  #typed(event) {
    if (event.target === this.#choice || event.ctrlKey || event.metaKey || event.altKey) return;
    if (keys.includes(event.key)) this.#press(event.key);
  }

  /** @param {string} key */
  #press(key) {
    const callId = this.#choice.value;
    if (!callId || !this.seat.press(callId, key)) {
      announce("Not connected: the digit was not sent.");
      return;
    }
    setText(this.#sent, ((this.#sent.textContent ?? "") + key).slice(-24));
  }
}
