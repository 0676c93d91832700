// What arrives: sound goes to hidden audio elements, pictures to the grid. If
// the browser forbids sound without a click, a button asks for one.

/** @import { Seat } from "./seat.js" */
import { make, setText } from "./dom.js";
import { nameOf } from "./words.js";

export class Playback {
  /** @type {Map<MediaStreamTrack, HTMLAudioElement>} */ #sounds = new Map();
  /** @type {Map<MediaStreamTrack, {owner: string, tile: HTMLElement, label: HTMLElement}>} */ #pictures = new Map();
  /** @type {MediaStreamTrack | null} */ #own = null;
  #speaker = "";

  /**
   * @param {HTMLElement} grid
   * @param {HTMLElement} blocked shown while sound waits for a click
   * @param {HTMLButtonElement} unblock
   * @param {Seat} seat
   */
  constructor(grid, blocked, unblock, seat) {
    this.grid = grid;
    this.blocked = blocked;
    this.seat = seat;
    unblock.onclick = () => this.#playAll();
  }

  /**
   * @param {string} participant
   * @param {MediaStreamTrack} track
   */
  add(participant, track) {
    this.remove(track);
    if (track.kind === "audio") this.#addSound(track);
    else this.#addPicture(participant, track);
  }

  /** @param {MediaStreamTrack} track */
  remove(track) {
    const sound = this.#sounds.get(track);
    if (sound) sound.srcObject = null;
    sound?.remove();
    this.#sounds.delete(track);
    this.#pictures.get(track)?.tile.remove();
    this.#pictures.delete(track);
    this.#arrange();
  }

  clear() {
    for (const track of [...this.#sounds.keys(), ...this.#pictures.keys()]) this.remove(track);
    if (this.#own) this.showOwn(this.#own);
  }

  /**
   * Our own camera, mirrored.
   * @param {MediaStreamTrack | null} track
   */
  showOwn(track) {
    if (track === this.#own && (!track || this.#pictures.has(track))) return;
    if (this.#own) this.remove(this.#own);
    this.#own = track;
    if (track) this.#addPicture(this.seat.me, track);
  }

  /** Writes the names on the pictures again. */
  update() {
    for (const { owner, label, tile } of this.#pictures.values()) {
      const p = this.seat.participant(owner);
      const name = tile.classList.contains("own") ? "You" : p ? nameOf(p) : "";
      setText(label, name);
      tile.querySelector("video")?.setAttribute("aria-label", `Camera of ${name}`);
    }
  }

  /** @param {string} deviceId */
  setSpeaker(deviceId) {
    this.#speaker = deviceId;
    for (const sound of this.#sounds.values()) sound.setSinkId?.(deviceId).catch(() => {});
  }

  /** @param {MediaStreamTrack} track */
  #addSound(track) {
    const sound = make("audio", { autoplay: true, srcObject: new MediaStream([track]), "data-test": "sound" });
    if (this.#speaker) sound.setSinkId?.(this.#speaker).catch(() => {});
    this.#sounds.set(track, sound);
    document.body.append(sound);
    this.#play(sound);
  }

  /**
   * @param {string} owner
   * @param {MediaStreamTrack} track
   */
  #addPicture(owner, track) {
    const video = make("video", { autoplay: true, muted: true, playsInline: true, srcObject: new MediaStream([track]) });
    const label = make("figcaption");
    const tile = make("figure", { className: "tile", "data-test": "video", "data-id": owner }, video, label);
    tile.classList.toggle("own", track === this.#own);
    this.#pictures.set(track, { owner, tile, label });
    const live = () => {
      tile.hidden = track.muted;
      this.#arrange();
    };
    track.addEventListener("mute", live);
    track.addEventListener("unmute", live);
    video.addEventListener("resize", () => {
      if (video.videoHeight) tile.style.setProperty("--shape", (video.videoWidth / video.videoHeight).toFixed(4));
    });
    this.grid.append(tile);
    video.play().catch(() => {});
    this.update();
    live();
  }

  #arrange() {
    const shown = [...this.grid.children].filter((tile) => !(/** @type {HTMLElement} */ (tile).hidden)).length;
    this.grid.hidden = shown === 0;
    this.grid.dataset.count = String(shown);
  }

  /** @param {HTMLAudioElement} sound */
  async #play(sound) {
    try {
      await sound.play();
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotAllowedError") this.blocked.hidden = false;
    }
  }

  #playAll() {
    this.blocked.hidden = true;
    for (const sound of this.#sounds.values()) this.#play(sound);
  }
}
