// All planners' numbers and what they added.
import { labelOf, levels, weekday } from "../dataset.js";
import { h } from "../dom.js";
import { getAll } from "../fetching.js";
import { gridPanel } from "../grid.js";
import { amounts, percent, whole } from "../formatting.js";
import { choice, emptyNote, field, figure, panel } from "../panels.js";
import { go, link } from "../routing.js";
import { filterFields, filtersOf, isFiltered } from "../scope.js";
import { groupsTable, overridesTable, scoresTable } from "../overrides_tables.js";
import { uploadPanel, uploadsPanel, waitingPanel } from "../uploads.js";

const STATUSES = [["", "any"], ["active", "active"], ["waiting", "waiting"], ["rejected", "rejected"], ["superseded", "superseded"], ["withdrawn", "withdrawn"], ["expired", "expired"]];

const groupings = () => [["author", "author"], ["reason_code", "kind of reason"], ...levels().map((level) => [level === "store" ? "store_id" : "dept_id", labelOf(level)])];

/** @returns {string} */
export function title() {
  return "Overrides";
}

/** @param {URLSearchParams} params @param {AbortSignal} signal @returns {Node[]} */
export function draw(params, signal) {
  const query = filtersOf(params);
  const filtered = isFiltered(params, "week", "status");
  const list = panel({
    title: "All overrides",
    signal,
    load: () => getAll("/v1/overrides", { ...query, week: params.get("week"), status: params.get("status") }, signal),
    draw: ({ items, unit }) => {
      if (items.length > 0) return overridesTable("overrides", items, unit, params, true);
      return filtered
        ? emptyNote("No override matches.", h("a", { href: link("overrides") }, "Show all"))
        : emptyNote("No override was ever given.", "A planner gives one on the page of a series; it then stands here with every later version.");
    },
  });
  const scores = panel({
    title: "Forecast value added",
    signal,
    load: () => getAll("/v1/overrides/accuracy", query, signal),
    draw: ({ items, summary, unit }) => {
      if (items.length === 0) return emptyNote("No override is scored yet.", "A number counts once its week has been sold, if it was in force when the week ended.");
      const { full, signed } = amounts(unit);
      return [
        h(
          "dl",
          { class: "figures" },
          figure("Scored", whole(summary.overrides), "in force at the end of their week"),
          figure("FVA, all together", full(summary.fva, signed), "error saved; below zero: added", summary.fva >= 0 ? "good" : "bad"),
          figure("Nearer than the system", percent(summary.share_better, 0), "of the overrides scored"),
        ),
        scoresTable("override-scores", items, unit, params),
      ];
    },
  });
  const by = params.get("by") ?? "author";
  const groups = panel({
    title: "Whose overrides help",
    tools: field("By", choice(groupings(), by, (chosen) => go({ by: chosen }))),
    signal,
    load: () => getAll("/v1/overrides/accuracy/groups", { ...query, by }, signal),
    draw: ({ items, unit }) => (items.length === 0 ? emptyNote("No override is scored yet.", "A number counts once its week has been sold.") : groupsTable(items, unit, params)),
  });
  return [filters(params), waitingPanel(query, params, signal), list, gridPanel(query, signal), uploadPanel(), h("div", { class: "grid two" }, groups, uploadsPanel(signal)), scores];
}

function filters(params) {
  // Not type="date": browsers show that in the order of the locale.
  const week = h("input", { type: "text", class: "short", placeholder: "YYYY-MM-DD", value: params.get("week") ?? "", inputmode: "numeric", onchange: () => go({ week: week.value.trim() }) });
  return h(
    "div",
    { class: "filters", role: "group", "aria-label": "Filters" },
    filterFields(params),
    field(weekday() === null ? "Week" : `Week, a ${weekday()}`, week),
    field("Status", choice(STATUSES, params.get("status") ?? "", (status) => go({ status }))),
    isFiltered(params, "week", "status") && h("a", { href: link("overrides") }, "Clear"),
  );
}
