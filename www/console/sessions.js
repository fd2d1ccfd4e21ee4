// A subject's sessions: found, shown a page at a time, ended one by one or all at once.

import { Refusal, query } from "../shared/api.js";
import { announce, ask, button, complain, focusOn, h, isIdle } from "../shared/dom.js";
import { name } from "../shared/names.js";
import { parts, t } from "../shared/text.js";
import { span } from "../shared/times.js";
import { table } from "./table.js";

export class Sessions {
  #asked = 0;
  #subject = null;
  /** What had the focus before it was replaced; null: nothing. */
  #focused = null;
  /** The cursors of the pages up to the one that is shown; the first has none. */
  #cursors = [null];
  /** How many are on the pages before. */
  #before = [0];

  constructor(world, kills, found) {
    this.world = world;
    this.kills = kills;
    this.found = found;
    this.field = h("input", {
      id: "subject",
      type: "search",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      required: true,
      maxlength: "255",
      dir: "auto",
      "aria-describedby": "subject-hint",
    });
    this.problem = h("p", { class: "problem", role: "alert" });
    this.results = h("div", { class: "results" }, h("p", { class: "empty" }, t("sessions_empty")));
    const form = h(
      "form",
      { class: "search", role: "search", on: { submit: (event) => (event.preventDefault(), this.find(this.field.value)) } },
      h("label", { for: "subject" }, t("subject")),
      h("div", { class: "row" }, this.field, h("button", { type: "submit", class: "button main" }, t("find"))),
      h("p", { class: "note", id: "subject-hint" }, t("subject_hint")),
    );
    this.element = h("section", { class: "card sessions", "aria-labelledby": "sessions" }, h("h2", { id: "sessions" }, t("sessions")), form, this.problem, this.results);
  }

  focus() {
    this.field.focus();
  }

  async find(subject) {
    this.#subject = subject;
    this.#toFirstPage();
    this.found(subject);
    if (this.world.may("sessions:read")) await this.#load();
    else this.#show(null);
  }

  /** The page that the last cursor leads to. */
  async #load({ quietly = false } = {}) {
    const asked = ++this.#asked;
    this.problem.textContent = "";
    this.results.setAttribute("aria-busy", "true");
    if (!quietly) this.#put(h("p", { class: "empty loading" }, t("loading")));
    let page;
    try {
      page = await this.world.api.get(query("sessions", { subject: this.#subject, cursor: this.#cursors.at(-1) }));
    } catch (error) {
      if (asked === this.#asked) this.#fail(error);
      return;
    } finally {
      if (asked === this.#asked) this.results.removeAttribute("aria-busy");
    }
    if (asked !== this.#asked) return;
    // A later page of what has been ended meanwhile says nothing of what is left.
    if (page.sessions.length === 0 && this.#cursors.length > 1) {
      this.#toFirstPage();
      await this.#load({ quietly });
    } else this.#show(page);
  }

  #toFirstPage() {
    this.#cursors = [null];
    this.#before = [0];
  }

  #fail(error) {
    if (!(error instanceof Refusal)) throw error;
    this.problem.textContent = error.words;
    this.#put(button(t("retry"), () => this.#load(), { "data-act": "load" }));
    this.#giveFocusBack();
  }

  #put(...elements) {
    const { activeElement } = document;
    if (this.results.contains(activeElement)) this.#focused = activeElement;
    this.results.replaceChildren(...elements);
  }

  /** To what does the same now, or else to what has taken its place; not if it is elsewhere by now. */
  #giveFocusBack() {
    const before = this.#focused;
    this.#focused = null;
    if (before === null || document.activeElement !== document.body) return;
    const same = before.dataset.act && this.results.querySelector(`[data-act="${before.dataset.act}"]`);
    focusOn(same || this.results.querySelector("#found, .empty, button"));
  }

  /** `null`: this key may not look. */
  #show(page) {
    const { may } = this.world;
    const subject = () => name(this.#subject);
    if (page?.sessions.length === 0 && this.#cursors.length === 1) {
      this.#put(h("p", { class: "empty" }, parts("sessions_none", { subject: subject() })));
      this.#giveFocusBack();
      announce(t("sessions_none", { subject: this.#subject }));
      return;
    }
    const first = this.#before.at(-1) + 1;
    const last = this.#before.at(-1) + (page?.sessions.length ?? 0);
    const isWhole = page !== null && page.next === null && this.#cursors.length === 1;
    const count =
      page === null ? "" : isWhole ? t("sessions_count", { n: last }) : t(page.next === null ? "sessions_range_last" : "sessions_range", { from: first, to: last });
    announce(count);
    const all = button(t("end_all"), () => this.#endAll(), { kind: "danger", "data-act": "end-all" });
    this.rows = page && table(page.sessions, may("revoke") ? (session, row) => this.#endOne(session, row) : null);
    this.#put(
      h(
        "div",
        { class: "row head" },
        h("h3", { id: "found", tabindex: "-1" }, parts("sessions_of", { subject: subject() })),
        h("p", { class: "note" }, count),
        page && button(t("reload"), () => this.#load({ quietly: true }), { "data-act": "load" }),
        may("revoke") ? all : h("p", { class: "note" }, t("no_revoke")),
      ),
      page === null ? h("p", { class: "note" }, t("no_read"), may("revoke") && [" ", t("no_read_but_end")]) : this.rows.element,
      this.#pages(page),
    );
    this.#giveFocusBack();
  }

  #pages(page) {
    if (page === null || (this.#cursors.length === 1 && page.next === null)) return "";
    const turn = async (change) => {
      change();
      await this.#load({ quietly: true });
      this.results.querySelector("#found")?.focus();
      this.results.scrollIntoView({ block: "start" });
    };
    const back = () => {
      this.#cursors.pop();
      this.#before.pop();
    };
    const on = () => {
      this.#before.push(this.#before.at(-1) + page.sessions.length);
      this.#cursors.push(page.next);
    };
    return h(
      "div",
      { class: "row end" },
      this.#cursors.length > 1 && button(t("previous_page"), () => turn(back)),
      page.next !== null && button(t("next_page"), () => turn(on)),
    );
  }

  async #endOne(session, row) {
    const gone = () => {
      row.ended();
      this.#complain(session.subject, t("ended_already"));
    };
    const receipt = await this.#end(`sessions/${session.id}`, session.subject, gone);
    if (receipt === null) return;
    row.ended();
    this.kills.add(parts("receipt_of_session", { subject: name(session.subject) }), receipt);
  }

  async #endAll() {
    const subject = this.#subject;
    const sure = await ask({
      title: parts("end_all_title", { subject: name(subject) }),
      body: h("p", {}, t("end_all_body", { bound: span(this.world.key.bound_ms) })),
      confirm: t("end_all_confirm"),
      cancel: t("cancel"),
    });
    if (sure === null) return;
    // Somebody else may have been looked for meanwhile.
    const stillHere = () => this.#subject === subject;
    const look = () => stillHere() && this.again();
    // That nothing is left, the list says itself.
    const gone = (error) => (stillHere() && this.world.may("sessions:read") ? this.again() : this.#complain(subject, error.words));
    const receipt = await this.#end(query("sessions", { subject }), subject, gone);
    if (receipt === null) return;
    if (stillHere()) this.rows?.allEnded();
    const isHere = isIdle(this.results);
    const { heading } = this.kills.add(parts("receipt_of_subject", { subject: name(subject) }), receipt, { done: look });
    if (isHere) heading.focus();
  }

  /** Looks again, where there is something to see. */
  async again() {
    if (this.#subject !== null && this.world.may("sessions:read")) await this.#load({ quietly: true });
  }

  /** The receipt, or null where there is none and the page says why; `gone` does where there is nothing to end. */
  async #end(where, subject, gone) {
    this.problem.textContent = "";
    try {
      return await this.world.api.delete(where);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.code === "not_found") await gone(error);
      else this.#complain(subject, error.words);
      return null;
    }
  }

  /** By the time that somebody reads it, the list may be another's. */
  #complain(subject, words) {
    complain(this.problem, parts("problem_of", { subject: name(subject), words }));
  }
}
