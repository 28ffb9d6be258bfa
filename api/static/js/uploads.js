// Many planners' numbers at once: a file or pasted rows, looked at before they count; approval; undoing.
import { seriesColumn } from "./dataset.js";
import { announce, h } from "./dom.js";
import { freshKey, get, getAll, post, upload } from "./fetching.js";
import { amounts, counted, day, moment, whole } from "./formatting.js";
import { codeSelect } from "./override_form.js";
import { emptyNote, errorBox, field, panel } from "./panels.js";
import { redraw } from "./routing.js";
import { table } from "./table.js";

const XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const KINDS = { accepted: "good", waiting: "warn", unchanged: "", refused: "bad" };

/**
 * The form for a file or pasted rows: first a preview, then all of them or none.
 * @returns {HTMLElement}
 */
export function uploadPanel() {
  const file = h("input", { type: "file", accept: ".csv,.tsv,.txt,.xlsx" });
  const pasted = h("textarea", { rows: 4, spellcheck: "false", placeholder: "store_id\tdept_id\tweek\toverride" });
  const reason = h("input", { type: "text", maxlength: 1000, autocomplete: "off" });
  const code = codeSelect();
  if (code) code.required = false;
  const result = h("div", { "aria-live": "polite" });
  const look = h("button", { type: "submit", class: "primary" }, "Preview");

  const content = () => {
    const chosen = file.files[0];
    if (chosen) return { body: chosen, type: chosen.name.toLowerCase().endsWith(".xlsx") ? XLSX : "text/csv" };
    return { body: pasted.value, type: "text/csv" };
  };
  const send = sender({ content, words: () => ({ reason: reason.value.trim(), reason_code: code?.value }), look, result });
  const form = h("form", { class: "form" });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  form.append(
    h("div", { class: "full" }, field("File", file, "CSV or Excel with the columns store_id, dept_id, week, override; an edited export will do")),
    ...(code === null ? [] : [field("Kind of reason, likewise", code)]),
    h("div", { class: "full" }, field("Or rows pasted from a spreadsheet, with their header", pasted, "A number, +10% of the system's forecast, or withdraw")),
    h("div", { class: "full" }, field("Reason, where a row has none", reason)),
    h("div", { class: "buttons full" }, look),
  );
  return h(
    "section",
    { class: "panel", "aria-labelledby": "upload-title" },
    h("div", { class: "panel-head" }, h("h2", { id: "upload-title" }, "Many at once")),
    h("div", { class: "panel-body" }, h("p", { class: "muted" }, "All rows are added together, or none. An upload can be undone as a whole."), form, result),
  );
}

/**
 * What sends rows: first for a preview, then, when that is confirmed, to be added.
 * @param {Object} spec
 * @param {() => {body: any, type: string}} spec.content
 * @param {() => Object} spec.words reason and reason_code, where a row has none
 * @param {HTMLButtonElement} spec.look off meanwhile
 * @param {HTMLElement} spec.result where what comes of it is shown
 * @returns {() => Promise<void>}
 */
export function sender({ content, words, look, result }) {
  const send = async (preview, key) => {
    const { body, type } = content();
    look.disabled = true;
    result.replaceChildren(h("p", { class: "muted" }, "Sending…"));
    try {
      const made = await upload("/v1/overrides:upload", { preview: preview || null, ...words() }, body, type, key);
      result.replaceChildren(...(preview ? previewOf(made, () => send(false, key)) : [h("p", { class: "success" }, `${counted(made.added, "override")} added${made.waiting ? `, ${whole(made.waiting)} of them wait for approval` : ""}.`)]));
      if (!preview) {
        announce(`${counted(made.added, "override")} added`);
        result.append(h("button", { type: "button", onclick: redraw }, "Show them"));
      }
    } catch (error) {
      result.replaceChildren(errorBox(error, () => send(preview, key)));
      if (error.status === undefined) throw error;
    } finally {
      look.disabled = false;
    }
  };
  return () => send(true, freshKey());
}

function previewOf(made, confirm) {
  const { amount, titled } = amounts(made.unit);
  const fresh = made.items.length - made.refused - made.unchanged;
  const words = [`${counted(fresh, "number")} to add`, made.waiting && `${whole(made.waiting)} of them need approval`, made.unchanged && `${whole(made.unchanged)} in force already`, made.refused && `${whole(made.refused)} refused: nothing can be added`].filter(Boolean).join(", ");
  const add = h("button", { type: "button", class: "primary", disabled: made.refused > 0 || fresh === 0, onclick: confirm }, `Add ${counted(fresh, "number")}`);
  return [
    h("p", { class: made.refused ? "error-title" : "" }, `${words}.`),
    h("div", { class: "buttons" }, add),
    table({
      name: "upload-preview",
      caption: titled("What comes of each row"),
      rows: made.items,
      columns: [
        { key: "line", label: "Line", numeric: true },
        seriesColumn(),
        { key: "week", label: "Week", show: day },
        { key: "forecast", label: "System", numeric: true, show: amount },
        { key: "override", label: "Override", numeric: true, show: (value) => (value === null ? "withdrawn" : amount(value)) },
        { key: "status", label: "Status", show: (status) => h("span", { class: `badge ${KINDS[status]}` }, status) },
        { key: "detail", label: "Why", wide: true },
      ],
    }),
  ];
}

/**
 * Overrides that wait for a second person, with what that person may say.
 * @param {Object} query
 * @param {URLSearchParams} params
 * @param {AbortSignal} signal
 * @returns {HTMLElement}
 */
export function waitingPanel(query, params, signal) {
  const holder = h("div", { class: "holder" });
  // No panel where nothing waits: most retailers ask for no approval.
  getAll("/v1/overrides", { ...query, status: "waiting" }, signal).then(({ items, unit }) => {
    if (items.length > 0) holder.append(panel({ title: "Wait for approval", signal, load: async () => items, draw: (rows) => waitingTable(rows, unit, params) }));
  }, () => {
    // The list of all overrides says what is wrong.
  });
  return holder;
}

function waitingTable(rows, unit, params) {
  const { amount, titled } = amounts(unit);
  const result = h("div", { "aria-live": "polite" });
  const say = async (row, approved) => {
    try {
      await post(`/v1/overrides/${row.override_id}/review`, { approved }, freshKey());
      redraw();
    } catch (error) {
      result.replaceChildren(errorBox(error, null));
      if (error.status === undefined) throw error;
    }
  };
  const button = (row, approved, text) => h("button", { type: "button", onclick: () => say(row, approved), "aria-label": `${text}: override ${row.override_id} by ${row.author}` }, text);
  return [
    result,
    table({
      name: "overrides-waiting",
      caption: titled("Until then the number before counts"),
      rows,
      params,
      columns: [
        seriesColumn((row) => ({ target: row.week })),
        { key: "week", label: "Week", show: day },
        { key: "forecast", label: "System", numeric: true, show: amount },
        { key: "override", label: "Override", numeric: true, show: amount },
        { key: "author", label: "Author" },
        { key: "reason", label: "Reason", wide: true },
        { key: "override_id", label: "Your word", show: (_id, row) => h("span", { class: "buttons" }, button(row, true, "Approve"), button(row, false, "Reject")) },
      ],
    }),
  ];
}

/**
 * Every upload, with a way to undo it.
 * @param {AbortSignal} signal
 * @returns {HTMLElement}
 */
export function uploadsPanel(signal) {
  const result = h("div", { "aria-live": "polite" });
  const undo = async (row) => {
    try {
      const made = await post(`/v1/override-batches/${row.batch_id}/undo`, {}, freshKey());
      announce(`${counted(made.put_back, "number")} put back${made.kept ? `, ${whole(made.kept)} changed since stay` : ""}`);
      redraw();
    } catch (error) {
      result.replaceChildren(errorBox(error, null));
      if (error.status === undefined) throw error;
    }
  };
  return panel({
    title: "Uploads",
    signal,
    load: () => get("/v1/override-batches", { limit: 50 }, signal),
    draw: ({ items }) => {
      if (items.length === 0) return emptyNote("No upload yet.", "Numbers that come in one file are listed here, to be undone together.");
      return [
        result,
        table({
          name: "uploads",
          caption: "The newest first",
          rows: items,
          columns: [
            { key: "created_at", label: "Given", show: moment },
            { key: "author", label: "Author" },
            { key: "reason", label: "Reason" },
            { key: "overrides", label: "Numbers", numeric: true },
            { key: "batch_id", label: "Upload", show: (_id, row) => h("button", { type: "button", onclick: () => undo(row), "aria-label": `Undo the upload of ${moment(row.created_at)} by ${row.author}` }, "Undo") },
          ],
        }),
      ];
    },
  });
}
