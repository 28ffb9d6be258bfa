// The one place that asks the service. Every failure becomes an ApiError that can be shown as it is.

const KEY = "api-key";
const MOST_ROWS = 1000;

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
  return bodyOf(await sent(path, options));
}

async function bodyOf(answer) {
  const requestId = answer.headers.get("x-request-id");
  let body;
  try {
    body = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(answer.status, `expected JSON, got status ${answer.status}`, requestId);
  }
  if (answer.ok) return body;
  if (answer.status === 401) document.dispatchEvent(new CustomEvent("key-needed", { detail: body.detail }));
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
