// A sound that calls people to the page. Browsers let a page sound only after a
// click, so it begins with a button.

const everyMs = 4000;

export class Bell {
  /** @type {AudioContext | null} */
  #context = null;
  #timer = 0;

  /** @param {HTMLButtonElement} button switches the sound on and off */
  constructor(button) {
    button.onclick = () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      if (on) {
        this.#context = new AudioContext();
        this.#sound();
      } else {
        this.#context?.close();
        this.#context = null;
      }
    };
  }

  /** Rings now and then while somebody waits. @param {boolean} on */
  ring(on) {
    if (on === (this.#timer !== 0)) return;
    clearInterval(this.#timer);
    this.#timer = 0;
    if (!on) return;
    this.#sound();
    this.#timer = setInterval(() => this.#sound(), everyMs);
  }

  /** Two soft notes. */
  #sound() {
    const context = this.#context;
    if (!context) return;
    [660, 880].forEach((frequency, i) => {
      const tone = new OscillatorNode(context, { frequency });
      const gain = new GainNode(context, { gain: 0 });
      const at = context.currentTime + i * 0.18;
      gain.gain.setTargetAtTime(0.2, at, 0.01);
      gain.gain.setTargetAtTime(0, at + 0.15, 0.06);
      tone.connect(gain).connect(context.destination);
      tone.start(at);
      tone.stop(at + 0.7);
    });
  }
}
