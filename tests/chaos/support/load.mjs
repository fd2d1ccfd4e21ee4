// People who come, look, change and go, a few at a time, for as long as it takes.
import { setTimeout as pause } from "node:timers/promises";

import { ENDS } from "./people.mjs";

const WEIGHTS = { check: 60, strict: 8, start: 14, rotate: 5, raise: 2, update: 6, end: 12, record: 4 };
const SESSIONS_MAX = 24;

export class Load {
  #running = true;
  #work = [];

  constructor(people, chance, { workers = 3, paceMs = 8, weights = WEIGHTS } = {}) {
    this.people = people;
    for (let worker = 0; worker < workers; worker += 1) this.#work.push(this.#live(chance.of("worker", worker), paceMs, weights));
  }

  async stop() {
    this.#running = false;
    await Promise.all(this.#work);
  }

  async #live(chance, paceMs, weights) {
    while (this.#running) {
      const noted = await this.#act(chance, chance.weighed(weights));
      // Who is refused or finds nobody does not come back at once.
      await pause(noted?.result === "done" ? paceMs : 40);
    }
  }

  async #act(chance, what) {
    const { people } = this;
    const living = people.sessions.filter(({ isEnded }) => !isEnded);
    if (what === "start" || living.length < 6) {
      if (living.length >= SESSIONS_MAX) return undefined;
      // Now and then somebody has two.
      const subject = living.length > 0 && chance.next() < 0.3 ? chance.one(living).subject : undefined;
      const via = subject === undefined ? undefined : chance.one(["command", "mint", "custody"]);
      const begun = await people.start(subject === undefined ? {} : { subject, via });
      return { result: begun === undefined ? "refused" : "done" };
    }
    const session = chance.one(living);
    if (what === "check" || what === "strict") return people.check(session, { route: what === "strict" ? "strict" : chance.one(["page", "page", "page", "continue"]) });
    if (what === "record") return people.record(session);
    // One change of a session at a time, as of one person at one screen.
    if (session.busy > 0) return people.check(session);
    session.busy += 1;
    try {
      if (what === "update") return await people.update(session);
      if (what === "end") return await people.endWatched(session, chance.one(ENDS_OF_PEOPLE), chance);
      return await people.rotate(session, { raise: what === "raise" });
    } finally {
      session.busy -= 1;
    }
  }
}

const ENDS_OF_PEOPLE = Object.keys(ENDS).filter((how) => how !== "site");
