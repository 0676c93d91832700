// Asking the HTTP API with a key, which stays in this page's memory.

let key = "";

/** @param {string} value */
export const useKey = (value) => { key = value.trim(); };

/**
 * Asks the API; an error carries words for people.
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<object>}
 */
export async function api(method, path, body) {
  return (await send(method, path, body)).json().catch(() => ({}));
}

/**
 * Asks for an answer that comes line by line, each a JSON object.
 * @template T
 * @param {string} path
 * @param {object} body
 * @param {(line: T) => void} seen
 */
export async function follow(path, body, seen) {
  const answer = await send("POST", path, body);
  let rest = "";
  const text = new TextDecoder();
  for await (const chunk of /** @type {AsyncIterable<Uint8Array>} */ (/** @type {unknown} */ (answer.body))) {
    const lines = (rest + text.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) seen(JSON.parse(line));
  }
}

/** How long a stream of events may be silent: the gateway says something every 15 s. */
const silentMs = 40_000;

/**
 * Follows server-sent events that carry nothing but their name, until the stream
 * ends or signal says so.
 * @param {string} path
 * @param {AbortSignal} signal
 * @param {(name: string) => void} happened
 */
export async function watch(path, signal, happened) {
  const lost = new AbortController();
  const silent = () => setTimeout(() => lost.abort(), silentMs);
  let timer = silent();
  try {
    const answer = await send("GET", path, undefined, AbortSignal.any([signal, lost.signal]));
    let rest = "";
    const text = new TextDecoder();
    for await (const chunk of /** @type {AsyncIterable<Uint8Array>} */ (/** @type {unknown} */ (answer.body))) {
      clearTimeout(timer);
      timer = silent();
      const lines = (rest + text.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.startsWith("event: ")) happened(line.slice(7));
    }
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Saves an answer as a file.
 * @param {string} path
 * @param {string} name
 */
export async function save(path, name) {
  const url = URL.createObjectURL(await (await send("GET", path)).blob());
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @param {AbortSignal} [signal]
 */
async function send(method, path, body, signal) {
  const headers = { Authorization: `Bearer ${key}`, ...(body ? { "Content-Type": "application/json" } : {}) };
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store", signal });
  if (answer.ok) return answer;
  if (answer.status === 401) throw new Error("The gateway does not know this key. Check that it was copied whole.");
  const problem = await answer.json().catch(() => ({}));
  throw new Error(problem.detail || problem.title || `The gateway answered ${answer.status}.`);
}
