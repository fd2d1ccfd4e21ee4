// A receipt, as it comes true: accepted, published, refused everywhere; and receipts in a list.

import { FORBIDDEN } from "./api.js";
import { announce, h } from "./dom.js";
import { clockTime, inTenths } from "./times.js";
import { t } from "./text.js";
import { tally } from "./tally.js";

const POLL_MS = 400;
const LATE_MS = 2_000;
const TICK_MS = 100;
// What a key is not good for now, it is not good for in a moment.
const LASTING = [...FORBIDDEN, "not_found"];

/**
 * Shows a receipt and follows it to its end. `ask` gets it anew; without it, the time that the
 * receipt names is waited for. `published` is called once all edges can know, `done` once nobody can
 * accept any more. `level` is that of its heading. `words` are for people, in the place of the
 * steps: what is said of it while it is `unpublished`, and once it is `published`, within so many seconds. With the `signal` it is left as it is.
 */
export class ReceiptView {
  #receipt;
  #ask;
  #published;
  #done;
  #deadline;
  #span;
  #trouble = false;
  /** Why nobody goes on with it. */
  #stopped = null;
  #isOver = false;
  #signal;
  #words;

  constructor({ title, receipt, words = null, signal = null, ask = null, published = () => {}, done = () => {}, level = "h3" }) {
    const id = `receipt-${receipt.kill_id}`;
    this.id = id;
    this.#signal = signal;
    this.#words = words;
    this.#ask = ask;
    this.#published = published;
    this.#done = done;
    this.tally = tally();
    this.steps = {
      accepted: h("li"),
      published: h("li"),
      everywhere: h("li"),
    };
    this.heading = h(level, { id, tabindex: "-1" }, title);
    this.note = h("p", { class: "note" });
    this.element = h(
      "article",
      { class: "receipt", "aria-labelledby": id },
      this.tally,
      h("div", { class: "receipt-text" }, this.heading, words === null && h("ol", { class: "steps" }, Object.values(this.steps)), this.note),
    );
    this.#take(receipt);
    this.#tick();
    if (ask !== null) this.#poll();
  }

  /** Whether nobody can accept any more. */
  get isOver() {
    return this.#isOver;
  }

  /** Nobody looks at it any more. */
  leave() {
    this.#stopped ??= "";
    this.element.remove();
  }

  get #isLeft() {
    return this.#isOver || this.#stopped !== null || this.#signal?.aborted === true;
  }

  /** Times are the gateway's own: only spans are measured with this machine's clock. */
  #take(receipt) {
    const isFirst = this.#receipt === undefined;
    const wasPublished = this.#receipt?.accepted_at;
    this.#receipt = receipt;
    if (receipt.accepted_at && !wasPublished) {
      this.#span = new Date(receipt.refused_everywhere_by) - new Date(receipt.accepted_at);
      this.#deadline = performance.now() + this.#span;
      this.#published();
    }
    if (receipt.state === "quiesced") this.#finish();
    else if (isFirst) announce(this.#note() || t("receipt_said", { left: inTenths(this.#span) }));
    this.#draw();
  }

  #finish() {
    if (this.#isOver) return;
    this.#isOver = true;
    announce(this.#words === null ? t("receipt_over") : this.#note());
    this.#done(this.#receipt);
  }

  #stop(words) {
    this.#stopped = words;
    announce(words);
    this.#draw();
  }

  #draw() {
    const { state, committed_at, accepted_at, refused_everywhere_by, epoch, seq, progress } = this.#receipt;
    const { accepted, published, everywhere } = this.steps;
    const left = this.#deadline === undefined ? undefined : Math.max(0, this.#deadline - performance.now());
    this.element.dataset.state = this.#isOver ? "quiesced" : state;
    mark(accepted, "done", t("step_accepted"), clockTime(committed_at), progress && t("step_shards", progress));
    if (accepted_at) mark(published, "done", t("step_published"), clockTime(accepted_at), t("step_feed", { seq, epoch: epoch.slice(0, 4) }));
    else mark(published, "now", t("step_unpublished"));
    if (this.#isOver) mark(everywhere, "done", t("step_everywhere"), null, refused_everywhere_by && t("step_by", { at: clockTime(refused_everywhere_by) }));
    else if (left !== undefined) mark(everywhere, "now", t("step_everywhere_by"), clockTime(refused_everywhere_by), t("step_left", { left: inTenths(left) }));
    else mark(everywhere, "open", t("step_everywhere"));
    this.note.textContent = this.#note();
    this.note.hidden = this.note.textContent === "";
    this.tally.style.setProperty("--gone", this.#isOver ? "1" : left === undefined ? "0" : String(1 - left / this.#span));
  }

  #note() {
    if (this.#stopped !== null) return this.#stopped;
    if (this.#trouble) return t("receipt_trouble");
    if (this.#words !== null) return this.#plainly();
    if (this.#receipt.state !== "committed") return "";
    // Of the whole site, shard after shard ends its own.
    const { done, total } = this.#receipt.progress ?? {};
    return done < total ? t("receipt_under_way") : t("receipt_committed");
  }

  #plainly() {
    if (this.#isOver) return t("people_over");
    const { published, unpublished } = this.#words;
    return this.#deadline === undefined ? unpublished : published(Math.ceil(this.#span / 1_000));
  }

  #tick() {
    if (this.#isLeft) return;
    if (this.#ask === null && this.#deadline !== undefined && performance.now() >= this.#deadline) this.#finish();
    this.#draw();
    setTimeout(() => this.#tick(), TICK_MS);
  }

  async #poll() {
    while (!this.#isLeft) {
      await new Promise((resolve) => setTimeout(resolve, this.#trouble ? LATE_MS : POLL_MS));
      if (this.#isLeft) return;
      try {
        const receipt = await this.#ask(this.#receipt.kill_id);
        if (this.#isLeft) return;
        this.#trouble = false;
        this.#take(receipt);
      } catch (error) {
        if (!("words" in error)) throw error;
        if (this.#isLeft) return;
        if (error.code === "ended_in_part") this.#stop(error.words);
        else if (LASTING.includes(error.code)) this.#stop(t("receipt_lost", { why: error.code === "not_found" ? t("receipt_gone") : error.words }));
        else this.#trouble = true; // asked again: the kill stands, whatever this answer was
      }
    }
  }
}

/** The newest first, each end once. Only what has come true leaves, for those that came after it. */
export class Receipts {
  #views = [];
  #max;

  constructor(max) {
    this.#max = max;
    this.element = h("div", { class: "receipts" });
  }

  add(view) {
    const same = this.#views.findIndex(({ id }) => id === view.id);
    if (same >= 0) this.#take(same);
    this.#views.unshift(view);
    this.element.prepend(view.element);
    while (this.#views.length > this.#max) {
      const at = this.#views.findLastIndex(({ isOver }) => isOver);
      if (at < 1) return;
      this.#take(at);
    }
  }

  #take(at) {
    const [view] = this.#views.splice(at, 1);
    view.leave();
  }
}

function mark(step, state, text, at, more) {
  const shown = [text, at, more].filter(Boolean);
  const key = `${state} ${shown.join(" ")}`;
  if (step.dataset.shown === key) return;
  step.dataset.shown = key;
  step.className = state;
  step.replaceChildren(
    h("span", {}, text),
    ...(at ? [" ", h("b", {}, at)] : []),
    ...(more ? [" ", h("small", {}, more)] : []),
  );
}
