// Calls to the gateway, and why it refuses.

import { has, t } from "./text.js";
import { hear } from "./times.js";

/** An answer that is none: the API's `code`, `unreachable` or `redirected`; `seconds` is when to try again. */
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

// An end of the whole site takes its time, and what it did is not known without its answer.
const patienceFor = (method) => (method === "GET" ? 20_000 : 60_000);

/** The API for one caller. A key is held here, in memory, and nowhere else. */
export class Api {
  #key;

  constructor(key = null) {
    this.#key = key;
  }

  get = (where) => this.#call("GET", where);
  post = (where, as) => this.#call("POST", where, undefined, as);
  delete = (where, body) => this.#call("DELETE", where, body);
  text = (where) => this.#call("GET", where, undefined, "text");

  async #call(method, where, body, as = "json") {
    const headers = { accept: as === "json" ? "application/json" : "text/plain" };
    if (this.#key !== null) headers.authorization = `Bearer ${this.#key}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    let answer;
    try {
      answer = await fetch(new URL(`../${where}`, document.baseURI), {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        // A user's call is the cookie's. An administrator's is the key's alone, but what stands
        // before `admin_host` may know who passes by a cookie of its own.
        credentials: "same-origin",
        cache: "no-store",
        redirect: "manual",
        signal: AbortSignal.timeout(patienceFor(method)),
      });
      hear(answer.headers.get("date"));
      if (answer.ok) return as === "json" ? await answer.json() : await answer.text();
    } catch {
      throw new Refusal(0, { code: "unreachable" });
    }
    // The gateway sends no call elsewhere.
    if (answer.type === "opaqueredirect") throw new Refusal(0, { code: "redirected" });
    throw new Refusal(answer.status, await answer.json().catch(() => ({})), answer.headers.get("retry-after"));
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
