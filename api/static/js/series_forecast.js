// The weeks ahead of one series: the numbers, what to order at a service level, and why.
import { announce, h } from "./dom.js";
import { get } from "./fetching.js";
import { amounts, day, percent } from "./formatting.js";
import { weekColumn } from "./holidays.js";
import { groupName, groupText } from "./names.js";
import { emptyNote, errorBox, field, panel } from "./panels.js";
import { note } from "./routing.js";
import { table } from "./table.js";
import { onlyAhead, systemColumn } from "./weeks_ahead.js";

const PAUSE_MS = 150;

/**
 * The panel of the forecast weeks with the slider of the service level.
 * @param {Object} detail body of /v1/series/detail
 * @param {URLSearchParams} params
 * @param {AbortSignal} signal
 * @returns {HTMLElement[]}
 */
export function forecastTable(detail, params, signal) {
  const head = h("div", { class: "panel-head" }, h("h2", { id: "weeks-ahead" }, "Weeks to come and what to order"));
  const section = h("section", { class: "panel", "aria-labelledby": "weeks-ahead" }, head);
  if (detail.forecasts.length === 0) {
    section.append(emptyNote("No forecast of this series.", "The newest forecast holds only series that sold in the 52 weeks to its origin."));
    return [section];
  }
  const ahead = onlyAhead(detail);
  if (ahead.forecasts.length === 0) {
    section.append(emptyNote("No week to come is forecast.", "The newest forecast's weeks have all been sold; the next run adds new ones."));
    return [section];
  }
  const about = new Map(detail.history.map((row) => [row.week, row]));
  const slot = h("div", { "aria-live": "off" });
  const output = h("output", {});
  const slider = h("input", { type: "range", min: 0.5, max: 0.99, step: 0.01, value: new URLSearchParams(location.hash.split("?")[1]).get("level") ?? params.get("level") ?? 0.75 });
  let timer = null;
  let asked = 0;
  const show = async () => {
    asked += 1;
    const mine = asked;
    const level = Number(slider.value);
    try {
      const { items } = await get("/v1/orders", { store_id: detail.store_id, dept_id: detail.dept_id, service_level: level }, signal);
      // An answer to an older position of the slider must not replace a newer one.
      if (mine !== asked || signal.aborted) return;
      slot.replaceChildren(drawn(ahead, about, new Map(items.map((row) => [row.week, row.order_quantity])), level));
      if (mine > 1) announce(`At ${percent(level, 0)}, order ${items.filter((row) => ahead.forecasts.some((each) => each.week === row.week)).map((row) => `${amounts(detail.unit).amount(row.order_quantity)} for ${day(row.week)}`).join(", ")}`);
    } catch (error) {
      if (mine === asked && !signal.aborted) slot.replaceChildren(errorBox(error, show));
    }
  };
  const moved = () => {
    const text = percent(Number(slider.value), 0);
    output.textContent = text;
    slider.setAttribute("aria-valuetext", text);
  };
  slider.addEventListener("input", () => {
    moved();
    clearTimeout(timer);
    timer = setTimeout(() => {
      note({ level: slider.value });
      show();
    }, PAUSE_MS);
  });
  moved();
  const label = field("Service level: share of weeks in which the stock suffices", h("div", { class: "slider" }));
  const wrap = label.querySelector(".slider");
  slider.id = "service-level";
  label.querySelector("label").setAttribute("for", slider.id);
  wrap.append(slider, output);
  section.append(h("div", { class: "panel-body" }, label, slot));
  show();
  return [section];
}

function drawn(detail, about, orders, level) {
  const { amount, titled } = amounts(detail.unit);
  const rows = detail.forecasts.map((row) => ({
    ...row,
    last_year: about.get(row.week)?.last_year ?? null,
    is_holiday: about.get(row.week)?.is_holiday ?? null,
    holiday: about.get(row.week)?.holiday ?? null,
    at_level: orders.get(row.week) ?? null,
  }));
  return table({
    name: `forecast-${detail.store_id}-${detail.dept_id}`,
    caption: titled("By week"),
    rows,
    columns: [
      weekColumn(),
      { key: "at_level", label: `Order at ${percent(level, 0)}`, numeric: true, show: (value) => h("strong", {}, amount(value)) },
      { key: "final", label: "Forecast", numeric: true, show: (value, row) => (row.override ? h("strong", { title: `Override by ${row.override.author}: ${row.override.reason}` }, amount(value)) : h("strong", {}, amount(value))) },
      ...systemColumn(rows, amount),
      { key: "final_p10", label: "p10", numeric: true, show: amount },
      { key: "final_p50", label: "p50", numeric: true, show: amount },
      { key: "final_p90", label: "p90", numeric: true, show: amount },
      { key: "last_year", label: "Last year", numeric: true, show: amount },
      { key: "final_order_quantity", label: "Order by cost", numeric: true, show: amount },
    ],
  });
}

/**
 * Why one week's forecast is what it is.
 * @param {Object} detail
 * @param {URLSearchParams} params
 * @param {AbortSignal} signal
 * @returns {HTMLElement}
 */
export function attributionsPanel(detail, params, signal) {
  const weeks = detail.forecasts.map((row) => row.week);
  const asked = params.get("target");
  const select = h("select", { onchange: () => ((note({ target: select.value }), fresh())) });
  for (const week of weeks) select.append(h("option", { value: week, selected: week === asked }, day(week)));
  const holder = h("div", { class: "holder" });
  const make = () =>
    panel({
      title: "Why",
      tools: field("Week", select),
      signal,
      load: () => get("/v1/explain", { store_id: detail.store_id, dept_id: detail.dept_id, week: select.value }, signal).catch(orNone),
      draw: (answer) => (answer.missing ? emptyNote("No attributions.", `The service says: ${answer.missing}.`) : attributionsOf(answer)),
    });
  const fresh = () => {
    holder.replaceChildren(make());
    select.focus();
  };
  holder.append(make());
  return holder;
}

/** A vintage may have been published without attributions: nothing to retry. */
function orNone(error) {
  if (error.status !== 404) throw error;
  return { missing: error.message };
}

function attributionsOf({ attributions, forecast, week, unit }) {
  const { amount, signed, titled } = amounts(unit);
  const base = attributions.find((each) => each.group === "last year");
  const moved = attributions.filter((each) => each !== base);
  // Last year carries most of a forecast; on its scale nothing else would be seen.
  const most = Math.max(...moved.map((each) => Math.abs(each.amount))) || 1;
  const rows = [
    ...(base ? [{ ...base, bar: false }] : []),
    ...moved.map((each) => ({ ...each, bar: true })),
    { group: "forecast", amount: forecast, bar: false, total: true },
  ];
  const up = moved.find((each) => each.amount > 0);
  const down = moved.find((each) => each.amount < 0);
  const summary = [up && `${groupName(up.group)} adds most (${signed(up.amount)})`, down && `${groupName(down.group)} takes most away (${signed(down.amount)})`].filter(Boolean).join(", ");
  const bars = table({
    name: `attributions-${week}`,
    caption: titled(`What moved the forecast of ${day(week)}; the parts sum to it`),
    rows,
    mark: (row) => (row.total ? "strong" : null),
    columns: [
      { key: "group", label: "Part", value: (row) => groupName(row.group), show: (name, row) => h("span", { title: groupText(row.group) }, name) },
      { key: "amount", label: unit, numeric: true, show: (value, row) => (row.bar ? signed(value) : amount(value)) },
      { key: "share", label: "Up or down", value: (row) => (row.bar ? row.amount / most : null), show: (value) => barOf(value) },
    ],
  });
  bars.classList.add("bars");
  return [h("p", { class: "muted" }, summary ? `${summary}.` : "Nothing moved it from last year's level."), bars];
}

function barOf(share) {
  if (share === null) return "";
  const fill = h("div", { class: `bar-fill ${share < 0 ? "minus" : "plus"}` });
  fill.style.width = `${Math.max(Math.abs(share) * 50, 0.6)}%`;
  return h("div", { class: "bar-track", "aria-hidden": "true" }, fill);
}
