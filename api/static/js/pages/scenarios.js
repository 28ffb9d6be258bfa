// What-if: forecasts on changed plans beside the published forecast, in units, money and orders.
import { chart, interval } from "../chart.js";
import { seriesColumn } from "../dataset.js";
import { h } from "../dom.js";
import { get, getAll } from "../fetching.js";
import { amounts, change, counted, day, moment, percent, shareOfChange, whole } from "../formatting.js";
import { emptyNote, figure, panel } from "../panels.js";
import { link } from "../routing.js";
import { table } from "../table.js";

const signedShare = (share) => (share > 0 ? "+" : "") + percent(share);

/** @param {URLSearchParams} params @returns {string} */
export function title(params) {
  const name = params.get("name");
  return name ? `Scenario ${name}` : "Scenarios";
}

/** @param {URLSearchParams} params @param {AbortSignal} signal @returns {Node[]} */
export function draw(params, signal) {
  const name = params.get("name");
  return name ? one(name, params, signal) : [list(params, signal)];
}

function list(params, signal) {
  return panel({
    title: "All scenarios",
    signal,
    load: () => getAll("/v1/scenarios", {}, signal),
    draw: ({ items }) => {
      if (items.length === 0) return emptyNote("No scenario was ever made.", "A scenario is the newest forecast on other plans, such as half a price. Make one with ", h("code", {}, "demand scenario NAME CHANGES.csv"), ".");
      const rows = items.map((row) => ({ ...row, change: shareOfChange(row.forecast, row.base_forecast) }));
      return table({
        name: "scenarios",
        caption: "The chain, all weeks of a scenario together, beside the forecast that each was made from",
        rows,
        params,
        columns: [
          { key: "name", label: "Scenario", show: (value) => h("a", { href: link("scenarios", { name: value }) }, value) },
          { key: "origin_week", label: "Origin", show: day },
          { key: "base_forecast", label: "Forecast", numeric: true, show: amountOf },
          { key: "forecast", label: "On changed plans", numeric: true, show: amountOf },
          { key: "change", label: "Change", numeric: true, show: signedShare },
          { key: "unit", label: "Unit" },
          { key: "series", label: "Series changed", numeric: true },
          { key: "author", label: "Author" },
          { key: "created_at", label: "Made", show: moment },
          { key: "adopted_by", label: "Adopted by" },
        ],
      });
    },
  });
}

const amountOf = (value, row) => amounts(row.unit).amount(value);

function one(name, params, signal) {
  const path = `/v1/scenarios/${encodeURIComponent(name)}`;
  const asked = get(path, {}, signal);
  asked.catch(() => {});
  let first = asked;
  const load = () => {
    const answer = first ?? get(path, {}, signal);
    first = null;
    return answer;
  };
  const beside = h("div", {});
  const main = panel({
    title: "Forecast of the chain, before and after",
    tools: h("a", { href: link("scenarios") }, "All scenarios"),
    signal,
    load,
    draw: (found) => {
      beside.replaceChildren(figuresOf(found));
      weeks.replaceChildren(partOf("Week by week", weeksTable(found, params)));
      movers.replaceChildren(partOf("Series moved most", moversTable(found, params)));
      changed.replaceChildren(partOf("What was changed", changesOf(found)));
      return weeksChart(found, signal);
    },
  });
  const [weeks, movers, changed] = [h("div", {}), h("div", {}), h("div", {})];
  return [beside, main, weeks, h("div", { class: "grid two" }, movers, changed)];
}

function partOf(text, body) {
  return h("section", { class: "panel", "aria-label": text }, h("div", { class: "panel-head" }, h("h2", {}, text)), h("div", { class: "panel-body" }, body));
}

const sum = (rows, key) => rows.reduce((total, row) => (row[key] === null ? total : (total ?? 0) + row[key]), null);

function figuresOf({ weeks, unit, series, base_vintage_id: base, adopted_by: by, adopted_at: at }) {
  const { amount, full, signed } = amounts(unit);
  const totals = (key) => [sum(weeks, key), sum(weeks, `base_${key}`)];
  const compared = (label, [after, before], write) => figure(label, write(after), `${change(after, before)}, before ${amount(before)}`);
  const [after, before] = totals("forecast");
  const parts = [
    compared(`Forecast, ${counted(weeks.length, "week")}`, [after, before], full),
    figure("Difference", full(after - before, signed), `${whole(series)} series with changed plans`),
    compared("Orders together", totals("order_quantity"), full),
  ];
  if (totals("money")[0] !== null) parts.push(compared("Money at selling prices", totals("money"), amount));
  parts.push(figure("Adopted", by ? `by ${by}` : "no", by ? moment(at) : h("span", {}, "beside forecast ", h("code", {}, base.slice(0, 16)))));
  return h("dl", { class: "figures", "aria-label": "Figures" }, parts);
}

function weeksChart({ name, weeks, unit, origin_week: origin }, signal) {
  const { amount, titled } = amounts(unit);
  const column = (key) => weeks.map((row) => row[key]);
  const [after, before] = [sum(weeks, "forecast"), sum(weeks, "base_forecast")];
  return chart({
    name: `scenario-${name}`,
    title: titled("Forecast on the changed plans and on the plans as they were"),
    summary: `${counted(weeks.length, "week")} after the origin ${day(origin)}: ${amount(after)} on the changed plans, ${amount(before)} before, ${change(after, before)}. The band is p10 to p90 on the changed plans.`,
    weeks: column("week"),
    height: 280,
    unit,
    signal,
    bands: [["p90", "p10"]],
    lines: [
      ...interval(column),
      { key: "base_forecast", label: "Before", values: column("base_forecast"), colour: "--last-year", dash: [2, 3], width: 2 },
      { key: "forecast", label: "On changed plans", values: column("forecast"), colour: "--forecast", width: 2 },
    ],
  });
}

function weeksTable({ weeks, unit }, params) {
  const { amount, titled } = amounts(unit);
  const rows = weeks.map((row) => ({ ...row, change: shareOfChange(row.forecast, row.base_forecast) }));
  const priced = weeks.some((row) => row.money !== null);
  return table({
    name: "scenario-weeks",
    caption: titled("Forecast and orders of the chain, before and after"),
    rows,
    params,
    columns: [
      { key: "week", label: "Week", show: day },
      { key: "base_forecast", label: "Before", numeric: true, show: amount },
      { key: "forecast", label: "After", numeric: true, show: amount },
      { key: "change", label: "Change", numeric: true, show: signedShare },
      { key: "base_order_quantity", label: "Orders before", numeric: true, show: amount },
      { key: "order_quantity", label: "Orders after", numeric: true, show: amount },
      ...(priced
        ? [
            { key: "base_money", label: "Money before", numeric: true, show: amount },
            { key: "money", label: "Money after", numeric: true, show: amount },
          ]
        : []),
    ],
  });
}

function moversTable({ movers, unit }, params) {
  if (movers.length === 0) return emptyNote("No forecast is moved.", "The changed plans leave every series as it was.");
  const { amount, signed, titled } = amounts(unit);
  const rows = movers.map((row) => ({ ...row, change: shareOfChange(row.forecast, row.base_forecast) }));
  return table({
    name: "scenario-movers",
    caption: titled("All weeks together"),
    rows,
    params,
    columns: [
      seriesColumn(),
      { key: "base_forecast", label: "Before", numeric: true, show: amount },
      { key: "forecast", label: "After", numeric: true, show: amount },
      { key: "difference", label: "Difference", numeric: true, show: signed },
      { key: "change", label: "Change", numeric: true, show: signedShare },
    ],
  });
}

function changesOf({ changes, author, created_at: at }) {
  // As it was given: text, whatever it holds.
  return [h("p", { class: "muted" }, `By ${author}, ${moment(at)}`), h("pre", { class: "changes", tabindex: 0, "aria-label": "Changes as given" }, changes)];
}
