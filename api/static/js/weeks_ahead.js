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
 * The same series with only the forecasts of weeks ahead.
 * @param {Object} detail body of /v1/series/detail
 * @returns {Object}
 */
export const onlyAhead = (detail) => ({ ...detail, forecasts: weeksAhead(detail.forecasts, detail.history) });
