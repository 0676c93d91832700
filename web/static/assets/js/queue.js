// The page of a queue: who waits, for how long, what is known of them, and who
// takes them. Looking at it counts as being there for callers.

/** @import { Queued, Accepted } from "./types.js" */
import { api, useKey, watch } from "./api.js";
import { Bell } from "./bell.js";
import { announce, attempt, find, make, setText } from "./dom.js";
import { acceptedRoom } from "./token.js";
import { duration } from "./words.js";

const queue = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const path = `/v1/queues/${encodeURIComponent(queue)}`;
const retryMs = 1000;

const who = find("who", HTMLInputElement);
const key = find("key", HTMLInputElement);
const available = find("available", HTMLInputElement);
const list = find("calls", HTMLElement);
const bell = new Bell(find("alert", HTMLButtonElement));

/** Lines of the list by call. @type {Map<string, Line>} */
const lines = new Map();
/** Calls that we have left to others. @type {Set<string>} */
const declined = new Set();
let watching = new AbortController();

document.title = `Queue ${queue} – Roomline`;
setText(find("queue-name", HTMLElement), queue);
key.value = decodeURIComponent(location.hash.slice(1));
try {
  who.value = localStorage.getItem("roomline.name") ?? "";
} catch {
  // storage is blocked: they type it
}

find("key-form", HTMLFormElement).onsubmit = (event) => {
  event.preventDefault();
  open();
};
available.onchange = () => watching.abort();
addEventListener("hashchange", () => location.reload());
addEventListener("pageshow", (event) => event.persisted && location.reload());
addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.repeat || event.target instanceof Element && event.target.closest("button, input, a, summary, form")) return;
  const first = [...lines.values()].find((line) => line.waits());
  if (first) accept(first.id);
});
if (key.value && who.value) open();

/** Shows the queue, if the key is right, and looks at it until the page is left. */
async function open() {
  useKey(key.value);
  if (!(await attempt(refresh))) return;
  try {
    localStorage.setItem("roomline.name", identity());
  } catch {
    // storage is blocked: they type it again next time
  }
  find("locked", HTMLElement).hidden = true;
  find("opened", HTMLElement).hidden = false;
  find("waiting-title", HTMLElement).focus({ preventScroll: true });
  setInterval(() => lines.forEach((line) => line.age()), 1000);
  for (;;) await look();
}

const identity = () => who.value.trim();

/** Follows the queue until the stream breaks, or has to be opened anew. */
async function look() {
  watching = new AbortController();
  const query = new URLSearchParams({ identity: identity(), available: String(available.checked) });
  try {
    await watch(`${path}/events?${query}`, watching.signal, () => {
      standing("live", available.checked ? "Callers can reach you" : "You only look");
      attempt(refresh);
    });
  } catch {
    if (watching.signal.aborted) return;
  }
  standing("lost", "Connecting again");
  await new Promise((done) => setTimeout(done, retryMs));
}

/**
 * @param {string} state
 * @param {string} words
 */
function standing(state, words) {
  const node = find("standing", HTMLElement);
  node.hidden = false;
  node.dataset.state = state;
  setText(find("standing-words", HTMLElement), words);
}

async function refresh() {
  const { items } = /** @type {{items: Queued[]}} */ (await api("GET", `${path}/calls`));
  const known = new Set(lines.keys());
  for (const [id, line] of lines) {
    if (!items.some((q) => q.call.id === id)) {
      line.node.remove();
      lines.delete(id);
    }
  }
  for (const q of items) {
    const line = lines.get(q.call.id) ?? new Line(q);
    lines.set(q.call.id, line);
    line.show(q);
    if (!known.has(q.call.id)) came(q);
  }
  order(items);
  const waiting = items.filter((q) => !q.accepted_by).length;
  find("empty", HTMLElement).hidden = items.length > 0;
  setText(find("waiting-title", HTMLElement), waiting === 0 ? "Nobody waits" : waiting === 1 ? "1 caller waits" : `${waiting} callers wait`);
  bell.ring([...lines.values()].some((line) => line.waits()) && available.checked);
}

/** Puts lines in order without moving the one that has the focus. @param {Queued[]} items */
function order(items) {
  items.forEach((q, i) => {
    const node = /** @type {Line} */ (lines.get(q.call.id)).node;
    if (list.children[i] !== node) list.insertBefore(node, list.children[i] ?? null);
  });
}

/** @param {Queued} q */
function came(q) {
  announce(`${q.priority === "emergency" ? "Emergency: " : ""}${callerOf(q)} waits`);
}

/** @param {Queued} q */
const callerOf = (q) => (q.call.direction === "outbound" ? q.call.to : q.call.from) || "anonymous";

/** @param {string} id */
async function accept(id) {
  await attempt(async () => {
    const won = /** @type {Accepted} */ (await api("POST", `${path}/calls/${encodeURIComponent(id)}/accept`, { identity: identity() }));
    acceptedRoom(won.room);
    location.assign(`/rooms/${encodeURIComponent(won.room)}#${won.token}`);
  });
}

/** @param {string} id */
async function decline(id) {
  await attempt(async () => {
    await api("POST", `${path}/calls/${encodeURIComponent(id)}/decline`, { identity: identity() });
    declined.add(id);
    await refresh();
  });
}

/** One caller in the list. */
class Line {
  #since = 0;
  #was = "";
  #waits = false;
  #caller = make("strong", {});
  #age = make("span", { className: "age", "data-test": "age" });
  #badge = make("span", { className: "badge", "data-test": "priority" });
  #state = make("span", { className: "soft" });
  #about = make("div", {});
  #accept = make("button", { type: "button", className: "primary", "data-test": "accept", click: () => accept(this.id) }, "Accept");
  #decline = make("button", { type: "button", "data-test": "decline", click: () => decline(this.id) }, "Decline");

  /** @param {Queued} q */
  constructor(q) {
    this.id = q.call.id;
    this.node = make("li", { "data-test": "queued" },
      make("div", { className: "queue-line" }, this.#caller, this.#badge, this.#age, this.#state), this.#about,
      make("div", { className: "answers" }, this.#accept, this.#decline));
  }

  waits() { return this.#waits && !declined.has(this.id); }

  /** @param {Queued} q */
  show(q) {
    this.#since = Date.now() - q.waited_ms;
    this.#waits = !q.accepted_by;
    this.age();
    const { call, handover, transcript, priority, accepted_by } = q;
    const was = JSON.stringify([call.from, call.to, handover, transcript, priority, accepted_by, declined.has(this.id)]);
    if (was === this.#was) return;
    this.#was = was;
    setText(this.#caller, callerOf(q));
    setText(this.#badge, priority ?? "");
    this.#badge.hidden = !priority;
    this.#badge.dataset.priority = priority ?? "";
    setText(this.#state, accepted_by ? `${accepted_by} takes this call` : declined.has(this.id) ? "You declined" : `called ${call.to}`);
    this.#accept.hidden = !this.#waits;
    this.#decline.hidden = !this.waits();
    this.#accept.setAttribute("aria-label", `Accept the call of ${callerOf(q)}`);
    this.#decline.setAttribute("aria-label", `Decline the call of ${callerOf(q)}`);
    this.node.toggleAttribute("data-declined", declined.has(this.id));
    this.#about.replaceChildren(...about(q));
  }

  age() { setText(this.#age, duration(Date.now() - this.#since)); }
}

/** What is known of a caller. @param {Queued} q */
function about(q) {
  const { handover } = q;
  const parts = [];
  const words = [handover?.by && `From ${handover.by}`, handover?.reason].filter(Boolean).join(": ");
  if (words) parts.push(make("p", { className: "soft" }, words));
  if (handover?.summary) parts.push(make("p", { className: "summary", "data-test": "summary" }, handover.summary));
  if (handover?.data != null) parts.push(make("p", { className: "soft summary" }, JSON.stringify(handover.data)));
  const said = q.transcript?.length ? q.transcript : handover?.transcript ?? [];
  if (said.length) {
    parts.push(make("details", {}, make("summary", {}, `What was said (${said.length})`),
      make("ol", { className: "said", tabIndex: 0, role: "list", "aria-label": "What was said" },
        ...said.slice(-50).map((u) => make("li", {}, make("b", {}, `${u.identity || u.kind}: `), u.text)))));
  }
  return parts;
}
