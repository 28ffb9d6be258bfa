// Where the data is no longer what the model was trained on: variables by weeks, and the groups behind a cell.
import { labelOf, memberLink } from "../dataset.js";
import { distributionPanel } from "../distribution.js";
import { h } from "../dom.js";
import { get, getAll } from "../fetching.js";
import { addWeeks, day, decimal, percent, whole, words } from "../formatting.js";
import { variableName, variableText } from "../names.js";
import { choice, emptyNote, field, panel } from "../panels.js";
import { go, link, note } from "../routing.js";
import { table } from "../table.js";
import { csvButton } from "../csv.js";
import { isTable } from "../workbook.js";
import { MARKS, RANK, heatmap, legendOf } from "../heatmap.js";

const SPANS = [["8", "8 weeks"], ["13", "13 weeks"], ["26", "26 weeks"], ["52", "52 weeks"]];
const SHOWN = [["drifted", "variables that drifted"], ["all", "all variables"]];
const BADGES = { severe: "bad", warn: "warn", few: "", none: "" };

/** @returns {string} */
export function title() {
  return "Drift";
}

/** @param {URLSearchParams} params @param {AbortSignal} signal @returns {Node[]} */
export function draw(params, signal) {
  const span = params.get("weeks") ?? "13";
  const shown = params.get("show") ?? "drifted";
  const detail = h("div", { class: "grid", id: "groups" });
  const choose = (week, variable) => {
    note({ week, variable });
    detail.replaceChildren(groupsPanel(week, variable, signal), distributionPanel(week, variable, signal));
  };
  const map = panel({
    title: "Variables by weeks",
    tools: [field("Weeks", choice(SPANS, span, (weeks) => go({ weeks }))), field("Show", choice(SHOWN, shown, (show) => go({ show })))],
    signal,
    load: () => loadWeeks(Number(span), signal),
    draw: (rows) => {
      if (rows.length === 0) return emptyNote("No drift report yet.", "One is made with each week that the pipeline runs.");
      return drawMap(rows, shown, params, choose);
    },
  });
  if (params.get("week") && params.get("variable")) choose(params.get("week"), params.get("variable"));
  return [map, detail];
}

/** A page of a list has 1,000 rows, so a year of some sixty variables is asked for in parts, at once. */
async function loadWeeks(span, signal) {
  // Reports are of origin weeks, and the service has the newest of those in memory.
  const { newest_origin_week: newest } = await get("/health", {}, signal);
  if (newest === null) return (await getAll("/v1/drift/weeks", {}, signal)).items;
  const parts = [];
  for (let last = span; last > 0; last -= 13) {
    const first = Math.max(last - 13, 0);
    // Of the last part the end is open: a report can be newer than the newest published forecast.
    parts.push({ from: addWeeks(newest, 1 - last), to: first === 0 ? null : addWeeks(newest, -first) });
  }
  const answers = await Promise.all(parts.map((part) => getAll("/v1/drift/weeks", part, signal)));
  return answers.flatMap((answer) => answer.items);
}

function drawMap(rows, shown, params, choose) {
  const weeks = [...new Set(rows.map((row) => row.week))].sort();
  const cells = new Map(rows.map((row) => [`${row.variable} ${row.week}`, row]));
  const weight = new Map();
  for (const row of rows) weight.set(row.variable, (weight.get(row.variable) ?? 0) + { severe: 1000, warn: 1 }[row.severity] * 1 || (weight.get(row.variable) ?? 0));
  const all = [...new Set(rows.map((row) => row.variable))].sort((a, b) => weight.get(b) - weight.get(a) || a.localeCompare(b));
  const variables = shown === "all" ? all : all.filter((name) => weight.get(name) > 0);
  const newest = rows.filter((row) => row.week === weeks.at(-1));
  const count = (severity) => newest.filter((row) => row.severity === severity);
  const severe = count("severe").map((row) => variableName(row.variable));
  const said = `Week of ${day(weeks.at(-1))}: ${severe.length === 0 ? "no severe drift" : `severe in ${severe.slice(0, 6).join(", ")}${severe.length > 6 ? ` and ${severe.length - 6} more` : ""}`}; ${count("warn").length} with a warning, of ${newest.length} variables.`;
  const shownCells = () => {
    const names = ["week", "variable", "kind", "severity", "warn", "severe", "worst_group_kind", "worst_group_id", "worst_reference", "psi", "ks", "mean_shift", "missing_shift"];
    return { names, rows: variables.flatMap((variable) => weeks.map((week) => cells.get(`${variable} ${week}`)).filter(Boolean).map((row) => names.map((name) => row[name]))) };
  };
  const head = h("div", { class: "table-head" }, legendOf(), csvButton("drift-weeks", "the drift shown", shownCells));
  isTable(head, "drift-weeks", shownCells);
  if (variables.length === 0) return [h("p", {}, said), emptyNote("No variable drifted in these weeks.", h("a", { href: link("drift", { ...Object.fromEntries(params), show: "all" }) }, "Show all variables"))];
  return [h("p", {}, said), head, heatmap({ weeks, variables, cells, chosen: [params.get("week"), params.get("variable")], choose })];
}

function groupsPanel(week, variable, signal) {
  const section = panel({
    title: `${variableName(variable)}, week of ${day(week)}: groups`,
    signal,
    load: () => getAll("/v1/drift", { week, variable }, signal),
    draw: ({ items }) => {
      if (items.length === 0) return emptyNote("No report of that variable and week.", "Choose a cell above.");
      const rows = items.map((row) => ({ ...row, rank: RANK[row.severity] ?? 0 })).sort((a, b) => b.rank - a.rank || Math.abs(b.mean_shift ?? 0) - Math.abs(a.mean_shift ?? 0));
      const drifted = rows.filter((row) => row.rank >= RANK.warn).length;
      return [
        h("p", {}, `${variableText(variable) ?? "A column of the data"}. `, h("span", { class: "muted" }, "In files and alerts: ", h("code", {}, variable))),
        h("p", { class: "muted" }, `${drifted} of ${rows.length} comparisons drifted. Each group is held against what the model was trained on and against the same season last year. Few: too few points to judge.`),
        table({
          name: `drift-${week}-${variable}`,
          caption: "The most severe first",
          rows,
          most: 40,
          columns: [
            { key: "group", members: ["group_kind", "group_id", "group_name"], label: "Group", value: (row) => `${row.group_kind} ${row.group_id}`, show: (_v, row) => groupOf(row) },
            { key: "reference", label: "Against", show: words },
            { key: "severity", label: "Severity", value: (row) => row.severity, show: (value) => h("span", { class: `badge ${BADGES[value] ?? ""}` }, `${MARKS[value] ?? ""} ${value}`.trim()) },
            { key: "mean_shift", label: "Mean shift, sd", numeric: true, show: (value) => decimal(value) },
            { key: "missing_shift", label: "Missing", numeric: true, show: (value) => percent(value) },
            { key: "psi", label: "PSI", numeric: true, show: (value) => decimal(value, 3) },
            { key: "ks", label: "KS", numeric: true, show: (value) => decimal(value, 3) },
            { key: "points", label: "Points", numeric: true, show: whole },
            { key: "reference_points", label: "Reference points", numeric: true, show: whole },
          ],
        }),
      ];
    },
  });
  return section;
}

function groupOf({ group_kind: kind, group_id: id, group_name: name }) {
  if (kind === "chain") return "Chain";
  if (kind === "store") return memberLink(kind, { store_id: id, store_name: name });
  if (kind === "department") return memberLink(kind, { dept_id: id, dept_name: name });
  return `${{ store_type: `${labelOf("store")} type`, dept_group: `${labelOf("department")} group` }[kind] ?? words(kind)} ${id}`;
}
