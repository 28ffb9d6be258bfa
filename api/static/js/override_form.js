// A planner's number: the form, what came of it, the list of all versions, and what they added.
import { reasonCodes } from "./dataset.js";
import { announce, h } from "./dom.js";
import { freshKey, get, post } from "./fetching.js";
import { amounts, counted, day, decision, percent } from "./formatting.js";
import { emptyNote, errorBox, field, panel } from "./panels.js";
import { overridesTable, scoresTable } from "./overrides_tables.js";
import { onlyAhead } from "./weeks_ahead.js";

const DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}";

/**
 * @param {Object} detail body of /v1/series/detail
 * @param {URLSearchParams} params
 * @param {AbortSignal} signal
 * @param {() => void} changed called after a number was given or withdrawn
 * @returns {{nodes: Node[], refresh: (detail: Object) => void}}
 */
export function overridePanels(detail, params, signal, changed) {
  const list = h("div", { class: "grid" });
  const draw = (now) => list.replaceChildren(listPanel(now, params));
  draw(detail);
  const ahead = onlyAhead(detail);
  const form = ahead.forecasts.length > 0 ? formPanel(ahead, params, changed) : null;
  const scores = panel({
    title: "What overrides of this series added",
    signal,
    load: () => get("/v1/overrides/accuracy", { store_id: detail.store_id, dept_id: detail.dept_id, limit: 1000 }, signal),
    draw: ({ items, summary, unit }) => {
      if (items.length === 0) return emptyNote("No override is scored yet.", "A number counts once its week has been sold.");
      return [h("p", {}, summaryOf(summary, unit)), scoresTable("override-scores-of-series", items, unit)];
    },
  });
  return { nodes: [h("div", { class: "grid" }, form, scores), list], refresh: draw };
}

/**
 * What overrides added, in a sentence.
 * @param {{overrides: number, fva: number, share_better: ?number}} summary
 * @param {?string} unit
 * @returns {string}
 */
export function summaryOf({ overrides, fva: value, share_better: share }, unit) {
  const { full, signed } = amounts(unit);
  return `${counted(overrides, "override")} scored: FVA ${full(value, signed)}; nearer than the system in ${percent(share, 0)} of them.`;
}

function listPanel(detail, params) {
  const body =
    detail.overrides.length === 0
      ? emptyNote("No override of this series.", "A number given here is listed, with every later version.")
      : overridesTable("overrides-of-series", detail.overrides, detail.unit, params, false);
  return h("section", { class: "panel", "aria-labelledby": "overrides-title" }, h("div", { class: "panel-head" }, h("h2", { id: "overrides-title" }, "Overrides of this series")), body);
}

function formPanel(detail, params, changed) {
  const { full, titled } = amounts(detail.unit);
  const week = h("select", { name: "week", required: true });
  for (const row of detail.forecasts) {
    week.append(h("option", { value: row.week, selected: row.week === params.get("target") }, day(row.week)));
  }
  const forecasts = new Map(detail.forecasts.map((row) => [row.week, row.forecast]));
  // What is changed by somebody else meanwhile must not be overwritten unseen.
  const given = new Map();
  const seen = (target) => Math.max(given.get(target) ?? 0, ...detail.overrides.filter((row) => row.week === target).map((row) => row.version));
  const model = h("span", {});
  const showModel = () => (model.textContent = `System: ${full(forecasts.get(week.value))}`);
  week.addEventListener("change", showModel);
  showModel();
  const amount = h("input", { name: "amount", type: "text", inputmode: "decimal", required: true, autocomplete: "off" });
  // Not type="date": browsers show that in the order of the locale, which may be another one than that of the page.
  const expiry = h("input", { name: "expiry", type: "text", inputmode: "numeric", pattern: DAY, title: "A day as 2026-12-31", autocomplete: "off" });
  const reason = h("textarea", { name: "reason", required: true, maxlength: 1000, rows: 2 });
  const code = codeSelect();
  const result = h("div", { class: "full", "aria-live": "polite" });
  const give = h("button", { type: "submit", class: "primary" }, "Give override");
  const withdraw = h("button", { type: "button" }, "Withdraw the number");
  // One key per filling: sent twice it counts once, and a changed form is another request.
  let sent = { key: freshKey(), body: null };

  const send = async (value) => {
    const body = {
      store_id: detail.store_id,
      dept_id: detail.dept_id,
      week: week.value,
      ...value,
      reason: reason.value.trim(),
      reason_code: code?.value || null,
      version: seen(week.value),
      expires_at: expiry.value ? `${expiry.value}T23:59:59Z` : null,
    };
    const text = JSON.stringify(body);
    if (sent.body !== null && sent.body !== text) sent = { key: freshKey(), body: null };
    sent.body = text;
    give.disabled = withdraw.disabled = true;
    result.replaceChildren(h("p", { class: "muted" }, "Sending…"));
    try {
      const made = await post("/v1/overrides", body, sent.key);
      sent = { key: freshKey(), body: null };
      given.set(made.week, made.version);
      const counts = made.status === "waiting" ? "waits for a second person's approval in place of" : "counts in place of";
      const message = made.override === null ? `Withdrawn for the week of ${day(made.week)}` : `${full(made.override)} ${counts} the forecast of ${full(made.forecast)} for the week of ${day(made.week)}`;
      result.replaceChildren(h("p", { class: "success" }, `${message} (version ${made.version}, by ${made.author}).`));
      amount.value = reason.value = "";
      changed();
    } catch (error) {
      result.replaceChildren(errorBox(error, () => send(value)));
      if (error.status === undefined) throw error;
    } finally {
      give.disabled = withdraw.disabled = false;
    }
  };

  const amountOf = () => {
    const value = decision(amount.value);
    amount.setCustomValidity(value ? "" : `${titled("A number such as 15,000")}, or a change such as +10%`);
    if (value) amount.removeAttribute("aria-invalid");
    else amount.setAttribute("aria-invalid", "true");
    return value;
  };
  amount.addEventListener("input", () => amountOf());
  const form = h("form", { class: "form", novalidate: false });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = amountOf();
    if (form.reportValidity()) send(value);
  });
  withdraw.addEventListener("click", () => {
    amount.required = false;
    amount.setCustomValidity("");
    const fine = form.reportValidity();
    amount.required = true;
    if (fine) send({ override: null });
    else announce("To withdraw, say why");
  });
  form.append(
    field("Week", week, model),
    field(titled("Amount"), amount, "Or +10%, of the system's forecast"),
    ...(code === null ? [] : [field("Kind of reason", code)]),
    field("Expires after", expiry, "As 2026-12-31; empty: never"),
    h("div", { class: "full" }, field("Reason", reason)),
    h("div", { class: "buttons full" }, give, withdraw),
    result,
  );
  return h(
    "section",
    { class: "panel", "aria-labelledby": "override-title" },
    h("div", { class: "panel-head" }, h("h2", { id: "override-title" }, "Override the forecast")),
    h("div", { class: "panel-body" }, h("p", { class: "muted" }, "Your number counts: orders and totals follow it. The system's own stays beside it, and both are scored later."), form),
  );
}

/** The service's codes of reasons; null where it has none. @returns {?HTMLSelectElement} */
export function codeSelect() {
  const codes = reasonCodes();
  if (codes.length === 0) return null;
  return h("select", { name: "reason_code", required: true }, h("option", { value: "" }, "choose…"), codes.map((each) => h("option", { value: each }, each)));
}
