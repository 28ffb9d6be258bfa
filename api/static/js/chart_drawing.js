// What uPlot draws with: colours of the theme, axes of weeks and amounts, marks behind the lines.
import { day, month, short } from "./formatting.js";

let colours = new Map();
document.addEventListener("theme", () => (colours = new Map()));

/**
 * The present value of a colour of the style sheet; read once per theme.
 * @param {string} name such as --forecast
 * @returns {string}
 */
export function colour(name) {
  if (!colours.has(name)) colours.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return colours.get(name);
}

const FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
/** Up to so many weeks the axis names weeks, beyond them months. */
export const FEW_WEEKS = 20;
const MONTHS = [1, 2, 3, 6, 12, 24, 60];

/** Starts of months, as many as fit. */
function monthSplits(u, _axis, min, max) {
  const room = Math.max(2, Math.floor(u.bbox.width / devicePixelRatio / 74));
  const [first, last] = [new Date(min * 1000), new Date(max * 1000)];
  const months = (last.getUTCFullYear() - first.getUTCFullYear()) * 12 + last.getUTCMonth() - first.getUTCMonth();
  const step = MONTHS.find((each) => months / each <= room) ?? 120;
  const splits = [];
  for (let year = first.getUTCFullYear(); year <= last.getUTCFullYear(); year += 1) {
    for (let month = 0; month < 12; month += 1) {
      const at = Date.UTC(year, month, 1) / 1000;
      if (at >= min && at <= max && (year * 12 + month) % step === 0) splits.push(at);
    }
  }
  return splits;
}

/** A few weeks span too few months: then weeks are named, from the newest back, as far as their names have room. */
function weekSplits(u, min, max, weeks) {
  const apart = (88 * devicePixelRatio * (max - min)) / Math.max(u.bbox.width, 1);
  const named = [];
  for (const week of weeks.filter((each) => each >= min && each <= max).reverse()) {
    if (named.length === 0 || named[0] - week >= apart) named.unshift(week);
  }
  return named;
}

const iso = (seconds) => new Date(seconds * 1000).toISOString();

/**
 * The axes of a chart of weeks.
 * @param {number[]} weeks in seconds
 * @param {(value: number) => string} [format] of the left axis
 * @returns {Array<Object>}
 */
export function axes(weeks, format = short) {
  const line = { stroke: () => colour("--grid"), width: 1 };
  const shared = { stroke: () => colour("--muted"), font: FONT, ticks: { ...line, size: 4 } };
  const few = weeks.length <= FEW_WEEKS;
  const names = (values) => values.map((value) => format(value));
  return [
    {
      ...shared,
      grid: { show: false },
      size: 28,
      gap: 4,
      splits: few ? (u, _i, min, max) => weekSplits(u, min, max, weeks) : monthSplits,
      values: (_u, splits) => splits.map((at) => (few ? day : month)(iso(at))),
    },
    {
      ...shared,
      grid: line,
      space: 36,
      gap: 6,
      size: (_u, values) => 16 + 6.6 * Math.max(3, ...(values ?? []).map((text) => text.length)),
      values: (_u, splits) => names(splits),
    },
  ];
}

/** Above a chart, two rows of names of holidays. */
export const ROOM_FOR_NAMES = 30;
const [ROW, GAP] = [12, 6];

/**
 * Behind everything: holiday weeks as columns, with their names above as far as there is room.
 * @param {Array<[number, string]>} holidays seconds and name, ascending
 * @returns {(u: Object) => void}
 */
export function holidayMarks(holidays) {
  return clipped((u, ctx, ratio) => {
    const { left, top, width, height } = u.bbox;
    const half = 3.5 * 86_400;
    const free = [left, left];
    ctx.textAlign = "left";
    for (const [week, name] of holidays) {
      const [from, to] = [week - half, week + half].map((at) => u.valToPos(at, "x", true));
      ctx.fillStyle = colour("--holiday");
      ctx.fillRect(from, top, to - from, height);
      const needed = ctx.measureText(name).width;
      const start = Math.max(left, Math.min((from + to - needed) / 2, left + width - needed));
      const row = free.findIndex((end) => start >= end);
      // Without room for it the legend and the table still have the name.
      if (row < 0) continue;
      free[row] = start + needed + GAP * ratio;
      ctx.fillStyle = colour("--muted");
      ctx.fillText(name, start, top - (2 + row * ROW) * ratio);
    }
  });
}

function clipped(paint) {
  return (u) => {
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top - ROOM_FOR_NAMES * ratio, bbox.width, bbox.height + ROOM_FOR_NAMES * ratio);
    ctx.clip();
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.textBaseline = "bottom";
    ctx.lineWidth = ratio;
    paint(u, ctx, ratio);
    ctx.restore();
  };
}

/**
 * Above the grid, behind the lines: the origin as a line with its name, a target as one across.
 * @param {Object} spec
 * @param {?number} spec.origin seconds
 * @param {?number} spec.level a value that is marked across, such as a target
 * @returns {(u: Object) => void}
 */
export function lineMarks({ origin, level }) {
  return clipped((u, ctx, ratio) => {
    const { left, top, width, height } = u.bbox;
    ctx.strokeStyle = ctx.fillStyle = colour("--muted");
    const line = (x0, y0, x1, y1) => {
      ctx.setLineDash([4 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x0, y0);
      ctx.lineTo(x1, y1);
      ctx.stroke();
    };
    if (origin !== null && origin !== undefined) {
      const x = Math.round(u.valToPos(origin, "x", true)) + 0.5;
      line(x, top, x, top + height);
      ctx.textAlign = "right";
      ctx.textBaseline = "top";
      ctx.fillText("origin", x - 4 * ratio, top + 3 * ratio);
    }
    if (level !== null && level !== undefined) {
      const y = Math.round(u.valToPos(level, "y", true)) + 0.5;
      line(left, y, left + width, y);
    }
  });
}
