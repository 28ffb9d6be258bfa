// What a planner calls features, drift variables, groups of attributions, methods and figures, as the service says.
import { labelOf } from "./dataset.js";
import { get } from "./fetching.js";
import { words } from "./formatting.js";

let known = { variables: {}, parts: {}, drivers: {}, groups: {}, methods: {}, figures: {} };

/** Ask for them, before the first page is drawn. */
export async function loadWords() {
  try {
    known = await get("/v1/words");
  } catch {
    // The names of the data stay; the page says what is wrong.
  }
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

function filled(entry, values) {
  const all = { store: labelOf("store"), department: labelOf("department"), ...values };
  return [entry.name, entry.text].map((text) => text.replaceAll(/#|\{(\w+)\}/g, (mark, name) => (mark === "#" ? all.number : all[name])));
}

/** [name, explanation] of a variable; null for one without. */
function entryOf(variable) {
  const number = /\d+$/.exec(variable)?.[0];
  const word = known.variables[variable] ?? known.variables[variable.replace(/\d+$/, "#")];
  if (word) return filled(word, { number });
  const [level, driver, part] = variable.split("__");
  if (!driver || !known.parts[part]) return null;
  const [name, text] = filled(known.parts[part], { driver: capital(words(driver)) });
  return level === "store" ? [`${labelOf("store")}: ${name}`, text] : [name, text];
}

/**
 * A feature or drift variable in a planner's words; one that is not known here as the data name it.
 * @param {string} variable
 * @returns {string}
 */
export const variableName = (variable) => entryOf(variable)?.[0] ?? capital(words(variable));

/** What a variable means; null where that is not known here. @param {string} variable @returns {?string} */
export const variableText = (variable) => entryOf(variable)?.[1] ?? null;

const groupEntry = (group) => (known.groups[group] ? filled(known.groups[group]) : null);

/** A group of attributions in a planner's words. @param {string} group @returns {string} */
export const groupName = (group) => groupEntry(group)?.[0] ?? capital(group);

/** What a group of attributions holds; null where that is not known here. @param {string} group @returns {?string} */
export const groupText = (group) => groupEntry(group)?.[1] ?? null;

const ownWord = (kind, name) => (known[kind][name] ? filled(known[kind][name])[0] : capital(words(name)));

/** A driver in a planner's words: StateHoliday=a is "StateHoliday: a". @param {string} driver @returns {string} */
export const driverName = (driver) => (driver in known.drivers ? ownWord("drivers", driver) : capital(words(driver.replace("=", ": "))));

/** A method or baseline in a planner's words. @param {string} method @returns {string} */
export const methodName = (method) => ownWord("methods", method);

/** A figure of a decision in words. @param {string} figure @returns {string} */
export const figureName = (figure) => ownWord("figures", figure);
