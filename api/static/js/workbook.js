// The page as one Excel workbook: a sheet per table, charts as the table of what they show.
import { save } from "./csv.js";
import { announce, h } from "./dom.js";
import { getFile } from "./fetching.js";
import { errorBox } from "./panels.js";

const tables = new WeakMap();

/**
 * Note that an element shows a table, or would when opened.
 * @param {HTMLElement} element
 * @param {string} name of the table, which no other one of the page has
 * @param {() => import("./csv.js").Contents} contents all its rows
 */
export function isTable(element, name, contents) {
  element.dataset.table = name;
  tables.set(element, contents);
}

const plain = (value) => (value === undefined ? null : typeof value === "object" && value !== null ? JSON.stringify(value) : value);

/** The tables of the page as sheets; a chart and its opened data are one. */
function sheets() {
  const found = new Map();
  for (const element of document.querySelectorAll("main [data-table]")) {
    const title = element.closest("section")?.querySelector("h2")?.textContent ?? element.dataset.table;
    const { names, rows } = tables.get(element)();
    if (!found.has(element.dataset.table)) found.set(element.dataset.table, { name: title, columns: names.map((name, i) => ({ name, values: rows.map((row) => plain(row[i])) })) });
  }
  return [...found.values()];
}

/**
 * The button that downloads the page's tables as one workbook.
 * @returns {HTMLElement[]} it, and where it says what went wrong
 */
export function workbookButton() {
  const said = h("div", {});
  const download = async () => {
    const made = sheets();
    said.replaceChildren();
    if (made.length === 0) {
      announce("No table on this page.");
      return;
    }
    button.disabled = true;
    try {
      const { content } = await getFile("/v1/workbooks", {}, { sheets: made });
      save(content, document.querySelector("main h1").textContent, "xlsx");
    } catch (error) {
      said.replaceChildren(errorBox(error, download));
      if (error.status === undefined) throw error;
    } finally {
      button.disabled = false;
    }
  };
  const button = h("button", { type: "button", class: "quiet", onclick: download }, "This page as Excel");
  return [button, said];
}
