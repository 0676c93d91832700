// The page of trunks and calls: how trunks stand and what is wrong with one,
// and the SIP messages of a call as a ladder.

/** @import { Call, CallQuality, Refused, Trace, TrunkState, TrunkStep } from "./types.js" */
import { api, follow, save, useKey } from "./api.js";
import { Chart } from "./chart.js";
import { attempt, find, make, setText } from "./dom.js";
import { draw } from "./ladder.js";
import { History } from "./quality.js";
import { clock, duration, satisfaction } from "./words.js";

const refreshEveryMs = 5000;

find("key-form", HTMLFormElement).onsubmit = async (event) => {
  event.preventDefault();
  useKey(find("key", HTMLInputElement).value);
  if (!(await refresh())) return;
  find("locked", HTMLElement).hidden = true;
  find("opened", HTMLElement).hidden = false;
  setInterval(() => !document.hidden && refresh(), refreshEveryMs);
  const call = location.pathname.match(/^\/calls\/([^/]+)$/)?.[1];
  if (call) showCall(call);
};

/** Reads everything anew; false when that failed. */
async function refresh() {
  return attempt(async () => {
    const [states, calls, refused] = await Promise.all([
      api("GET", "/v1/trunk-states?limit=500"), api("GET", "/v1/calls?limit=30"), api("GET", "/v1/refused?limit=30")]);
    fill("trunks", /** @type {{items: TrunkState[]}} */ (states).items, trunk);
    fill("calls", /** @type {{items: Call[]}} */ (calls).items, callLine);
    fill("refused", /** @type {{items: Refused[]}} */ (refused).items, refusedLine);
  });
}

/**
 * Keeps the lines whose thing has not changed, so that an open test or a
 * focused button stays.
 * @template T
 * @param {string} id
 * @param {T[]} items
 * @param {(item: T) => HTMLElement} line
 */
function fill(id, items, line) {
  const list = find(id, HTMLElement);
  find(`${id}-empty`, HTMLElement).hidden = items.length > 0;
  const before = new Map([...list.children].map((node) => [/** @type {HTMLElement} */ (node).dataset.was, node]));
  list.replaceChildren(...items.map((item) => {
    const was = JSON.stringify(item);
    const node = before.get(was) ?? line(item);
    /** @type {HTMLElement} */ (node).dataset.was = was;
    return node;
  }));
}

/** @param {TrunkState} t */
function trunk(t) {
  const steps = make("ol", { className: "steps-seen", "data-test": "steps", "aria-live": "polite" });
  const number = make("input", { id: `to-${t.name}`, autocomplete: "off", placeholder: "+15551234567", "data-test": "to" });
  const form = make("form", { className: "row" },
    make("label", { className: "field", for: number.id }, "Number to call, if any ", number),
    make("button", { "data-test": "test", "aria-label": `Test trunk ${t.name}` }, "Test"));
  form.onsubmit = (event) => {
    event.preventDefault();
    test(t.name, number.value.trim(), steps);
  };
  return make("li", { "data-test": "trunk" },
    make("div", { className: "trunk-head" }, make("strong", {}, t.name), registration(t)),
    make("ul", { className: "servers" }, ...(t.servers ?? []).map(server)),
    form, steps);
}

/** @param {TrunkState} t */
function registration(t) {
  if (!t.registration) return make("span", { className: "soft" }, "does not register");
  const words = t.registration + (t.register_error ? `: ${t.register_error}` : "");
  return make("span", { className: "state", "data-state": t.registration }, words);
}

/** @param {NonNullable<TrunkState["servers"]>[number]} s */
function server(s) {
  const figures = [s.address, s.rtt_ms ? `${s.rtt_ms.toFixed(1)} ms` : "", s.reason].filter(Boolean).join(", ");
  return make("li", {},
    make("span", { className: "state", "data-state": s.state }, `${s.server} is ${s.state}`),
    make("span", { className: "soft" }, figures));
}

/**
 * @param {string} name
 * @param {string} to
 * @param {HTMLElement} steps
 */
async function test(name, to, steps) {
  steps.replaceChildren();
  await attempt(() => follow(`/v1/trunks/${encodeURIComponent(name)}/test`, to ? { to } : {}, (/** @type {TrunkStep} */ step) => {
    const mark = { ok: "✓", failed: "✗", skipped: "–" }[step.result];
    steps.append(make("li", { "data-test": "step", "data-result": step.result },
      make("span", { "aria-label": step.result, role: "img" }, mark), make("span", {}, step.name), make("span", {}, step.words),
      step.hint ? make("span", { className: "hint" }, step.hint) : null));
  }));
}

/** @param {Call} c */
function callLine(c) {
  const how = c.state === "ended" ? [c.cause, c.reason].filter(Boolean).join(": ") : c.state;
  return make("li", { "data-test": "call" },
    make("strong", {}, `${c.from || "anonymous"} → ${c.to}`),
    make("span", {}, [clock(c.created_at), c.trunk, c.verstat, how, sound(c)].filter(Boolean).join(" · ")),
    make("button", { type: "button", "aria-label": `Messages of the call from ${c.from || "anonymous"} to ${c.to} at ${clock(c.created_at)}`,
      click: () => showCall(c.id) }, "Messages"));
}

/** @param {Call} c */
function sound(c) {
  const mos = c.quality?.mos_avg || c.quality?.mos;
  return mos ? `sound ${satisfaction(mos).word}, MOS ${mos.toFixed(1)}` : "";
}

/** @param {string} id */
async function showCall(id) {
  await show(`/v1/calls/${id}/trace`, `call ${id}`);
  await attempt(async () => {
    const q = /** @type {CallQuality} */ (await api("GET", `/v1/calls/${id}/quality`));
    const card = find("sound", HTMLElement);
    card.hidden = !q.items.length;
    if (q.items.length) find("sound-chart", HTMLElement).replaceChildren(soundChart(q));
  });
}

/** @param {CallQuality} q with points */
function soundChart(q) {
  const now = Date.now();
  const history = new History(Infinity);
  history.remember(q.items, now);
  history.whole = q.quality;
  const span = Math.max(30_000, Date.parse(q.items[q.items.length - 1].at) - Date.parse(q.items[0].at) + history.stride);
  const chart = new Chart(`call ${q.call_id}`, {
    span, words: "over the whole call", from: duration(span) + " before", until: "at the end", when: (p) => clock(p.q.at),
  });
  chart.draw(history, now);
  return chart.element;
}

/** @param {Refused} r */
function refusedLine(r) {
  return make("li", { "data-test": "refusal" },
    make("strong", {}, `${r.from || "anonymous"} → ${r.to}`),
    make("span", {}, `${clock(r.time)} · ${r.source} · ${r.sip_code} · ${r.reason}`),
    r.sip_call_id ? make("button", { type: "button", "aria-label": `Messages of the refused call from ${r.source} at ${clock(r.time)}`,
      click: () => show(`/v1/trace?sip_call_id=${encodeURIComponent(r.sip_call_id)}`, `the refused call from ${r.source}`) }, "Messages") : null);
}

/**
 * @param {string} path
 * @param {string} what
 */
async function show(path, what) {
  find("sound", HTMLElement).hidden = true;
  await attempt(async () => {
    const trace = /** @type {Trace} */ (await api("GET", path));
    draw(find("ladder", HTMLElement), trace);
    const n = trace.items.length;
    setText(find("ladder-help", HTMLElement), n ? `${n} messages of ${what}, since ${clock(trace.items[0].time)}. Open one to read it.`
      : `No messages of ${what} are kept any more.`);
    find("ladder-tools", HTMLElement).hidden = n === 0;
    find("save", HTMLButtonElement).onclick = () => attempt(() => save(`${path}${path.includes("?") ? "&" : "?"}format=pcap`, "sip.pcap"));
    const title = find("ladder-title", HTMLElement);
    title.focus();
    title.scrollIntoView({ block: "start" });
  });
}
