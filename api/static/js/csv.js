import { h } from "./dom.js";

// As demand_assets/contract/spreadsheet.py: what a spreadsheet would run. Numbers keep their minus.
const FORMULA =
  /^(?:[\t\r\n]|[\s\x00-\x20\x7f-\xa0\xad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*[-=+@＝＋－＠﹦﹢﹣﹫⁼⁺⁻₌₊₋−])/;

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
const fileName = (name) => `${name.replaceAll(/[^\p{L}\p{N}._-]+/gu, "-").slice(0, 100)}.csv`;

/**
 * A button that downloads exactly the rows shown.
 * @param {string} name of the file, without its ending
 * @param {string} what for a screen reader
 * @param {() => {names: string[], rows: Array<Array<any>>}} shown
 * @returns {HTMLElement}
 */
export function csvButton(name, what, shown) {
  const save = () => {
    const { names, rows } = shown();
    const url = URL.createObjectURL(new Blob([csvText(names, rows)], { type: "text/csv" }));
    const anchor = h("a", { href: url, download: fileName(name) });
    anchor.click();
    URL.revokeObjectURL(url);
  };
  return h("button", { type: "button", class: "quiet csv", onclick: save }, "CSV", h("span", { class: "unseen" }, ` of ${what}`));
}
