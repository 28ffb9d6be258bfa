// Numbers of several series and weeks as cells: typed or pasted from a spreadsheet, looked at before they count.
import { seriesName } from "./dataset.js";
import { h } from "./dom.js";
import { getAll } from "./fetching.js";
import { amounts, counted, day, decision } from "./formatting.js";
import { emptyNote, field, panel } from "./panels.js";
import { focusableWhenScrolling } from "./table.js";
import { codeSelect } from "./override_form.js";
import { sender } from "./uploads.js";

// More cells would only make the browser slow; a filter leaves fewer, and a file takes them all.
const MOST_SERIES = 60;
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], Enter: [1, 0] };

/** What a cell says, as the API takes it; null for what is no number. */
const numberOf = (text) => (text.trim().toLowerCase() === "withdraw" ? { override: null } : decision(text));

/**
 * The newest forecast of the chosen series as a grid that can be filled in.
 * @param {Object} query
 * @param {AbortSignal} signal
 * @returns {HTMLElement}
 */
export function gridPanel(query, signal) {
  return panel({
    title: "Edit as a grid",
    signal,
    load: () => (Object.values(query).some(Boolean) ? getAll("/v1/forecasts", query, signal) : { items: [] }),
    draw: ({ items, unit }) => {
      if (items.length === 0) return emptyNote("Choose what to edit.", "The grid has the series that the filters above leave.");
      return drawGrid(items, unit);
    },
  });
}

function drawGrid(items, unit) {
  const { amount, titled } = amounts(unit);
  const weeks = [...new Set(items.map((item) => item.week))].sort();
  const series = Map.groupBy(items, (item) => JSON.stringify([item.store_id, item.dept_id]));
  const shown = [...series.values()].slice(0, MOST_SERIES);
  const cells = shown.map((row) => weeks.map((week) => cellOf(row.find((item) => item.week === week), week, amount)));
  const box = h(
    "div",
    { class: "scroll" },
    h(
      "table",
      { class: "entry" },
      h("caption", {}, titled("Final numbers; a cell takes a number, +10% of the system's forecast, or withdraw")),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Series"), weeks.map((week) => h("th", { scope: "col", class: "number" }, day(week))))),
      h("tbody", {}, shown.map((row, at) => h("tr", {}, h("th", { scope: "row" }, seriesName(row[0])), cells[at].map((cell) => h("td", {}, cell?.input))))),
    ),
  );
  focusableWhenScrolling(box);
  moveAndPaste(box, cells);
  return [box, shown.length < series.size && h("p", { class: "muted" }, `The first ${MOST_SERIES} of ${counted(series.size, "series")}; a filter or a file reaches the others.`), formOf(cells)].filter(Boolean);
}

function cellOf(item, week, amount) {
  if (!item) return null;
  const label = `${seriesName(item)}, week of ${day(week)}: ${amount(item.final)}`;
  const input = h("input", { type: "text", autocomplete: "off", placeholder: amount(item.final), "aria-label": label });
  input.addEventListener("input", () => input.removeAttribute("aria-invalid"));
  return { item, input };
}

/** Arrows and Enter go from cell to cell; what is pasted fills the cells from there on. */
function moveAndPaste(box, cells) {
  const placeOf = (input) => {
    const row = cells.findIndex((line) => line.some((cell) => cell?.input === input));
    return row < 0 ? null : [row, cells[row].findIndex((cell) => cell?.input === input)];
  };
  box.addEventListener("keydown", (event) => {
    const [step, at] = [STEPS[event.key], placeOf(event.target)];
    const next = step && at && cells[at[0] + step[0]]?.[at[1]];
    if (step && at) event.preventDefault();
    next?.input.focus();
  });
  box.addEventListener("paste", (event) => {
    const [text, at] = [event.clipboardData.getData("text"), placeOf(event.target)];
    if (!at || !/[\t\n]/.test(text.trim())) return;
    event.preventDefault();
    text.replace(/\r?\n$/, "").split(/\r?\n/).forEach((line, down) =>
      line.split("\t").forEach((value, right) => {
        const cell = cells[at[0] + down]?.[at[1] + right];
        if (cell) cell.input.value = value.trim();
      }),
    );
  });
}

function formOf(cells) {
  const reason = h("input", { type: "text", maxlength: 1000, required: true, autocomplete: "off" });
  const code = codeSelect();
  const look = h("button", { type: "submit", class: "primary" }, "Preview");
  const result = h("div", { "aria-live": "polite" });
  const filled = () => cells.flat().filter((cell) => cell && cell.input.value.trim() !== "");
  const content = () => ({
    // The version that is seen here: who was faster is not overwritten.
    body: JSON.stringify({ items: filled().map(({ item, input }) => ({ store_id: item.store_id, dept_id: item.dept_id, week: item.week, version: item.override?.version, ...numberOf(input.value) })) }),
    type: "application/json",
  });
  const send = sender({ content, words: () => ({ reason: reason.value.trim(), reason_code: code?.value }), look, result });
  const form = h("form", { class: "form" }, h("div", { class: "full" }, field("Reason", reason)), code && field("Kind of reason", code), h("div", { class: "buttons full" }, look));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wrong = filled().filter((cell) => numberOf(cell.input.value) === null);
    wrong.forEach((cell) => cell.input.setAttribute("aria-invalid", "true"));
    if (wrong.length > 0 || filled().length === 0) {
      (wrong[0] ?? cells.flat().find(Boolean)).input.focus();
      result.replaceChildren(h("p", { class: "error-title" }, wrong.length > 0 ? `${counted(wrong.length, "cell")}: expected a number, +10% or withdraw.` : "No cell is filled in."));
      return;
    }
    send();
  });
  return h("div", {}, form, result);
}
