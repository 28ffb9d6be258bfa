// The one place that turns values into text. The same in every locale: a planner and an analyst must read one number.

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const DAY_MS = 86_400_000;

/** What stands where nothing is known. */
export const NOTHING = "–";

const minus = (text) => text.replace("-", "−");

/**
 * Money, or any whole number: 1,234,567.
 * @param {?number} value
 * @returns {string}
 */
export function usd(value) {
  if (value === null || value === undefined) return NOTHING;
  const text = WHOLE.format(value);
  return minus(text === "-0" ? "0" : text);
}

/**
 * Money with its sign: +1,234 or −1,234.
 * @param {?number} value
 * @returns {string}
 */
export function signedUsd(value) {
  const text = usd(value);
  return value > 0 && text !== "0" ? `+${text}` : text;
}

/**
 * Money for an axis: 1.2M, 340K.
 * @param {?number} value
 * @returns {string}
 */
export function shortUsd(value) {
  return value === null || value === undefined ? NOTHING : minus(SHORT.format(value));
}

/**
 * A share as per cent: 0.812 is 81.2%.
 * @param {?number} value
 * @param {number} [digits]
 * @returns {string}
 */
export function percent(value, digits = 1) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NOTHING;
  const text = (value * 100).toFixed(digits);
  return `${minus(Number(text) === 0 ? text.replace("-", "") : text)}%`;
}

/**
 * A change as per cent, with its sign.
 * @param {?number} now
 * @param {?number} before
 * @returns {string}
 */
export function change(now, before) {
  const share = shareOfChange(now, before);
  const text = percent(share);
  return share > 0 ? `+${text}` : text;
}

/**
 * (now - before) / |before|; null where that says nothing.
 * @param {?number} now
 * @param {?number} before
 * @returns {?number}
 */
export function shareOfChange(now, before) {
  if (now === null || now === undefined || !before) return null;
  return (now - before) / Math.abs(before);
}

/**
 * A plain number with so many decimals.
 * @param {?number} value
 * @param {number} [digits]
 * @returns {string}
 */
export function decimal(value, digits = 2) {
  return value === null || value === undefined ? NOTHING : minus(value.toFixed(digits));
}

/**
 * A time as 2012-10-27 06:00 UTC.
 * @param {?string} iso
 * @returns {string}
 */
export function moment(iso) {
  if (!iso) return NOTHING;
  const [day, time] = new Date(iso).toISOString().split("T");
  return `${day} ${time.slice(0, 5)} UTC`;
}

/**
 * The week so many weeks later.
 * @param {string} week ISO date
 * @param {number} weeks
 * @returns {string}
 */
export function addWeeks(week, weeks) {
  return new Date(Date.parse(week) + weeks * 7 * DAY_MS).toISOString().slice(0, 10);
}

/**
 * The first characters of a version that is a hash; the whole is for the title.
 * @param {string} version
 * @returns {string}
 */
export function shortVersion(version) {
  return /^[0-9a-f]{13,}$/.test(version) ? version.slice(0, 10) : version;
}

/**
 * Number and noun: 1 week, 2 weeks.
 * @param {number} count
 * @param {string} noun
 * @returns {string}
 */
export function counted(count, noun) {
  return `${usd(count)} ${noun}${count === 1 ? "" : noun.endsWith("s") ? "" : "s"}`;
}

/**
 * A name of the data in a reader's words: dept_growth_4 is "dept growth 4".
 * @param {string} name
 * @returns {string}
 */
export function words(name) {
  return name.replaceAll("_", " ");
}
