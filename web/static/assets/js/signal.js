// Signalling: one WebSocket that comes back. Whoever owns a Signal says what
// each new connection begins with (join or resume); a lost one is retried with
// growing, jittered waits, at once when the network returns.

/** @import { FromServer, ToServer } from "./types.js" */

/** @typedef {"connecting" | "open" | "waiting" | "closed"} SignalState */

const firstWaitMs = 300;
const longestWaitMs = 5000;
const patienceMs = 8000; // for one attempt to open

export class Signal {
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {SignalState} */ #state = "closed";
  #attempt = 0;
  #timer = 0;

  /**
   * @param {string} url
   * @param {object} on
   * @param {() => ToServer} on.open what to say first on a new connection
   * @param {(message: FromServer) => void} on.message
   * @param {(state: SignalState) => void} on.state
   */
  constructor(url, on) {
    this.url = url;
    this.on = on;
    this.online = () => this.#state === "waiting" && this.#connect();
  }

  start() {
    addEventListener("online", this.online);
    this.#connect();
  }

  /**
   * Sends if the connection is open; says whether it did.
   * @param {ToServer} message
   */
  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Gives up a connection that seems dead and makes a new one. */
  renew() {
    if (this.#state === "closed" || this.#state === "connecting") return;
    this.#drop();
    this.#connect();
  }

  /** The connection works: the next loss is retried quickly again. */
  settled() {
    this.#attempt = 0;
  }

  /** Ends for good. */
  close() {
    removeEventListener("online", this.online);
    this.#drop();
    this.#set("closed");
  }

  #connect() {
    clearTimeout(this.#timer);
    this.#set("connecting");
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#lost(socket), patienceMs);
    socket.onopen = () => {
      clearTimeout(this.#timer);
      this.#set("open");
      this.send(this.on.open());
    };
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = () => this.#lost(socket);
  }

  /** @param {unknown} data */
  #receive(data) {
    if (typeof data !== "string") return;
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      console.warn("the gateway sent a message that is not JSON");
      return;
    }
    if (message && typeof message.type === "string") this.on.message(message);
  }

  /** @param {WebSocket} socket */
  #lost(socket) {
    if (socket !== this.#socket || this.#state === "closed") return;
    this.#drop();
    const wait = Math.min(longestWaitMs, firstWaitMs * 2 ** this.#attempt++);
    this.#timer = setTimeout(() => this.#connect(), wait * (0.7 + 0.6 * Math.random()));
    this.#set("waiting");
  }

  #drop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /** @param {SignalState} state */
  #set(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.on.state(state);
  }
}
