// Our seat in the room: joins, answers, resumes after a loss, and keeps what
// the gateway said last. Views read its fields and are told when they changed.
//
//   joining ─→ live ⇄ reconnecting ─→ left
//      └────────────────────────────────↑

/** @import { FromServer, Grants, Joined, OfferedCall, Participant, Participants, Problem, QualityPoint, RoomEvent, ToServer } from "./types.js" */
import { Peer } from "./peer.js";
import { Signal } from "./signal.js";

/** @typedef {"joining" | "live" | "reconnecting" | "left"} Phase */
/**
 * @typedef {object} Listener
 * @property {() => void} changed any field of the seat
 * @property {(event: RoomEvent) => void} happened
 * @property {(participant: string, track: MediaStreamTrack) => void} track
 * @property {(track: MediaStreamTrack) => void} trackGone
 * @property {() => void} tracksGone a new media connection replaces the old one
 * @property {(words: string) => void} problem a request was refused; the call goes on
 * @property {(words: string) => void} ended
 */

const graceMs = 3000; // ICE often recovers by itself
const renewEveryMs = 6000;

export class Seat {
  /** @type {Phase} */ phase = "joining";
  me = "";
  role = "";
  /** @type {Grants} */ grants = {};
  /** @type {Participant[]} */ participants = [];
  /** @type {Record<string, QualityPoint[]>} what came before us, by participant */ history = {};
  /** @type {OfferedCall | null} the newest call that we were offered */ offeredCall = null;
  /** @type {Peer | null} */ peer = null;
  /** @type {RTCPeerConnectionState} */ media = "new";
  #session = "";
  #awaited = true; // our join or resume has no answer yet
  #failures = 0;
  #renewedAt = 0;
  #grace = 0;
  /** @type {Set<string>} */ #seen = new Set();
  /** @type {{audio: boolean, video: boolean}} */ #muted = { audio: false, video: true };
  /** @type {MediaStreamTrack | null} */ #mic = null;
  /** @type {MediaStreamTrack | null} */ #cam = null;

  /**
   * @param {{room: string, token: string, name: string}} who
   * @param {Listener} on
   */
  constructor(who, on) {
    this.who = who;
    this.on = on;
    const url = new URL(`/v1/rooms/${encodeURIComponent(who.room)}/ws`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.hash = "";
    this.signal = new Signal(url.href, {
      open: () => this.#opening(),
      message: (message) => this.#receive(message),
      state: (state) => state !== "open" && state !== "closed" && this.me && this.#enter("reconnecting"),
    });
  }

  /**
   * @param {MediaStreamTrack | null} mic
   * @param {MediaStreamTrack | null} cam
   * @param {boolean} muted
   */
  join(mic, cam, muted) {
    this.#mic = mic;
    this.#cam = cam;
    this.#muted = { audio: muted || !mic, video: !cam };
    this.signal.start();
  }

  /**
   * @param {MediaStreamTrack | null} track
   * @param {boolean} muted
   */
  setMic(track, muted) {
    if (track !== this.#mic) this.peer?.setMic(track);
    this.#mic = track;
    this.#setMuted("audio", muted || !track);
  }

  /** @param {MediaStreamTrack | null} track */
  setCam(track) {
    if (track !== this.#cam) this.peer?.setCam(track);
    this.#cam = track;
    this.#setMuted("video", !track);
  }

  /**
   * Sends a text to the room; says whether it went.
   * @param {string} text
   */
  say(text) {
    /** @type {ToServer} */
    const message = { type: "event", event: { type: "text", data: { text } } };
    return this.peer?.sendData(message) || this.signal.send(message);
  }

  /** @param {string} participant */
  hangUp(participant) {
    return this.signal.send({ type: "hangup", participant });
  }

  /**
   * @param {string} callId
   * @param {string} digits
   */
  press(callId, digits) {
    return this.signal.send({ type: "dtmf", call_id: callId, digits });
  }

  /**
   * Answers a call that is offered.
   * @param {string} callId
   * @param {"accept" | "decline" | "brief"} verb
   */
  answerCall(callId, verb) {
    return this.signal.send({ type: verb, call_id: callId });
  }

  /**
   * Says who hears us: all, nobody, or a participant.
   * @param {string} whom
   */
  hearBy(whom) {
    return this.signal.send({ type: "heard_by", heard_by: whom });
  }

  leave() {
    this.signal.send({ type: "leave" });
    this.#end("");
  }

  /** @param {string} id */
  participant(id) {
    return this.participants.find((p) => p.id === id);
  }

  /** @returns {ToServer} */
  #opening() {
    this.#awaited = true;
    if (this.#session) return { type: "resume", session: this.#session };
    return { type: "join", token: this.who.token, name: this.who.name };
  }

  /** @param {FromServer} message */
  #receive(message) {
    switch (message.type) {
      case "joined": return this.#joined(message);
      case "offer": return this.#offered(message.sdp);
      case "candidate": return this.peer?.addCandidate(message.candidate);
      case "participants": return this.#seated(message);
      case "event": return this.#happened(message.event);
      case "offered": return this.#called(message.call);
      case "error": return this.#refused(message);
      case "leave": return this.#end(message.reason || "The room closed.");
    }
  }

  /** @param {Joined} joined */
  #joined(joined) {
    this.#awaited = false;
    this.signal.settled();
    if (joined.participant !== this.me || !this.peer) this.#connect(joined.ice_servers ?? []);
    this.me = joined.participant;
    this.role = joined.role;
    this.grants = joined.grants ?? {};
    this.#session = joined.session;
    for (const kind of /** @type {const} */ (["audio", "video"])) {
      this.signal.send({ type: "mute", kind, muted: this.#muted[kind] });
    }
    this.#enter("live");
  }

  /** @param {RTCIceServer[]} iceServers */
  #connect(iceServers) {
    this.peer?.close();
    this.on.tracksGone();
    this.peer = new Peer(iceServers, {
      track: this.on.track,
      trackGone: this.on.trackGone,
      data: (message) => this.#data(message),
      candidate: (candidate) => this.signal.send({ type: "candidate", candidate }),
      state: (state) => this.#mediaIs(state),
    });
    this.peer.setMic(this.#mic);
    this.peer.setCam(this.#cam);
  }

  /** @param {string} sdp */
  async #offered(sdp) {
    const peer = this.peer;
    if (!peer) return;
    try {
      const answer = await peer.answer(sdp);
      if (peer === this.peer) this.signal.send({ type: "answer", sdp: answer });
    } catch (error) {
      console.error("the offer was not taken:", error);
      this.on.problem("This browser could not take the room's media offer. Reload the page to try again.");
    }
    this.on.changed();
  }

  /** @param {Participants} message */
  #seated({ participants, history }) {
    this.participants = participants ?? [];
    if (history) this.history = history;
    this.on.changed();
  }

  /** @param {OfferedCall} call */
  #called(call) {
    this.offeredCall = call;
    this.on.changed();
  }

  /** @param {RoomEvent} event */
  #happened(event) {
    if (!event?.type) return;
    if (event.id) {
      if (this.#seen.has(event.id)) return;
      this.#seen.add(event.id);
    }
    if (event.type === "participant.speaking") this.#speaking(event);
    else this.on.happened(event);
  }

  /** @param {RoomEvent} event somebody begins or stops to speak */
  #speaking(event) {
    const p = this.participant(String(event.data?.participant));
    if (p) p.speaking = Boolean(event.data?.speaking);
  }

  /**
   * The data channel brings the same messages, or an event by itself.
   * @param {any} message
   */
  #data(message) {
    if (message?.type === "event" || message?.type === "participants") this.#receive(message);
    else this.#happened(message);
  }

  /** @param {Problem} problem */
  #refused({ code, message }) {
    if (!this.#awaited) return this.on.problem(message);
    if (this.#session) return this.#startOver();
    if (this.me && code === "unavailable") return; // the gateway restarts: the socket is retried
    this.#end(message || "The gateway refused.");
  }

  /** The seat was given away while we were gone: take a new one. */
  #startOver() {
    this.#session = "";
    this.peer?.close();
    this.peer = null;
    this.signal.renew();
  }

  /** @param {RTCPeerConnectionState} state */
  #mediaIs(state) {
    this.media = state;
    clearTimeout(this.#grace);
    if (state === "connected") this.#failures = 0;
    if (state === "disconnected") this.#grace = setTimeout(() => this.#renew(), graceMs);
    if (state === "failed") this.#renew();
    this.on.changed();
  }

  /** Resumes on a new socket, which makes the gateway restart ICE. */
  #renew() {
    if (++this.#failures === 2) {
      this.on.problem("Sound does not get through: the network may block UDP. Still trying.");
    }
    const wait = Math.max(0, this.#renewedAt + renewEveryMs - Date.now());
    this.#grace = setTimeout(() => {
      this.#renewedAt = Date.now();
      this.signal.renew();
    }, wait);
  }

  /**
   * @param {"audio" | "video"} kind
   * @param {boolean} muted
   */
  #setMuted(kind, muted) {
    if (this.#muted[kind] === muted) return;
    this.#muted[kind] = muted;
    this.signal.send({ type: "mute", kind, muted });
  }

  /** @param {Phase} phase */
  #enter(phase) {
    if (this.phase === "left" || this.phase === phase) return;
    this.phase = phase;
    this.on.changed();
  }

  /** @param {string} words empty: we left ourselves */
  #end(words) {
    if (this.phase === "left") return;
    clearTimeout(this.#grace);
    this.phase = "left";
    this.signal.close();
    this.peer?.close();
    this.on.ended(words);
  }
}
