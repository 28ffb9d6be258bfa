// Charts of weeks: a legend that reads out the week under the pointer or the arrow keys, a sentence and a table beside.
import { FEW_WEEKS, ROOM_FOR_NAMES, axes, colour, holidayMarks, lineMarks } from "./chart_drawing.js";
import { freshId, h, svg } from "./dom.js";
import { amounts, day } from "./formatting.js";
import { stripText, stripsBelow } from "./strips.js";
import { contentsOf, table } from "./table.js";
import { isTable } from "./workbook.js";

const live = new Set();
document.addEventListener("theme", () => live.forEach((chart) => chart.redraw(false)));

const seconds = (week) => Date.parse(week) / 1000;

/**
 * @typedef {Object} Line
 * @property {string} key name in the table and the CSV
 * @property {string} label
 * @property {Array<?number>} values one per week
 * @property {string} colour name of a colour of the style sheet
 * @property {"line"|"bars"|"points"|"edge"|"hidden"} [kind] edge: a side of a band, without a line of its own; hidden: only
 *   in legend and table, for lines that are drawn one by one
 * @property {number[]} [dash]
 * @property {number} [width]
 * @property {boolean} [unlisted] in the chart, not in legend and table
 */

function seriesOf(line, count) {
  const kind = line.kind ?? "line";
  const stroke = () => colour(line.colour);
  const known = line.values.reduce((sum, value) => sum + (value !== null), 0);
  const alone = (_u, _i, show, gaps) => {
    if (show && !gaps) return null;
    // A week between two unknown ones has no line to show it.
    return line.values.flatMap((value, i) => (value !== null && (line.values[i - 1] ?? null) === null && (line.values[i + 1] ?? null) === null ? [i] : []));
  };
  if (kind === "hidden") return { show: false };
  if (kind === "edge") return { stroke: "transparent", width: 0, points: { show: false } };
  if (kind === "points") return { stroke, paths: () => null, points: { show: true, size: 9, width: 2, stroke, fill: () => colour("--surface") } };
  if (kind === "bars") return { stroke, fill: stroke, width: 0, paths: uPlot.paths.bars({ size: [0.6, 14] }), points: { show: false } };
  const few = known > 0 && known <= 14 && count <= 60;
  return {
    stroke,
    width: line.width ?? 1.75,
    dash: line.dash,
    points: few ? { show: true, size: 4, fill: stroke } : { show: true, size: 4, fill: stroke, filter: alone },
  };
}

function swatch(line) {
  const kind = line.kind ?? "line";
  const box = svg("svg", { class: "swatch", width: 22, height: 10, "aria-hidden": "true" });
  const paint = `var(${line.colour})`;
  const stroke = () => svg("line", { x1: 1, x2: 21, y1: 5, y2: 5, stroke: paint, "stroke-width": Math.max(line.width ?? 2, 1.5), "stroke-dasharray": line.dash?.join(" ") });
  const shape = {
    hidden: stroke,
    line: stroke,
    bars: () => svg("rect", { x: 7, y: 1, width: 8, height: 9, fill: paint }),
    points: () => svg("circle", { cx: 11, cy: 5, r: 3.5, fill: "none", stroke: paint, "stroke-width": 2 }),
    edge: () => svg("rect", { x: 1, y: 1, width: 20, height: 8, fill: "var(--fan)" }),
  }[kind];
  box.append(shape());
  return box;
}

/**
 * A chart of weeks with its legend, its summary in words, its data as a table and as CSV.
 * @param {Object} spec
 * @param {string} spec.name of the CSV
 * @param {string} spec.title
 * @param {string} spec.summary what a reader should take from it, one or two sentences
 * @param {string[]} spec.weeks ISO dates, ascending
 * @param {Line[]} spec.lines
 * @param {import("./strips.js").Strip[]} [spec.strips] below the chart, and in the table
 * @param {import("./strips.js").Strip[]} [spec.columns] in the table alone
 * @param {Array<[string, string]>} [spec.bands] keys of the upper and lower edge
 * @param {Map<string, string>} [spec.holidays] week -> what its holiday is called
 * @param {?string} [spec.origin]
 * @param {?number} [spec.level] a target, drawn across
 * @param {string} [spec.levelLabel]
 * @param {number} [spec.height]
 * @param {?string} [spec.unit] of the values
 * @param {(value: ?number) => string} [spec.format] of values that are no amounts
 * @param {(value: number) => string} [spec.axisFormat]
 * @param {[?number, ?number]} [spec.range] bounds that the axis always includes
 * @param {AbortSignal} spec.signal of the page
 * @returns {HTMLElement}
 */
export function chart(spec) {
  const { weeks, lines, signal, unit, format = amounts(unit).amount, height = 300 } = spec;
  const times = weeks.map(seconds);
  const at = (key) => lines.findIndex((line) => line.key === key) + 1;
  const paired = new Map((spec.bands ?? []).map(([high, low]) => [high, low]));
  const low = new Set(paired.values());
  const listed = lines.filter((line) => !line.unlisted);

  const readings = new Map();
  const week = h("span", { class: "reading-week" });
  const legend = h("div", { class: "legend" }, week);
  for (const line of listed) {
    if (low.has(line.key)) continue;
    const value = h("span", { class: "reading" });
    const key = paired.get(line.key);
    readings.set(line.key, { label: line.label, value, text: (i) => (key === undefined ? format(line.values[i]) : `${format(lines[at(key) - 1].values[i])} to ${format(line.values[i])}`), known: (i) => line.values[i] !== null });
    legend.append(h("span", { class: "legend-item" }, swatch(line), line.legend ?? line.label, value));
  }
  if (spec.levelLabel) legend.append(h("span", { class: "legend-item" }, swatch({ colour: "--muted", dash: [4, 3], width: 1 }), spec.levelLabel));
  const strips = stripsBelow(spec.strips ?? [], weeks, times, (left) => drawn.setCursor({ left, top: 10 }));
  for (const strip of spec.strips ?? []) {
    readings.set(strip.key, { label: strip.label, value: strips.values.get(strip.key), text: (i) => stripText(strip, i), known: (i) => strip.values[i] !== null });
  }
  const named = (name) => [day(name), spec.holidays?.get(name)].filter(Boolean).join(" ");
  const read = (i) => {
    week.textContent = i === null || i === undefined ? "" : named(weeks[i]);
    for (const { value, text, known } of readings.values()) value.textContent = i === null || i === undefined || !known(i) ? "" : text(i);
  };

  const plot = h("div", { class: "plot" });
  const summaryId = freshId("summary");
  const box = h("div", { class: "plot-box", tabindex: 0, role: "group", "aria-roledescription": "chart", "aria-label": `${spec.title}. Arrow keys read the weeks.`, "aria-describedby": summaryId }, plot);
  const spoken = h("span", { class: "unseen", "aria-live": "polite" });

  const options = {
    width: 600,
    height,
    // Room for half a name of the last week where weeks are named, not months.
    padding: [spec.holidays?.size ? ROOM_FOR_NAMES : 10, weeks.length <= FEW_WEEKS ? 38 : 14, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      x: { time: false, range: (_u, min, max) => [min - 4 * 86_400, max + 4 * 86_400] },
      y: { range: (_u, min, max) => rangeOf(min, max, spec.range) },
    },
    axes: axes(times, spec.axisFormat),
    series: [{}, ...lines.map((line) => seriesOf(line, weeks.length))],
    bands: (spec.bands ?? []).map(([high, under]) => ({ series: [at(high), at(under)], fill: () => colour("--fan") })),
    hooks: {
      drawClear: [holidayMarks([...(spec.holidays ?? [])].map(([week, name]) => [seconds(week), name]))],
      drawAxes: [lineMarks({ origin: spec.origin ? seconds(spec.origin) : null, level: spec.level })],
      draw: [strips.place],
      setCursor: [(u) => read(u.cursor.idx), strips.mark],
    },
  };
  const drawn = new uPlot(options, [times, ...lines.map((line) => line.values)], plot);
  live.add(drawn);
  const observer = new ResizeObserver(() => {
    if (plot.clientWidth > 0) drawn.setSize({ width: plot.clientWidth, height });
  });
  observer.observe(plot);
  signal.addEventListener("abort", () => {
    observer.disconnect();
    live.delete(drawn);
    drawn.destroy();
  });
  let index = null;
  box.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -weeks.length, End: weeks.length }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    index = Math.min(weeks.length - 1, Math.max(0, (index ?? weeks.length) + step));
    drawn.setCursor({ left: drawn.valToPos(times[index], "x"), top: 10 });
    read(index);
    spoken.textContent = [named(weeks[index]), ...[...readings.values()].filter(({ known }) => known(index)).map(({ label, text }) => `${label} ${text(index)}`)].join(", ");
  });

  return h("figure", { class: "chart" }, legend, box, strips.node, spoken, h("figcaption", { id: summaryId }, spec.summary), dataOf(spec, listed, format));
}

function rangeOf(min, max, bounds) {
  if (min === null || max === null) return [0, 1];
  const low = Math.min(min, bounds?.[0] ?? min);
  const high = Math.max(max, bounds?.[1] ?? max);
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  return [bounds && low === bounds[0] ? low : low - room, bounds && high === bounds[1] ? high : high + room];
}

/** Made when opened: most readers never do, and some tables are long. */
function dataOf(spec, listed, format) {
  const details = h("details", { class: "data" }, h("summary", {}, "Data", h("span", { class: "unseen" }, ` of ${spec.title}`)));
  const more = [...(spec.strips ?? []), ...(spec.columns ?? [])];
  const place = new Map(spec.weeks.map((week, i) => [week, i]));
  const rows = () =>
    spec.weeks
      .map((week, i) => ({
        week,
        ...Object.fromEntries(more.map((strip) => [strip.key, strip.values[i]])),
        ...Object.fromEntries(listed.map((line) => [line.key, line.values[i]])),
        ...(spec.holidays ? { holiday: spec.holidays.get(week) ?? null } : {}),
      }))
      .reverse();
  const columns = [
    { key: "week", label: "Week", show: day },
    ...listed.map((line) => ({ key: line.key, label: line.label, numeric: true, show: (value) => format(value) })),
    ...more.map((strip) => ({ key: strip.key, label: strip.label, numeric: true, show: (_value, row) => stripText(strip, place.get(row.week)) })),
    ...(spec.holidays ? [{ key: "holiday", label: "Holiday", show: (value) => value ?? "" }] : []),
  ];
  details.addEventListener("toggle", () => {
    if (!details.open || details.childElementCount > 1) return;
    details.append(table({ name: spec.name, caption: spec.title, columns, rows: rows(), most: 60, hideCaption: true }));
  });
  isTable(details, spec.name, () => contentsOf(columns, rows()));
  return details;
}

/**
 * The lines of a forecast's interval, for `lines` of a chart with the band ["p90", "p10"].
 *
 * @param {(name: string) => (?number)[]} values of a column
 * @returns {object[]}
 */
export function interval(values) {
  return [
    { key: "p10", label: "p10", values: values("p10"), kind: "edge", colour: "--forecast" },
    { key: "p90", label: "p90", legend: "p10 to p90", values: values("p90"), kind: "edge", colour: "--forecast" },
  ];
}
