// The one place that turns values into text and back: numbers, days and times as the browser's locale writes them.
// Downloads have plain numbers and ISO 8601, which is also the name of a week in addresses and what a field takes.

// The sign of a number that is rounded to zero says nothing.
const numbers = (options) => new Intl.NumberFormat(navigator.languages, { signDisplay: "negative", ...options });
const WHOLE = numbers({ maximumFractionDigits: 0 });
const PLAIN = numbers({ maximumFractionDigits: 2 });
const SMALL = numbers({ maximumSignificantDigits: 3 });
const SHORT = numbers({ notation: "compact", maximumFractionDigits: 1 });
// A week is a day of the calendar, not a time: read and written in UTC, it is the same day in every zone.
const days = (options) => new Intl.DateTimeFormat(navigator.languages, { timeZone: "UTC", calendar: "gregory", ...options });
const DAY = days({ dateStyle: "medium" });
const MONTH = days({ year: "numeric", month: "short" });
const DAY_OF_YEAR = days({ month: "numeric", day: "numeric" });
const MOMENT = days({ dateStyle: "medium", timeStyle: "short" });
const fixed = new Map();
const PARTS = Object.fromEntries(PLAIN.formatToParts(1234567.5).map(({ type, value }) => [type, value]));
const CURRENCIES = new Set(Intl.supportedValuesOf("currency"));
const DAY_MS = 86_400_000;

/** What stands where nothing is known. */
export const NOTHING = "–";

const minus = (text) => text.replace("-", "−");

/**
 * A whole number: 1,234,567, or 1.234.567.
 * @param {?number} value
 * @returns {string}
 */
export function whole(value) {
  return formatted(value, WHOLE);
}

function formatted(value, format) {
  if (value === null || value === undefined) return NOTHING;
  return minus(format.format(value));
}

/**
 * A number of any size: two decimals at most, below 1 three digits.
 * @param {?number} value
 * @returns {string}
 */
export function plain(value) {
  return formatted(value, Math.abs(value) < 1 ? SMALL : PLAIN);
}

/**
 * What writes amounts of a unit. Money is whole: 1,234. Other amounts keep two decimals: 0.25.
 * @param {?string} unit as the service names it, such as USD or pieces; null before the first forecast
 * @returns {{amount: (value: ?number) => string, signed: (value: ?number) => string, full: (value: ?number) => string, titled: (text: string) => string}}
 *   signed: with a plus above zero; full: with the unit; titled: a title with the unit
 */
export function amounts(unit) {
  const format = unit === null || CURRENCIES.has(unit) ? WHOLE : PLAIN;
  const amount = (value) => formatted(value, format);
  const signed = (value) => (value > 0 && amount(value) !== "0" ? `+${amount(value)}` : amount(value));
  const full = (value, write = amount) => (unit === null ? write(value) : `${write(value)} ${unit}`);
  return { amount, signed, full, titled: (text) => (unit === null ? text : `${text}, ${unit}`) };
}

/**
 * A number for an axis: 1.2M, 340K.
 * @param {?number} value
 * @returns {string}
 */
export function short(value) {
  return formatted(value, SHORT);
}

/**
 * A share as per cent: 0.812 is 81.2%.
 * @param {?number} value
 * @param {number} [digits]
 * @returns {string}
 */
export function percent(value, digits = 1) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NOTHING;
  return formatted(value, withDigits(digits, "percent"));
}

function withDigits(digits, style) {
  const key = `${style} ${digits}`;
  if (!fixed.has(key)) fixed.set(key, numbers({ style, minimumFractionDigits: digits, maximumFractionDigits: digits }));
  return fixed.get(key);
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
 * Forecast value added, as per cent of a baseline's error: how much smaller another error is. Positive is better.
 * @param {?number} error
 * @param {?number} baseline
 * @returns {string}
 */
export function valueAdded(error, baseline) {
  const share = shareOfChange(error, baseline);
  if (share === null) return NOTHING;
  return share < 0 ? `+${percent(-share)}` : percent(-share);
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
  return formatted(value, withDigits(digits, "decimal"));
}

const escaped = (mark) => (/\s/.test(mark) ? "\\s" : /['’]/.test(mark) ? "['’]" : mark.replace(/[.]/g, "\\$&"));
const [GROUP, DECIMAL] = [escaped(PARTS.group ?? ","), escaped(PARTS.decimal)];
const GROUPED = new RegExp(`^[+-]?[1-9]\\d{0,2}(${GROUP}\\d{3})+(${DECIMAL}\\d+)?$`);

/**
 * What a person types as a number: in thousands as the pages show it, 1,234.5 or 1.234,5; else 1234.5 or 1234,5.
 * @param {string} text
 * @returns {number} NaN for what is none
 */
export function parsed(text) {
  const plain = text.trim().replace("−", "-");
  if (GROUPED.test(plain)) return Number(plain.replaceAll(new RegExp(GROUP, "g"), "").replace(PARTS.decimal, "."));
  return /^[+-]?\d+([.,]\d+)?$/.test(plain) ? Number(plain.replace(",", ".")) : Number.NaN;
}

/**
 * A number, or a change in percent of the system's forecast, as the API takes it.
 * @param {string} text such as 15,000 or +10%
 * @returns {?Object} null for what is neither
 */
export function decision(text) {
  const plain = text.trim();
  const [name, number] = plain.endsWith("%") ? ["change_percent", parsed(plain.slice(0, -1))] : ["override", parsed(plain)];
  return Number.isFinite(number) ? { [name]: number } : null;
}

/**
 * A day, such as the one that names a week: Nov 2, 2012, or 02.11.2012.
 * @param {?string} iso such as 2012-11-02
 * @returns {string}
 */
export const day = (iso) => {
  const at = Date.parse(iso);
  // What an address says may be no day; it is shown as it is.
  if (Number.isNaN(at)) return iso || NOTHING;
  return DAY.format(at);
};

/**
 * A day without its year, where there is little room: 11/2, or 2.11.
 * @param {string} iso
 * @returns {string}
 */
export const dayOfYear = (iso) => DAY_OF_YEAR.format(Date.parse(iso));

/**
 * The month of a day: Nov 2012.
 * @param {string} iso
 * @returns {string}
 */
export const month = (iso) => MONTH.format(Date.parse(iso));

/**
 * A time: Oct 27, 2012, 6:00 AM UTC.
 * @param {?string} iso
 * @returns {string}
 */
export const moment = (iso) => (iso ? `${MOMENT.format(Date.parse(iso))} UTC` : NOTHING);

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
  return `${whole(count)} ${noun}${count === 1 ? "" : noun.endsWith("s") ? "" : "s"}`;
}

/**
 * A name of the data in a reader's words: dept_growth_4 is "dept growth 4".
 * @param {string} name
 * @returns {string}
 */
export function words(name) {
  return name.replaceAll("_", " ");
}
