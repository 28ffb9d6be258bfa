// The chain, one store or one department: what comes, what came, how good the forecasts were.
import { scoreCharts, scoreTables } from "../accuracy.js";
import { chart, interval } from "../chart.js";
import { seriesColumn } from "../dataset.js";
import { entitle, h } from "../dom.js";
import { get, getAll } from "../fetching.js";
import { addWeeks, amounts, change, counted, day, percent, shareOfChange } from "../formatting.js";
import { holidaysOf, weekColumn } from "../holidays.js";
import { choice, emptyNote, field, figure, panel } from "../panels.js";
import { go, link } from "../routing.js";
import { scopeForm, scopeName, scopeOf } from "../scope.js";
import { table } from "../table.js";
import { nextWeekPanels } from "../next_week.js";
import { intervalColumns, systemColumn, weeksAhead } from "../weeks_ahead.js";

const SPANS = [["26", "26 weeks"], ["60", "60 weeks"], ["104", "104 weeks"], ["all", "all weeks"]];

/** @param {URLSearchParams} params @returns {string} */
export function title(params) {
  return scopeName(scopeOf(params));
}

/** @param {URLSearchParams} params @param {AbortSignal} signal @returns {Node[]} */
export function draw(params, signal) {
  const scope = scopeOf(params);
  const query = { level: scope.level, ...scope.filters };
  const span = params.get("weeks") ?? "60";
  // A year more than is drawn, for last year's line.
  const load = async () => {
    const { newest_origin_week: newest } = await origin();
    if (newest === null || span === "all") return getAll("/v1/totals", query, signal);
    const first = addWeeks(newest, 1 - Number(span));
    // In two parts at once: summing a year of every series is most of the wait.
    const [shown, before] = await Promise.all([
      getAll("/v1/totals", { ...query, from: first }, signal),
      getAll("/v1/totals", { ...query, from: addWeeks(first, -52), to: addWeeks(first, -1) }, signal),
    ]);
    return { ...shown, items: [...before.items, ...shown.items] };
  };
  let health = null;
  // The service has the newest origin in memory, so this costs next to nothing.
  const origin = () => (health ??= get("/health", {}, signal));

  const figures = h("div", {});
  const coming = h("div", {});
  const spans = choice(SPANS, span, (weeks) => go({ weeks }));
  const main = panel({
    title: "Sales and forecast",
    tools: field("Show", spans),
    signal,
    load: () => load().catch((error) => {
      health = null;
      throw error;
    }),
    draw: ({ items, vintage, unit }) => {
      if (scope.level !== "chain" && items.length > 0) entitle(scopeName(scope, items[0]), scopeName(scope, items[0], (text) => text));
      if (items.length === 0) return emptyNote("No sales and no forecast yet.", "They appear once the pipeline has published its first week: ", h("code", {}, "demand run"), ".");
      figures.replaceChildren(figuresOf(items, vintage, unit));
      coming.replaceChildren(comingOf(items, unit, params));
      return totalsChart(items, vintage, unit, span, scope, signal);
    },
  });
  const scores = h("div", { class: "grid three stretch" }, scoreCharts({ level: scope.of, ...scope.filters }, signal));
  return [
    scopeForm(scope, params),
    figures,
    main,
    h("div", { class: "grid two" }, panelOf("Weeks to come", coming), exceptionsPanel(scope, signal)),
    ...nextWeekPanels(scope, params, signal),
    scores,
    ...(scope.level === "chain" ? [h("div", { class: "grid two" }, scoreTables(params, signal))] : []),
  ];
}

function panelOf(text, body) {
  return h("section", { class: "panel", "aria-label": text }, h("div", { class: "panel-head" }, h("h2", {}, text)), h("div", { class: "panel-body" }, body));
}

function figuresOf(items, vintage, unit) {
  const { amount, full, signed } = amounts(unit);
  const scored = items.filter((row) => row.actual !== null && row.forecast !== null).at(-1);
  const sold = items.filter((row) => row.actual !== null).at(-1);
  const ahead = vintage ? weeksAhead(items, items) : [];
  const before = new Map(items.map((row) => [row.week, row.actual]));
  const parts = [];
  if (ahead.length > 0) {
    const next = ahead[0];
    const range = next.final_p10 === null ? "" : `p10 to p90: ${amount(next.final_p10)} to ${amount(next.final_p90)}`;
    const moved = next.final === next.forecast ? "" : `; system: ${amount(next.forecast)}`;
    parts.push(figure(`Forecast, week of ${day(next.week)}`, full(next.final), range + moved));
    const old = before.get(addWeeks(next.week, -52)) ?? null;
    parts.push(figure("Against the same week last year", change(next.final, old), `last year ${amount(old)}`));
  }
  if (sold) parts.push(figure(`Sales, week of ${day(sold.week)}`, full(sold.actual), `${change(sold.actual, before.get(addWeeks(sold.week, -52)))} on last year`));
  if (scored) {
    const miss = scored.actual - scored.forecast;
    const known = scored.p10 !== null;
    const inside = known && scored.actual >= scored.p10 && scored.actual <= scored.p90;
    const place = known ? (inside ? "within p10 to p90" : "outside p10 to p90") : `forecast ${amount(scored.forecast)}`;
    parts.push(figure(`Sales less forecast, ${day(scored.week)}`, full(miss, signed), `${change(scored.actual, scored.forecast)}, ${place}`, known && !inside ? "bad" : ""));
  } else if (sold) {
    parts.push(figure("Sales less forecast", "–", "no forecast week has been sold yet"));
  }
  if (ahead.length > 0) {
    const sum = ahead.reduce((total, row) => total + row.final, 0);
    parts.push(figure(`Next ${counted(ahead.length, "week")} together`, full(sum), `to the week of ${day(ahead.at(-1).week)}`));
  }
  return h("dl", { class: "figures", "aria-label": "Figures" }, parts);
}

function totalsChart(items, vintage, unit, weeksShown, scope, signal) {
  const { amount, titled } = amounts(unit);
  const actual = new Map(items.map((row) => [row.week, row.actual]));
  const sold = items.filter((row) => row.actual !== null);
  const last = sold.at(-1)?.week ?? vintage?.origin_week;
  const from = weeksShown === "all" ? "" : addWeeks(last, 1 - Number(weeksShown || 60));
  const rows = items.filter((row) => row.week >= from);
  const column = (key) => rows.map((row) => row[key]);
  const ahead = weeksAhead(rows, items);
  const foreseen = rows.filter((row) => row.actual !== null && row.p10 !== null);
  // With too few errors of the backtest totals have none.
  const hasInterval = rows.some((row) => row.p10 !== null);
  const held = foreseen.filter((row) => row.actual >= row.p10 && row.actual <= row.p90).length;
  const about = [
    `${counted(sold.filter((row) => row.week >= from).length, "week")} of sales to ${day(last)}`,
    ahead.length > 0 ? `, then ${counted(ahead.length, "forecast week")} to ${day(ahead.at(-1).week)}: ${ahead.map((row) => amount(row.final)).join(", ")} ${unit}` : "",
    foreseen.length > 0 ? `. Sales lay within p10 to p90 in ${held} of ${counted(foreseen.length, "week")} that had been forecast` : "",
    ". Last year is aligned by 52 weeks, so that holidays meet.",
  ].join("");
  return chart({
    name: `totals-${scope.level}${scope.value === null ? "" : `-${scope.value}`}`,
    title: titled("Sales and forecast by week"),
    summary: about,
    weeks: column("week"),
    holidays: holidaysOf(rows),
    origin: vintage && rows.some((row) => row.week === vintage.origin_week) ? vintage.origin_week : null,
    height: 330,
    unit,
    signal,
    bands: hasInterval ? [["p90", "p10"]] : [],
    lines: [
      ...(hasInterval ? interval(column) : []),
      { key: "last_year", label: "Last year", values: rows.map((row) => actual.get(addWeeks(row.week, -52)) ?? null), colour: "--last-year", dash: [2, 3], width: 1.5 },
      { key: "actual", label: "Sales", values: column("actual"), colour: "--actual", width: 1.75 },
      { key: "forecast", label: "Forecast", values: column("forecast"), colour: "--forecast", dash: [6, 3], width: 2 },
      ...(ahead.some((row) => row.final !== row.forecast) ? [{ key: "final", label: "Final, with overrides", values: rows.map((row) => (row.final === row.forecast ? null : row.final)), kind: "points", colour: "--override" }] : []),
    ],
  });
}

function comingOf(items, unit, params) {
  const { amount, titled } = amounts(unit);
  const before = new Map(items.map((row) => [row.week, row.actual]));
  const rows = weeksAhead(items, items)
    .map((row) => ({ ...row, last_year: before.get(addWeeks(row.week, -52)) ?? null }))
    .map((row) => ({ ...row, change: shareOfChange(row.final, row.last_year) }));
  if (rows.length === 0) return emptyNote("No week to come is forecast.", "The newest forecast's weeks have all been sold; the next run adds new ones.");
  return table({
    name: "weeks-to-come",
    caption: titled("By week"),
    rows,
    params,
    columns: [
      weekColumn(),
      { key: "final", label: "Forecast", numeric: true, show: (value) => h("strong", {}, amount(value)) },
      ...systemColumn(rows, amount),
      ...intervalColumns(rows, amount),
      { key: "last_year", label: "Last year", numeric: true, show: amount },
      { key: "change", label: "Change", numeric: true, show: (share) => (share > 0 ? "+" : "") + percent(share) },
    ],
  });
}

function exceptionsPanel(scope, signal) {
  const query = { limit: 6, ...scope.filters };
  return panel({
    title: "Largest exceptions",
    tools: h("a", { href: link("exceptions", scope.address) }, "All exceptions"),
    signal,
    load: () => get("/v1/exceptions", query, signal),
    draw: ({ items, week, unit }) => {
      if (items.length === 0) return emptyNote("No exceptions.", week ? "No series here left its p10 to p90 in the newest week with exceptions." : "They appear once a week that was forecast has been sold.");
      const { amount, titled } = amounts(unit);
      return table({
        name: "largest-exceptions",
        caption: titled(`Week of ${day(week)}, by amount at risk`),
        rows: items,
        columns: [
          seriesColumn(),
          { key: "at_risk", label: "At risk", numeric: true, show: amount },
          { key: "actual", label: "Sales", numeric: true, show: amount },
          { key: "forecast", label: "Forecast", numeric: true, show: amount },
        ],
      });
    },
  });
}

