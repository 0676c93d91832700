// The room token: read from the fragment, which no server ever sees. It stays
// there so that a reload works; a copy in sessionStorage survives a fragment
// that somebody cut off.

/**
 * @typedef {object} Claims what the token says; the gateway alone can verify it
 * @property {string} name
 * @property {string} role
 * @property {number} expiresAt milliseconds since 1970, or 0
 */

/** The room's name, from the path. */
export const roomName = () => decodeURIComponent(location.pathname.split("/")[2] ?? "");

/** @param {string} room */
export function readToken(room) {
  const key = `roomline.token.${room}`;
  const fragment = decodeURIComponent(location.hash.slice(1));
  try {
    if (fragment) sessionStorage.setItem(key, fragment);
    return fragment || sessionStorage.getItem(key) || "";
  } catch {
    return fragment; // storage is blocked: memory is enough
  }
}

/** @param {string} room */
export function forgetToken(room) {
  try {
    sessionStorage.removeItem(`roomline.token.${room}`);
  } catch {
    // it was never stored
  }
}

/**
 * @param {string} token a JWT; anything else gives empty claims
 * @returns {Claims}
 */
export function claimsOf(token) {
  try {
    const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(part), (c) => c.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return {
      name: String(claims.name ?? ""),
      role: String(claims.role ?? ""),
      expiresAt: Number(claims.exp ?? 0) * 1000,
    };
  } catch {
    return { name: "", role: "", expiresAt: 0 };
  }
}

const accepted = "roomline.accepted";

/** Notes that we have accepted the call in this room: its page joins at once. @param {string} room */
export function acceptedRoom(room) {
  try {
    sessionStorage.setItem(accepted, room);
  } catch {
    // storage is blocked: they press Join
  }
}

/** Whether we have accepted the call in this room just now; true once. @param {string} room */
export function isAccepted(room) {
  try {
    if (sessionStorage.getItem(accepted) !== room) return false;
    sessionStorage.removeItem(accepted);
    return true;
  } catch {
    return false;
  }
}
