// How things are called and figures are written on the page. Pure functions.

/** @import { Participant, RoomEvent } from "./types.js" */

/** @type {Record<string, {icon: string, word: string}>} */
const kinds = {
  phone: { icon: "phone", word: "Phone" },
  browser: { icon: "browser", word: "Browser" },
  whip: { icon: "antenna", word: "WHIP publisher" },
  whep: { icon: "ear", word: "WHEP listener" },
  agent: { icon: "agent", word: "AI agent" },
};

/** @param {string} kind */
export const kindOf = (kind) => kinds[kind] ?? { icon: "browser", word: kind || "Participant" };

/** @param {Participant} p */
export const nameOf = (p) => p.name || p.identity || kindOf(p.kind).word;

/** @param {number} ms */
export function duration(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const hours = Math.floor(s / 3600);
  return (hours ? `${hours}:${two(Math.floor(s / 60) % 60)}` : String(Math.floor(s / 60))) + `:${two(s % 60)}`;
}

/** @param {number} ms */
export const ago = (ms) => (ms < 60_000 ? `${Math.round(ms / 1000)} s ago` : `${duration(ms)} min ago`);

/** @param {string | undefined} iso */
export function clock(iso) {
  const at = new Date(iso ?? Date.now());
  return at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
}

/**
 * What a MOS means to an ear, by the user satisfaction of ITU-T G.107 annex B.
 * @param {number | undefined} mos
 * @returns {{word: string, level: "good" | "fair" | "poor" | "bad" | "unknown"}}
 */
export function satisfaction(mos) {
  if (!mos) return { word: "not measured yet", level: "unknown" };
  if (mos >= 4.03) return { word: "good", level: "good" };
  if (mos >= 3.6) return { word: "fair", level: "fair" };
  if (mos >= 3.1) return { word: "poor", level: "poor" };
  return { word: "bad", level: "bad" };
}

/** @type {Record<string, string>} */
const roads = {
  direct: "One voice, carried without mixing",
  mixed: "Several voices, mixed",
  paced: "Fed from a queue",
};

/** @param {string} road */
export const roadWords = (road) => roads[road] ?? road;

/** @type {Record<string, string>} */
const roles = {
  dispatcher: "Dispatcher: you speak, hear and see everyone, and may hang up calls.",
  supervisor: "Supervisor: you hear everyone; nobody hears you while you listen.",
  agent: "Agent: you speak and hear everyone.",
  guest: "Guest: you speak, hear and see everyone.",
  caller: "Caller: your phone keeps your voice; this page adds your camera.",
};

/** @param {string} role */
export const roleWords = (role) => roles[role] ?? "";

/** @type {Record<string, string>} */
const happenings = {
  "call.created": "Call created",
  "call.ringing": "Ringing",
  "call.answered": "Call answered",
  "call.held": "Call on hold",
  "call.unheld": "Call resumed",
  "call.resumed": "Call resumed",
  "call.transferred": "Call transferred",
  "call.verified": "Caller verified",
  "call.ended": "Call ended",
  "room.opened": "Room opened",
  "room.closed": "Room closed",
  "participant.joined": "Joined",
  "participant.left": "Left",
  "participant.away": "Lost its network",
  "participant.back": "Came back",
  "track.published": "Started sending",
  "track.ended": "Stopped sending",
  "dtmf.received": "Pressed",
  "participant.hearing": "Is heard by others",
  "transfer.started": "Transfer started",
  "transfer.briefing": "Whom the call goes to is there",
  "transfer.accepted": "Transfer accepted",
  "transfer.declined": "Transfer declined",
  "transfer.failed": "Transfer failed",
  "agent.joined": "Agent joined",
  "agent.left": "Agent left",
  "agent.failed": "Agent failed",
  "agent.interrupted": "Interrupted the agent",
};

/** @param {RoomEvent} event */
export const happening = (event) => event.type === "participant.quality" ? `Call quality turned ${event.data?.class}` : happenings[event.type] ?? event.type.replaceAll(".", " ").replaceAll("_", " ");

/**
 * The digits that an event carries, whatever it calls them.
 * @param {RoomEvent} event
 * @returns {string}
 */
export function digitsOf(event) {
  const d = event.data ?? {};
  return String(d.digit ?? d.digits ?? d.key ?? "");
}
