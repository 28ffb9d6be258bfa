// What the retailer's data are: what people call stores and departments, the unit, the weekday that ends a week.
import { h } from "./dom.js";
import { get, getAll } from "./fetching.js";
import { link } from "./routing.js";

let known = { unit: null, week_ends: null, store_label: "Store", dept_label: "Department", has_stores: true, has_departments: true, reason_codes: [] };
let facts = [];
const LONG = 40;
// Members to each value of an attribute, in the mean, from which on it is worth a level.
const FEWEST = 1.5;

/** Ask for it, before the first page is drawn. */
export async function loadDataset() {
  try {
    const [dataset, { items }] = await Promise.all([get("/v1/dataset"), getAll("/v1/attributes")]);
    [known, facts] = [dataset, items];
  } catch {
    // The plain words stay; the page says what is wrong.
  }
}

/**
 * What people call a store or a department.
 * @param {string} level store or department
 * @returns {string}
 */
export function labelOf(level) {
  return level === "store" ? known.store_label : known.dept_label;
}

/** The keys that series have: store, department or both. @returns {string[]} */
export function levels() {
  return [...(known.has_stores ? ["store"] : []), ...(known.has_departments ? ["department"] : [])];
}

/**
 * The attributes that put stores or departments together, and their values; not those that nearly tell each one apart.
 * @param {string} level store or department
 * @returns {Array<{attribute: string, values: string[]}>}
 */
export function attributes(level) {
  const own = Map.groupBy(facts.filter((fact) => fact.level === level), (fact) => fact.attribute);
  return [...own]
    .filter(([, rows]) => rows.length * FEWEST <= rows.reduce((sum, row) => sum + row.members, 0))
    .map(([attribute, rows]) => ({ attribute, values: rows.map((row) => row.value).sort((a, b) => a.localeCompare(b, "en", { numeric: true })) }));
}

/** The weekday that ends a week, such as Friday; null before it is known. @returns {?string} */
export function weekday() {
  return known.week_ends && known.week_ends[0].toUpperCase() + known.week_ends.slice(1);
}

/** What the amounts of every page count; null before it is known. @returns {?string} */
export function datasetUnit() {
  return known.unit;
}

/** What tells data sets apart that one address has served. @returns {string} */
export function datasetName() {
  return [known.store_label, known.dept_label, known.unit].join(" ");
}

/** The codes of reasons that an override has to name one of; empty where it need not. @returns {string[]} */
export function reasonCodes() {
  return known.reason_codes;
}

/** Name of the member of a row with an id, and of the filter in an address. */
export const KEYS = { store: ["store_id", "store_name", "store"], department: ["dept_id", "dept_name", "dept"] };

/**
 * A store or department for people: Zürich HB (ZRH-01), or Shop ZRH-01 where it has no name.
 * @param {string} level store or department
 * @param {Object} row with its id, and its name if it has one
 * @param {(text: string) => string} [cut] of an id or name that is too long for where it stands
 * @returns {string}
 */
export function memberName(level, row, cut = (text) => text) {
  const [id, name] = KEYS[level].map((key) => row[key]);
  return name ? `${cut(name)} (${cut(id)})` : `${labelOf(level)} ${cut(id)}`;
}

/** A chain without stores and departments is one series. */
const seriesParts = (row, cut) => (levels().length === 0 ? ["Chain"] : levels().map((level) => memberName(level, row, cut)));

/**
 * A series for people.
 * @param {Object} row with both ids, and names
 * @param {(text: string) => string} [cut]
 * @returns {string}
 */
export function seriesName(row, cut) {
  return seriesParts(row, cut).join(", ");
}

/**
 * The first characters of a text that is too long for a line.
 * @param {string} text
 * @returns {string}
 */
export function elided(text) {
  const characters = [...text];
  return characters.length > LONG ? `${characters.slice(0, LONG - 1).join("")}…` : text;
}

/** A link whose names are each cut off where there is no room; the title has the whole. */
function nameLink(href, names) {
  const text = names.join(", ");
  const parts = names.flatMap((name, i) => [i > 0 && " ", h("span", {}, i < names.length - 1 ? `${name},` : name)]);
  return h("a", { class: "name", href, title: text.length > LONG / 2 ? text : null }, parts);
}

/**
 * A link to the totals of a store or department.
 * @param {string} level
 * @param {Object} row
 * @returns {HTMLElement}
 */
export function memberLink(level, row) {
  const [key, , filter] = KEYS[level];
  return nameLink(link("overview", { level, [filter]: row[key] }), [memberName(level, row)]);
}

/**
 * The column of a table that says which store or department a row is of.
 * @param {string} level
 * @returns {Object}
 */
export function memberColumn(level) {
  const members = KEYS[level].slice(0, 2);
  return { key: members[0], members, label: labelOf(level), value: (row) => memberName(level, row), show: (_text, row) => memberLink(level, row) };
}

/**
 * The column of a table that says which series a row is of.
 * @param {(row: Object) => Object} [filters] further filters of the page it links to
 * @returns {Object}
 */
export function seriesColumn(filters = () => ({})) {
  const to = (row) => link("series", { store: row.store_id, dept: row.dept_id, ...filters(row) });
  const members = ["store_id", "store_name", "dept_id", "dept_name"];
  return { key: "series", members, label: "Series", value: (row) => seriesName(row), show: (_text, row) => nameLink(to(row), seriesParts(row)) };
}
