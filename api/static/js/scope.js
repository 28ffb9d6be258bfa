// What a page is about: the chain, a store or department, or all of them that share an attribute.
import { KEYS, attributes, elided, labelOf, levels, memberColumn, memberName } from "./dataset.js";
import { h } from "./dom.js";
import { get } from "./fetching.js";
import { words } from "./formatting.js";
import { choice, field, idField, idFields } from "./panels.js";
import { go } from "./routing.js";

/** Level -> the filter of lists that names an attribute's value, in the API and in an address. */
const HAVING = { store: "store_attribute", department: "dept_attribute" };
const FILTERS = { store: "store_id", dept: "dept_id", store_attribute: "store_attribute", dept_attribute: "dept_attribute" };

/** Members without an attribute have no value of it. */
const valueName = (value) => (value === "" ? "none" : value);

/**
 * What people call an attribute: Store: region.
 * @param {string} level store or department
 * @param {string} attribute
 * @returns {string}
 */
export const attributeName = (level, attribute) => `${labelOf(level)}: ${words(attribute)}`;

/**
 * The filters of lists that an address names, as the API takes them.
 * @param {URLSearchParams} params
 * @returns {Object<string, ?string>}
 */
export const filtersOf = (params) => Object.fromEntries(Object.entries(FILTERS).map(([name, filter]) => [filter, params.get(name)]));

/**
 * Whether an address names a filter.
 * @param {URLSearchParams} params
 * @param {...string} more names of filters of the page
 * @returns {boolean}
 */
export const isFiltered = (params, ...more) => [...Object.keys(FILTERS), ...more].some((name) => params.get(name));

/**
 * The fields of these filters, as far as series have them.
 * @param {URLSearchParams} params
 * @returns {HTMLElement[]}
 */
export const filterFields = (params) => [...idFields(params), ...havingFields(params)];

/** @param {URLSearchParams} params @returns {HTMLElement[]} fields of the attributes alone */
export function havingFields(params) {
  return levels().flatMap((level) => {
    const known = attributes(level);
    if (known.length === 0) return [];
    const choices = known.flatMap(({ attribute, values }) => values.map((value) => [`${attribute}=${value}`, `${words(attribute)} ${value}`]));
    return [field(`${labelOf(level)} with`, choice([["", "any"], ...choices], params.get(HAVING[level]) ?? "", (having) => go({ [HAVING[level]]: having })))];
  });
}

/**
 * @typedef {Object} Scope
 * @property {string} level chain, store, department, or one of the latter with an attribute, such as store.region
 * @property {string} of the same without the attribute
 * @property {?string} attribute
 * @property {?string} value id of the store or department, or the attribute's value
 * @property {Object} filters of lists, as the API takes them; empty for the chain
 * @property {Object} address the filters of an address of a page of lists
 */

/**
 * The scope that an address names; the chain where it names no store, department or group.
 * @param {URLSearchParams} params
 * @returns {Scope}
 */
export function scopeOf(params) {
  const asked = params.get("level") ?? "chain";
  const dot = asked.indexOf(".");
  const [of, attribute] = dot < 0 ? [asked, null] : [asked.slice(0, dot), asked.slice(dot + 1)];
  const key = KEYS[of];
  const value = key ? params.get(attribute === null ? key[2] : "group") || null : null;
  if (value === null) return { level: "chain", of: "chain", attribute: null, value: null, filters: {}, address: {} };
  if (attribute === null) return { level: of, of, attribute, value, filters: { [key[0]]: value }, address: { [key[2]]: value } };
  const having = { [HAVING[of]]: `${attribute}=${value}` };
  return { level: asked, of, attribute, value, filters: having, address: having };
}

/**
 * The scope in words.
 * @param {Scope} scope
 * @param {Object} [row] of its totals, with names
 * @param {(text: string) => string} [cut]
 * @returns {string}
 */
export function scopeName({ of, attribute, value }, row, cut = elided) {
  if (value === null) return "Overview";
  if (attribute !== null) return `${attributeName(of, attribute)} ${cut(value)}`;
  return memberName(of, row ?? { [KEYS[of][0]]: value }, cut);
}

/**
 * The filters of a page about one scope.
 * @param {Scope} scope
 * @param {URLSearchParams} params
 * @returns {HTMLElement}
 */
export function scopeForm(scope, params) {
  const groups = levels().flatMap((level) => attributes(level).map(({ attribute }) => [`${level}.${attribute}`, attributeName(level, attribute)]));
  const select = choice([["chain", "the chain"], ...levels().map((each) => [each, `one ${labelOf(each)}`]), ...groups], scope.level, choose);
  return h("div", { class: "filters" }, field("Totals of", select), scope.value === null ? null : scope.attribute === null ? idField(scope.of, params) : groupField(scope));
}

function groupField({ of, attribute, value }) {
  const values = attributes(of).find((each) => each.attribute === attribute)?.values ?? [];
  const all = values.includes(value) ? values : [value, ...values];
  return field(attributeName(of, attribute), choice(all.map((each) => [each, each]), value, (group) => go({ group })));
}

/** One of the level stands for it until another is named. */
async function choose(level) {
  const [of, attribute] = [level.split(".")[0], level.includes(".") ? level.slice(level.indexOf(".") + 1) : null];
  const first = KEYS[level] ? await firstSeries() : null;
  const group = attribute === null ? null : attributes(of).find((each) => each.attribute === attribute).values[0];
  go({ level: first || group ? level : null, store: level === "store" ? first?.store_id : null, dept: level === "department" ? first?.dept_id : null, group });
}

/** Some series, whose store or department is shown until another one is named; null when there is none. */
async function firstSeries() {
  try {
    return (await get("/v1/series", { limit: 1 })).items[0] ?? null;
  } catch {
    // The panels of the page say what is wrong.
    return null;
  }
}

/**
 * The column of a table that says which group a row is of.
 * @param {string} of store or department
 * @param {string} attribute
 * @returns {Object}
 */
function groupColumn(of, attribute) {
  // The group of those without the attribute has no page: no filter names it.
  const show = (name, { group }) => (group === "" ? name : h("a", { href: groupLink(of, attribute, group) }, name));
  return { key: "group", label: attributeName(of, attribute), value: (row) => valueName(row.group), show };
}

/**
 * Totals of each store or department, or by the attribute of them that the address names, and the field that chooses.
 * @param {string} of store or department
 * @param {URLSearchParams} params
 * @returns {{level: string, column: Object, tools: HTMLElement[]}} the level as the API takes it, the column of a table
 */
export function breakdown(of, params) {
  const known = attributes(of).map((each) => each.attribute);
  const attribute = known.find((each) => each === params.get(`by.${of}`)) ?? null;
  const choices = [["", labelOf(of)], ...known.map((each) => [each, attributeName(of, each)])];
  const tools = known.length === 0 ? [] : [field("By", choice(choices, attribute ?? "", (chosen) => go({ [`by.${of}`]: chosen })))];
  return { ...levelOf(of, attribute), tools };
}

/**
 * A level as the API takes it, and the column that says which of its totals a row is.
 * @param {string} of store or department
 * @param {?string} attribute
 * @returns {{level: string, column: Object}}
 */
export const levelOf = (of, attribute) => (attribute === null ? { level: of, column: memberColumn(of) } : { level: `${of}.${attribute}`, column: groupColumn(of, attribute) });

const groupLink = (of, attribute, group) => `#/?${new URLSearchParams({ level: `${of}.${attribute}`, group })}`;
