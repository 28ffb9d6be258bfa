// Strips below a chart of weeks, one per driver: numbers as a stepped line, flags as blocks, plans apart from the past.
import { h, svg } from "./dom.js";
import { day } from "./formatting.js";

const HALF_WEEK = 3.5 * 86_400;
const MOST = 6;
const HEIGHTS = { number: 30, flag: 12 };
const ROOM = 3;

/**
 * @typedef {Object} Strip
 * @property {string} key name in the table and the CSV
 * @property {string} label
 * @property {"number"|"flag"} kind
 * @property {Array<?number>} values one per week
 * @property {boolean[]} planned one per week
 * @property {(value: ?number) => string} format
 */

/**
 * The value of a week in words, with what is a plan named so.
 * @param {Strip} strip
 * @param {number} i
 * @returns {string}
 */
export function stripText(strip, i) {
  const text = strip.format(strip.values[i]);
  return strip.planned[i] && strip.values[i] !== null ? `${text}, planned` : text;
}

const swatch = (kind) => {
  const box = svg("svg", { class: "swatch", width: 22, height: 10, "aria-hidden": "true" });
  box.append(kind === "flag" ? svg("rect", { class: "strip-block", x: 4, y: 1, width: 14, height: 8 }) : svg("path", { class: "strip-line", d: "M1 8H8V3H15V8H21" }));
  return box;
};

/**
 * Strips that stand below a chart, week under week.
 * @param {Strip[]} strips
 * @param {string[]} weeks
 * @param {number[]} times of the weeks, in seconds
 * @param {(left: number) => void} point at a place of the chart; below zero at none
 * @returns {{node: ?HTMLElement, values: Map<string, HTMLElement>, place: (u: Object) => void, mark: (u: Object) => void}}
 *   values: where the value of the week that is pointed at stands, by key
 */
export function stripsBelow(strips, weeks, times, point) {
  const values = new Map();
  const drawn = strips.map((strip) => {
    const picture = svg("svg", { class: "strip-picture", height: HEIGHTS[strip.kind] + 2 * ROOM, "aria-hidden": "true" });
    const value = h("span", { class: "reading" });
    values.set(strip.key, value);
    const node = h("div", { class: "strip", "data-driver": strip.key }, h("div", { class: "strip-name" }, swatch(strip.kind), strip.label, rangeOf(strip), value), picture);
    return { strip, picture, node };
  });
  let left = 0;
  const nodes = drawn.map(({ node }) => node);
  const more = nodes.slice(MOST);
  const rest = more.length > 0 ? h("details", { class: "strips-more" }, h("summary", {}, `${more.length} more`), more) : null;
  const node = nodes.length === 0 ? null : h("div", { class: "strips" }, nodes.slice(0, MOST), rest);
  node?.addEventListener("pointermove", (event) => point(event.clientX - node.getBoundingClientRect().left - left));
  node?.addEventListener("pointerleave", () => point(-10));

  const place = (u) => {
    const ratio = devicePixelRatio;
    left = u.bbox.left / ratio;
    const edge = (at) => left + u.valToPos(at, "x");
    const spans = times.map((at) => [edge(at - HALF_WEEK), edge(at + HALF_WEEK)]);
    for (const { strip, picture } of drawn) draw(picture, strip, weeks, spans, [left, left + u.bbox.width / ratio]);
  };
  const mark = (u) => {
    const at = u.cursor.idx;
    for (const { picture } of drawn) {
      const line = picture.querySelector(".strip-cursor");
      line?.classList.toggle("unseen-line", at === null || at === undefined || u.cursor.left < 0);
      if (at !== null && at !== undefined) line?.setAttribute("transform", `translate(${left + u.valToPos(times[at], "x")})`);
    }
  };
  return { node, values, place, mark };
}

/** What a number lies between, as its strip has no axis. */
function rangeOf({ kind, values, format }) {
  if (kind === "flag") return null;
  const known = values.filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  return h("span", { class: "strip-range" }, low === high ? format(low) : `${format(low)} to ${format(high)}`);
}

/** Weeks next to each other with one value and one state. */
function stretchesOf({ values, planned }) {
  const found = [];
  values.forEach((value, i) => {
    if (value === null) return;
    const last = found.at(-1);
    if (last && last.to === i - 1 && last.value === value && last.planned === planned[i]) last.to = i;
    else found.push({ value, planned: planned[i], from: i, to: i });
  });
  return found;
}

function draw(picture, strip, weeks, spans, [start, end]) {
  const height = HEIGHTS[strip.kind];
  const stretches = stretchesOf(strip);
  const parts = [];
  const ahead = strip.planned.indexOf(true);
  if (ahead >= 0) parts.push(svg("rect", { class: "strip-ahead", x: spans[ahead][0], y: 0, width: end - spans[ahead][0], height: height + 2 * ROOM }));
  parts.push(svg("line", { class: "strip-floor", x1: start, x2: end, y1: ROOM + height, y2: ROOM + height }));
  parts.push(...(strip.kind === "flag" ? blocks(stretches, spans, height) : steps(strip, stretches, spans, height)));
  for (const { value, planned, from, to } of stretches) {
    const when = from === to ? day(weeks[from]) : `${day(weeks[from])} to ${day(weeks[to])}`;
    const text = svg("title", {}, `${strip.label}: ${strip.format(value)}${planned ? ", planned" : ""}, ${when}`);
    parts.push(svg("rect", { class: "strip-touch", x: spans[from][0], y: 0, width: spans[to][1] - spans[from][0], height: height + 2 * ROOM }, text));
  }
  parts.push(svg("line", { class: "strip-cursor unseen-line", y1: 0, y2: height + 2 * ROOM }));
  picture.replaceChildren(...parts);
}

const blocks = (stretches, spans, height) =>
  stretches
    .filter(({ value }) => value !== 0)
    .map(({ planned, from, to }) => svg("rect", { class: planned ? "strip-block planned" : "strip-block", x: spans[from][0] + 0.5, y: ROOM + 0.5, width: Math.max(spans[to][1] - spans[from][0] - 1, 1), height: height - 1 }));

function steps(strip, stretches, spans, height) {
  const known = strip.values.filter((value) => value !== null);
  // What is there in few weeks, or none of it in some, stands on zero; a price goes up and down about itself.
  const isSparse = known.length * 2 < strip.values.length || known.includes(0);
  const [low, high] = [Math.min(...known, ...(isSparse ? [0] : [])), Math.max(...known)];
  const y = (value) => ROOM + (low === high ? height / 2 : height - 1 - ((value - low) / (high - low)) * (height - 2));
  const fills = isSparse ? stretches.filter(({ value }) => value !== 0).map(({ value, from, to }) => svg("rect", { class: "strip-fill", x: spans[from][0], y: Math.min(y(value), y(0)), width: spans[to][1] - spans[from][0], height: Math.abs(y(value) - y(0)) })) : [];
  const paths = { past: "", planned: "" };
  stretches.forEach(({ value, planned, from, to }, i) => {
    const before = stretches[i - 1];
    const kind = planned ? "planned" : "past";
    const joins = before && before.to === from - 1;
    const goesOn = joins && before.planned === planned;
    if (!goesOn) paths[kind] += joins ? `M${spans[from][0]} ${y(before.value)}` : `M${spans[from][0]} ${y(value)}`;
    paths[kind] += `V${y(value)}H${spans[to][1]}`;
  });
  return [...fills, ...Object.entries(paths).filter(([, path]) => path).map(([kind, path]) => svg("path", { class: kind === "planned" ? "strip-line planned" : "strip-line", d: path }))];
}
