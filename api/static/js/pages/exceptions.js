// Series whose sales left p10 to p90, by the amount that was at risk.
import { seriesColumn } from "../dataset.js";
import { h, svg } from "../dom.js";
import { getAll } from "../fetching.js";
import { amounts, change, counted, day, whole } from "../formatting.js";
import { choice, emptyNote, field, figure, panel } from "../panels.js";
import { go, link } from "../routing.js";
import { filterFields, filtersOf, isFiltered } from "../scope.js";
import { table } from "../table.js";

/** @returns {string} */
export function title() {
  return "Exceptions";
}

/** @param {URLSearchParams} params @param {AbortSignal} signal @returns {Node[]} */
export function draw(params, signal) {
  const weeks = h("div", {}, weekChoice([], params));
  getAll("/v1/accuracy/weeks", {}, signal).then(
    ({ items }) => !signal.aborted && weeks.replaceChildren(weekChoice(items.map((row) => row.week).reverse(), params)),
    // The newest week is shown all the same, and the panel tells what is wrong.
    () => {},
  );
  const filtered = isFiltered(params, "week");
  const list = panel({
    title: "Series outside p10 to p90",
    signal,
    load: () => getAll("/v1/exceptions", { week: params.get("week"), ...filtersOf(params) }, signal),
    draw: (answer) => (answer.items.length > 0 ? drawn(answer, params) : nothing(answer.week, filtered)),
  });
  return [
    h("div", { class: "filters", role: "group", "aria-label": "Filters" }, weeks, filterFields(params), filtered && h("a", { href: link("exceptions") }, "Clear")),
    list,
  ];
}

function weekChoice(weeks, params) {
  const chosen = params.get("week") ?? "";
  const extra = chosen && !weeks.includes(chosen) ? [chosen] : [];
  return field("Week", choice([["", "newest"], ...[...extra, ...weeks].map((week) => [week, day(week)])], chosen, (week) => go({ week })));
}

function nothing(week, filtered) {
  if (filtered) return emptyNote("No exception matches.", week ? `In the week of ${day(week)} no such series left p10 to p90, or the week is not scored.` : "", h("a", { href: link("exceptions") }, "Show the newest week"));
  return emptyNote("No exceptions yet.", "They appear once a week that was forecast has been sold.");
}

function drawn({ items, week, unit }, params) {
  const { amount, full, titled } = amounts(unit);
  const risk = items.reduce((sum, row) => sum + row.at_risk, 0);
  const over = items.filter((row) => row.actual > row.p90).length;
  const figures = h(
    "dl",
    { class: "figures" },
    figure("Week", day(week), counted(items.length, "series")),
    figure("At risk, together", full(risk), `largest ${amount(Math.max(...items.map((row) => row.at_risk)))}`),
    figure("Sold more than p90", whole(over), "may have run short"),
    figure("Sold less than p10", whole(items.length - over), "may have too much"),
  );
  return [
    figures,
    table({
      name: `exceptions-${week}`,
      caption: `${titled(`Week of ${day(week)}, by amount at risk`)}. Bar: p10 to p90, tick: forecast, dot: sales`,
      rows: items,
      params,
      most: 100,
      tall: true,
      columns: [
        { key: "rank", label: "Rank", numeric: true },
        seriesColumn(),
        { key: "at_risk", label: "At risk", numeric: true, show: (value) => h("strong", {}, amount(value)) },
        { key: "actual", label: "Sales", numeric: true, show: amount },
        { key: "forecast", label: "Forecast", numeric: true, show: amount },
        { key: "against_forecast", label: "Against it", numeric: true, value: (row) => (row.forecast ? row.actual / row.forecast - 1 : null), show: (_v, row) => change(row.actual, row.forecast) },
        { key: "range", label: "In its range", value: (row) => (row.actual > row.p90 ? "above p90" : "below p10"), show: (text, row) => h("span", {}, rangeOf(row), h("span", { class: "unseen" }, text)) },
        { key: "p10", label: "p10", numeric: true, show: amount },
        { key: "p90", label: "p90", numeric: true, show: amount },
        { key: "order_quantity", label: "Order", numeric: true, show: amount },
        { key: "reason", label: "Reason", wide: true },
      ],
    }),
  ];
}

/** p10 to p90 as a bar, the forecast as a tick, the sales as a dot. */
function rangeOf({ p10: low, p90: high, forecast: middle, actual: sold }) {
  const [min, max] = [Math.min(low, sold, middle), Math.max(high, sold, middle)];
  const at = (value) => 6 + (108 * (value - min)) / (max - min || 1);
  return svg(
    "svg",
    { class: "range", width: 120, height: 18, "aria-hidden": "true" },
    svg("line", { x1: 4, x2: 116, y1: 9, y2: 9, stroke: "var(--line)" }),
    svg("rect", { x: at(low), y: 5, width: Math.max(at(high) - at(low), 2), height: 8, fill: "var(--fan)", stroke: "var(--forecast)", "stroke-width": 0.75 }),
    svg("line", { x1: at(middle), x2: at(middle), y1: 3, y2: 15, stroke: "var(--forecast)", "stroke-width": 2 }),
    svg("circle", { cx: at(sold), cy: 9, r: 4, fill: "var(--override)" }),
  );
}
