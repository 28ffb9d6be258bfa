import { csvButton } from "./csv.js";
import { announce, h } from "./dom.js";
import { NOTHING } from "./formatting.js";
import { note } from "./routing.js";
import { isTable } from "./workbook.js";

/**
 * @typedef {Object} Column
 * @property {string} key member of a row, and the column's name in the CSV
 * @property {string} label
 * @property {string[]} [members] members of a row that the CSV has in place of the column
 * @property {boolean} [numeric] right-aligned
 * @property {boolean} [wide] may wrap
 * @property {(value: any, row: Object) => string|Node} [show]
 * @property {(row: Object) => any} [value] what is sorted by and downloaded; else row[key]
 */

const valueOf = (column, row) => (column.value ? column.value(row) : row[column.key]);

/**
 * Orders numbers by size, texts as people do: dept 9 before dept 10.
 * @param {any} a
 * @param {any} b
 * @returns {number}
 */
export function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function sorted(rows, columns, order) {
  const column = columns.find((each) => each.key === order.replace(/^-/, ""));
  if (!column) return rows;
  const direction = order.startsWith("-") ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [valueOf(column, a), valueOf(column, b)];
    // What is not known comes last, whichever way it is sorted.
    if (x === null || x === undefined) return y === null || y === undefined ? 0 : 1;
    if (y === null || y === undefined) return -1;
    return direction * compare(x, y);
  });
}

/**
 * A table that can be sorted by its heads and downloaded as shown.
 * @param {Object} spec
 * @param {string} spec.name of the CSV, and of the sort in the address
 * @param {string} spec.caption what it shows, for all
 * @param {Column[]} spec.columns
 * @param {Array<Object>} spec.rows
 * @param {string} [spec.sort] key, with - before it for the largest first; none leaves the order as it is
 * @param {URLSearchParams} [spec.params] of the view, where the sort is remembered
 * @param {number} [spec.most] rows drawn at first
 * @param {boolean} [spec.hideCaption]
 * @param {boolean} [spec.tall] the page scrolls, not the table
 * @param {(row: Object) => ?string} [spec.mark] class of a row
 * @returns {HTMLElement}
 */
export function table({ name, caption, columns, rows, sort = "", params, most = 200, hideCaption = false, tall = false, mark }) {
  let order = params?.get(`sort.${name}`) ?? sort;
  let limit = most;
  const body = h("tbody");
  const more = h("div", { class: "more" });
  const heads = columns.map((column) => {
    const button = h("button", { type: "button", class: "sort", onclick: () => resort(column) }, column.label);
    return h("th", { scope: "col", class: column.numeric ? "number" : "" }, button);
  });

  const cellOf = (column, row, index) => {
    const value = valueOf(column, row);
    const shown = column.show ? column.show(value, row) : (value ?? NOTHING);
    const kind = `${column.numeric ? "number" : ""} ${column.wide ? "wide" : ""}`.trim();
    return index === 0 ? h("th", { scope: "row", class: kind }, shown) : h("td", { class: kind, "data-label": column.label }, shown);
  };
  const inOrder = () => sorted(rows, columns, order);
  const shownRows = () => inOrder().slice(0, limit);
  let fit = () => {};
  const draw = () => {
    body.replaceChildren(...shownRows().map((row) => h("tr", { class: mark?.(row) }, columns.map((column, i) => cellOf(column, row, i)))));
    columns.forEach((column, i) => {
      const by = order.replace(/^-/, "") === column.key;
      if (by) heads[i].setAttribute("aria-sort", order.startsWith("-") ? "descending" : "ascending");
      else heads[i].removeAttribute("aria-sort");
    });
    const left = rows.length - limit;
    const all = h("button", { type: "button", class: "quiet", onclick: () => ((limit = Infinity), draw()) }, `Show all ${rows.length} rows`);
    more.replaceChildren(...(left > 0 ? [h("span", { class: "muted" }, `${limit} of ${rows.length} rows. `), all] : []));
    fit();
  };
  const resort = (column) => {
    // Numbers are mostly asked for the largest first.
    const first = column.numeric ? `-${column.key}` : column.key;
    const second = column.numeric ? column.key : `-${column.key}`;
    order = order === first ? second : first;
    if (params) note({ [`sort.${name}`]: order });
    draw();
    announce(`${caption}: sorted by ${column.label}, ${order.startsWith("-") ? "largest" : "smallest"} first`);
  };

  draw();
  const download = csvButton(name, caption, () => contentsOf(columns, shownRows()));
  const box = h(
    "div",
    { class: "scroll", role: "group", "aria-label": caption },
    h("table", {}, h("caption", { class: "unseen" }, caption), h("thead", {}, h("tr", {}, heads)), body),
  );
  focusableWhenScrolling(box);
  const whole = h("div", { class: tall ? "table tall" : "table" }, h("div", { class: "table-head" }, h("p", { class: hideCaption ? "unseen" : "caption" }, caption), download), box, more);
  fit = fitting(whole, box);
  isTable(whole, name, () => contentsOf(columns, inOrder()));
  return whole;
}

/**
 * Keeps a table within its box: too wide, its cells move closer; still too wide, each row becomes a block of labelled
 * values. No column is ever out of sight.
 * @param {HTMLElement} whole
 * @param {HTMLElement} box of the table alone
 * @returns {() => void} to be called when its rows have changed
 */
function fitting(whole, box) {
  let width = 0;
  const fit = () => {
    whole.classList.remove("tight", "stacked");
    for (const form of ["tight", "stacked"]) {
      if (box.scrollWidth <= box.clientWidth + 1) return;
      whole.classList.add(form);
    }
  };
  const observer = new ResizeObserver(() => {
    // Its height follows from the form, so only another width is news.
    if (box.clientWidth === width) return;
    width = box.clientWidth;
    fit();
  });
  observer.observe(box);
  return fit;
}

/**
 * Rows as they are downloaded.
 * @param {Column[]} columns
 * @param {Array<Object>} rows
 * @returns {import("./csv.js").Contents}
 */
export function contentsOf(columns, rows) {
  return {
    names: columns.flatMap((column) => column.members ?? [column.key]),
    rows: rows.map((row) => columns.flatMap((column) => column.members?.map((name) => row[name]) ?? [valueOf(column, row)])),
  };
}

/**
 * A box that scrolls must be reachable by keyboard; one that does not would only be one more stop.
 * @param {HTMLElement} box
 */
export function focusableWhenScrolling(box) {
  const look = () => {
    const scrolls = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
    if (scrolls) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  };
  const observer = new ResizeObserver(look);
  observer.observe(box);
  if (box.firstElementChild) observer.observe(box.firstElementChild);
}
