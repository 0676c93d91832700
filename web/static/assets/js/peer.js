// The media connection: answers the gateway's offers, sends our microphone and
// camera on the two lines that the gateway wants to receive, and hands out the
// tracks of the others by the participant id in their msid.

/** @import { RoomEvent } from "./types.js" */

/** @typedef {{level: number, kind: string}} Heard level is linear, 0 to 1 */
/** @typedef {{jitterMs: number, lossPercent: number, roundTripMs: number}} Reception */

export class Peer {
  /** @type {RTCDataChannel | null} */ #channel = null;
  /** @type {RTCRtpSender | null} */ #mic = null;
  /** @type {RTCRtpSender | null} */ #cam = null;
  /** @type {MediaStreamTrack | null} */ #micTrack = null;
  /** @type {MediaStreamTrack | null} */ #camTrack = null;
  /** @type {RTCIceCandidateInit[]} */ #early = [];
  /** @type {Map<string | null, string>} participant by mid: two phones' tracks may have one id */ #owners = new Map();
  /** @type {Promise<unknown>} */ #turn = Promise.resolve();

  /**
   * @param {RTCIceServer[]} iceServers
   * @param {object} on
   * @param {(participant: string, track: MediaStreamTrack) => void} on.track
   * @param {(track: MediaStreamTrack) => void} on.trackGone
   * @param {(event: RoomEvent | {type: string}) => void} on.data a JSON object from the data channel
   * @param {(candidate: RTCIceCandidateInit) => void} on.candidate
   * @param {(state: RTCPeerConnectionState) => void} on.state
   */
  constructor(iceServers, on) {
    this.on = on;
    this.pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.pc.onicecandidate = ({ candidate }) => candidate && on.candidate(candidate.toJSON());
    this.pc.onconnectionstatechange = () => on.state(this.pc.connectionState);
    this.pc.ondatachannel = ({ channel }) => this.#adopt(channel);
    this.pc.ontrack = (event) => this.#arrived(event);
  }

  /**
   * Takes an offer and gives the answer. Offers are taken one after the other.
   * @param {string} sdp
   * @returns {Promise<string>}
   */
  answer(sdp) {
    const run = async () => {
      await this.pc.setRemoteDescription({ type: "offer", sdp });
      await this.#takeLines(sdp);
      await this.pc.setLocalDescription();
      for (const c of this.#early.splice(0)) await this.#add(c);
      return this.pc.localDescription?.sdp ?? "";
    };
    const result = this.#turn.then(run);
    this.#turn = result.catch(() => {});
    return result;
  }

  /** @param {RTCIceCandidateInit | null} candidate */
  async addCandidate(candidate) {
    if (!candidate?.candidate) return; // the end of candidates
    if (this.pc.remoteDescription) await this.#add(candidate);
    else this.#early.push(candidate);
  }

  /** @param {MediaStreamTrack | null} track */
  async setMic(track) {
    this.#micTrack = track;
    await this.#mic?.replaceTrack(track);
  }

  /** @param {MediaStreamTrack | null} track */
  async setCam(track) {
    this.#camTrack = track;
    await this.#cam?.replaceTrack(track);
  }

  /** Whether the gateway has room for our camera. */
  get takesVideo() {
    return this.#cam !== null;
  }

  /**
   * Sends over the data channel if it is open; says whether it did.
   * @param {object} message
   */
  sendData(message) {
    if (this.#channel?.readyState !== "open") return false;
    this.#channel.send(JSON.stringify(message));
    return true;
  }

  /**
   * How loud each participant that we receive is now, and how well it arrives.
   * @returns {Promise<{heard: Map<string, number>, reception: Reception | null}>}
   */
  async measure() {
    /** @type {Map<string, number>} */
    const heard = new Map();
    let received = 0, lost = 0, jitter = 0, roundTrip = 0;
    for (const s of (await this.pc.getStats()).values()) {
      if (s.type === "inbound-rtp" && s.kind === "audio") {
        received += s.packetsReceived ?? 0;
        lost += s.packetsLost ?? 0;
        jitter = Math.max(jitter, (s.jitter ?? 0) * 1000);
        const owner = this.#owners.get(s.mid);
        if (owner) heard.set(owner, Math.max(heard.get(owner) ?? 0, s.audioLevel ?? 0));
      }
      if (s.type === "candidate-pair" && s.nominated) roundTrip = (s.currentRoundTripTime ?? 0) * 1000;
    }
    const total = received + lost;
    const reception = received ? { jitterMs: jitter, lossPercent: (100 * lost) / total, roundTripMs: roundTrip } : null;
    return { heard, reception };
  }

  close() {
    this.pc.onconnectionstatechange = this.pc.ontrack = this.pc.ondatachannel = null;
    this.pc.close();
  }

  /** @param {RTCIceCandidateInit} candidate */
  async #add(candidate) {
    try {
      await this.pc.addIceCandidate(candidate);
    } catch (error) {
      console.warn("a candidate was refused:", error); // others may still work
    }
  }

  /**
   * The first audio and the first video line that the gateway wants to receive
   * are ours.
   * @param {string} sdp
   */
  async #takeLines(sdp) {
    if (!this.#mic) {
      this.#mic = this.#line(sdp, "audio");
      await this.#mic?.replaceTrack(this.#micTrack);
    }
    if (!this.#cam) {
      this.#cam = this.#line(sdp, "video");
      await this.#cam?.replaceTrack(this.#camTrack);
    }
  }

  /**
   * @param {string} sdp
   * @param {string} kind
   */
  #line(sdp, kind) {
    const mid = wantedLine(sdp, kind);
    const transceiver = this.pc.getTransceivers().find((t) => t.mid === mid && mid !== null);
    if (!transceiver) return null;
    transceiver.direction = "sendonly";
    return transceiver.sender;
  }

  /** @param {RTCTrackEvent} event */
  #arrived({ track, streams, transceiver: { mid } }) {
    const stream = streams[0];
    if (!stream) return;
    this.#owners.set(mid, stream.id);
    const gone = () => {
      if (this.#owners.get(mid) === stream.id) this.#owners.delete(mid);
      this.on.trackGone(track);
    };
    track.addEventListener("ended", gone);
    stream.addEventListener("removetrack", (e) => e.track === track && gone());
    this.on.track(stream.id, track);
  }

  /** @param {RTCDataChannel} channel */
  #adopt(channel) {
    if (channel.label !== "events") return;
    this.#channel = channel;
    channel.binaryType = "arraybuffer";
    channel.onmessage = ({ data }) => {
      const text = typeof data === "string" ? data : new TextDecoder().decode(data);
      try {
        this.on.data(JSON.parse(text));
      } catch {
        console.warn("the data channel brought something that is not JSON");
      }
    };
  }
}

/**
 * The mid of the first line of this kind that the offering side receives on.
 * @param {string} sdp
 * @param {string} kind
 * @returns {string | null}
 */
export function wantedLine(sdp, kind) {
  for (const section of sdp.split(/\r?\n(?=m=)/).slice(1)) {
    const receives = /^a=(recvonly|sendrecv)\s*$/m.test(section);
    if (section.startsWith(`m=${kind} `) && receives) return /^a=mid:(\S+)/m.exec(section)?.[1] ?? null;
  }
  return null;
}
