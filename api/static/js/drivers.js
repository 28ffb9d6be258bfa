// Drivers of a series by week: what a price, promotion or markdown was, and what it is planned to be.
import { labelOf, levels } from "./dataset.js";
import { plain } from "./formatting.js";
import { driverName } from "./names.js";

const FORMATS = { number: plain, flag: (value) => (value ? "yes" : "no") };

/**
 * The drivers of a series as strips of a chart; where a series has no value of its own that of its whole store counts.
 * @param {Array<Object>} rows of /v1/drivers: stretches of weeks
 * @param {string[]} weeks of the chart
 * @returns {import("./strips.js").Strip[]} those with a value in these weeks, first what forecasts know ahead
 */
export function driverStrips(rows, weeks) {
  const place = new Map(weeks.map((week, i) => [week, i]));
  const last = weeks.at(-1);
  const strips = [];
  for (const [driver, own] of Map.groupBy(rows, (row) => row.driver)) {
    const values = weeks.map(() => null);
    const planned = weeks.map(() => false);
    // The value of the series comes last, so that it counts.
    for (const row of [...own].sort((a, b) => Number(a.dept_id !== null) - Number(b.dept_id !== null))) {
      const from = row.first_week < weeks[0] ? weeks[0] : row.first_week;
      const to = row.last_week > last ? last : row.last_week;
      for (let i = place.get(from) ?? weeks.length; i < weeks.length && weeks[i] <= to; i += 1) [values[i], planned[i]] = [row.value, row.is_planned];
    }
    if (values.every((value) => value === null)) continue;
    const { kind, known_ahead: knownAhead } = own[0];
    const ofStore = levels().includes("department") && own.every((row) => row.dept_id === null);
    const label = ofStore ? `${driverName(driver)}, whole ${labelOf("store")}` : driverName(driver);
    strips.push({ key: `driver_${driver}`, label, kind, knownAhead, values, planned, format: (value) => (value === null ? plain(null) : FORMATS[kind](value)) });
  }
  return strips.sort((a, b) => Number(b.knownAhead) - Number(a.knownAhead));
}

/** Whether there is something to see: a driver that is 0 in all weeks has only its column of the table. */
export const isSet = (strip) => strip.values.some((value) => value !== null && value !== 0);

/**
 * What a reader should know of the strips.
 * @param {import("./strips.js").Strip[]} strips
 * @returns {string[]} sentences
 */
export function driversSummary(strips) {
  const named = (chosen) => chosen.map((strip) => strip.label).join("; ");
  const planned = strips.filter((strip) => isSet(strip) && strip.knownAhead && strip.planned.includes(true));
  const unused = strips.filter((strip) => !strip.knownAhead && strip.planned.includes(true));
  const missing = strips.filter((strip) => isSet(strip) && strip.knownAhead && !strip.planned.includes(true));
  const unset = strips.filter((strip) => !isSet(strip));
  return [
    ...(planned.length > 0 ? [`Planned for the weeks ahead, and known to the forecast: ${named(planned)}.`] : []),
    ...(unused.length > 0 ? [`Delivered for weeks ahead, and not known to the forecast: ${named(unused)}.`] : []),
    ...(missing.length > 0 ? [`Without a plan for the weeks ahead: ${named(missing)}.`] : []),
    ...(unset.length > 0 ? [`0 in all these weeks: ${named(unset)}.`] : []),
  ];
}
