// What a supervisor chooses: listen, whisper to one, or barge in.

/** @import { Participant } from "./types.js" */
/** @import { Seat } from "./seat.js" */
import { find } from "./dom.js";
import { nameOf } from "./words.js";

export class Supervise {
  /** @param {Seat} seat */
  constructor(seat) {
    this.seat = seat;
    this.listen = find("listen", HTMLButtonElement);
    this.barge = find("barge", HTMLButtonElement);
    this.listen.onclick = () => seat.hearBy("nobody");
    this.barge.onclick = () => seat.hearBy("all");
  }

  update() {
    const may = Boolean(this.seat.grants.whisper);
    const now = this.seat.participant(this.seat.me)?.heard_by;
    this.listen.hidden = this.barge.hidden = !may;
    this.listen.setAttribute("aria-pressed", String(now === "nobody"));
    this.barge.setAttribute("aria-pressed", String(now === "all"));
  }
}

/**
 * Who hears somebody, where that is not everybody; empty otherwise.
 * @param {Participant} p
 * @param {Participant[]} all
 */
export function heardWords(p, all) {
  switch (p.heard_by) {
    case undefined:
    case "all": return "";
    case "nobody": return "listens";
    case "humans": return "heard by the team alone";
  }
  const one = all.find((o) => o.id === p.heard_by);
  return one ? `whispers to ${nameOf(one)}` : "listens";
}
