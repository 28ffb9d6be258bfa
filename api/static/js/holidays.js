// Holiday weeks by their names; one that the calendar has no name for is a holiday all the same.
import { h } from "./dom.js";
import { day } from "./formatting.js";

/**
 * The holiday weeks among some rows, for a chart.
 * @param {Array<{week: string, is_holiday: ?boolean, holiday: ?string}>} rows
 * @returns {Map<string, string>} week -> name
 */
export const holidaysOf = (rows) => new Map(rows.filter((row) => row.is_holiday).map((row) => [row.week, row.holiday ?? "Holiday"]));

/**
 * The column of a table that names the week, and its holiday.
 * @returns {Object}
 */
export function weekColumn() {
  const show = (week, row) => (row.is_holiday ? h("span", {}, day(week), " ", h("span", { class: "badge" }, row.holiday ?? "holiday")) : day(week));
  return { key: "week", label: "Week", show };
}
