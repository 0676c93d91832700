// The ladder: one column per peer and one for the gateway, an arrow per message.

/** @import { Trace, TraceStep } from "./types.js" */
import { make, shape } from "./dom.js";

const columnWidth = 230;
const rowHeight = 44;

/**
 * Draws a trace into a list; a step opens to show its message.
 * @param {Element} list
 * @param {Trace} trace
 */
export function draw(list, trace) {
  list.replaceChildren(...(trace.items.length ? [heads(trace), ...trace.items.map((step) => rung(step, trace))] : []));
}

/** The first peer stands left of the gateway, the others right. @param {number} peer */
const column = (peer) => (peer === 0 ? 0 : peer + 1);
const gateway = 1;

/** @param {number} at */
const middle = (at) => at * columnWidth + columnWidth / 2;

/** @param {Trace} trace */
function picture(trace) {
  const width = (trace.peers.length + 1) * columnWidth;
  return shape("svg", { viewBox: `0 0 ${width} ${rowHeight}`, "aria-hidden": "true" });
}

/** @param {Trace} trace */
function heads(trace) {
  const svg = picture(trace);
  const name = (/** @type {number} */ at, /** @type {string} */ words) =>
    svg.append(shape("text", { x: middle(at), y: rowHeight / 2 + 5, class: "peer" }, new Text(words)));
  name(gateway, "Roomline");
  trace.peers.forEach((peer, i) => name(column(i), peer));
  return make("li", { "aria-hidden": "true" }, make("div", { className: "ladder-heads" }, svg));
}

/**
 * @param {TraceStep} step
 * @param {Trace} trace
 */
function rung(step, trace) {
  const from = step.sent ? gateway : column(step.peer);
  const to = step.sent ? column(step.peer) : gateway;
  const svg = picture(trace);
  for (let i = 0; i <= trace.peers.length; i++) {
    svg.append(shape("line", { x1: middle(i), y1: 0, x2: middle(i), y2: rowHeight, class: "rung" }));
  }
  const direction = Math.sign(to - from);
  const tip = middle(to) - direction * 2;
  svg.append(
    shape("path", { class: "arrow", d: `M${middle(from)} 32H${tip}m${-direction * 8} -5l${direction * 8} 5l${-direction * 8} 5` }),
    shape("text", { x: (middle(from) + middle(to)) / 2, y: 24 }, new Text(step.label + (step.again ? " (again)" : ""))));
  const kind = [step.again ? "again" : "", /^[456]\d\d /.test(step.label) ? "failed" : ""].join(" ").trim();
  svg.setAttribute("class", kind);
  const peer = trace.peers[step.peer];
  const spoken = `${step.after.toFixed(3)} seconds: ${step.label}, ${step.sent ? `to ${peer}` : `from ${peer}`} over ${step.transport}${step.again ? ", again" : ""}`;
  return make("li", { "data-test": "rung" },
    make("details", {},
      make("summary", { "aria-label": spoken }, make("time", {}, step.after.toFixed(3)), svg),
      make("pre", {}, step.message.trimEnd())));
}
