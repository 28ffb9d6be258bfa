// One series: what it sold, what is forecast and why, how much to order, what planners said.
import { getAll, get } from "../fetching.js";
import { KEYS, elided, labelOf, levels, memberLink, memberName, seriesColumn, seriesName } from "../dataset.js";
import { entitle, h } from "../dom.js";
import { amounts, day, whole } from "../formatting.js";
import { choice, emptyNote, errorBox, field, idNamed, panel } from "../panels.js";
import { go, link } from "../routing.js";
import { filtersOf, havingFields, isFiltered } from "../scope.js";
import { compare, table } from "../table.js";
import { seriesChart } from "../series_chart.js";
import { overridePanels } from "../override_form.js";
import { favouriteButton, isFavourite } from "../saved.js";
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
  return store && dept ? seriesName({ store_id: store, dept_id: dept }, elided) : "Series";
}

/** @param {URLSearchParams} params @param {AbortSignal} signal @returns {Node[]} */
export function draw(params, signal) {
  const [store, dept] = [idOf(params, "store"), idOf(params, "dept")];
  const form = chooser(store, dept, signal);
  if (!store || !dept) return [form, listPanel(store, dept, params, signal)];

  const below = h("div", { class: "grid" });
  const reload = () => drawBelow();
  const load = async () => {
    const keys = { store_id: store, dept_id: dept };
    const [detail, drivers] = await Promise.all([get("/v1/series/detail", { ...keys, weeks: 156 }, signal), getAll("/v1/drivers", keys, signal)]);
    return { ...detail, drivers: drivers.items };
  };
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
      entitle(seriesName(detail, elided), seriesName(detail));
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
  const given = { store, department: dept };
  const inputs = Object.fromEntries(levels().map((level) => [level, idInput(level, given[level])]));
  const idIn = (level) => inputs[level]?.input.value.trim() ?? "";
  const fill = async () => {
    try {
      const { items } = await allSeries();
      if (signal.aborted) return;
      const within = items.filter((row) => !idIn("store") || row.store_id === idIn("store"));
      const shown = items.find((row) => row.store_id === store && row.dept_id === dept);
      if (shown) links.replaceChildren(...linksTo(shown));
      inputs.store?.suggest(items);
      inputs.department?.suggest(inputs.store ? within : items);
    } catch {
      // Suggestions only: without them the ids can still be typed, and the panel below tells what is wrong.
    }
  };
  const linksTo = (row) => [h("a", { href: link("series") }, "All series"), ...levels().map((level) => memberLink(level, row))];
  const links = h("div", { class: "filters" }, store && dept ? linksTo({ store_id: store, dept_id: dept }) : null);
  fill();
  inputs.store?.input.addEventListener("change", fill);
  const submit = async (event) => {
    event.preventDefault();
    const [store, dept] = await Promise.all(["store", "department"].map((level) => idNamed(level, idIn(level))));
    const asked = { store, dept };
    go({ ...(levels().length === 2 ? asked : await onlySeries(asked)), target: null });
  };
  return h(
    "form",
    { class: "filters", onsubmit: submit, "aria-label": "Choose a series" },
    Object.entries(inputs).map(([level, { input, list }]) => [field(labelOf(level), input), list]),
    h("button", { type: "submit", class: "primary" }, "Show"),
    store && dept && favouriteButton(store, dept, signal),
    links,
  );
}

/** Where series have one key only, the other one is that of the series. */
async function onlySeries({ store, dept }) {
  const found = (await allSeries()).items.find((row) => row.store_id === store || row.dept_id === dept);
  return { store: found?.store_id ?? store, dept: found?.dept_id ?? dept };
}

/** An input of ids with those there are as suggestions, by name. */
function idInput(level, value) {
  const [key, name, filter] = KEYS[level];
  const list = h("datalist", { id: `${filter}s` });
  const input = h("input", { type: "text", class: "short", name: filter, list: list.id, value: value ?? "", autocomplete: "off" });
  const suggest = (rows) => {
    const names = new Map(rows.map((row) => [row[key], row[name]]));
    list.replaceChildren(...[...names].sort(([a], [b]) => compare(a, b)).map(([id, text]) => h("option", { value: id }, text)));
  };
  return { input, list, suggest };
}

function listPanel(store, dept, params, signal) {
  const note = [store && memberName("store", { store_id: store }, elided), dept && memberName("department", { dept_id: dept }, elided)].filter(Boolean).join(", ");
  const own = params.get("show") === "favourites";
  // The store and department that are being chosen are looked for here, among the series that the service gave.
  const having = new URLSearchParams([...params].filter(([name]) => !["store", "dept"].includes(name)));
  const isShown = (row) => (!store || row.store_id === store) && (!dept || row.dept_id === dept) && (!own || isFavourite({ store: row.store_id, dept: row.dept_id }));
  return panel({
    title: note ? `Series of ${note}` : own ? "Favourite series" : "All series",
    tools: [...havingFields(params), field("Show", choice([["", "all"], ["favourites", "favourites"]], own ? "favourites" : "", (show) => go({ show })))],
    signal,
    load: () => (isFiltered(having) ? getAll("/v1/series", filtersOf(having), signal) : allSeries()),
    draw: ({ items, unit }) => {
      const rows = items.filter(isShown);
      if (rows.length === 0 && own && items.length > 0) return emptyNote("No favourite series.", "On the page of a series, the button Favourite keeps it here, in this browser.");
      if (rows.length === 0) return emptyNote("No series.", note ? `Nothing was ever sold in ${note}.` : "They appear with the first sales the pipeline publishes.");
      const { amount, titled } = amounts(unit);
      return table({
        name: "series",
        caption: titled("Every series that ever sold; by week"),
        rows,
        params,
        sort: "-mean_52",
        most: 50,
        tall: true,
        columns: [
          seriesColumn(),
          { key: "mean_52", label: "Mean of 52 weeks", numeric: true, show: amount },
          { key: "weeks", label: "Weeks sold", numeric: true, show: whole },
          { key: "first_week", label: "First week", show: day },
          { key: "last_week", label: "Last week", show: day },
        ],
      });
    },
  });
}
