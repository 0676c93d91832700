// Microphone and camera: asking for them, choosing, measuring the microphone,
// and saying in words why one is not to be had.

/** @typedef {"" | "denied" | "missing" | "busy" | "insecure" | "failed"} Trouble */
/** @typedef {{microphones: MediaDeviceInfo[], cameras: MediaDeviceInfo[], speakers: MediaDeviceInfo[]}} Choice */

/** @type {Record<Trouble, string>} */
const micWords = {
  "": "",
  denied: "The browser was told not to use the microphone. Allow it in the address bar, or join to listen.",
  missing: "No microphone was found. Connect one, or join to listen.",
  busy: "Another program uses the microphone. Close it and choose the microphone again, or join to listen.",
  insecure: "Browsers give a microphone to https pages only. Open this page by https, or join to listen.",
  failed: "The microphone did not start. Choose another, or join to listen.",
};

/** @param {Trouble} trouble */
export const micTrouble = (trouble) => micWords[trouble];

/** @param {Trouble} trouble */
export const camTrouble = (trouble) =>
  micWords[trouble].replaceAll("microphone", "camera").replace(", or join to listen", ", or join without it");

export class Devices {
  /** @type {MediaStreamTrack | null} */ mic = null;
  /** @type {MediaStreamTrack | null} */ cam = null;
  /** @type {Trouble} */ micTrouble = "";
  /** @type {Trouble} */ camTrouble = "";
  muted = false;
  /** @type {AudioContext | null} */ #context = null;
  /** @type {AnalyserNode | null} */ #analyser = null;
  /** @type {MediaStreamAudioSourceNode | null} */ #tap = null;
  #pcm = new Float32Array(1024);

  /** @param {() => void} changed a track came, went or failed, or devices did */
  constructor(changed) {
    this.changed = changed;
    navigator.mediaDevices?.addEventListener("devicechange", changed);
    for (const type of ["pointerdown", "keydown"]) addEventListener(type, () => this.#context?.resume());
  }

  /** @returns {Promise<Choice>} */
  async list() {
    const all = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    const of = (/** @type {string} */ kind) => all.filter((d) => d.kind === kind && d.deviceId !== "");
    return { microphones: of("audioinput"), cameras: of("videoinput"), speakers: of("audiooutput") };
  }

  /** @param {string} [deviceId] */
  async openMic(deviceId) {
    const wish = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...exactly(deviceId) };
    const [track, trouble] = await open({ audio: wish });
    this.mic?.stop();
    this.mic = track;
    this.micTrouble = trouble;
    if (track) {
      track.enabled = !this.muted;
      track.onended = () => this.#unplugged("mic");
    }
    this.#listen(track);
    this.changed();
  }

  closeMic() {
    this.mic?.stop();
    this.mic = null;
    this.micTrouble = "";
    this.#listen(null);
    this.changed();
  }

  /** @param {string} [deviceId] */
  async openCam(deviceId) {
    const wish = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 }, ...exactly(deviceId) };
    const [track, trouble] = await open({ video: wish });
    this.cam?.stop();
    this.cam = track;
    this.camTrouble = trouble;
    if (track) track.onended = () => this.#unplugged("cam");
    this.changed();
  }

  closeCam() {
    this.cam?.stop();
    this.cam = null;
    this.camTrouble = "";
    this.changed();
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.muted = muted;
    if (this.mic) this.mic.enabled = !muted;
    this.changed();
  }

  /** How loud the microphone is now: RMS, linear, 0 to 1. */
  level() {
    if (!this.#analyser || this.muted) return 0;
    this.#analyser.getFloatTimeDomainData(this.#pcm);
    let energy = 0;
    for (const sample of this.#pcm) energy += sample * sample;
    return Math.sqrt(energy / this.#pcm.length);
  }

  close() {
    this.closeMic();
    this.closeCam();
  }

  /** @param {MediaStreamTrack | null} track */
  #listen(track) {
    this.#tap?.disconnect();
    this.#tap = null;
    if (!track) return;
    this.#context ??= new AudioContext();
    this.#analyser ??= this.#context.createAnalyser();
    this.#analyser.fftSize = this.#pcm.length;
    this.#tap = this.#context.createMediaStreamSource(new MediaStream([track]));
    this.#tap.connect(this.#analyser);
    this.#context.resume();
  }

  /** @param {"mic" | "cam"} which */
  #unplugged(which) {
    if (which === "mic") this.openMic(); // whatever else there is
    else this.closeCam();
  }
}

/** @param {string} [deviceId] */
const exactly = (deviceId) => (deviceId ? { deviceId: { exact: deviceId } } : {});

/**
 * @param {MediaStreamConstraints} wish for one track
 * @returns {Promise<[MediaStreamTrack | null, Trouble]>}
 */
async function open(wish) {
  if (!navigator.mediaDevices) return [null, "insecure"];
  try {
    const stream = await navigator.mediaDevices.getUserMedia(wish);
    return [stream.getTracks()[0], ""];
  } catch (error) {
    return [null, troubleOf(error)];
  }
}

/**
 * @param {unknown} error of getUserMedia
 * @returns {Trouble}
 */
function troubleOf(error) {
  switch (error instanceof DOMException ? error.name : "") {
    case "NotAllowedError":
    case "SecurityError":
      return "denied";
    case "NotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "AbortError":
      return "busy";
  }
  return "failed";
}
