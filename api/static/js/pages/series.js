// One series: what it sold, what is forecast and why, how much to order, what planners said.
import { getAll, get } from "../fetching.js";
import { h } from "../dom.js";
import { amounts, seriesName, whole } from "../formatting.js";
import { emptyNote, errorBox, field, panel } from "../panels.js";
import { go, link } from "../routing.js";
import { compare, table } from "../table.js";
import { seriesChart } from "../series_chart.js";
import { overridePanels } from "../override_form.js";
import { forecastTable, attributionsPanel } from "../series_forecast.js";

// The list of series changes once a week at most, so one answer serves the whole visit.
let known = null;

function allSeries() {
  known ??= getAll("/v1/series");
  known.catch(() => (known = null));
  return known;
}

const idOf = (params, name) => params.get(name) || null;

/** @param {URLSearchParams} params @returns {string} */
export function title(params) {
  const [store, dept] = [idOf(params, "store"), idOf(params, "dept")];
  return store && dept ? `Store ${store}, department ${dept}` : "Series";
}

/** @param {URLSearchParams} params @param {AbortSignal} signal @returns {Node[]} */
export function draw(params, signal) {
  const [store, dept] = [idOf(params, "store"), idOf(params, "dept")];
  const form = chooser(store, dept, signal);
  if (!store || !dept) return [form, listPanel(store, dept, params, signal)];

  const below = h("div", { class: "grid" });
  const reload = () => drawBelow();
  const load = () => get("/v1/series/detail", { store_id: store, dept_id: dept, weeks: 156 }, signal);
  let shared = load();
  shared.catch(() => {});
  let first = true;
  const main = panel({
    title: "Sales and forecast",
    tools: chartTools(params),
    signal,
    load: () => {
      if (!first) shared = load();
      first = false;
      return shared;
    },
    draw: (detail) => {
      drawBelow(detail);
      return seriesChart(detail, params, signal);
    },
  });
  const drawBelow = (detail) => {
    if (!detail) {
      // After an override everything that shows one is asked for again.
      load().then((fresh) => {
        if (signal.aborted) return;
        main.querySelector(".panel-body").replaceChildren(seriesChart(fresh, params, signal));
        forecastSlot.replaceChildren(...forecastTable(fresh, params, signal));
        parts?.refresh(fresh);
      }, (error) => !signal.aborted && main.querySelector(".panel-body").replaceChildren(errorBox(error, reload)));
      return;
    }
    forecastSlot.replaceChildren(...forecastTable(detail, params, signal));
    parts = overridePanels(detail, params, signal, reload);
    below.replaceChildren(
      h("div", { class: "grid wide-left" }, forecastSlot, detail.forecasts.length > 0 ? attributionsPanel(detail, params, signal) : null),
      h("div", { class: "grid two start" }, parts.nodes),
    );
  };
  const forecastSlot = h("div", { class: "grid" });
  let parts = null;
  return [form, main, below];
}

function chartTools(params) {
  const earlier = h("input", { type: "checkbox", checked: params.get("earlier") === "1", onchange: () => go({ earlier: earlier.checked ? "1" : null }) });
  const weeks = h("select", { "aria-label": "Weeks shown", onchange: () => go({ weeks: weeks.value }) });
  for (const [value, text] of [["26", "26 weeks"], ["60", "60 weeks"], ["104", "104 weeks"], ["156", "156 weeks"]]) {
    weeks.append(h("option", { value, selected: value === (params.get("weeks") ?? "60") }, text));
  }
  return [h("label", { class: "check" }, earlier, "Earlier forecasts"), weeks];
}

function chooser(store, dept, signal) {
  const stores = h("datalist", { id: "stores" });
  const depts = h("datalist", { id: "depts" });
  const input = (name, value, list) => h("input", { type: "text", maxlength: 100, class: "short", name, list, value: value ?? "", autocomplete: "off" });
  const storeInput = input("store", store, "stores");
  const deptInput = input("dept", dept, "depts");
  const fill = async () => {
    try {
      const { items } = await allSeries();
      if (signal.aborted) return;
      const options = (key, rows) => [...new Set(rows.map((row) => row[key]))].sort(compare).map((id) => h("option", { value: id }));
      stores.replaceChildren(...options("store_id", items));
      const chosen = storeInput.value.trim();
      depts.replaceChildren(...options("dept_id", chosen ? items.filter((row) => row.store_id === chosen) : items));
    } catch {
      // Suggestions only: without them the ids can still be typed, and the panel below tells what is wrong.
    }
  };
  fill();
  storeInput.addEventListener("change", fill);
  const submit = (event) => {
    event.preventDefault();
    go({ store: storeInput.value.trim(), dept: deptInput.value.trim(), target: null });
  };
  return h(
    "form",
    { class: "filters", onsubmit: submit, "aria-label": "Choose a series" },
    field("Store", storeInput),
    field("Department", deptInput),
    h("button", { type: "submit", class: "primary" }, "Show"),
    store && dept ? h("a", { href: link("series") }, "All series") : null,
    store && dept ? h("a", { href: link("overview", { level: "store", store }) }, `Store ${store}`) : null,
    store && dept ? h("a", { href: link("overview", { level: "department", dept }) }, `Department ${dept}`) : null,
    stores,
    depts,
  );
}

function listPanel(store, dept, params, signal) {
  const note = [store && `store ${store}`, dept && `department ${dept}`].filter(Boolean).join(", ");
  return panel({
    title: note ? `Series of ${note}` : "All series",
    signal,
    load: allSeries,
    draw: ({ items, unit }) => {
      const rows = items.filter((row) => (!store || row.store_id === store) && (!dept || row.dept_id === dept));
      if (rows.length === 0) return emptyNote("No series.", note ? `Nothing was ever sold in ${note}.` : "They appear with the first sales the pipeline publishes.");
      const { amount, titled } = amounts(unit);
      return table({
        name: "series",
        caption: titled("Every store and department that ever sold; by week"),
        rows,
        params,
        sort: "-mean_52",
        most: 50,
        tall: true,
        columns: [
          { key: "series", label: "Series", value: (row) => `${row.store_id}-${row.dept_id}`, show: (_v, row) => h("a", { href: link("series", { store: row.store_id, dept: row.dept_id }) }, seriesName(row)) },
          { key: "mean_52", label: "Mean of 52 weeks", numeric: true, show: amount },
          { key: "weeks", label: "Weeks sold", numeric: true, show: whole },
          { key: "first_week", label: "First week" },
          { key: "last_week", label: "Last week" },
        ],
      });
    },
  });
}
