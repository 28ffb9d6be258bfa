// The order proposal: what to have in stock for a week at a service level, and the file that an ERP reads.
import { save } from "../csv.js";
import { seriesColumn } from "../dataset.js";
import { announce, h } from "../dom.js";
import { get, getAll, getFile } from "../fetching.js";
import { amounts, counted, day, percent, whole } from "../formatting.js";
import { choice, emptyNote, errorBox, field, figure, panel } from "../panels.js";
import { go, link } from "../routing.js";
import { filterFields, filtersOf, isFiltered } from "../scope.js";
import { table } from "../table.js";
import { systemColumn, weeksAhead } from "../weeks_ahead.js";

const LEVELS = ["0.5", "0.75", "0.8", "0.9", "0.95", "0.98", "0.99"];

/** @returns {string} */
export function title() {
  return "Orders";
}

/** @param {URLSearchParams} params @param {AbortSignal} signal @returns {Node[]} */
export function draw(params, signal) {
  const level = params.get("level") ?? "0.75";
  const chosen = params.get("week");
  const weeks = h("div", {}, weekField([], chosen));
  const asked = (week) => ({ ...filtersOf(params), week: week === "all" ? null : week, service_level: level });
  const said = h("div", {});
  const load = async () => {
    const ahead = await comingWeeks(signal);
    const week = chosen ?? ahead[0] ?? null;
    if (!signal.aborted) weeks.replaceChildren(weekField(ahead, week));
    return week === null ? { items: [], week } : { week, ...(await getAll("/v1/orders", asked(week), signal)) };
  };
  const list = panel({ title: "Order proposal", signal, load, draw: (answer) => drawn(answer, params, level, () => download(asked(answer.week), said), said) });
  const levels = LEVELS.includes(level) ? LEVELS : [...LEVELS, level];
  return [
    h(
      "div",
      { class: "filters", role: "group", "aria-label": "Filters" },
      weeks,
      filterFields(params),
      field("Service level", choice(levels.map((each) => [each, percent(Number(each), 0)]), level, (value) => go({ level: value }))),
      isFiltered(params, "week") && h("a", { href: link("orders") }, "Clear"),
    ),
    list,
  ];
}

/** Weeks of the newest forecast that are not sold yet, oldest first. */
async function comingWeeks(signal) {
  const { newest_origin_week: origin } = await get("/health", {}, signal);
  if (origin === null) return [];
  const { items } = await getAll("/v1/totals", { level: "chain", from: origin }, signal);
  return weeksAhead(items, items).map((row) => row.week);
}

function weekField(ahead, chosen) {
  const weeks = chosen && chosen !== "all" && !ahead.includes(chosen) ? [chosen, ...ahead] : ahead;
  const choices = [...weeks.map((week) => [week, day(week)]), ["all", "all weeks"]];
  return field("Week", choice(choices, chosen ?? "", (week) => go({ week })));
}

async function download(query, said) {
  said.replaceChildren();
  try {
    const { content, name } = await getFile("/v1/orders", { ...query, format: "erp" });
    save(content, name.replace(/\.csv$/, ""), "csv");
    announce(`${name} is downloaded`);
  } catch (error) {
    said.replaceChildren(errorBox(error, () => download(query, said)));
    if (error.status === undefined) throw error;
  }
}

function drawn({ items, week, unit }, params, level, forErp, said) {
  if (items.length === 0) return emptyNote("Nothing to order.", "The newest forecast has no such series and week. ", h("a", { href: link("orders") }, "Show the next week"));
  const { amount, full, titled } = amounts(unit);
  const sum = (key) => items.reduce((total, row) => total + row[key], 0);
  const changed = items.filter((row) => row.final !== row.forecast).length;
  const erp = h("button", { type: "button", class: "primary", onclick: forErp }, "CSV for the ERP");
  return [
    h(
      "dl",
      { class: "figures", "aria-label": "Figures" },
      figure("To order, together", full(sum("order_quantity")), counted(items.length, "row")),
      figure("Final forecast, together", full(sum("final")), `system: ${amount(sum("forecast"))}`),
      figure("By planners' numbers", whole(changed), "rows with an override in force"),
    ),
    h("div", { class: "buttons" }, erp, h("span", { class: "muted" }, "All these rows, in the columns and forms of the service's settings.")),
    said,
    table({
      name: "orders",
      caption: titled(`${week === "all" ? "All weeks of the newest forecast" : `Week of ${day(week)}`}, to suffice in ${percent(Number(level), 0)} of weeks`),
      rows: items,
      params,
      most: 100,
      tall: true,
      columns: [
        seriesColumn(),
        ...(week === "all" ? [{ key: "week", label: "Week", show: day }] : []),
        { key: "order_quantity", label: "Order", numeric: true, show: (value) => h("strong", {}, amount(value)) },
        { key: "final", label: "Forecast", numeric: true, show: amount },
        ...systemColumn(items, amount),
        { key: "final_p90", label: "p90", numeric: true, show: amount },
      ],
    }),
  ];
}
