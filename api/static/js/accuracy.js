// How good the published forecasts were, week by week, for the chain, a store or a department.
import { chart } from "./chart.js";
import { labelOf, levels, memberColumn } from "./dataset.js";
import { h } from "./dom.js";
import { get, getAll } from "./fetching.js";
import { addWeeks, day, decimal, percent, amounts, whole } from "./formatting.js";
import { emptyNote, panel } from "./panels.js";
import { table } from "./table.js";

// p10 to p90 should hold eight of ten.
const TARGET = 0.8;
const LAST = 60;

/**
 * Panels of WMAE, forecast value added and coverage over time.
 * @param {Object} query level, and what names its totals
 * @param {AbortSignal} signal
 * @returns {HTMLElement[]}
 */
export function scoreCharts(query, signal) {
  const ask = async () => {
    const [scored, tested] = await Promise.all([getAll("/v1/accuracy/weeks", query, signal), backtested(signal)]);
    return { ...scored, tested };
  };
  let shared = ask();
  shared.catch(() => {});
  const asked = new Set();
  const of = (title, draw) =>
    panel({
      title,
      signal,
      load: () => {
        // The first time all three share one answer; a retry asks anew.
        if (asked.has(title)) shared = ask();
        asked.add(title);
        return shared;
      },
      draw: ({ items, unit, tested }) => (items.length === 0 ? nothingScored() : draw(items.slice(-LAST), unit, tested)),
    });
  return [
    of("Error beside seasonal naive", (rows, unit, tested) => errorChart(rows, unit, tested, query, signal)),
    of("Forecast value added", (rows, unit) => valueChart(rows, unit, query, signal)),
    of("Coverage of p10 to p90", (rows) => coverageChart(rows, query, signal)),
  ];
}

/**
 * How good the forecast of the newest scored week was, store by store and department by department.
 * @param {URLSearchParams} params
 * @param {AbortSignal} signal
 * @returns {HTMLElement[]}
 */
export function scoreTables(params, signal) {
  const newest = () => newestScored(signal);
  let shared = newest();
  shared.catch(() => {});
  return levels().map((level) => {
    let first = true;
    return panel({
      title: `Accuracy by ${labelOf(level)}`,
      signal,
      load: async () => {
        if (!first) shared = newest();
        first = false;
        const found = await shared;
        if (found === null) return { week: null, items: [] };
        const { items, unit } = await getAll("/v1/accuracy", { level, ...found.query }, signal);
        return { ...found, items, unit };
      },
      draw: ({ week, vintage, items, unit }) =>
        items.length === 0 ? nothingScored() : scoresOf(level, week, vintage, items, unit, params),
    });
  });
}

/** The last week that the backtest forecast, not a vintage published at its origin; null when there is none. */
async function backtested(signal) {
  const [newest] = (await get("/v1/vintages", { kind: "backtest", limit: 1 }, signal)).items;
  return newest ? addWeeks(newest.origin_week, newest.horizon_weeks) : null;
}

/** The newest scored week, and what asks for the scores of the last forecast before it. */
async function newestScored(signal) {
  const { items } = await getAll("/v1/accuracy/weeks", { level: "chain" }, signal);
  const week = items.at(-1)?.week;
  if (!week) return null;
  // The last one before the week that is no scenario. A forecast can be published again; the newest of an origin counts.
  const { items: before } = await get("/v1/vintages", { to: addWeeks(week, -1), limit: LAST }, signal);
  const vintage = before.find((one) => one.kind !== "scenario");
  if (!vintage) return null;
  return { week, vintage, query: { from: week, to: week, vintage_id: vintage.vintage_id, model: vintage.method } };
}

function scoresOf(level, week, vintage, items, unit, params) {
  const { amount, signed, titled } = amounts(unit);
  const by = vintage.kind === "backtest" ? " by the backtest" : "";
  return table({
    name: `accuracy-by-${level}`,
    caption: titled(`Week of ${day(week)}, forecast from sales to ${day(vintage.origin_week)}${by}; per series and week`),
    rows: items,
    params,
    sort: "-wmae",
    columns: [
      memberColumn(level),
      { key: "wmae", label: "WMAE", numeric: true, show: amount },
      { key: "bias", label: "Bias", numeric: true, show: signed },
      { key: "fva", label: "FVA", numeric: true, show: (value) => h("span", { class: value < 0 ? "bad" : "" }, signed(value)) },
      { key: "coverage", label: "Coverage", numeric: true, show: (value) => percent(value, 0) },
      { key: "tracking_signal", label: "Tracking", numeric: true, show: (value) => decimal(value, 1) },
      { key: "points", label: "Series", numeric: true, show: whole },
    ],
  });
}

function nothingScored() {
  return emptyNote("No week is scored yet.", "Accuracy appears once sales of a week that was forecast have arrived.");
}

const mean = (rows, key) => {
  const known = rows.filter((row) => row[key] !== null);
  const points = known.reduce((sum, row) => sum + row.points, 0);
  return points === 0 ? null : known.reduce((sum, row) => sum + row[key] * row.points, 0) / points;
};

const nameOf = (what, query) => [what, ...Object.values(query)].filter(Boolean).join("-");

function errorChart(rows, unit, tested, query, signal) {
  const { full, titled } = amounts(unit);
  const both = rows.filter((row) => row.seasonal_naive_wmae !== null);
  const better = both.filter((row) => row.wmae < row.seasonal_naive_wmae).length;
  const decided = rows.filter((row) => row.final_wmae !== null);
  const helped = decided.filter((row) => row.final_wmae < row.wmae).length;
  const planners = decided.length > 0 ? ` Planners' numbers came nearer in ${helped} of ${decided.length} weeks.` : "";
  const told = tested !== null && rows[0].week <= tested ? ` Weeks to ${day(tested)} were forecast by the backtest, out of sample.` : "";
  return chart({
    name: nameOf("wmae", query),
    title: titled("WMAE by week"),
    summary: `WMAE, mean of all horizons. Newest week ${day(rows.at(-1).week)}: ${full(rows.at(-1).wmae)}. Below seasonal naive in ${better} of ${both.length} weeks.${planners}${told}`,
    weeks: rows.map((row) => row.week),
    height: 210,
    unit,
    range: [0, null],
    signal,
    lines: [
      { key: "seasonal_naive_wmae", label: "Seasonal naive", values: rows.map((row) => row.seasonal_naive_wmae), colour: "--last-year", dash: [2, 3] },
      { key: "wmae", label: "Model", values: rows.map((row) => row.wmae), colour: "--forecast", width: 2 },
      ...(decided.length > 0
        ? [{ key: "final_wmae", label: "Final", values: rows.map((row) => row.final_wmae ?? row.wmae), colour: "--override" }]
        : []),
    ],
  });
}

function valueChart(rows, unit, query, signal) {
  const { signed, full, titled } = amounts(unit);
  const known = rows.filter((row) => row.fva !== null);
  const won = known.filter((row) => row.fva > 0).length;
  return chart({
    name: nameOf("fva", query),
    title: titled("Forecast value added by week, per series and week"),
    summary: `WMAE of seasonal naive less the model's; above zero the model was better, as in ${won} of ${known.length} weeks. Mean: ${full(mean(rows, "fva"), signed)}.`,
    weeks: rows.map((row) => row.week),
    height: 210,
    range: [0, 0],
    format: signed,
    signal,
    lines: [{ key: "fva", label: "FVA", values: rows.map((row) => row.fva), colour: "--forecast", kind: "bars" }],
  });
}

function coverageChart(rows, query, signal) {
  return chart({
    name: nameOf("coverage", query),
    title: "Share of sales within p10 to p90 by week",
    summary: `Target 80%. Newest week ${day(rows.at(-1).week)}: ${percent(rows.at(-1).coverage)}. Mean of the weeks shown: ${percent(mean(rows, "coverage"))}.`,
    weeks: rows.map((row) => row.week),
    height: 210,
    range: [0.5, 1],
    level: TARGET,
    levelLabel: "Target 80%",
    format: (value) => percent(value),
    axisFormat: (value) => percent(value, 0),
    signal,
    lines: [{ key: "coverage", label: "Coverage", values: rows.map((row) => row.coverage), colour: "--forecast", width: 2 }],
  });
}
