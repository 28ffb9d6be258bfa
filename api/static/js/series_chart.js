// The chart of one series, with what was forecast before and what planners said.
import { chart, interval } from "./chart.js";
import { seriesName } from "./dataset.js";
import { driverStrips, driversSummary, isSet } from "./drivers.js";
import { addWeeks, amounts, counted, day } from "./formatting.js";
import { holidaysOf } from "./holidays.js";
import { emptyNote } from "./panels.js";
import { weeksAhead } from "./weeks_ahead.js";

/**
 * @param {Object} detail body of /v1/series/detail, with the rows of /v1/drivers as `drivers`
 * @param {URLSearchParams} params
 * @param {AbortSignal} signal
 * @returns {HTMLElement}
 */
export function seriesChart(detail, params, signal) {
  const forecasts = new Map(detail.forecasts.map((row) => [row.week, row]));
  const sold = detail.history.filter((row) => row.actual !== null);
  if (detail.history.length === 0) return emptyNote("No sales and no forecast.", "This series has neither in the weeks asked for.");
  const origin = detail.vintage?.origin_week ?? null;
  const last = sold.at(-1)?.week ?? detail.history[0].week;
  const from = addWeeks(origin ?? last, 1 - Number(params.get("weeks") ?? 60));
  const known = detail.history.filter((row) => row.week >= from);
  const rows = withoutGaps(known.length > 0 ? known : detail.history);
  const column = (key) => rows.map((row) => row[key] ?? null);
  const ahead = (key) => rows.map((row) => forecasts.get(row.week)?.[key] ?? null);
  const active = new Map(detail.overrides.filter((row) => row.status === "active").map((row) => [row.week, row.override]));
  const inForce = [...active].filter(([week]) => forecasts.has(week)).sort();
  const earlier = params.get("earlier") === "1" ? earlierLines(detail.earlier, rows) : [];
  const drivers = driverStrips(detail.drivers, column("week"));

  return chart({
    name: `series-${detail.store_id}-${detail.dept_id}`,
    title: amounts(detail.unit).titled(`${seriesName(detail)}: sales and forecast by week`),
    summary: summaryOf(detail, sold, inForce, earlier, drivers),
    weeks: column("week"),
    strips: drivers.filter(isSet),
    columns: drivers.filter((strip) => !isSet(strip)),
    holidays: holidaysOf(rows),
    origin: origin && rows.some((row) => row.week === origin) ? origin : null,
    height: 340,
    unit: detail.unit,
    signal,
    bands: [["p90", "p10"]],
    lines: [
      ...interval((key) => ahead(`final_${key}`)),
      ...earlier,
      { key: "last_year", label: "Last year", values: column("last_year"), colour: "--last-year", dash: [2, 3], width: 1.5 },
      { key: "actual", label: "Sales", values: column("actual"), colour: "--actual", width: 1.75 },
      { key: "p50", label: "p50", values: ahead("final_p50"), colour: "--forecast", width: 1, dash: [1, 2] },
      { key: "forecast", label: inForce.length > 0 ? "System" : "Forecast", values: ahead("forecast"), colour: "--forecast", width: 2.25, dash: [6, 3] },
      ...(active.size > 0 ? [{ key: "override", label: "Override", values: rows.map((row) => active.get(row.week) ?? null), kind: "points", colour: "--override" }] : []),
    ],
  });
}

/** Weeks a series did not sell in are gaps, not lines drawn across them. */
function withoutGaps(known) {
  const by = new Map(known.map((row) => [row.week, row]));
  const rows = [];
  for (let week = known[0].week; week <= known.at(-1).week; week = addWeeks(week, 1)) {
    rows.push(by.get(week) ?? { week, actual: null, last_year: null, is_holiday: null, holiday: null });
  }
  return rows;
}

/** One line per origin; the table has what was said one week before each week. */
function earlierLines(earlier, rows) {
  const origins = [...new Set(earlier.map((row) => row.origin_week))].sort();
  const newestFirst = [...earlier].sort((a, b) => b.origin_week.localeCompare(a.origin_week));
  const nearest = new Map();
  for (const row of newestFirst) if (!nearest.has(row.week)) nearest.set(row.week, row.forecast);
  const lines = origins.map((origin) => {
    const said = new Map(earlier.filter((row) => row.origin_week === origin).map((row) => [row.week, row.forecast]));
    return { key: `origin-${origin}`, label: day(origin), values: rows.map((row) => said.get(row.week) ?? null), colour: "--earlier", width: 1, unlisted: true };
  });
  return [...lines, { key: "earlier", label: "Earlier forecasts", values: rows.map((row) => nearest.get(row.week) ?? null), colour: "--earlier", width: 1, kind: "hidden" }];
}

function summaryOf(detail, sold, inForce, earlier, drivers) {
  const { amount, full } = amounts(detail.unit);
  const parts = [];
  if (sold.length > 0) parts.push(`Newest sales: ${full(sold.at(-1).actual)} in the week of ${day(sold.at(-1).week)}.`);
  for (const row of weeksAhead(detail.forecasts, detail.history).slice(0, 1)) {
    const system = row.final === row.forecast ? "" : ` (system: ${amount(row.forecast)})`;
    parts.push(`Next week, ${day(row.week)}: forecast ${full(row.final)}${system}, p10 to p90 ${amount(row.final_p10)} to ${amount(row.final_p90)}.`);
  }
  if (detail.forecasts.length === 0) parts.push("The newest forecast does not hold this series.");
  if (inForce.length > 0) parts.push(`${counted(inForce.length, "override")} in force: ${inForce.map(([week, value]) => `${day(week)} ${full(value)}`).join(", ")}.`);
  if (earlier.length > 1) parts.push(`${counted(earlier.length - 1, "earlier forecast")} as thin lines; the table has the one nearest to each week.`);
  return [...parts, ...driversSummary(drivers)].join(" ");
}
