// Before joining: who you are, which microphone, a look at the camera.

/** @import { Claims } from "./token.js" */
import { camTrouble, micTrouble } from "./devices.js";
import { find, make, setIcon, setText } from "./dom.js";
import { decibels, loudness } from "./trace.js";
import { roleWords } from "./words.js";

const none = "none";

export class Prejoin {
  #form = find("prejoin-form", HTMLFormElement);
  #name = find("name", HTMLInputElement);
  #mic = find("microphone", HTMLSelectElement);
  #camChoice = find("camera-choice", HTMLSelectElement);
  #cam = find("prejoin-camera", HTMLButtonElement);
  #preview = find("preview", HTMLVideoElement);
  #meter = find("mic-meter", HTMLElement);
  #note = find("mic-note", HTMLElement);
  #camNote = find("cam-note", HTMLElement);
  #join = find("join", HTMLButtonElement);
  #frame = 0;

  /**
   * @param {import("./devices.js").Devices} devices
   * @param {Claims} claims
   * @param {(name: string) => void} join
   */
  constructor(devices, claims, join) {
    this.devices = devices;
    this.#name.value = claims.name || remembered();
    setText(find("role-note", HTMLElement), roleWords(claims.role));
    this.#form.onsubmit = (event) => {
      event.preventDefault();
      remember(this.#name.value.trim());
      join(this.#name.value.trim());
    };
    this.#mic.onchange = () => this.#chooseMic();
    this.#camChoice.onchange = () => devices.cam && devices.openCam(this.#camChoice.value);
    this.#cam.onclick = () => (devices.cam ? devices.closeCam() : devices.openCam(this.#camChoice.value));
  }

  /** @param {boolean} wantMic whether this role speaks */
  async open(wantMic) {
    find("prejoin", HTMLElement).hidden = false;
    this.#draw();
    if (wantMic) await this.devices.openMic();
    this.#join.focus({ preventScroll: true });
  }

  /** Shows what the devices are now. */
  async update() {
    const { devices } = this;
    const on = devices.cam !== null;
    this.#cam.setAttribute("aria-pressed", String(on));
    setText(this.#cam.querySelector("span") ?? this.#cam, on ? "Turn camera off" : "Turn camera on");
    setIcon(this.#cam, on ? "cam" : "cam-off");
    if (this.#preview.srcObject !== devices.cam) {
      this.#preview.srcObject = devices.cam ? new MediaStream([devices.cam]) : null;
      this.#preview.hidden = !on;
    }
    note(this.#note, micTrouble(devices.micTrouble));
    note(this.#camNote, camTrouble(devices.camTrouble));
    setText(this.#join.querySelector("span") ?? this.#join, devices.mic ? "Join" : "Join to listen");
    const { microphones, cameras } = await devices.list();
    fill(this.#mic, microphones, devices.mic, "Microphone", "No microphone: listen only");
    fill(this.#camChoice, cameras, devices.cam, "Camera");
    this.#camChoice.parentElement?.toggleAttribute("hidden", !on || cameras.length < 2);
  }

  /** Joins as if the button was pressed. */
  join() {
    this.#form.requestSubmit();
  }

  close() {
    cancelAnimationFrame(this.#frame);
    this.#preview.srcObject = null;
    find("prejoin", HTMLElement).hidden = true;
  }

  #chooseMic() {
    if (this.#mic.value === none) this.devices.closeMic();
    else this.devices.openMic(this.#mic.value);
  }

  #draw() {
    this.#frame = requestAnimationFrame(() => this.#draw());
    this.#meter.style.setProperty("--level", loudness(decibels(this.devices.level())).toFixed(3));
  }
}

/**
 * Fills a choice of devices and selects the one in use.
 * @param {HTMLSelectElement} select
 * @param {MediaDeviceInfo[]} devices
 * @param {MediaStreamTrack | null} track
 * @param {string} word
 * @param {string} [without] the words for no device, if that is a choice
 */
export function fill(select, devices, track, word, without) {
  const options = devices.map((d, i) => make("option", { value: d.deviceId, textContent: d.label || `${word} ${i + 1}` }));
  const used = track?.getSettings().deviceId ?? "";
  if (track && !devices.some((d) => d.deviceId === used)) {
    options.push(make("option", { value: used, textContent: track.label || word }));
  }
  if (without) options.push(make("option", { value: none, textContent: without }));
  select.replaceChildren(...options);
  if (track) select.value = used;
  else if (without) select.value = none;
}

/**
 * @param {HTMLElement} node
 * @param {string} text
 */
function note(node, text) {
  setText(node, text);
  node.hidden = !text;
}

function remembered() {
  try {
    return localStorage.getItem("roomline.name") ?? "";
  } catch {
    return "";
  }
}

/** @param {string} name */
function remember(name) {
  try {
    localStorage.setItem("roomline.name", name);
  } catch {
    // storage is blocked: they type it again next time
  }
}
