// A call that is offered to us: who calls, why, and what to do about it.

/** @import { OfferedCall } from "./types.js" */
/** @import { Seat } from "./seat.js" */
import { announce, find, make, setText } from "./dom.js";

const failures = "The call is no longer offered";

export class Offered {
  #shown = "";

  /** @param {Seat} seat */
  constructor(seat) {
    this.seat = seat;
    this.banner = find("offered", HTMLElement);
    for (const verb of /** @type {const} */ (["brief", "accept", "decline"])) {
      find(`offered-${verb}`, HTMLButtonElement).onclick = () => this.#answer(verb);
    }
  }

  /** Shows the call that may be answered now, if there is one. */
  update() {
    const call = this.seat.offeredCall;
    const open = call?.state === "ringing" || call?.state === "briefing";
    this.banner.hidden = !open;
    const key = call ? `${call.id} ${call.state}` : "";
    if (key === this.#shown) return;
    this.#shown = key;
    if (open && call) this.#show(call);
    else if (call?.state === "failed") announce(`${failures}: ${call.reason ?? ""}`);
  }

  /** @param {OfferedCall} call */
  #show(call) {
    const talking = call.state === "briefing" && call.participant === this.seat.me;
    const taken = call.state === "briefing" && !talking;
    const by = call.handover?.by ? ` from ${call.handover.by}` : "";
    setText(find("offered-title", HTMLElement), talking ? `You talk to who hands over ${call.from}` : `A call${by}: ${call.from}`);
    setText(find("offered-summary", HTMLElement), taken ? "A colleague is being briefed." : [call.handover?.reason, call.handover?.summary].filter(Boolean).join(" · "));
    find("offered-brief", HTMLElement).hidden = !call.briefing || talking || taken;
    find("offered-context", HTMLElement).replaceChildren(...facts(call.handover?.data));
    announce(find("offered-title", HTMLElement).textContent ?? "");
  }

  /** @param {"accept" | "decline" | "brief"} verb */
  #answer(verb) {
    const call = this.seat.offeredCall;
    if (call) this.seat.answerCall(call.call_id, verb);
  }
}

/**
 * The context as pairs of words; what is nested is written as JSON.
 * @param {Record<string, unknown> | undefined} data
 */
function facts(data) {
  return Object.entries(data ?? {}).flatMap(([name, value]) => [
    make("dt", {}, name.replaceAll("_", " ")),
    make("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value)),
  ]);
}
