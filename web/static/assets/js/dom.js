// Finding and making elements. Text is always set as text: the policy of
// these pages refuses strings that would become markup.

/**
 * The element with this id, which must be there and of this class.
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function find(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} with id "${id}"`);
  return found;
}

/**
 * Makes an element. Names with a dash and "role", "for", "data-…" are set as
 * attributes, functions as listeners, the rest as properties.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (name.includes("-") || name === "role" || name === "for") node.setAttribute(name, value);
    else /** @type {any} */ (node)[name] = value;
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

const svg = "http://www.w3.org/2000/svg";

/**
 * An icon from the sprite at the top of the page, hidden from screen readers.
 * @param {string} name
 */
export function icon(name) {
  const node = document.createElementNS(svg, "svg");
  node.setAttribute("class", "icon");
  node.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(svg, "use");
  use.setAttribute("href", `#icon-${name}`);
  node.append(use);
  return node;
}

/**
 * Swaps the icon of a button that has one.
 * @param {Element} parent
 * @param {string} name
 */
export function setIcon(parent, name) {
  parent.querySelector("use")?.setAttribute("href", `#icon-${name}`);
}

/**
 * Makes an SVG element with attributes.
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...Node} children
 */
export function shape(tag, attributes, ...children) {
  const node = document.createElementNS(svg, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/**
 * Sets text only if it differs, so that screen readers are not told twice.
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Says something to people who use a screen reader.
 * @param {string} text
 */
export function announce(text) {
  const log = find("announcer", HTMLElement);
  log.append(make("p", {}, text));
  while (log.childElementCount > 6) log.firstElementChild?.remove();
}

/**
 * Does work, and shows on the page what went wrong with it.
 * @param {() => Promise<void>} work
 */
export async function attempt(work) {
  const node = find("problem", HTMLElement);
  try {
    await work();
    node.hidden = true;
    return true;
  } catch (error) {
    setText(node, error instanceof Error ? error.message : String(error));
    node.hidden = false;
    return false;
  }
}
