// Two vintages beside each other: what changed from the one to the other, and why.
import { levels, seriesColumn } from "../dataset.js";
import { h } from "../dom.js";
import { get, getAll } from "../fetching.js";
import { amounts, change, counted, day, moment, percent, shareOfChange } from "../formatting.js";
import { groupName, groupText } from "../names.js";
import { choice, emptyNote, field, figure, panel } from "../panels.js";
import { go, link } from "../routing.js";
import { breakdown, filterFields, filtersOf, isFiltered } from "../scope.js";
import { table } from "../table.js";

const MOST_VINTAGES = 200;
const MOST_REASONS = 3;

/** @param {URLSearchParams} params @returns {string} */
export function title(params) {
  return params.get("left") || params.get("right") ? "What changed" : "What changed since last week";
}

/** @param {URLSearchParams} params @param {AbortSignal} signal @returns {Node[]} */
export function draw(params, signal) {
  const both = { left: params.get("left"), right: params.get("right") };
  const chosen = h("div", { class: "filters" });
  const figures = h("div", {});
  const fill = ({ left, right }) => vintageFields(left, right, signal).then((fields) => !signal.aborted && chosen.replaceChildren(...fields), () => {});
  const ask = (query) => getAll("/v1/changes", { ...both, ...query }, signal).catch(orNone);
  const chain = panel({
    title: "The chain by week",
    signal,
    load: async () => {
      const answer = await ask({ level: "chain" });
      if (!answer.missing) await fill(answer);
      return answer;
    },
    draw: (answer) => {
      if (answer.missing) return nothing(answer);
      const rows = [...answer.items].sort((a, b) => a.week.localeCompare(b.week));
      figures.replaceChildren(...(rows.length > 0 ? [figuresOf(rows, answer)] : []));
      if (rows.length === 0) return emptyNote("No week is in both.", `The forecast of ${day(answer.left.origin_week)} ends before that of ${day(answer.right.origin_week)} begins.`);
      return [h("p", { class: "muted" }, "The system's own forecasts, in the weeks that both forecast; a planner's number is part of neither."), changesTable("changes-chain", "By week", rows, answer, params, { key: "week", label: "Week", show: day })];
    },
  });
  const totals = levels().map((of) => {
    const { level, column, tools } = breakdown(of, params);
    return panel({
      title: `By ${column.label}`,
      tools,
      signal,
      load: () => ask({ level, weeks: "together" }),
      draw: (answer) => (answer.items.length === 0 ? nothing(answer) : changesTable(`changes-${level}`, "All weeks of both together", answer.items, answer, params, column)),
    });
  });
  const each = params.get("weeks") === "each";
  const series = panel({
    title: "Series that changed most",
    tools: field("Weeks", choice([["", "together"], ["each", "one by one"]], each ? "each" : "", (weeks) => go({ weeks }))),
    signal,
    load: () => ask({ weeks: each ? "each" : "together", ...filtersOf(params) }),
    draw: (answer) => (answer.items.length === 0 ? nothing(answer) : changesTable("changes-series", each ? "By week" : "All weeks of both together", answer.items, answer, params, seriesColumn(), ...(each ? [{ key: "week", label: "Week", show: day }] : []))),
  });
  return [
    h("div", { class: "filters", role: "group", "aria-label": "Filters" }, chosen, filterFields(params), isFiltered(params, "left", "right") && h("a", { href: link("changes") }, "Clear")),
    figures,
    chain,
    h("div", { class: "grid two" }, totals),
    series,
  ];
}

const nothing = ({ missing }) => emptyNote("Nothing to compare.", missing ? `The service says: ${missing}.` : "No such series has a forecast in a week that both forecast.");

/** Before the second forecast is published there is nothing to retry. */
function orNone(error) {
  if (error.status !== 404) throw error;
  return { items: [], missing: error.message };
}

/** The choices of both sides: published forecasts and scenarios, the newest first. */
async function vintageFields(left, right, signal) {
  const [{ items: vintages }, { items: scenarios }] = await Promise.all([get("/v1/vintages", { limit: MOST_VINTAGES }, signal), getAll("/v1/scenarios", {}, signal)]);
  const names = new Map(scenarios.map((row) => [row.vintage_id, row.name]));
  const known = new Map([...vintages, left, right].map((row) => [row.vintage_id, row]));
  const choices = [...known.values()].map((row) => [row.vintage_id, described(row, names.get(row.vintage_id))]);
  const side = (name, shown) => choice(choices, shown.vintage_id, (vintage) => go({ left: left.vintage_id, right: right.vintage_id, [name]: vintage }));
  return [field("Before", side("left", left)), field("After", side("right", right))];
}

function described({ origin_week: origin, kind, published_at: at }, name) {
  if (name) return `${day(origin)}, scenario ${name}`;
  return kind === "backtest" ? `${day(origin)}, backtest` : `${day(origin)}, published ${moment(at)}`;
}

function figuresOf(rows, { unit, left, right }) {
  const { full, amount, signed } = amounts(unit);
  const sum = (key) => rows.reduce((total, row) => total + (row[key] ?? 0), 0);
  const [before, after] = [sum("left_forecast"), sum("right_forecast")];
  const reasons = summed(rows);
  return h(
    "dl",
    { class: "figures", "aria-label": "Figures" },
    figure(`Forecast, ${counted(rows.length, "week")}`, full(after), `made at the end of ${day(right.origin_week)}`),
    figure("Before", full(before), `made at the end of ${day(left.origin_week)}`),
    figure("Change", full(after - before, signed), change(after, before)),
    figure("Mostly by", reasons.length > 0 ? groupName(reasons[0].group) : "–", reasons.length > 0 ? `${signed(reasons[0].amount)} of it` : `no attributions, ${amount(rows.length)} weeks`),
  );
}

/** The reasons of several rows together, the largest first; none where a row has none. */
function summed(rows) {
  if (rows.some((row) => row.reasons === null)) return [];
  const total = new Map();
  for (const { group, amount } of rows.flatMap((row) => row.reasons)) total.set(group, (total.get(group) ?? 0) + amount);
  return [...total].map(([group, amount]) => ({ group, amount })).sort((a, b) => Math.abs(b.amount) - Math.abs(a.amount));
}

function changesTable(name, caption, items, { unit }, params, ...keys) {
  const { amount, signed, titled } = amounts(unit);
  const rows = items.map((row) => ({ ...row, change: shareOfChange(row.right_forecast, row.left_forecast) }));
  return table({
    name,
    caption: titled(caption),
    rows,
    params,
    most: 50,
    columns: [
      ...keys,
      { key: "difference", label: "Change", numeric: true, show: (value) => h("strong", {}, signed(value)) },
      { key: "change", label: "%", numeric: true, show: (share) => (share > 0 ? "+" : "") + percent(share) },
      { key: "left_forecast", label: "Before", numeric: true, show: amount },
      { key: "right_forecast", label: "After", numeric: true, show: amount },
      { key: "reasons", label: "Why", wide: true, value: (row) => reasonsText(row, signed), show: (text, row) => h("span", { title: meaningOf(row) }, text) },
    ],
  });
}

/** What the reasons mean, for the tooltip. */
const meaningOf = ({ reasons }) => reasons?.slice(0, MOST_REASONS).map(({ group }) => `${groupName(group)}: ${groupText(group)}`).join("\n");

/** What moved a forecast, in a planner's words: the few groups that did most of it. */
function reasonsText({ reasons, left_forecast: before, right_forecast: after }, signed) {
  if (before === null) return "New in the forecast";
  if (after === null) return "No longer in the forecast";
  if (reasons === null) return "No attributions";
  const told = reasons.slice(0, MOST_REASONS).filter(({ amount }) => signed(amount) !== "0");
  return told.length === 0 ? "Nothing" : told.map(({ group, amount }) => `${groupName(group)} ${signed(amount)}`).join(", ");
}
