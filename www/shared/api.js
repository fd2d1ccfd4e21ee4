// Calls to the gateway, and why it refuses.

import { has, t } from "./text.js";
import { hear } from "./times.js";

/** An answer that is none: the API's `code`; `unreachable`, `redirected`, or `unknown` where it cannot be
 * read, so that it may be anybody's; `seconds` is when to try again. */
export class Refusal extends Error {
  constructor(status, { code = "unknown", title, detail } = {}, seconds = null) {
    super(`${status} ${code}`);
    Object.assign(this, { status, code, title, detail, seconds });
  }

  /** What went wrong, in plain words. */
  get words() {
    const when = this.seconds === null ? t("after_a_while") : t("after_seconds", { seconds: this.seconds });
    const said = has(`refused_${this.code}`) ? t(`refused_${this.code}`, { detail: this.detail ?? "", when }) : undefined;
    return said ?? [this.title ?? t("refused_unknown"), this.detail].filter(Boolean).join(": ");
  }
}

/** Why a key is not good for a call. Only these say so: something before the gateway may have other reasons for the same status. */
export const FORBIDDEN = ["bad_admin_key", "missing_scope", "admin_host_only"];

// An end of the whole site takes its time, and what it did is not known without its answer.
const patienceFor = (method) => (method === "GET" ? 20_000 : 60_000);

/** The API for one caller. A key is held here, in memory, and nowhere else. */
export class Api {
  #key;

  constructor(key = null) {
    this.#key = key;
  }

  get = (where) => this.#call("GET", where);
  post = (where) => this.#call("POST", where);
  delete = (where, body) => this.#call("DELETE", where, { body });
  /** What `read` makes of the text. Where it throws, this is no answer. */
  text = (where, { method = "GET", read = (text) => text } = {}) => this.#call(method, where, { accept: "text/plain", read });

  async #call(method, where, { body, accept = "application/json", read = JSON.parse } = {}) {
    const headers = { accept };
    if (this.#key !== null) headers.authorization = `Bearer ${this.#key}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const answer = await reached(
      fetch(new URL(`../${where}`, document.baseURI), {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        // A user's call is the cookie's. An administrator's is the key's alone, but what stands
        // before `admin_host` may know who passes by a cookie of its own.
        credentials: "same-origin",
        cache: "no-store",
        redirect: "manual",
        signal: AbortSignal.timeout(patienceFor(method)),
      }),
    );
    hear(answer.headers.get("date"));
    // The gateway sends no call elsewhere.
    if (answer.type === "opaqueredirect") throw new Refusal(0, { code: "redirected" });
    const text = await reached(answer.text());
    if (!answer.ok) throw new Refusal(answer.status, problemIn(text), answer.headers.get("retry-after"));
    try {
      return read(text);
    } catch {
      throw new Refusal(answer.status);
    }
  }
}

const reached = (coming) =>
  coming.catch(() => {
    throw new Refusal(0, { code: "unreachable" });
  });

function problemIn(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

/** What the gateway would say to a key that lacks a scope; it writes each such call down. */
export const lacks = (scope) => new Refusal(403, { code: "missing_scope", detail: scope });

/** Whether a key is one that a header can carry; others are wrong anyhow. */
export const isHeaderText = (text) => /^[\x21-\x7e]+$/.test(text);

/** The path of a list with its query. */
export function query(where, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined);
  return given.length === 0 ? where : `${where}?${new URLSearchParams(given)}`;
}
