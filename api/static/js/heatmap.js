// A grid of buttons: severity as colour, as a mark and as text for a screen reader; arrows move, Enter opens.
import { h } from "./dom.js";
import { day, dayOfYear } from "./formatting.js";
import { variableName, variableText } from "./names.js";
import { focusableWhenScrolling } from "./table.js";

/** What stands in a cell, so that colour is never alone. */
export const MARKS = { severe: "▲", warn: "△", none: "", few: "·" };
/** Order of severities. */
export const RANK = { severe: 3, warn: 2, none: 1, few: 0 };
const NAMES = { severe: "severe", warn: "warning", none: "no drift", few: "too few points" };

/** The key to the marks. @returns {HTMLElement} */
export function legendOf() {
  const item = (severity, text) => h("span", {}, h("span", { class: `cell ${severity}`, "aria-hidden": "true" }, MARKS[severity]), text);
  return h("p", { class: "key" }, item("severe", "severe, and in how many comparisons"), item("warn", "warning, and in how many"), item("none", "no drift"), item("few", "too few points to judge"));
}

/**
 * @param {Object} spec
 * @param {string[]} spec.weeks
 * @param {string[]} spec.variables
 * @param {Map<string, Object>} spec.cells rows of /v1/drift/weeks by "variable week"
 * @param {[?string, ?string]} spec.chosen week and variable
 * @param {(week: string, variable: string) => void} spec.choose
 * @returns {HTMLElement}
 */
export function heatmap({ weeks, variables, cells, chosen, choose }) {
  const buttons = variables.map((variable) => weeks.map((week) => cellOf(week, variable, cells.get(`${variable} ${week}`))));
  const all = buttons.flat().filter(Boolean);
  const press = (button) => {
    for (const each of all) each.setAttribute("aria-pressed", String(each === button));
    choose(button.dataset.week, button.dataset.variable);
  };
  for (const button of all) button.addEventListener("click", () => press(button));
  const start = all.find((button) => button.dataset.week === chosen[0] && button.dataset.variable === chosen[1]);
  start?.setAttribute("aria-pressed", "true");
  // One stop of the Tab key for the whole grid; arrows go on from there.
  const newest = buttons.map((row) => row.at(-1)).find(Boolean);
  (start ?? newest ?? all[0]).tabIndex = 0;

  const grid = h(
    "table",
    { class: weeks.length < 7 ? "heat narrow" : "heat" },
    h("caption", { class: "unseen" }, "Drift by variable and week. Arrow keys move between cells, Enter lists the groups."),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Variable"), weeks.map((week, i) => headOf(week, weeks[i - 1])))),
    h("tbody", {}, variables.map((variable, i) => h("tr", {}, h("th", { scope: "row", title: variableText(variable) }, variableName(variable)), buttons[i].map((button) => h("td", {}, button))))),
  );
  grid.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const row = buttons.findIndex((each) => each.includes(event.target));
    if (!step || row < 0) return;
    event.preventDefault();
    let [i, j] = [row + step[0], buttons[row].indexOf(event.target) + step[1]];
    // A week without a report of the variable is stepped over.
    while (buttons[i]?.[j] === null) [i, j] = [i + step[0], j + step[1]];
    const next = buttons[i]?.[j];
    if (!next) return;
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  const box = h("div", { class: "scroll", role: "group", "aria-label": "Drift by variable and week" }, grid);
  focusableWhenScrolling(box);
  // The newest weeks are at the right.
  requestAnimationFrame(() => (box.scrollLeft = box.scrollWidth));
  return box;
}

function headOf(week, before) {
  const year = week.slice(0, 4) === before?.slice(0, 4) ? " " : week.slice(0, 4);
  return h("th", { scope: "col" }, h("span", { class: "unseen" }, day(week)), h("span", { "aria-hidden": "true" }, h("span", { class: "year" }, year), dayOfYear(week)));
}

function cellOf(week, variable, row) {
  if (!row) return null;
  const groups = row.severity === "severe" ? row.severe : row.severity === "warn" ? row.warn : null;
  const label = `${variableName(variable)}, ${day(week)}: ${NAMES[row.severity] ?? row.severity}${groups ? ` in ${groups} ${groups === 1 ? "comparison" : "comparisons"}` : ""}`;
  return h(
    "button",
    { type: "button", class: `cell ${row.severity}`, tabindex: -1, "aria-pressed": "false", "aria-label": label, title: label, "data-week": week, "data-variable": variable },
    `${MARKS[row.severity] ?? "?"}${groups ?? ""}`,
  );
}
