// What surrounds every page: the facts of the newest forecast, banners, the theme, the key.
import { datasetUnit, weekday } from "./dataset.js";
import { announce, h } from "./dom.js";
import { apiKey, get, setApiKey, signOut } from "./fetching.js";
import { counted, day, moment, shortVersion } from "./formatting.js";

const LOOK_MS = 60_000;

/** Pages in the order of the navigation. */
export const PAGES = [
  ["overview", "Overview"],
  ["series", "Series"],
  ["changes", "Changes"],
  ["orders", "Orders"],
  ["exceptions", "Exceptions"],
  ["accuracy", "Accuracy"],
  ["overrides", "Overrides"],
  ["scenarios", "Scenarios"],
  ["drift", "Drift"],
  ["models", "Models"],
];

/**
 * The navigation, with the present page marked.
 * @param {string} page
 */
export function drawNavigation(page) {
  const items = PAGES.map(([name, text]) => h("li", {}, h("a", { href: name === "overview" ? "#/" : `#/${name}`, "aria-current": name === page ? "page" : null }, text)));
  const list = h("ul", {}, items);
  document.getElementById("nav").replaceChildren(list);
  // On a phone the row of pages scrolls.
  const present = list.querySelector("[aria-current]");
  if (present) list.scrollLeft = present.offsetLeft + present.offsetWidth - list.clientWidth;
}

function fact(label, value, title) {
  return h("div", {}, h("dt", {}, label), h("dd", { title }, value));
}

/** How weeks are named and what amounts count, at the foot of every page. */
export function drawWords() {
  const [name, unit] = [weekday() ?? "day", datasetUnit()];
  document.getElementById("words").textContent = `Weeks are named by the ${name} that ends them. Amounts are per week${unit === null ? "" : `, in ${unit}`}.`;
}

/** The facts of the newest vintage, and a banner when it is overdue or there is none. */
export async function drawFacts() {
  const [facts, banner] = [document.getElementById("facts"), document.getElementById("banner")];
  let answer;
  try {
    answer = await get("/v1/vintages", { kind: "forecast", limit: 1 });
  } catch {
    // The page below says what is wrong, with a button to ask again.
    facts.replaceChildren();
    banner.replaceChildren();
    return;
  }
  const newest = answer.items[0];
  if (!newest) {
    facts.replaceChildren();
    banner.replaceChildren(h("p", { class: "banner", role: "status" }, h("strong", {}, "No forecast is published yet. "), h("code", {}, "demand run"), " makes the first one."));
    return;
  }
  facts.replaceChildren(
    fact("Origin week", day(newest.origin_week)),
    fact("Published", moment(newest.published_at)),
    fact("State", h("span", { class: answer.is_stale ? "badge warn" : "badge good" }, answer.is_stale ? "stale" : "fresh")),
    fact("Model", `${newest.method} ${newest.model_version}`),
    fact("Data", shortVersion(newest.data_version), newest.data_version),
    fact("Code", shortVersion(newest.code_version), newest.code_version),
    fact("Holds", `${counted(newest.series, "series")}, ${counted(newest.horizon_weeks, "week")}`),
  );
  banner.replaceChildren(
    ...(answer.is_stale
      ? [h("p", { class: "banner", role: "status" }, h("strong", {}, "This forecast is stale. "), `Its origin is the week of ${day(newest.origin_week)}, and the next one is overdue: newer sales are not in it.`)]
      : []),
  );
}

/**
 * Ask now and then whether there is a newer forecast than the one shown, and offer it; nothing moves by itself.
 * @param {() => void} again draws the page anew
 */
export function watchForNewer(again) {
  let shown = null;
  const look = async () => {
    if (document.hidden) return;
    try {
      const { newest_origin_week: origin, vintages } = await get("/health");
      const now = `${origin} ${vintages}`;
      if (shown !== null && shown !== now && vintages !== null) offer(origin, again);
      shown = now;
    } catch {
      // Whatever is asked for next says what is wrong.
    }
  };
  look();
  setInterval(look, LOOK_MS);
}

function offer(origin, again) {
  const text = `A newer forecast is published, of origin week ${day(origin)}. `;
  const button = h("button", { type: "button", class: "quiet", onclick: again }, "Show it");
  document.getElementById("banner").replaceChildren(h("p", { class: "banner", role: "status" }, text, button));
}

/** The button that goes through auto, light and dark. */
export function wireTheme() {
  const button = document.getElementById("theme");
  const themes = ["auto", "light", "dark"];
  const label = () => (button.textContent = `Theme: ${window.demandTheme.chosen()}`);
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(window.demandTheme.chosen()) + 1) % themes.length];
    window.demandTheme.choose(next);
    label();
    announce(`Theme: ${next}`);
  });
  label();
}

/**
 * A form for the API key, once, above the page.
 * @param {string} detail what the service said
 * @param {() => void} done
 */
export function askForKey(detail, done) {
  if (document.getElementById("key-form")) return;
  const input = h("input", { id: "key", type: "password", autocomplete: "off", required: true, spellcheck: "false", "aria-describedby": "key-hint" });
  const send = (event) => {
    event.preventDefault();
    setApiKey(input.value.trim());
    form.remove();
    done();
  };
  const form = h(
    "form",
    { id: "key-form", class: "panel key-form", onsubmit: send, "aria-labelledby": "key-title" },
    h("h2", { id: "key-title" }, "An API key is needed"),
    h("p", { id: "key-hint", class: "muted" }, `${detail}. It is kept for this tab only.`),
    h("div", { class: "row" }, h("label", { for: "key" }, "API key"), input, h("button", { type: "submit", class: "primary" }, "Use key")),
  );
  document.getElementById("main").prepend(form);
  input.focus();
}

/**
 * The button that forgets the key, there only while one is kept.
 * @param {() => void} done
 */
export function wireForgetKey(done) {
  const button = document.getElementById("forget-key");
  button.onclick = () => {
    setApiKey(null);
    done();
  };
  button.hidden = apiKey() === null;
}

/** Who is signed in, and the button to sign out; neither where nobody signs in. */
export async function drawPerson() {
  const [name, button] = [document.getElementById("person"), document.getElementById("sign-out")];
  let me;
  try {
    me = await get("/v1/me");
  } catch {
    // The page below says what is wrong.
    return;
  }
  const isPerson = me.roles.length > 0;
  name.textContent = isPerson ? me.name : "";
  name.title = isPerson ? `${me.name}: ${me.roles.join(", ")}` : "";
  name.hidden = button.hidden = !isPerson;
  button.onclick = () => signOut().catch((error) => announce(error.message));
}
