// What has happened lately: the audit trail as a live list.

import { Refusal, lacks, query } from "../shared/api.js";
import { button, h, say } from "../shared/dom.js";
import { name } from "../shared/names.js";
import { has, parts, t } from "../shared/text.js";
import { exact } from "../shared/times.js";
import { every } from "./every.js";

// Looks are written down as well, so it is not asked all the time, and they are not shown.
const EVERY_MS = 10_000;
const isOwnLook = ({ event, reason }) => event === "admin_called" && reason === "GET audit";
const SHOWN_MAX = 50;
const READ_AT_ONCE = 100;
// Everybody's events are in all shards, and a page is of some of them: so many pages are asked for.
const PAGES_MAX = 4;
// Of one subject, a page costs little.
const SUBJECT_PAGES_MAX = 10;
// What has a place of its own in a line; the rest follows as it is.
const PLACED = new Set(["at", "event", "subject", "actor", "reason", "from", "session"]);

export class Activity {
  #subject = null;
  /** Whose events are listed, or asked for; null: everybody's. */
  #listed;
  #isPaused = false;
  #asked = 0;

  constructor(world) {
    this.world = world;
    this.problem = h("p", { class: "note", role: "status" });
    this.list = h("ol", { class: "events" });
    this.only = h("input", { type: "checkbox", id: "activity-only", on: { change: () => this.#ask() } });
    this.onlyLabel = h("label", { for: "activity-only", class: "check", hidden: true });
    this.pause = button(t("activity_pause"), () => {
      this.#isPaused = !this.#isPaused;
      this.pause.textContent = t(this.#isPaused ? "activity_resume" : "activity_pause");
    });
    this.controls = h("div", { class: "row" }, this.onlyLabel, this.pause);
    this.element = h(
      "section",
      { class: "card activity", "aria-labelledby": "activity" },
      h("div", { class: "row head" }, h("h2", { id: "activity" }, t("activity")), this.controls),
      this.problem,
      this.list,
    );
  }

  tells(health) {
    this.health = health;
  }

  start() {
    every(EVERY_MS, () => (this.#isPaused ? true : this.#ask()), this.world.signal);
  }

  /** Shows this subject's only, until somebody wants everybody's. */
  watch(subject) {
    this.#subject = subject;
    this.onlyLabel.hidden = false;
    this.onlyLabel.replaceChildren(this.only, h("span", {}, parts("activity_only", { subject: name(subject) })));
    this.only.checked = true;
    this.#ask();
  }

  /** The newest events that are shown, and whether there may be more of the same age. */
  async #read(subject) {
    let [found, cursor] = [[], null];
    for (let page = 0; page < (subject === null ? PAGES_MAX : SUBJECT_PAGES_MAX); page++) {
      const { events, next } = await this.world.api.get(query("audit", { subject, cursor, limit: READ_AT_ONCE }));
      found = found.concat(events.filter((event) => !isOwnLook(event)));
      cursor = next;
      // One subject's are in the order of time.
      if (next === null || (subject !== null && found.length >= SHOWN_MAX)) return [found, false];
    }
    return [found, true];
  }

  /** `false`: there is nothing to be had here. */
  async #ask() {
    const subject = this.only.checked ? this.#subject : null;
    const asked = ++this.#asked;
    if (subject !== this.#listed) this.#clear(t("loading"));
    this.#listed = subject;
    try {
      if (!this.world.may("sessions:read")) throw lacks("sessions:read");
      const [events, isPart] = await this.#read(subject);
      if (asked !== this.#asked) return true;
      this.health.tell("audit", "ok");
      this.#show(events, isPart);
      return true;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (asked !== this.#asked) return true;
      this.#clear(error.words);
      const goesOn = this.health.told("audit", error);
      this.controls.hidden = !goesOn;
      return goesOn;
    }
  }

  /** Says why nothing is listed. */
  #clear(words) {
    say(this.problem, words);
    this.list.replaceChildren();
    this.state = undefined;
  }

  #show(events, isPart) {
    const part = this.only.checked ? t("activity_newest") : t("activity_part");
    say(this.problem, isPart ? part : events.length === 0 ? t("activity_empty") : "");
    const newest = events.sort((a, b) => (a.at < b.at ? 1 : -1)).slice(0, SHOWN_MAX);
    const state = JSON.stringify(newest);
    if (this.state === state) return;
    this.state = state;
    this.list.replaceChildren(...newest.map(line));
  }
}

function line(event) {
  const rest = Object.entries(event).filter(([key, value]) => !PLACED.has(key) && value !== null && value !== "");
  return h(
    "li",
    {},
    exact(event.at), // of a month
    h("strong", {}, has(`event_${event.event}`) ? t(`event_${event.event}`) : name(event.event)),
    event.subject && name(event.subject),
    h(
      "small",
      {},
      event.actor && h("span", {}, parts("activity_by", { actor: name(event.actor) })),
      event.reason && name(event.reason),
      event.from && name(event.from),
      rest.map(([key, value]) => h("span", {}, `${key} `, name(typeof value === "string" ? value : JSON.stringify(value)))),
      event.session && (event.event === "sessions_ended" ? kept(event.session) : h("code", {}, event.session)),
    ),
  );
}

// All others were ended, and are named nowhere.
const kept = (session) => h("span", {}, parts("activity_kept", { session: h("code", {}, session) }));
