// The one place that asks the service. Every failure becomes an ApiError that can be shown as it is.

const [KEY, LEFT] = ["api-key", "left-for-sign-in"];
const MOST_ROWS = 1000;
// Nobody comes back unknown so soon but where cookies are refused; then another try would go in circles.
const CIRCLE_MS = 5000;
let leaving = false;

/** What went wrong, in the service's words. */
export class ApiError extends Error {
  /**
   * @param {number} status 0 when there was no answer
   * @param {string} detail
   * @param {?string} requestId
   */
  constructor(status, detail, requestId) {
    super(detail);
    this.name = "ApiError";
    this.status = status;
    this.requestId = requestId;
  }
}

/** The API key of this tab, or null. @returns {?string} */
export function apiKey() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** Keep a key for this tab; null forgets it. @param {?string} key */
export function setApiKey(key) {
  if (key === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, key);
}

/** Go to the sign-in, which leads back to this view; false if that was just done. */
function leaveForSignIn() {
  if (leaving) return true;
  try {
    leaving = Date.now() - Number(sessionStorage.getItem(LEFT)) > CIRCLE_MS;
    sessionStorage.setItem(LEFT, String(Date.now()));
  } catch {
    return false;
  }
  if (leaving) location.assign(`./sign-in?next=${encodeURIComponent(`/${location.hash}`)}`);
  return leaving;
}

/** End the session of who is signed in; ApiError if that did not come about. */
export async function signOut() {
  const answer = await fetch("./sign-out", { method: "POST" }).catch(() => null);
  if (!answer?.ok) throw new ApiError(answer?.status ?? 0, "not signed out: the service does not answer as it should", null);
  location.assign("./sign-out");
}

async function sent(path, options) {
  const headers = { Accept: "application/json", ...options.headers };
  const key = apiKey();
  if (key !== null) headers.Authorization = `Bearer ${key}`;
  try {
    return await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "the service does not answer; it may be restarting", null);
  }
}

async function asked(path, options) {
  // What is typed into a form stays there when the session ends meanwhile: only what is looked at leads away.
  return bodyOf(await sent(path, options), options.method !== "POST");
}

async function bodyOf(answer, mayLeave = true) {
  const requestId = answer.headers.get("x-request-id");
  let body;
  try {
    body = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(answer.status, `expected JSON, got status ${answer.status}`, requestId);
  }
  if (answer.ok) return body;
  if (answer.status === 401 && !(body.sign_in && (!mayLeave || leaveForSignIn()))) {
    document.dispatchEvent(new CustomEvent("key-needed", { detail: body.detail }));
  }
  throw new ApiError(answer.status, body.detail ?? body.title ?? "unknown error", body.request_id ?? requestId);
}

// Relative to the page: behind a proxy the service may have a prefix that only the browser's address bar knows.
function address(path, query) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length === 0 ? `.${path}` : `.${path}?${new URLSearchParams(given)}`;
}

/**
 * One answer.
 * @param {string} path
 * @param {Object<string, any>} [query] empty values are left out
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export function get(path, query, signal) {
  return asked(address(path, query), { signal });
}

/**
 * Every row of a list, page after page; on top of `items` the last page's members.
 * @param {string} path
 * @param {Object<string, any>} [query]
 * @param {AbortSignal} [signal]
 * @returns {Promise<{items: Array<Object>, vintage: ?Object, is_stale: boolean}>}
 */
export async function getAll(path, query, signal) {
  const items = [];
  let cursor = null;
  for (;;) {
    const page = await get(path, { limit: MOST_ROWS, ...query, cursor }, signal);
    items.push(...page.items);
    cursor = page.next_cursor;
    if (cursor === null) return { ...page, items };
  }
}

/**
 * Send something once: the key makes a repeat harmless.
 * @param {string} path
 * @param {Object} body
 * @param {string} idempotencyKey
 * @returns {Promise<any>}
 */
export function post(path, body, idempotencyKey) {
  return asked(address(path), {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": idempotencyKey },
    body: JSON.stringify(body),
  });
}

/**
 * Send a file, or text as one.
 * @param {string} path
 * @param {Object<string, any>} query
 * @param {Blob|string} content
 * @param {string} mediaType
 * @param {string} idempotencyKey
 * @returns {Promise<any>}
 */
export function upload(path, query, content, mediaType, idempotencyKey) {
  return asked(address(path, query), {
    method: "POST",
    headers: { "Content-Type": mediaType, "Idempotency-Key": idempotencyKey },
    body: content,
  });
}

/**
 * A file that the service makes, with the name that it gives it.
 * @param {string} path
 * @param {Object<string, any>} [query]
 * @param {Object} [body] sent as JSON; without one it is a GET
 * @returns {Promise<{content: Blob, name: string}>}
 */
export async function getFile(path, query, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await sent(address(path, query), options);
  if (!answer.ok) return bodyOf(answer);
  const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition"))?.[1] ?? "download";
  return { content: await answer.blob(), name };
}

/**
 * A key for one filling of a form. randomUUID is only there over https and on loopback.
 * @returns {string}
 */
export function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
