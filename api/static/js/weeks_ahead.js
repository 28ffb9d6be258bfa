// What is still to come. Between landing and publishing, the newest forecast's first weeks are sold already.

/**
 * The newest week with sales, "" without any; rows by week, oldest first.
 * @param {Array<{week: string, actual: ?number}>} rows
 * @returns {string}
 */
export const newestSold = (rows) => rows.filter((row) => row.actual !== null).at(-1)?.week ?? "";

/**
 * Forecasts of weeks after the newest one with sales.
 * @param {Array<Object>} rows with `week` and `forecast`
 * @param {Array<{week: string, actual: ?number}>} sold
 * @returns {Array<Object>}
 */
export const weeksAhead = (rows, sold) => rows.filter((row) => row.forecast !== null && row.week > newestSold(sold));

/**
 * The column of the system's own forecasts, where a planner's number stands in place of one of them.
 * @param {Array<{forecast: number, final: number}>} rows
 * @param {(value: number) => string} show
 * @returns {Array<Object>}
 */
export const systemColumn = (rows, show) => (rows.some((row) => row.final !== row.forecast) ? [{ key: "forecast", label: "System", numeric: true, show }] : []);

/**
 * The columns of the final interval, where there is one.
 * @param {Array<{final_p10: ?number}>} rows
 * @param {(value: number) => string} show
 * @returns {Array<Object>}
 */
export const intervalColumns = (rows, show) =>
  rows.some((row) => row.final_p10 !== null) ? ["p10", "p90"].map((name) => ({ key: `final_${name}`, label: name, numeric: true, show })) : [];

/**
 * The same series with only the forecasts of weeks ahead.
 * @param {Object} detail body of /v1/series/detail
 * @returns {Object}
 */
export const onlyAhead = (detail) => ({ ...detail, forecasts: weeksAhead(detail.forecasts, detail.history) });
