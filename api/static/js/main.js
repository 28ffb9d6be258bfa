// Routes to pages. Each page is fetched when first shown, and draws into <main>.
import { loadDataset } from "./dataset.js";
import { announce, h } from "./dom.js";
import { loadWords } from "./names.js";
import { currentRoute } from "./routing.js";
import { wireSaved } from "./saved.js";
import { workbookButton } from "./workbook.js";
import { PAGES, askForKey, drawFacts, drawNavigation, drawPerson, drawWords, watchForNewer, wireForgetKey, wireTheme } from "./shell.js";

const SETTLES_MS = 1500;
let leaving = new AbortController();
let shown = null;

async function show() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const { page, params } = currentRoute();
  const main = document.getElementById("main");
  const known = PAGES.some(([name]) => name === page);
  drawNavigation(page);
  if (!known) {
    main.replaceChildren(h("h1", { tabindex: -1 }, "No such page"), h("p", {}, h("a", { href: "#/" }, "To the overview")));
    return;
  }
  const module = await import(`./pages/${page}.js`);
  if (signal.aborted) return;
  const title = module.title(params);
  document.title = `${title} – Demand forecasts`;
  const used = shown === page ? labelInUse(main) : null;
  if (used !== null) keepPlace(main);
  const heading = h("h1", { tabindex: -1 }, title);
  const parts = module.draw(params, signal);
  // Filters stand beside the title, where they cost no line of their own.
  const filters = parts[0].classList.contains("filters") ? [parts.shift()] : [];
  // What is being typed into the form for the key stays there.
  const asking = document.getElementById("key-form");
  const typing = asking?.contains(document.activeElement) ? document.activeElement : null;
  main.replaceChildren(...(asking ? [asking] : []), h("div", { class: "title-row" }, heading, h("div", { class: "title-tools" }, filters, workbookButton())), ...parts);
  typing?.focus();
  // A screen reader has to hear that the page changed; on the first load it does so by itself.
  if (used !== null) {
    labelled(main, used)?.focus({ preventScroll: true });
    announce(title);
  } else if (shown !== null && typing === null) {
    heading.focus({ preventScroll: true });
    window.scrollTo(0, 0);
    announce(title);
  }
  shown = page;
}

const textOf = (control) => control.labels?.[0]?.textContent ?? null;

/** The label of the filter that is being changed; null when it was a link, or the browser's back, that led here. */
function labelInUse(main) {
  const active = document.activeElement;
  return main.contains(active) && active.labels ? textOf(active) : null;
}

function labelled(main, text) {
  return [...main.querySelectorAll("select, input")].find((control) => textOf(control) === text);
}

/** Whoever changes a filter far down the page should stay there while the panels load. */
function keepPlace(main) {
  main.style.minHeight = `${main.offsetHeight}px`;
  setTimeout(() => (main.style.minHeight = ""), SETTLES_MS);
}

async function again() {
  wireForgetKey(again);
  drawFacts();
  drawPerson();
  await Promise.all([loadDataset(), loadWords()]);
  drawWords();
  wireSaved();
  show();
}

wireTheme();
window.addEventListener("hashchange", show);
document.addEventListener("key-needed", (event) => askForKey(event.detail, again));
document.getElementById("skip").addEventListener("click", (event) => {
  // The fragment is the address of the page, so the link must not change it.
  event.preventDefault();
  document.getElementById("main").focus();
});
again();
watchForNewer(again);
