// Addresses: #/page?filters. Whatever changes what is shown is in them, so that every view can be linked to.

/**
 * The view that the address names.
 * @returns {{page: string, params: URLSearchParams}}
 */
export function currentRoute() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return { page: path || "overview", params: new URLSearchParams(query ?? "") };
}

/**
 * The address of a view.
 * @param {string} page
 * @param {Object<string, any>} [params] empty values are left out
 * @returns {string}
 */
export function link(page, params) {
  const given = Object.entries(params ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
  return `#/${page === "overview" ? "" : page}${query}`;
}

/**
 * Go to the present page with some filters changed; an empty value removes one. A new step of the browser's back.
 * @param {Object<string, any>} changes
 */
export function go(changes) {
  location.hash = changed(changes).slice(1);
}

/**
 * Note a detail of the view, such as a sort, in the address without drawing the page again or a step of its own.
 * @param {Object<string, any>} changes
 */
export function note(changes) {
  history.replaceState(null, "", changed(changes));
}

/** Draw the present page again, as what it shows has changed. */
export function redraw() {
  window.dispatchEvent(new Event("hashchange"));
}

function changed(changes) {
  const { page, params } = currentRoute();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") params.delete(name);
    else params.set(name, String(value));
  }
  return link(page, Object.fromEntries(params));
}
