// The room page: reads the token, shows the screen before joining, then joins
// the parts: devices and seat on one side, the views on the other.

/** @import { Participant, RoomEvent } from "./types.js" */
import { Controls } from "./controls.js";
import { Devices } from "./devices.js";
import { announce, find, setText } from "./dom.js";
import { Keypad } from "./keypad.js";
import { Offered } from "./offered.js";
import { People } from "./people.js";
import { Playback } from "./playback.js";
import { Prejoin } from "./prejoin.js";
import { Seat } from "./seat.js";
import { Supervise } from "./supervise.js";
import { Chat, Timeline } from "./talk.js";
import { claimsOf, forgetToken, isAccepted, readToken, roomName } from "./token.js";
import { duration, nameOf, roadWords } from "./words.js";

const measureEveryMs = 100;

const room = roomName();
const token = readToken(room);
const claims = claimsOf(token);

for (const node of document.querySelectorAll("[data-room]")) setText(node, room);
setText(find("origin", HTMLElement), location.origin);
document.title = `${room} – Roomline`;
addEventListener("hashchange", () => location.reload());
addEventListener("pageshow", (event) => event.persisted && location.reload());

if (!token) show("no-token");
else if (claims.expiresAt && claims.expiresAt < Date.now()) expired();
else before();

function expired() {
  forgetToken(room);
  ended(`This link expired at ${new Date(claims.expiresAt).toLocaleString()}. Ask for a new one.`, false);
}

function before() {
  const devices = new Devices(() => prejoin.update());
  const prejoin = new Prejoin(devices, claims, (name) => {
    prejoin.close();
    new Visit(devices, name);
  });
  show("prejoin");
  prejoin.open(!["caller", "supervisor"].includes(claims.role)).then(() => prejoin.update())
    .then(() => isAccepted(room) && prejoin.join());
}

/** One stay in the room, from joining to leaving. */
class Visit {
  #joinedAt = 0;

  /**
   * @param {Devices} devices
   * @param {string} name
   */
  constructor(devices, name) {
    this.devices = devices;
    this.seat = new Seat({ room, token, name }, {
      changed: () => this.#update(),
      happened: (event) => this.#happened(event),
      track: (participant, track) => this.playback.add(participant, track),
      trackGone: (track) => this.playback.remove(track),
      tracksGone: () => this.playback.clear(),
      problem: toast,
      ended: (words) => this.#end(words),
    });
    this.playback = new Playback(find("videos", HTMLElement), find("sound-blocked", HTMLElement), find("sound-on", HTMLButtonElement), this.seat);
    this.people = new People(find("people", HTMLElement), this.seat, () => devices.level(), {
      keypad: (p) => this.#openKeypad(p),
      hangUp: (p) => this.#askHangUp(p),
      whisper: (p) => this.seat.hearBy(p.id),
    });
    this.keypad = new Keypad(this.seat);
    this.offered = new Offered(this.seat);
    this.supervise = new Supervise(this.seat);
    this.timeline = new Timeline(this.seat);
    this.controls = new Controls(devices, {
      leave: () => this.seat.leave(),
      speaker: (id) => this.playback.setSpeaker(id),
      panel: () => {},
    });
    this.chat = new Chat(this.seat, () => this.controls.hint("chat"));
    devices.changed = () => this.#devicesChanged();
    this.timer = setInterval(() => this.#measure(), measureEveryMs);
    addEventListener("pagehide", () => this.seat.leave(), { once: true });
    show("room");
    this.#update();
    this.seat.join(devices.mic, devices.cam, devices.muted);
    find("room-title", HTMLElement).focus({ preventScroll: true });
  }

  #update() {
    const { seat } = this;
    if (seat.phase === "live" && !this.#joinedAt) {
      this.#joinedAt = Date.now();
      announce(`You joined ${room}`);
    }
    this.people.update();
    this.timeline.update();
    this.keypad.update();
    this.offered.update();
    this.supervise.update();
    this.playback.showOwn(this.devices.cam);
    this.playback.update();
    this.controls.update(Boolean(seat.peer?.takesVideo && seat.grants.camera));
    this.#status();
  }

  #status() {
    const { seat } = this;
    const status = find("status", HTMLElement);
    const [state, words] = this.#standing();
    status.dataset.state = state;
    setText(find("status-words", HTMLElement), words);
    find("reconnecting", HTMLElement).hidden = state !== "reconnecting" || !this.#joinedAt;
    const count = seat.participants.length;
    setText(find("count", HTMLElement), count === 1 ? "1 here" : `${count} here`);
    const roads = seat.participants.map((p) => p.road).filter(Boolean);
    const road = roads.find((r) => r === "mixed") ?? roads[0] ?? "";
    const badge = find("road", HTMLElement);
    badge.hidden = !road;
    badge.dataset.road = road;
    badge.title = road ? roadWords(road) : "";
    setText(find("road-words", HTMLElement), road);
  }

  /** @returns {[string, string]} */
  #standing() {
    const { phase, media } = this.seat;
    if (phase === "joining") return ["connecting", "Joining"];
    if (phase === "reconnecting") return ["reconnecting", "Reconnecting"];
    if (media === "disconnected" || media === "failed") return ["reconnecting", "Reconnecting"];
    if (media !== "connected") return ["connecting", "Connecting sound"];
    return ["connected", "Connected"];
  }

  /** @param {RoomEvent} event */
  #happened(event) {
    switch (event.type) {
      case "text": return this.chat.received(event);
      case "transcript.partial":
      case "transcript.final": return this.chat.spoken(event);
      case "dtmf.received":
        this.keypad.received(event);
        this.controls.hint("keypad");
    }
    this.timeline.add(event);
  }

  #devicesChanged() {
    const { devices, seat } = this;
    seat.setMic(devices.mic, devices.muted);
    seat.setCam(devices.cam);
    this.#update();
  }

  async #measure() {
    if (this.#joinedAt) setText(find("clock", HTMLElement), duration(Date.now() - this.#joinedAt));
    const peer = this.seat.peer;
    if (!peer || document.hidden) return;
    const { heard } = await peer.measure();
    this.people.heard = heard;
  }

  /** @param {Participant} p */
  #openKeypad(p) {
    this.controls.show("keypad");
    this.keypad.choose(p.call_id ?? "");
  }

  /** @param {Participant} p */
  #askHangUp(p) {
    const dialog = find("hangup-dialog", HTMLDialogElement);
    setText(find("hangup-name", HTMLElement), nameOf(p));
    dialog.onclose = () => {
      if (dialog.returnValue === "hangup" && !this.seat.hangUp(p.id)) toast("Not connected: nobody was hung up.");
    };
    dialog.returnValue = "";
    dialog.showModal();
  }

  /** @param {string} words */
  #end(words) {
    clearInterval(this.timer);
    this.playback.showOwn(null);
    this.playback.clear();
    this.people.close();
    this.controls.close();
    this.devices.changed = () => {};
    this.devices.close();
    ended(words, true);
  }
}

/**
 * @param {string} words why; empty when we left ourselves
 * @param {boolean} again whether the link may still work
 */
function ended(words, again) {
  setText(find("ended-title", HTMLElement), words ? "You are no longer in the room" : "You left the room");
  setText(find("ended-words", HTMLElement), words || `Nobody in ${room} hears or sees you any more.`);
  const button = find("rejoin", HTMLButtonElement);
  button.hidden = !again;
  button.onclick = () => location.reload();
  show("ended");
  find("ended-title", HTMLElement).focus();
}

/** @param {"no-token" | "prejoin" | "room" | "ended"} screen */
function show(screen) {
  for (const node of document.querySelectorAll("main > [data-screen]")) {
    /** @type {HTMLElement} */ (node).hidden = node.id !== screen;
  }
  document.body.dataset.screen = screen;
}

let toastTimer = 0;

/** @param {string} words */
function toast(words) {
  const node = find("toast", HTMLElement);
  setText(node, words);
  node.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (node.hidden = true), 8000);
}
