// Which parts answer: asked by this page and, where another panel asks, told by it.

import { h } from "../shared/dom.js";
import { t } from "../shared/text.js";
import { every } from "./every.js";

const EVERY_MS = 10_000;
const PARTS = ["gateway", "store", "feed", "audit", "metrics"];
const SUMMARIES = { ok: "health_all", down: "health_some", unknown: "health_unknown" };

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

  /** `state` is ok, down, unknown or forbidden. */
  tell(part, state) {
    if (this.states[part] === state) return;
    this.states[part] = state;
    this.#draw();
  }

  /** What a refusal says of a part. `false`: it will say the same to the next one who asks. */
  told(part, { status, code }) {
    const state = [401, 403].includes(status) ? "forbidden" : code === "redirected" ? "unknown" : "down";
    this.tell(part, state);
    return state !== "forbidden";
  }

  async #ask() {
    try {
      await this.api.get("health");
      this.tell("gateway", "ok");
      this.tell("store", "ok");
    } catch (error) {
      if (!("words" in error)) throw error;
      const [gateway, store] = { unreachable: ["down", "unknown"], redirected: ["unknown", "unknown"] }[error.code] ?? ["ok", "down"];
      this.tell("gateway", gateway);
      this.tell("store", store);
    }
  }

  #draw() {
    const states = Object.values(this.states);
    // What nobody has heard of is neither well nor down: that all answer is said only of all.
    const whole = states.includes("down") ? "down" : states.every((state) => state === "ok") ? "ok" : "unknown";
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
