// A panel asks for its own data and says honestly when there is none: one that fails leaves the others standing.
import { KEYS, labelOf, levels } from "./dataset.js";
import { announce, freshId, h } from "./dom.js";
import { go } from "./routing.js";

/**
 * A note in place of data: what is not there yet, and what makes it appear.
 * @param {string} title
 * @param {...(string|Node)} more
 * @returns {HTMLElement}
 */
export function emptyNote(title, ...more) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), h("p", {}, more));
}

/**
 * What went wrong, with the id under which the service's log has it.
 * @param {Error} error
 * @param {?() => void} retry
 * @returns {HTMLElement}
 */
export function errorBox(error, retry) {
  const titles = { 0: "No answer", 403: "Not allowed", 404: "Not found", 409: "Not taken", 422: "Not accepted", 503: "The store cannot be reached" };
  const title = titles[error.status] ?? (error.status ? `Error ${error.status}` : "Something went wrong");
  return h(
    "div",
    { class: "error", role: "alert" },
    h("p", { class: "error-title" }, title),
    h("p", {}, error.message),
    error.requestId && h("p", { class: "muted" }, "Request ", h("code", {}, error.requestId)),
    retry && h("button", { type: "button", onclick: retry }, "Retry"),
  );
}

/**
 * A section that loads and draws itself.
 * @param {Object} spec
 * @param {string} spec.title
 * @param {string} [spec.class] of the section
 * @param {Array<Node>|Node} [spec.tools] beside the title
 * @param {() => Promise<any>} spec.load
 * @param {(data: any) => Node|Array<Node>} spec.draw
 * @param {AbortSignal} spec.signal of the page
 * @returns {HTMLElement}
 */
export function panel({ title, class: name = "", tools = [], load, draw, signal }) {
  const id = freshId("panel");
  const body = h("div", { class: "panel-body" });
  const section = h(
    "section",
    { class: `panel ${name}`, "aria-labelledby": id },
    h("div", { class: "panel-head" }, h("h2", { id }, title), h("div", { class: "panel-tools" }, tools)),
    body,
  );
  const run = async () => {
    section.setAttribute("aria-busy", "true");
    body.replaceChildren(h("p", { class: "loading" }, "Loading…"));
    try {
      const data = await load();
      if (signal.aborted) return;
      body.replaceChildren(...[draw(data)].flat());
    } catch (error) {
      if (signal.aborted) return;
      // The form for the key stands above all panels; a box in each would only repeat it.
      const shown = error.status === 401 ? h("p", { class: "muted" }, "Waits for an API key.") : errorBox(error, () => retry());
      body.replaceChildren(shown);
      if (error.status === undefined) throw error;
    } finally {
      section.removeAttribute("aria-busy");
    }
  };
  const retry = () => {
    announce(`${title}: asking again`);
    run();
  };
  run();
  return section;
}

/**
 * A figure of the top row: a label, a number, and what it is held against.
 * @param {string} label
 * @param {string} value
 * @param {string|Node} [beside]
 * @param {string} [mark] good, bad or none
 * @returns {HTMLElement}
 */
export function figure(label, value, beside = "", mark = "") {
  return h("div", { class: "figure" }, h("dt", {}, label), h("dd", { class: `value ${mark}` }, value), h("dd", { class: "beside" }, beside));
}

/**
 * A labelled control of a filter row.
 * @param {string} label
 * @param {HTMLElement} control
 * @param {string|Node} [hint]
 * @returns {HTMLElement}
 */
export function field(label, control, hint) {
  control.id ||= freshId("field");
  const note = hint && h("span", { class: "hint", id: `${control.id}-hint` }, hint);
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, note);
}

/**
 * The filter of a store or a department, by its id.
 * @param {string} level store or department
 * @param {URLSearchParams} params
 * @returns {HTMLElement}
 */
export function idField(level, params) {
  const name = KEYS[level][2];
  const input = h("input", { type: "text", class: "short", autocomplete: "off", value: params.get(name) ?? "", onchange: () => go({ [name]: input.value.trim() }) });
  return field(labelOf(level), input);
}

/**
 * The filters of store and department, as far as series have them.
 * @param {URLSearchParams} params
 * @returns {HTMLElement[]}
 */
export function idFields(params) {
  return levels().map((level) => idField(level, params));
}

/**
 * A list of choices.
 * @param {Array<[string, string]>} choices value and text
 * @param {string} chosen
 * @param {(value: string) => void} changed
 * @returns {HTMLSelectElement}
 */
export function choice(choices, chosen, changed) {
  const select = h("select", { onchange: () => changed(select.value) });
  for (const [value, text] of choices) select.append(h("option", { value, selected: value === chosen }, text));
  return select;
}
