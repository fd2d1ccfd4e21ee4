// One half of the page: what there is of alice's money on one side, and who does what.

import { h } from "/shared/dom.js";
import { Chart } from "./chart.js";
import { factsOf } from "./facts.js";
import { inMilliseconds, inTenths, parts, span, t, yen } from "./text.js";

const ROWS = 6;

export class Half {
  #name;
  #chart;
  #shownSteps = "";
  #shownPage = "";
  #side = null;

  constructor(name) {
    this.#name = name;
    const id = `half-${name}`;
    this.balance = h("dd", { class: "figure" });
    this.clock = h("dd", { class: "figure" });
    this.clockLabel = h("dt");
    this.condition = h("p", { class: "condition" });
    this.note = h("p", { class: "note" });
    this.address = h("span", { class: "address" });
    this.plot = h("div", { class: "plot", role: "img", "aria-label": t("waiting") });
    this.did = h("div", { class: "did" });
    this.rows = h("ol", { class: "rows" });
    this.more = h("p", { class: "note" });
    this.frame = h("iframe", { title: t("page_frame"), sandbox: true, referrerpolicy: "no-referrer" });
    this.page = h("details", { class: "page-of-bank" }, h("summary", {}, t("page_title")), this.frame);
    this.page.addEventListener("toggle", () => this.#look());
    this.element = h(
      "section",
      { class: `half card ${name}`, "aria-labelledby": id },
      h("header", {}, h("h2", { id }, t(`${name}_title`)), h("p", { class: "note" }, t(`${name}_body`)), this.address),
      h("dl", { class: "figures" }, h("div", {}, h("dt", {}, t("balance")), this.balance), h("div", {}, this.clockLabel, this.clock)),
      h("div", {}, this.condition, this.note),
      this.plot,
      h(
        "div",
        { class: "acts" },
        h("div", {}, h("h3", {}, t("thief_title")), this.rows, this.more),
        h("div", {}, h("h3", {}, t("did_title")), this.did),
      ),
      this.page,
    );
  }

  /** What has changed on this side. */
  update(side, state) {
    this.#side = side;
    this.#chart ??= new Chart(this.plot, this.#name === "plain" ? "--alarm" : "--gain"); // once it has a width
    const { condition } = factsOf(side, state);
    this.element.dataset.condition = condition;
    this.address.textContent = side.url;
    this.balance.textContent = side.balance === null ? "–" : yen(side.balance);
    const words = { reported: `${this.#name}_reported`, refused: `${this.#name}_refused` }[condition] ?? condition;
    const text = t(words, { why: side.problem ?? "" });
    if (this.condition.textContent !== text) this.condition.textContent = text;
    this.note.textContent = condition === "silent" ? t("silent_note") : "";
    this.note.hidden = condition !== "silent";
    this.#chart.draw(side, state);
    this.#showSteps(side);
    this.#showTransfers(side, state.amount);
    this.tick(state);
    if (this.page.open) this.#look();
  }

  /** What goes on by itself. */
  tick(state) {
    const { left, took } = factsOf(this.#side, state);
    const [label, value, mood] = this.#clockOf({ left, took });
    if (this.clock.textContent !== value) this.clock.textContent = value;
    if (this.clockLabel.textContent !== label) this.clockLabel.textContent = label;
    this.clock.dataset.mood = mood;
  }

  #clockOf({ left, took }) {
    if (took !== null) return [t("clock_took"), span(took), this.#name === "plain" ? "bad" : "good"];
    if (this.#name === "guarded") return [t("clock_any"), t("clock_any_value"), "calm"];
    if (left === 0) return [t("clock_expired"), inTenths(0), "calm"];
    return [t("clock_left"), left === null ? "–" : inTenths(left), left === null ? "calm" : "bad"];
  }

  #showSteps({ steps, reported }) {
    const key = JSON.stringify([steps, reported]);
    if (key === this.#shownSteps) return;
    this.#shownSteps = key;
    if (reported === null) return this.did.replaceChildren(h("p", { class: "note" }, t("did_nothing")));
    this.did.replaceChildren(
      h("p", { class: "note" }, t(`did_${this.#name}`)),
      h(
        "ol",
        { class: "steps-taken" },
        steps.map(({ what, method, path, status, good }) =>
          h("li", { class: status === good ? "done" : "failed" }, h("span", {}, t(`step_${what}`)), " ", h("b", {}, status === null ? t("no_answer") : String(status)), " ", h("code", {}, `${method} ${path}`)),
        ),
      ),
    );
  }

  #showTransfers({ transfers }, amount) {
    if (transfers.length === 0) {
      this.rows.replaceChildren(h("li", { class: "note" }, t("thief_nothing")));
      this.more.textContent = "";
      return;
    }
    const words = { taken: t("taken", { amount: yen(amount) }), refused: t("refused"), empty: t("empty_row"), no_answer: t("no_answer") };
    const last = transfers.slice(-ROWS).reverse();
    this.rows.replaceChildren(
      ...last.map(({ at, ms, status, outcome }) =>
        h("li", { class: outcome }, h("span", { class: "at" }, inTenths(at)), h("b", {}, status === null ? "–" : String(status)), h("span", { class: "came-of" }, words[outcome]), h("span", { class: "ms" }, inMilliseconds(ms))),
      ),
    );
    const n = transfers.length - last.length;
    this.more.replaceChildren(...(n > 0 ? parts("more", { n }) : []));
  }

  /** The bank's own HTML, asked for anew where something has happened. */
  #look() {
    if (!this.page.open || this.#side?.opening == null) return;
    const { steps, refused_at: refusedAt, opening } = this.#side;
    const key = `${opening} ${steps.length} ${refusedAt} ${Math.floor(this.#side.transfers.length / 4)}`;
    if (key === this.#shownPage) return;
    this.#shownPage = key;
    this.frame.src = `bank/${this.#name}`;
  }
}
