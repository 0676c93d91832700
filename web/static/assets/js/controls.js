// The bar at the bottom, the panels beside the room, and the keys for them.

import { announce, find, setIcon, setText } from "./dom.js";
import { fill } from "./prejoin.js";

/** @typedef {"chat" | "events" | "keypad"} PanelName */
/** @type {PanelName[]} */
const panels = ["chat", "events", "keypad"];

export class Controls {
  #mute = find("mute", HTMLButtonElement);
  #camera = find("camera", HTMLButtonElement);
  #devicesDialog = find("devices-dialog", HTMLDialogElement);
  #shortcuts = find("shortcuts", HTMLInputElement);

  /**
   * @param {import("./devices.js").Devices} devices
   * @param {object} on
   * @param {() => void} on.leave
   * @param {(deviceId: string) => void} on.speaker
   * @param {(panel: PanelName) => void} on.panel
   */
  constructor(devices, on) {
    this.devices = devices;
    this.on = on;
    this.#mute.onclick = () => this.toggleMute();
    this.#camera.onclick = () => this.toggleCamera();
    find("leave", HTMLButtonElement).onclick = on.leave;
    find("devices", HTMLButtonElement).onclick = () => this.#openDevices();
    this.#wireDevices();
    this.#wireTabs();
    this.#shortcuts.checked = stored("roomline.shortcuts") !== "off";
    this.#shortcuts.onchange = () => store("roomline.shortcuts", this.#shortcuts.checked ? "on" : "off");
    this.keys = (/** @type {KeyboardEvent} */ event) => this.#pressed(event);
    addEventListener("keydown", this.keys);
  }

  close() {
    removeEventListener("keydown", this.keys);
    if (this.#devicesDialog.open) this.#devicesDialog.close();
  }

  /**
   * @param {boolean} takesVideo whether the room takes our camera
   */
  update(takesVideo) {
    const { mic, cam, muted } = this.devices;
    const silent = muted || !mic;
    this.#mute.setAttribute("aria-pressed", String(silent));
    this.#mute.classList.toggle("off", silent);
    setIcon(this.#mute, silent ? "mic-off" : "mic");
    setText(this.#mute.querySelector("span") ?? this.#mute, !mic ? "No microphone" : muted ? "Unmute" : "Mute");
    this.#camera.hidden = !takesVideo;
    this.#camera.setAttribute("aria-pressed", String(cam !== null));
    setIcon(this.#camera, cam ? "cam" : "cam-off");
    setText(this.#camera.querySelector("span") ?? this.#camera, cam ? "Camera off" : "Camera");
  }

  async toggleMute() {
    if (!this.devices.mic) {
      await this.devices.openMic();
      if (!this.devices.mic) return this.#openDevices();
      this.devices.mute(false);
    } else {
      this.devices.mute(!this.devices.muted);
    }
    announce(this.devices.muted ? "You are muted" : "You can be heard");
  }

  async toggleCamera() {
    if (this.devices.cam) this.devices.closeCam();
    else await this.devices.openCam();
    announce(this.devices.cam ? "Camera on" : this.devices.camTrouble ? "The camera did not start" : "Camera off");
  }

  /**
   * @param {PanelName} name
   * @param {boolean} [focus] moves the focus to its tab
   */
  show(name, focus) {
    for (const panel of panels) {
      const tab = find(`tab-${panel}`, HTMLButtonElement);
      const chosen = panel === name;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      find(`panel-${panel}`, HTMLElement).hidden = !chosen;
      if (chosen) tab.classList.remove("unread");
      if (chosen && focus) tab.focus();
    }
    this.on.panel(name);
  }

  /** @param {PanelName} name something new is behind this tab */
  hint(name) {
    const tab = find(`tab-${name}`, HTMLButtonElement);
    if (tab.getAttribute("aria-selected") !== "true") tab.classList.add("unread");
  }

  #wireTabs() {
    panels.forEach((name, i) => {
      const tab = find(`tab-${name}`, HTMLButtonElement);
      tab.onclick = () => this.show(name);
      tab.onkeydown = (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        this.show(panels[(i + step + panels.length) % panels.length], true);
      };
    });
  }

  #wireDevices() {
    const mic = find("devices-mic", HTMLSelectElement);
    const cam = find("devices-cam", HTMLSelectElement);
    const speaker = find("devices-speaker", HTMLSelectElement);
    mic.onchange = () => (mic.value === "none" ? this.devices.closeMic() : this.devices.openMic(mic.value));
    cam.onchange = () => (cam.value === "none" ? this.devices.closeCam() : this.devices.openCam(cam.value));
    speaker.onchange = () => this.on.speaker(speaker.value);
  }

  async #openDevices() {
    const { microphones, cameras, speakers } = await this.devices.list();
    fill(find("devices-mic", HTMLSelectElement), microphones, this.devices.mic, "Microphone", "No microphone: listen only");
    fill(find("devices-cam", HTMLSelectElement), cameras, this.devices.cam, "Camera", "No camera");
    const choosable = "setSinkId" in HTMLMediaElement.prototype && speakers.length > 0;
    find("speaker-field", HTMLElement).hidden = !choosable;
    const speaker = find("devices-speaker", HTMLSelectElement);
    if (choosable && speaker.options.length !== speakers.length) fill(speaker, speakers, null, "Speaker");
    if (!this.#devicesDialog.open) this.#devicesDialog.showModal();
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (!this.#shortcuts.checked || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (document.querySelector("dialog[open]") || isTyping(event.target)) return;
    switch (event.key.toLowerCase()) {
      case "m": this.toggleMute(); break;
      case "v": if (!this.#camera.hidden) this.toggleCamera(); break;
      case "c": this.show("chat", true); break;
      case "e": this.show("events", true); break;
      case "k": this.show("keypad", true); break;
      default: return;
    }
    event.preventDefault();
  }
}

/** @param {EventTarget | null} target */
const isTyping = (target) => target instanceof Element && target.closest("input, textarea, select") !== null;

/** @param {string} key */
function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/**
 * @param {string} key
 * @param {string} value
 */
function store(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // storage is blocked: the choice lasts as long as the page
  }
}
