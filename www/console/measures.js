// Two figures out of the metrics: for how long after a kill an edge can have gone by what it
// remembered, against the bound, and what its checks came to. Each isolate counts for itself, and
// whichever is asked answers: its name is in each sample.

import { Refusal, lacks } from "../shared/api.js";
import { h, say } from "../shared/dom.js";
import { buckets, by, parse, value } from "../shared/metrics.js";
import { has, t } from "../shared/text.js";
import { span } from "../shared/times.js";
import { bars, lines } from "./charts.js";
import { every } from "./every.js";

const EVERY_MS = 5_000;
const KEPT_MAX = 120; // ten minutes
const KILL_DELAY = "warifu_kill_delay_seconds";
const CHECKS = "warifu_checks_total";
const FEED_AGE = "warifu_feed_age_seconds";
const POLLS = "warifu_polls_total";
const POLLS_FAILED = "warifu_poll_failures_total";

export class Measures {
  /** Points in time, and the checks of each outcome up to then. */
  #history = [];
  #isolate;
  /** What this isolate had counted of its polls of the feed when it was last asked. */
  #polls = null;

  constructor(world, health) {
    Object.assign(this, { world, health, bound: world.key.bound_ms / 1_000 });
    this.problem = h("p", { class: "note", role: "status" }, t("loading"));
    // Of which isolate the figures are changes at any time, and is not worth an interruption.
    this.whose = h("p", { class: "note" });
    this.delay = new Figure("kill_delay");
    this.checks = new Figure("checks");
    this.figures = h("div", { class: "figures", hidden: true }, this.delay.element, this.checks.element);
    this.element = h(
      "section",
      { class: "card measures", "aria-labelledby": "measures" },
      h("h2", { id: "measures" }, t("measures")),
      this.problem,
      this.whose,
      this.figures,
    );
  }

  start() {
    every(EVERY_MS, () => this.#ask(), this.world.signal);
  }

  async #ask() {
    try {
      if (!this.world.may("metrics")) throw lacks("metrics");
      const { samples, delays, checks } = await this.world.api.text("metrics", { read });
      this.health.tell("metrics", "ok");
      this.#of(samples[0].labels.isolate ?? "");
      this.health.tell("feed", this.#feed(samples));
      this.figures.hidden = false;
      this.#showDelay(delays);
      this.#showChecks(checks);
      return true;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      say(this.problem, error.words);
      this.whose.textContent = "";
      this.figures.hidden = true;
      this.#polls = null;
      this.health.tell("feed", "unknown");
      return this.health.told("metrics", error);
    }
  }

  /** What another isolate has counted is no continuation of what this one has. */
  #of(isolate) {
    if (this.#isolate !== isolate) [this.#history, this.#polls] = [[], null];
    this.#isolate = isolate;
    say(this.problem, "");
    this.whose.textContent = t("measures_of", { isolate, seconds: span(EVERY_MS) });
  }

  /** Down: none of the polls since the last look had an answer. An isolate that has nothing to check
   * does not poll, so an old age alone is no failure. */
  #feed(samples) {
    const now = { all: value(samples, POLLS), failed: value(samples, POLLS_FAILED) };
    const before = this.#polls ?? now;
    this.#polls = now;
    const failed = now.failed - before.failed;
    if (failed > 0 && failed === now.all - before.all) return "down";
    return value(samples, FEED_AGE) <= this.bound ? "ok" : "unknown";
  }

  #showDelay(found) {
    const n = found.reduce((sum, { count }) => sum + count, 0);
    if (n === 0) {
      this.delay.say(t("kill_delay_none"));
      return;
    }
    const upTo = ({ to }) => (to === Infinity ? "∞" : span(to * 1_000));
    const largest = found.findLast(({ count }) => count > 0);
    const words = t("kill_delay_text", { n, max: upTo(largest), bound: span(this.bound * 1_000) });
    this.delay.show(words, [t("up_to"), t("count")], found.map((bucket) => [upTo(bucket), bucket.count]), (place) =>
      bars(place, {
        labels: found.map(upTo),
        values: found.map(({ count }) => count),
        line: placeOf(this.bound, found),
      }),
    );
  }

  #showChecks(totals) {
    const now = Date.now() / 1_000;
    this.#history.push({ now, totals });
    if (this.#history.length > KEPT_MAX) this.#history.shift();
    const outcomes = [...new Set(this.#history.flatMap(({ totals }) => [...totals.keys()]))].sort();
    const sum = [...totals.values()].reduce((a, b) => a + b, 0);
    if (sum === 0) {
      this.checks.say(t("checks_none"));
      return;
    }
    if (this.#history.length === 1) return; // a rate needs two points
    const rates = this.#history.slice(1).map(({ now, totals }, i) => {
      const before = this.#history[i];
      return { now, each: outcomes.map((outcome) => ((totals.get(outcome) ?? 0) - (before.totals.get(outcome) ?? 0)) / (now - before.now)) };
    });
    const names = outcomes.map((outcome) => (has(`outcome_${outcome}`) ? t(`outcome_${outcome}`) : outcome));
    const rows = outcomes.map((outcome, i) => [names[i], totals.get(outcome) ?? 0]);
    this.checks.show(rows.map(([outcome, count]) => t("outcome_count", { outcome, n: count })).join(" · "), [t("outcome"), t("checks_total")], rows, (place) =>
      lines(place, { names, at: rates.map(({ now }) => now), values: outcomes.map((_, i) => rates.map(({ each }) => each[i])) }),
    );
  }
}

/** Throws at what is none of the gateway's: a log-in that stands before it may answer with 200. */
function read(text) {
  const samples = parse(text);
  if (samples.length === 0) throw new Error("no samples");
  return { samples, delays: buckets(samples, KILL_DELAY), checks: by(samples, CHECKS, "outcome") };
}

/** Where a value is among the bars: each is as wide as 1, with its number in the middle. */
function placeOf(value, found) {
  const at = found.findIndex(({ to }) => value <= to);
  const from = at === 0 ? 0 : found[at - 1].to;
  const { to } = found[at];
  return at - 0.5 + (to === Infinity ? 0.5 : (value - from) / (to - from));
}

/** A picture with what it says in words, and as a table. */
class Figure {
  constructor(title) {
    this.place = h("div", { class: "picture", role: "img" });
    this.words = h("p", { class: "note" });
    this.rows = h("table", { class: "plain" });
    this.table = h("details", { hidden: true }, h("summary", {}, t("as_table")), this.rows);
    this.title = t(title);
    this.element = h("figure", { "data-figure": title }, h("figcaption", {}, this.title), this.place, this.words, this.table);
    this.say("");
  }

  /** In the picture's place. */
  say(words) {
    this.place.hidden = true;
    this.table.hidden = true;
    this.words.textContent = words;
  }

  show(words, heads, rows, draw) {
    this.place.hidden = false;
    this.table.hidden = false;
    this.words.textContent = words;
    this.place.setAttribute("aria-label", `${this.title}: ${words}`);
    this.rows.replaceChildren(
      h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, rows.map(([first, second]) => h("tr", {}, h("th", { scope: "row" }, first), h("td", {}, String(second))))),
    );
    draw(this.place);
  }
}
