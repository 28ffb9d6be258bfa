// Elements are built, never parsed from strings: what the API says can then not become markup.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * An HTML element.
 * @param {string} tag
 * @param {Object<string, any>} [attributes] `onclick` and the like are listeners; null, undefined and false are left out.
 * @param {...(Node|string|number|null|Array)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/**
 * An SVG element.
 * @param {string} tag
 * @param {Object<string, any>} [attributes]
 * @param {...(Node|string)} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

let made = 0;

/**
 * An id that no other element of the page has.
 * @param {string} prefix
 * @returns {string}
 */
export function freshId(prefix) {
  made += 1;
  return `${prefix}-${made}`;
}

/**
 * Name the page: its heading, its tab.
 * @param {string} text
 * @param {string} [whole] where `text` is cut off
 */
export function entitle(text, whole = text) {
  const heading = document.querySelector("main h1");
  heading.textContent = text;
  if (whole === text) heading.removeAttribute("title");
  else heading.title = whole;
  document.title = `${text} – Demand forecasts`;
}

/**
 * Say something to a screen reader, without moving the focus.
 * @param {string} text
 */
export function announce(text) {
  document.getElementById("live").textContent = text;
}
