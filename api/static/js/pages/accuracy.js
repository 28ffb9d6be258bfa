// What was forecast so many weeks before beside what was sold, and the model beside its baselines.
import { scoreCharts } from "../accuracy.js";
import { chart, interval } from "../chart.js";
import { labelOf, levels, memberColumn } from "../dataset.js";
import { entitle, h } from "../dom.js";
import { get, getAll } from "../fetching.js";
import { addWeeks, amounts, counted, day, percent, shareOfChange, valueAdded } from "../formatting.js";
import { holidaysOf, weekColumn } from "../holidays.js";
import { methodName } from "../names.js";
import { choice, emptyNote, field, figure, panel } from "../panels.js";
import { go } from "../routing.js";
import { scopeForm, scopeName, scopeOf } from "../scope.js";
import { table } from "../table.js";

const SPANS = [["13", "13 weeks"], ["26", "26 weeks"], ["52", "52 weeks"]];
// As the API names them.
const [PUBLISHED, BASELINE] = ["published", "seasonal_naive"];
const signedShare = (share) => (share > 0 ? "+" : "") + percent(share);

const titleOf = (scope, row, cut) => (scope.value === null ? "Accuracy" : `Accuracy: ${scopeName(scope, row, cut)}`);

/** @param {URLSearchParams} params @returns {string} */
export function title(params) {
  return titleOf(scopeOf(params));
}

/** @param {URLSearchParams} params @param {AbortSignal} signal @returns {Node[]} */
export function draw(params, signal) {
  const scope = scopeOf(params);
  const span = params.get("weeks") ?? "26";
  const before = params.get("before") ?? "1";
  const period = newestScored(signal).then((last) => (last === null ? null : { from: addWeeks(last, 1 - Number(span)), to: last }));
  period.catch(() => {});
  const ask = (path, query) => period.then((weeks) => (weeks === null ? { items: [] } : getAll(path, { ...query, horizon: before, ...weeks }, signal)));
  const horizons = h("div", {}, horizonField([before], before));
  furthest(signal).then((most) => !signal.aborted && horizons.replaceChildren(horizonField(Array.from({ length: most }, (_, i) => String(i + 1)), before)), () => {});
  const against = panel({
    title: "Forecast against sales",
    tools: [horizons, field("Show", choice(SPANS, span, (weeks) => go({ weeks })))],
    signal,
    load: () => ask("/v1/totals", { level: scope.level, ...scope.filters }),
    draw: ({ items, unit }) => {
      if (items.length > 0) entitle(titleOf(scope, items[0]), titleOf(scope, items[0], (text) => text));
      const rows = items.filter((row) => row.forecast !== null && row.actual !== null);
      return rows.length === 0 ? nothing() : againstSales(rows, before, unit, scope, params, signal);
    },
  });
  const models = levels().map((level) =>
    panel({
      title: `Model against baselines by ${labelOf(level)}`,
      signal,
      load: () => ask("/v1/accuracy/models", { level, ...(scope.of === level ? scope.filters : {}) }),
      draw: ({ items, unit }) => (items.length === 0 ? nothing() : modelsTable(level, items, unit, before, params)),
    }),
  );
  const scores = scoreCharts({ level: scope.of, ...scope.filters }, signal);
  return [scopeForm(scope, params), against, h("div", { class: "grid three stretch" }, scores), ...models];
}

const nothing = () => emptyNote("No such week is scored yet.", "Accuracy appears once sales of a week that was forecast have arrived.");

function horizonField(weeks, before) {
  return field("Forecast made", choice(weeks.map((each) => [each, `${counted(Number(each), "week")} before`]), before, (chosen) => go({ before: chosen })));
}

/** How many weeks ahead the newest vintage forecasts. */
const furthest = async (signal) => (await get("/v1/vintages", { kind: "forecast", limit: 1 }, signal)).items[0]?.horizon_weeks ?? 1;

const newestScored = async (signal) => (await getAll("/v1/accuracy/weeks", { level: "chain" }, signal)).items.at(-1)?.week ?? null;

function againstSales(items, before, unit, scope, params, signal) {
  const { amount, signed, full, titled } = amounts(unit);
  const rows = items.map((row) => ({ ...row, error: row.forecast - row.actual, share: shareOfChange(row.forecast, row.actual) }));
  const column = (key) => rows.map((row) => row[key]);
  const sum = (of) => rows.reduce((total, row) => total + of(row), 0);
  const hasInterval = rows.some((row) => row.p10 !== null);
  const held = rows.filter((row) => row.p10 !== null && row.actual >= row.p10 && row.actual <= row.p90).length;
  const [bias, miss] = [sum((row) => row.error), sum((row) => Math.abs(row.error))];
  const made = `forecast made ${counted(Number(before), "week")} before`;
  const name = `forecast-against-sales-${scope.level}${scope.value === null ? "" : `-${scope.value}`}`;
  return [
    h(
      "dl",
      { class: "figures", "aria-label": "Figures" },
      figure("Mean error, up or down", full(miss / rows.length), `${percent(miss / sum((row) => Math.abs(row.actual)))} of sales`),
      figure("Forecast less sales, mean", full(bias / rows.length, signed), bias > 0 ? "forecast too much" : "forecast too little"),
      hasInterval && figure("Sales within p10 to p90", `${held} of ${rows.length}`, "weeks; eight of ten are the target"),
    ),
    chart({
      name,
      title: titled(`Sales beside the ${made}, by week`),
      summary: `Sales and the ${made} in ${counted(rows.length, "week")} from ${day(rows[0].week)} to ${day(rows.at(-1).week)}.`,
      weeks: column("week"),
      holidays: holidaysOf(rows),
      height: 300,
      unit,
      signal,
      bands: hasInterval ? [["p90", "p10"]] : [],
      lines: [
        ...(hasInterval ? interval(column) : []),
        { key: "actual", label: "Sales", values: column("actual"), colour: "--actual", width: 1.75 },
        { key: "forecast", label: "Forecast then", values: column("forecast"), colour: "--forecast", dash: [6, 3], width: 2 },
      ],
    }),
    table({
      name: `${name}-weeks`,
      caption: titled(`By week, ${made}`),
      rows: [...rows].reverse(),
      params,
      columns: [
        weekColumn(),
        { key: "origin_week", label: "Made after", show: day },
        { key: "forecast", label: "Forecast", numeric: true, show: amount },
        { key: "actual", label: "Sales", numeric: true, show: amount },
        { key: "error", label: "Forecast less sales", numeric: true, show: signed },
        { key: "share", label: "%", numeric: true, show: signedShare },
      ],
    }),
  ];
}

function modelsTable(level, items, unit, before, params) {
  const { amount, signed, titled } = amounts(unit);
  const member = memberColumn(level);
  const models = [...new Set(items.map((row) => row.model))].filter((model) => model !== PUBLISHED).sort();
  const rows = items
    .filter((row) => row.model === PUBLISHED)
    .map((row) => ({ ...row, ...Object.fromEntries(items.filter((other) => other[member.key] === row[member.key]).map((other) => [`wmae_${other.model}`, other.wmae])) }));
  const weeks = Math.max(...rows.map((row) => row.weeks));
  return table({
    name: `models-by-${level}`,
    caption: titled(`WMAE of ${counted(weeks, "week")} together, forecast ${counted(Number(before), "week")} before; per series and week`),
    rows,
    params,
    most: 20,
    sort: "-wmae",
    columns: [
      member,
      { key: "wmae", label: "Model", numeric: true, show: (value) => h("strong", {}, amount(value)) },
      ...models.map((model) => ({ key: `wmae_${model}`, label: methodName(model), numeric: true, show: amount })),
      { key: "fva", label: "FVA", numeric: true, show: (value) => h("span", { class: value < 0 ? "bad" : "" }, signed(value)) },
      { key: "added", label: "FVA, %", numeric: true, value: (row) => shareOfChange(-row.wmae, -row[`wmae_${BASELINE}`]), show: (_share, row) => valueAdded(row.wmae, row[`wmae_${BASELINE}`]) },
      { key: "bias", label: "Bias", numeric: true, show: signed },
      { key: "coverage", label: "Coverage", numeric: true, show: (value) => percent(value, 0) },
    ],
  });
}
