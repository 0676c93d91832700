// The front page: is the gateway well, and with a key: which rooms are open,
// and a link into one. The key is kept in memory only.

/** @import { Participant } from "./types.js" */
import { api, useKey } from "./api.js";
import { find, make, setText } from "./dom.js";
import { kindOf } from "./words.js";

/** @typedef {{name: string, participants: Participant[] | null}} Room */

const refreshEveryMs = 5000;

health();
setInterval(health, 15_000);
find("enter-name", HTMLInputElement).value = remembered();
find("key-form", HTMLFormElement).onsubmit = (event) => {
  event.preventDefault();
  useKey(find("key", HTMLInputElement).value);
  rooms();
};
find("enter-form", HTMLFormElement).onsubmit = (event) => {
  event.preventDefault();
  enter(find("enter-room", HTMLInputElement).value);
};

async function health() {
  const node = find("health", HTMLElement);
  let state = "unready", words = "The gateway does not answer";
  try {
    const answer = await fetch("/readyz", { cache: "no-store" });
    state = answer.ok ? "ready" : "unready";
    words = answer.ok ? "Ready for calls" : "Not ready for calls";
  } catch {
    // no answer is an answer
  }
  node.dataset.state = state;
  setText(find("health-words", HTMLElement), words);
}

async function rooms() {
  try {
    const { items } = /** @type {{items: Room[] | null}} */ (await api("GET", "/v1/rooms"));
    problem("");
    if (find("opened", HTMLElement).hidden) setInterval(() => !document.hidden && rooms(), refreshEveryMs);
    find("opened", HTMLElement).hidden = false;
    find("rooms-empty", HTMLElement).hidden = Boolean(items?.length);
    find("rooms", HTMLElement).replaceChildren(...(items ?? []).map(line));
  } catch (error) {
    problem(error instanceof Error ? error.message : String(error));
  }
}

/** @param {Room} room */
function line(room) {
  const choose = () => {
    find("enter-room", HTMLInputElement).value = room.name;
    find("enter-name", HTMLInputElement).focus();
  };
  return make("li", { "data-test": "room-line" },
    make("strong", {}, room.name),
    make("span", {}, counted(room.participants ?? [])),
    make("button", { type: "button", "aria-label": `Choose room ${room.name}`, click: choose }, "Choose"));
}

/** @param {Participant[]} participants */
function counted(participants) {
  /** @type {Map<string, number>} */
  const kinds = new Map();
  for (const p of participants) kinds.set(p.kind, (kinds.get(p.kind) ?? 0) + 1);
  const words = [...kinds].map(([kind, n]) => `${n} × ${kindOf(kind).word.toLowerCase()}`);
  return words.join(", ") || "empty";
}

/** @param {string} room */
async function enter(room) {
  const name = find("enter-name", HTMLInputElement).value.trim();
  const role = find("enter-role", HTMLSelectElement).value;
  const identity = `${name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "browser"}-${random()}`;
  try {
    const made = /** @type {{token: string}} */ (
      await api("POST", `/v1/rooms/${encodeURIComponent(room)}/tokens`, { identity, name, role }));
    location.assign(`/rooms/${encodeURIComponent(room)}#${made.token}`);
  } catch (error) {
    problem(error instanceof Error ? error.message : String(error));
  }
}

/** @param {string} words */
function problem(words) {
  const node = find("problem", HTMLElement);
  setText(node, words);
  node.hidden = !words;
}

const random = () => crypto.getRandomValues(new Uint32Array(1))[0].toString(36).slice(0, 5);

function remembered() {
  try {
    return localStorage.getItem("roomline.name") ?? "";
  } catch {
    return "";
  }
}
