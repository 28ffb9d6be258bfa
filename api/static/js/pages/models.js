// Versions of the model, and the ledger of what was and was not put into production.
import { h } from "../dom.js";
import { getAll } from "../fetching.js";
import { amounts, day, decimal, moment, percent, shortVersion, valueAdded, whole, words } from "../formatting.js";
import { chart } from "../chart.js";
import { figureName } from "../names.js";
import { choice, emptyNote, field, figure, panel } from "../panels.js";
import { go } from "../routing.js";
import { table } from "../table.js";

const OUTCOMES = [["", "all decisions"], ["promoted", "promoted"], ["refused", "refused"], ["superseded", "superseded"]];
const BADGES = { promoted: "good", refused: "bad", superseded: "warn" };
const MARKS = { promoted: "✓", refused: "✕", superseded: "–" };

/** @returns {string} */
export function title() {
  return "Models";
}

/** @param {URLSearchParams} params @param {AbortSignal} signal @returns {Node[]} */
export function draw(params, signal) {
  const outcome = params.get("outcome") ?? "";
  return [
    panel({
      title: "Versions",
      signal,
      load: () => getAll("/v1/models", {}, signal),
      draw: ({ items, unit }) => (items.length === 0 ? emptyNote("No model was judged yet.", "The first run trains one and decides whether it may go into production.") : versions(items, unit, params, signal)),
    }),
    panel({
      title: "Decisions",
      tools: field("Show", choice(OUTCOMES, outcome, (chosen) => go({ outcome: chosen }))),
      signal,
      load: () => getAll("/v1/promotions", { outcome }, signal),
      draw: ({ items }) => (items.length === 0 ? emptyNote("No decision.", outcome ? `None was ${outcome}.` : "They appear with the first run.") : [timeline(items), decisionsTable(items)]),
    }),
  ];
}

function versions(items, unit, params, signal) {
  const { amount, full, titled } = amounts(unit);
  const champion = items.find((row) => row.in_production);
  const refused = items.filter((row) => row.outcome === "refused").length;
  const parts = [];
  if (champion) {
    parts.push(
      figure("In production", `Version ${champion.version}`, `since ${moment(champion.decided_at)}`),
      figure("Its WMAE in the backtest", full(champion.wmae)),
      figure("FVA against seasonal naive", valueAdded(champion.wmae, champion.seasonal_naive_wmae), `seasonal naive ${amount(champion.seasonal_naive_wmae)}`),
    );
  } else {
    parts.push(figure("In production", "None", "no version has passed yet"));
  }
  parts.push(figure("Versions judged", whole(items.length), `${refused} refused`));
  const oldest = [...items].reverse().filter((row) => row.wmae !== null && row.as_of !== null);
  return [
    h("dl", { class: "figures" }, parts),
    oldest.length > 1 ? versionChart(oldest, unit, signal) : null,
    table({
      name: "models",
      caption: titled("Every version that was judged, the newest first; WMAE in the backtest"),
      rows: items,
      params,
      mark: (row) => (row.in_production ? "strong" : null),
      columns: [
        { key: "version", label: "Version", show: (version, row) => h("span", {}, `${row.model_name} ${version}`, row.in_production ? [" ", h("span", { class: "badge good" }, "in production")] : "") },
        { key: "outcome", label: "Outcome", show: (value) => h("span", { class: `badge ${BADGES[value] ?? ""}` }, value) },
        { key: "as_of", label: "Trained to", show: day },
        { key: "decided_at", label: "Decided", show: moment },
        { key: "wmae", label: "WMAE", numeric: true, show: amount },
        { key: "champion_wmae", label: "Champion then", numeric: true, show: amount },
        { key: "seasonal_naive_wmae", label: "Seasonal naive", numeric: true, show: amount },
        { key: "vintages", label: "Forecasts made", numeric: true, show: whole },
        { key: "data_version", label: "Data", show: (value) => h("code", { title: value }, shortVersion(value)) },
        { key: "code_version", label: "Code", show: (value) => h("code", { title: value }, shortVersion(value)) },
      ],
    }),
  ].filter(Boolean);
}

function versionChart(rows, unit, signal) {
  const { amount, full, titled } = amounts(unit);
  const newest = new Map(rows.map((row) => [row.as_of, row]));
  const kept = [...newest.values()].sort((a, b) => a.as_of.localeCompare(b.as_of));
  if (kept.length < 2) return null;
  const column = (key) => kept.map((row) => row[key]);
  return chart({
    name: "wmae-of-versions",
    title: titled("WMAE of each version in its backtest, by the week it was trained to"),
    summary: `Newest version ${kept.at(-1).version}, trained to ${day(kept.at(-1).as_of)}: WMAE ${full(kept.at(-1).wmae)}; the champion of that time ${amount(kept.at(-1).champion_wmae)}, seasonal naive ${amount(kept.at(-1).seasonal_naive_wmae)}.`,
    weeks: column("as_of"),
    height: 190,
    unit,
    range: [0, null],
    signal,
    lines: [
      { key: "seasonal_naive_wmae", label: "Seasonal naive", values: column("seasonal_naive_wmae"), colour: "--last-year", dash: [2, 3] },
      { key: "champion_wmae", label: "Champion then", values: column("champion_wmae"), colour: "--actual", dash: [6, 3] },
      { key: "wmae", label: "Version", values: column("wmae"), colour: "--forecast", width: 2 },
    ],
  });
}

function headline({ action, outcome, to_version: to, from_version: from, forced }) {
  const verb = action === "rollback" ? "rolled back to" : outcome === "promoted" ? "promoted" : outcome === "refused" ? "refused" : "superseded";
  const against = from === null ? "no champion before" : `against version ${from}`;
  return action === "rollback" ? `Rolled back to version ${to} from ${from ?? "none"}` : `Version ${to} ${verb}, ${against}${forced ? ", by force" : ""}`;
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

const figureText = (name, value) => {
  if (typeof value !== "number") return String(value);
  if (/share|coverage/.test(name)) return percent(value);
  return Math.abs(value) >= 100 ? whole(value) : decimal(value, 3);
};

function timeline(items) {
  return h(
    "ol",
    { class: "timeline", "aria-label": "Decisions, the newest first" },
    items.map((row) =>
      h(
        "li",
        {},
        h("span", { class: `mark ${row.outcome}`, "aria-hidden": "true" }, row.action === "rollback" ? "↩" : (MARKS[row.outcome] ?? "·")),
        h("div", { class: "head" }, h("h3", {}, headline(row)), h("span", { class: `badge ${BADGES[row.outcome] ?? ""}` }, row.outcome), h("span", { class: "muted" }, [moment(row.decided_at), row.as_of && `trained to ${day(row.as_of)}`, row.requested_by].filter(Boolean).join(" · "))),
        h("ul", { class: "reasons" }, row.reasons.map((reason) => h("li", {}, reason))),
        Object.keys(row.figures ?? {}).length > 0 &&
          h(
            "details",
            {},
            h("summary", {}, "Figures", h("span", { class: "unseen" }, ` of the decision on version ${row.to_version}, ${moment(row.decided_at)}`)),
            h("dl", { class: "facts-list" }, Object.entries(row.figures).map(([name, value]) => h("div", {}, h("dt", {}, figureName(name)), h("dd", {}, figureText(name, value))))),
          ),
      ),
    ),
  );
}

const WRITTEN = { decided_at: moment, as_of: day };

function decisionsTable(items) {
  const details = h("details", { class: "data" }, h("summary", {}, "Data of the decisions"));
  const columns = ["decided_at", "action", "outcome", "model_name", "from_version", "to_version", "forced", "requested_by", "as_of", "data_version", "code_version"];
  details.append(
    table({
      name: "decisions",
      caption: "Decisions, the newest first",
      rows: items,
      hideCaption: true,
      columns: [...columns.map((key) => ({ key, label: capital(words(key)), show: WRITTEN[key] ?? ((value) => (value === null ? "–" : String(value))) })), { key: "reasons", label: "Reasons", wide: true, value: (row) => row.reasons.join("; ") }],
    }),
  );
  return details;
}
