// Which parts answer: asked by this page and, where another panel asks, told by it.

import { FORBIDDEN, Refusal } from "../shared/api.js";
import { h } from "../shared/dom.js";
import { t } from "../shared/text.js";
import { every } from "./every.js";

const EVERY_MS = 10_000;
const PARTS = ["gateway", "store", "feed", "audit", "metrics"];
const SUMMARIES = { ok: "health_all", down: "health_some", error: "health_error", unknown: "health_unknown" };

export class Health {
  constructor({ api, signal }) {
    this.api = api;
    this.signal = signal;
    this.states = Object.fromEntries(PARTS.map((part) => [part, "unknown"]));
    this.summary = h("p", { class: "chip", role: "status" });
    this.list = h("dl", { class: "parts" });
    this.element = h("section", { class: "card", "aria-labelledby": "health" }, h("h2", { id: "health" }, t("health")), this.list);
    this.#draw();
  }

  start() {
    every(EVERY_MS, () => this.#ask(), this.signal);
  }

  /** `state` is ok, down, error, unknown or forbidden. */
  tell(part, state) {
    if (this.states[part] === state) return;
    this.states[part] = state;
    this.#draw();
  }

  /** What a refusal says of a part. `false`: it will say the same to the next one who asks. */
  told(part, refusal) {
    const state = stateOf(refusal);
    this.tell(part, state);
    return state !== "forbidden";
  }

  async #ask() {
    try {
      await this.api.get("health");
      this.tell("gateway", "ok");
      this.tell("store", "ok");
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      // Only the gateway itself knows of the store; any other refusal is its own, or of what answers for it.
      const isOfStore = error.code === "store_unavailable";
      if (isOfStore) this.tell("gateway", "ok");
      else this.told("gateway", error);
      this.tell("store", isOfStore ? "down" : "unknown");
    }
  }

  #draw() {
    const states = Object.values(this.states);
    // What nobody has heard of is neither well nor down: that all answer is said only of all.
    const bad = ["down", "error"].find((state) => states.includes(state));
    const whole = bad ?? (states.every((state) => state === "ok") ? "ok" : "unknown");
    this.summary.dataset.state = whole;
    const words = t(SUMMARIES[whole]);
    if (this.summary.textContent !== words) this.summary.textContent = words;
    this.list.replaceChildren(
      ...PARTS.map((part) =>
        h("div", { "data-state": this.states[part] }, h("dt", {}, t(`part_${part}`)), h("dd", {}, t(`state_${this.states[part]}`))),
      ),
    );
  }
}

/** What a refusal says of who was asked. What is not the gateway's own may come from something before it. */
function stateOf({ status, code }) {
  if (FORBIDDEN.includes(code)) return "forbidden";
  if (["unreachable", "store_unavailable"].includes(code)) return "down";
  if (status < 500) return "unknown";
  return code === "unknown" ? "down" : "error";
}
