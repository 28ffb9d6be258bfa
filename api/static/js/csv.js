import { h } from "./dom.js";

// As demand_assets/contract/spreadsheet.py: what a spreadsheet would run. Numbers keep their minus.
const FORMULA =
  /^(?:[\t\r\n]|[\s\x00-\x20\x7f-\xa0\xad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*[-=+@＝＋－＠﹦﹢﹣﹫⁼⁺⁻₌₊₋−])/;

/**
 * @typedef {Object} Contents
 * @property {string[]} names of the columns
 * @property {Array<Array<any>>} rows
 */

function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * RFC 4180 text.
 * @param {string[]} names
 * @param {Array<Array<any>>} rows
 * @returns {string}
 */
export function csvText(names, rows) {
  return [names, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** A name that any system takes: ids can hold slashes, quotes and two hundred characters. */
const plainName = (name) => name.replaceAll(/[^\p{L}\p{N}._-]+/gu, "-").slice(0, 100);

/**
 * Give a file to the browser to keep.
 * @param {Blob} content
 * @param {string} name without its ending
 * @param {string} ending
 */
export function save(content, name, ending) {
  const url = URL.createObjectURL(content);
  h("a", { href: url, download: `${plainName(name)}.${ending}` }).click();
  URL.revokeObjectURL(url);
}

/**
 * A button that downloads exactly the rows shown.
 * @param {string} name of the file, without its ending
 * @param {string} what for a screen reader
 * @param {() => Contents} shown
 * @returns {HTMLElement}
 */
export function csvButton(name, what, shown) {
  const download = () => {
    const { names, rows } = shown();
    save(new Blob([csvText(names, rows)], { type: "text/csv" }), name, "csv");
  };
  return h("button", { type: "button", class: "quiet csv", onclick: download }, "CSV", h("span", { class: "unseen" }, ` of ${what}`));
}
