// How a variable of one week is distributed over the series: a histogram over last season's, quantiles, and the weeks before.
import { chart } from "./chart.js";
import { freshId, h, svg } from "./dom.js";
import { getAll } from "./fetching.js";
import { counted, day, decimal, percent, whole } from "./formatting.js";
import { variableName } from "./names.js";
import { emptyNote, panel } from "./panels.js";
import { table } from "./table.js";

const [WEEK, LAST_SEASON] = ["week", "last_season"];
const NAMES = { [WEEK]: "This week", [LAST_SEASON]: "Same season last year" };
const QUANTILES = [["q000", "Least"], ["q001", "1%"], ["q005", "5%"], ["q010", "10%"], ["q025", "25%"], ["q050", "Median"], ["q075", "75%"], ["q090", "90%"], ["q095", "95%"], ["q099", "99%"], ["q100", "Greatest"]];
const [WIDTH, HEIGHT, FOOT] = [640, 150, 18];
/** Of so many weeks the spread is a line with a band. */
const FEW_WEEKS = 2;

/**
 * @param {string} week
 * @param {string} variable
 * @param {AbortSignal} signal
 * @returns {HTMLElement}
 */
export function distributionPanel(week, variable, signal) {
  return panel({
    title: `${variableName(variable)}, week of ${day(week)}: distribution`,
    signal,
    load: () => Promise.all([getAll("/v1/distributions", { variable, to: week }, signal), getAll("/v1/distributions/histograms", { variable, week }, signal)]),
    draw: ([{ items }, { items: bins }]) => {
      const rows = items.filter((row) => row.week === week);
      if (rows.length === 0) return emptyNote("No distribution of that variable and week.", "Calendar facts have none, nor have weeks that were reported on before distributions were kept.");
      const weeks = items.filter((row) => row.sample === WEEK && row.points > 0);
      return [histogram(bins, rows, variable), quantilesTable(rows, week, variable), ...(weeks.length >= FEW_WEEKS ? [spread(weeks, variable, signal)] : [])];
    },
  });
}

/** Shares of the values by bin: bars of the week, an outline of last season. */
function histogram(bins, rows, variable) {
  const samples = [WEEK, LAST_SEASON].filter((sample) => bins.some((bin) => bin.sample === sample));
  if (samples.length === 0) return emptyNote("No series has a value.");
  const [first, last] = [Math.min, Math.max].map((end) => end(...bins.map((bin) => bin.bin)));
  const step = WIDTH / (last - first + 1);
  const all = new Map(rows.map((row) => [row.sample, row.points]));
  const shares = bins.map((bin) => ({ ...bin, share: bin.points / all.get(bin.sample) }));
  const most = Math.max(...shares.map((bin) => bin.share));
  const bar = (bin) => {
    const height = (bin.share / most) * (HEIGHT - 4);
    const own = bin.sample === WEEK;
    const look = own ? { fill: "var(--forecast)", "fill-opacity": 0.55 } : { fill: "none", stroke: "var(--text)", "stroke-width": 1.5 };
    const title = svg("title", {}, `${NAMES[bin.sample]}, ${edgeText(bin)}: ${percent(bin.share)}`);
    return svg("rect", { x: (bin.bin - first) * step + 0.5, y: HEIGHT - height, width: Math.max(step - 1, 1), height, ...look }, title);
  };
  const edges = shares.filter((bin) => bin.bin === first || bin.bin === last);
  const [low, high] = [edges.find((bin) => bin.bin === first), edges.find((bin) => bin.bin === last)];
  const summaryId = freshId("summary");
  const described = `${samples.map((sample) => `${NAMES[sample]}: ${counted(all.get(sample), "value")}, most often ${edgeText(commonest(shares, sample))}`).join(". ")}. Bins grow with the value, ten to each power of ten.`;
  const drawing = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT + FOOT}`, class: "histogram", role: "img", "aria-labelledby": summaryId },
    shares.filter((bin) => bin.sample === WEEK).map(bar),
    shares.filter((bin) => bin.sample === LAST_SEASON).map(bar),
    svg("line", { x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT, stroke: "var(--line)" }),
    svg("text", { x: 0, y: HEIGHT + 14 }, edge(low.low ?? low.high)),
    svg("text", { x: WIDTH, y: HEIGHT + 14, "text-anchor": "end" }, edge(high.high ?? high.low)),
  );
  const swatches = samples.map((sample) => h("span", { class: "legend-item" }, svg("svg", { class: "swatch", width: 22, height: 10, "aria-hidden": "true" }, svg("rect", { x: 6, y: 1, width: 10, height: 8, ...(sample === WEEK ? { fill: "var(--forecast)", "fill-opacity": 0.55 } : { fill: "none", stroke: "var(--text)", "stroke-width": 1.5 }) })), NAMES[sample]));
  return h("figure", { class: "chart" }, h("div", { class: "legend" }, swatches), drawing, h("figcaption", { id: summaryId }, `${variableName(variable)} by share of the series. ${described}`));
}

const commonest = (shares, sample) => shares.filter((bin) => bin.sample === sample).reduce((most, bin) => (bin.share > most.share ? bin : most));

/** Significant digits, not decimals: variables have any scale. */
const edge = (value, digits = 3) => decimal(value === null ? null : Number(value.toPrecision(digits)), Math.abs(value) < 10 ? digits : Math.abs(value) < 1000 ? 1 : 0);
const edgeText = (bin) => (bin.low === null ? `below ${edge(bin.high)}` : bin.high === null ? `${edge(bin.low)} or more` : `${edge(bin.low)} to ${edge(bin.high)}`);

const exact = (value) => edge(value, 5);

function quantilesTable(rows, week, variable) {
  const by = new Map(rows.map((row) => [row.sample, row]));
  const samples = [WEEK, LAST_SEASON].filter((sample) => by.has(sample));
  const facts = [["points", "Values", whole], ["missing", "Without a value", whole], ["mean", "Mean", exact], ["deviation", "Standard deviation", exact], ...QUANTILES.map(([key, label]) => [key, label, exact])];
  return table({
    name: `distribution-${week}-${variable}`,
    caption: "Quantiles: what so many of the series do not exceed",
    rows: facts.map(([key, label, show], place) => ({ place, label, show, ...Object.fromEntries(samples.map((sample) => [sample, by.get(sample)[key]])) })),
    columns: [
      { key: "label", label: "Of the series", value: (row) => row.place, show: (_value, row) => row.label },
      ...samples.map((sample) => ({ key: sample, label: NAMES[sample], numeric: true, show: (value, row) => row.show(value) })),
    ],
  });
}

function spread(rows, variable, signal) {
  const column = (key) => rows.map((row) => row[key]);
  return chart({
    name: `distribution-weeks-${variable}`,
    title: `${variableName(variable)} by week: median, and 10% to 90% of the series`,
    summary: `Median ${edge(rows[0].q050)} in ${day(rows[0].week)}, ${edge(rows.at(-1).q050)} in ${day(rows.at(-1).week)}.`,
    weeks: column("week"),
    height: 200,
    signal,
    lines: [
      { key: "q050", label: "Median", values: column("q050"), colour: "--forecast" },
      { key: "q010", label: "10%", values: column("q010"), kind: "edge", colour: "--forecast" },
      { key: "q090", label: "90%", legend: "10% to 90% of the series", values: column("q090"), kind: "edge", colour: "--forecast" },
    ],
    bands: [["q090", "q010"]],
  });
}
