// Routes to pages. Each page is fetched when first shown, and draws into <main>.
import { announce, h } from "./dom.js";
import { currentRoute } from "./routing.js";
import { PAGES, askForKey, drawFacts, drawNavigation, wireForgetKey, wireTheme } from "./shell.js";

let leaving = new AbortController();
let first = true;

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
  const heading = h("h1", { tabindex: -1 }, title);
  const parts = module.draw(params, signal);
  // Filters stand beside the title, where they cost no line of their own.
  const filters = parts[0].classList.contains("filters") ? [parts.shift()] : [];
  main.replaceChildren(h("div", { class: "title-row" }, heading, filters), ...parts);
  // A screen reader has to hear that the page changed; on the first load it does so by itself.
  if (!first) {
    heading.focus({ preventScroll: true });
    window.scrollTo(0, 0);
    announce(title);
  }
  first = false;
}

function again() {
  wireForgetKey(again);
  drawFacts();
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
