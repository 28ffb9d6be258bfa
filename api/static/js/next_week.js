// The next week's totals of stores and departments, or of the series within one of them.
import { labelOf, levels, seriesColumn } from "./dataset.js";
import { h } from "./dom.js";
import { get, getAll } from "./fetching.js";
import { addWeeks, day, percent, shareOfChange, amounts } from "./formatting.js";
import { emptyNote, panel } from "./panels.js";
import { breakdown, levelOf } from "./scope.js";
import { table } from "./table.js";
import { intervalColumns, newestSold, systemColumn, weeksAhead } from "./weeks_ahead.js";

const signedShare = (share) => (share > 0 ? "+" : "") + percent(share);

/**
 * @param {import("./scope.js").Scope} scope
 * @param {URLSearchParams} params
 * @param {AbortSignal} signal
 * @returns {HTMLElement[]}
 */
export function nextWeekPanels(scope, params, signal) {
  const weeks = nextAndSold(signal);
  weeks.catch(() => {});
  if (scope.attribute !== null) return [totalsPanel({ ...levelOf(scope.of, null), filters: scope.filters, weeks, params, signal })];
  if (scope.level !== "chain") return [seriesPanel(scope, weeks, params, signal)];
  return [h("div", { class: "grid two" }, levels().map((of) => totalsPanel({ ...breakdown(of, params), weeks, params, signal })))];
}

/** The first forecast week that is not sold yet, and the newest one that is; null where there is none. */
async function nextAndSold(signal) {
  // The service has the newest origin in memory, so this costs next to nothing.
  const { newest_origin_week: origin } = await get("/health", {}, signal);
  if (origin === null) return { week: null, from: null };
  const { items } = await getAll("/v1/totals", { level: "chain", from: origin }, signal);
  return { week: weeksAhead(items, items)[0]?.week ?? null, from: newestSold(items) || origin };
}

async function nextWeek(level, key, filters, weeks, signal) {
  const { week, from } = await weeks;
  if (week === null) return { week: null, rows: [], unit: null };
  const of = (date) => getAll("/v1/totals", { level, ...filters, from: date, to: date }, signal);
  const [next, now, before] = await Promise.all([of(week), of(from), of(addWeeks(week, -52))]);
  const byId = (answer) => new Map(answer.items.map((row) => [row[key], row]));
  const [sold, old] = [byId(now), byId(before)];
  const rows = next.items
    .filter((row) => row.forecast !== null)
    .map((row) => {
      const last_year = old.get(row[key])?.actual ?? null;
      return { ...row, newest: sold.get(row[key])?.actual ?? null, last_year, change: shareOfChange(row.final, last_year) };
    });
  return { week, from, rows, unit: next.unit };
}

/** Totals of a level, or of one of its attributes. */
function totalsPanel({ level, column, filters = {}, tools = [], weeks, params, signal }) {
  return panel({
    title: `Next week by ${column.label}`,
    tools,
    signal,
    load: () => nextWeek(level, column.key, filters, weeks, signal),
    draw: ({ week, from, rows, unit }) => {
      if (rows.length === 0) return emptyNote("No week to come is forecast.", "Totals appear with the next published forecast.");
      const { amount, titled } = amounts(unit);
      return table({
        name: `next-week-by-${level}`,
        caption: titled(`Week of ${day(week)}, beside sales of ${day(from)} and of last year`),
        rows,
        params,
        sort: "-final",
        columns: [
          column,
          { key: "final", label: "Forecast", numeric: true, show: amount },
          ...systemColumn(rows, amount),
          ...intervalColumns(rows, amount),
          { key: "newest", label: "Newest sales", numeric: true, show: amount },
          { key: "last_year", label: "Last year", numeric: true, show: amount },
          { key: "change", label: "Change", numeric: true, show: signedShare },
        ],
      });
    },
  });
}

function seriesPanel({ level, filters }, weeks, params, signal) {
  const within = levels().filter((other) => other !== level).map(labelOf);
  return panel({
    title: [`This ${labelOf(level)} next week`, ...within].join(", by "),
    signal,
    load: async () => {
      const { week } = await weeks;
      if (week === null) return { items: [], unit: null };
      return getAll("/v1/forecasts", { ...filters, from: week, to: week }, signal);
    },
    draw: ({ items, unit }) => {
      if (items.length === 0) return emptyNote("No forecast here.", "The newest forecast holds no series of it.");
      const { amount, titled } = amounts(unit);
      return table({
        name: "next-week-series",
        caption: titled(`Week of ${day(items[0].week)}`),
        rows: items,
        params,
        sort: "-final",
        columns: [
          seriesColumn(),
          { key: "final", label: "Forecast", numeric: true, show: amount },
          ...systemColumn(items, amount),
          ...intervalColumns(items, amount),
          { key: "final_order_quantity", label: "Order", numeric: true, show: amount },
        ],
      });
    },
  });
}
