// Tables of overrides, for one series and for all.
import { seriesColumn } from "./dataset.js";
import { h } from "./dom.js";
import { amounts, day, moment, percent } from "./formatting.js";
import { table } from "./table.js";

const KINDS = { active: "good", waiting: "warn", rejected: "bad", superseded: "", withdrawn: "warn", expired: "warn" };

const ofSeries = () => seriesColumn((row) => ({ target: row.week }));

/**
 * @param {string} name of the CSV
 * @param {Array<Object>} rows overrides
 * @param {?string} unit
 * @param {URLSearchParams} params
 * @param {boolean} withSeries
 * @returns {HTMLElement}
 */
export function overridesTable(name, rows, unit, params, withSeries) {
  const { amount, titled } = amounts(unit);
  return table({
    name,
    caption: titled("The newest first"),
    rows,
    params,
    columns: [
      ...(withSeries ? [ofSeries()] : []),
      { key: "week", label: "Week", show: day },
      { key: "status", label: "Status", show: (status) => h("span", { class: `badge ${KINDS[status] ?? ""}` }, status) },
      { key: "override", label: "Override", numeric: true, show: (value) => (value === null ? "withdrawn" : amount(value)) },
      { key: "forecast", label: "System then", numeric: true, show: amount },
      { key: "author", label: "Author" },
      { key: "reason", label: "Reason", wide: true },
      ...(rows.some((row) => row.reason_code !== null) ? [{ key: "reason_code", label: "Kind" }] : []),
      ...(rows.some((row) => row.reviewer !== null) ? [{ key: "reviewer", label: "Reviewed by", show: (name, row) => (name === null ? "" : h("span", { title: row.review_comment ?? "" }, name)) }] : []),
      { key: "version", label: "Version", numeric: true },
      { key: "created_at", label: "Given", show: moment },
      { key: "expires_at", label: "Expires", show: (value) => (value ? moment(value) : "never") },
    ],
  });
}

/**
 * @param {string} name of the CSV
 * @param {Array<Object>} rows scored overrides
 * @param {?string} unit
 * @param {URLSearchParams} [params]
 * @returns {HTMLElement}
 */
export function scoresTable(name, rows, unit, params) {
  const { amount, signed, titled } = amounts(unit);
  return table({
    name,
    caption: titled("Error of the system less error of the override; above zero the planner was nearer"),
    rows,
    params,
    columns: [
      ofSeries(),
      { key: "week", label: "Week", show: day },
      { key: "author", label: "Author" },
      { key: "override", label: "Override", numeric: true, show: amount },
      { key: "forecast", label: "System", numeric: true, show: amount },
      { key: "actual", label: "Sales", numeric: true, show: amount },
      { key: "fva", label: "FVA", numeric: true, show: (value) => h("span", { class: value > 0 ? "good" : value < 0 ? "bad" : "" }, signed(value)) },
    ],
  });
}

/**
 * What overrides added, by author or another column.
 * @param {Array<Object>} rows
 * @param {?string} unit
 * @param {URLSearchParams} params
 * @returns {HTMLElement}
 */
export function groupsTable(rows, unit, params) {
  const { signed, titled } = amounts(unit);
  return table({
    name: "override-groups",
    caption: titled("FVA: error saved; below zero: added"),
    rows,
    params,
    sort: "-fva",
    columns: [
      { key: "value", label: "Who or what" },
      { key: "overrides", label: "Scored", numeric: true },
      { key: "fva", label: "FVA", numeric: true, show: (value) => h("span", { class: value > 0 ? "good" : value < 0 ? "bad" : "" }, signed(value)) },
      { key: "share_better", label: "Nearer", numeric: true, show: (share) => percent(share, 0) },
    ],
  });
}
