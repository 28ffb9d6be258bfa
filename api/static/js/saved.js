// A planner's own series and named views, kept in this browser, for each data set by itself.
import { datasetName } from "./dataset.js";
import { announce, freshId, h } from "./dom.js";
import { link } from "./routing.js";

const CHANGED = "saved-changed";
const NOTHING = { favourites: [], views: [] };
// What counts where the browser keeps nothing: it then lasts as long as the page.
const unkept = new Map();

const place = () => `saved ${location.pathname} ${datasetName()}`;

/** @returns {{favourites: Array<{store: string, dept: string, name: string}>, views: Array<{name: string, address: string}>}} */
function read() {
  try {
    const found = JSON.parse(localStorage.getItem(place()));
    if (Array.isArray(found?.favourites) && Array.isArray(found?.views)) return found;
  } catch {
    // Storage is switched off, or holds what another program has written there.
  }
  return unkept.get(place()) ?? NOTHING;
}

function write(saved) {
  try {
    localStorage.setItem(place(), JSON.stringify(saved));
  } catch {
    unkept.set(place(), saved);
  }
  document.dispatchEvent(new Event(CHANGED));
}

const isSame = (a, b) => a.store === b.store && a.dept === b.dept;

/** The series kept as favourites. @returns {Array<{store: string, dept: string, name: string}>} */
export const favourites = () => read().favourites;

/** @param {{store: string, dept: string}} series @returns {boolean} */
export const isFavourite = (series) => favourites().some((each) => isSame(each, series));

function toggleFavourite(series) {
  const saved = read();
  const others = saved.favourites.filter((each) => !isSame(each, series));
  const added = others.length === saved.favourites.length;
  write({ ...saved, favourites: added ? [...others, series] : others });
  announce(added ? `${series.name} is a favourite` : `${series.name} is no favourite any more`);
}

function saveView(name) {
  const saved = read();
  const view = { name, address: location.hash || "#/" };
  write({ ...saved, views: [...saved.views.filter((each) => each.name !== name), view].sort((a, b) => a.name.localeCompare(b.name)) });
  announce(`View ${name} is saved`);
}

function removeView(name) {
  const saved = read();
  write({ ...saved, views: saved.views.filter((each) => each.name !== name) });
  announce(`View ${name} is removed`);
}

/**
 * The button that makes a series a favourite, or no longer one.
 * @param {string} store
 * @param {string} dept
 * @param {AbortSignal} signal
 * @returns {HTMLElement}
 */
export function favouriteButton(store, dept, signal) {
  const heading = () => document.querySelector("main h1");
  const button = h("button", { type: "button", class: "quiet", onclick: () => toggleFavourite({ store, dept, name: heading().title || heading().textContent }) });
  const draw = () => {
    const is = isFavourite({ store, dept });
    button.setAttribute("aria-pressed", String(is));
    button.replaceChildren(h("span", { "aria-hidden": "true" }, is ? "★ " : "☆ "), "Favourite");
  };
  document.addEventListener(CHANGED, draw, { signal });
  draw();
  return button;
}

/** The menu of the header; it stands outside the page, so that drawing the page again leaves it alone. */
export function wireSaved() {
  const menu = document.getElementById("saved");
  drawMenu(menu);
  if (menu.dataset.wired) return;
  menu.dataset.wired = "yes";
  const close = () => (menu.open = false);
  document.addEventListener(CHANGED, () => drawMenu(menu));
  // Another tab may have changed them.
  window.addEventListener("storage", () => document.dispatchEvent(new Event(CHANGED)));
  window.addEventListener("hashchange", close);
  document.addEventListener("click", ({ target }) => {
    if (target.isConnected && (!menu.contains(target) || target.closest("a"))) close();
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    close();
    menu.querySelector("summary").focus();
  });
}

function drawMenu(menu) {
  const held = menu.querySelector(".menu-body");
  // What was removed had the focus; the next stop is where a view is named.
  const lost = held?.contains(document.activeElement) ?? false;
  const { favourites: series, views } = read();
  const input = h("input", { id: freshId("view"), type: "text", required: true, maxlength: 80, autocomplete: "off" });
  const form = h("form", { class: "row" }, h("label", { for: input.id }, "Name of this view"), input, h("button", { type: "submit" }, "Save"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (name) saveView(name);
  });
  const body = h(
    "div",
    { class: "menu-body" },
    listOf("Favourite series", series, (each) => [h("a", { href: link("series", { store: each.store, dept: each.dept }) }, each.name), () => toggleFavourite(each)], "On the page of a series, Favourite keeps it here."),
    listOf("Saved views", views, (each) => [h("a", { href: each.address }, each.name), () => removeView(each.name)], "A view is a page with its filters and sorting."),
    form,
  );
  if (held) held.replaceWith(body);
  else menu.append(body);
  if (lost) input.focus();
}

function listOf(title, items, parts, otherwise) {
  const id = freshId("saved");
  const rows = items.map((each) => {
    const [anchor, remove] = parts(each);
    return h("li", {}, anchor, h("button", { type: "button", class: "quiet", onclick: remove }, "Remove", h("span", { class: "unseen" }, ` ${each.name}`)));
  });
  return h("section", { "aria-labelledby": id }, h("h2", { id }, title), rows.length > 0 ? h("ul", {}, rows) : h("p", { class: "muted" }, otherwise));
}
