// A room: a site with people in it, in which one kind of fault is made again and again.
import { setTimeout as pause } from "node:timers/promises";

import { check } from "../checker.mjs";
import { History } from "../history.mjs";
import { Load } from "./load.mjs";
import { People } from "./people.mjs";
import { BOUND_MS, CONTINUE_MS, EDGES, IDLE_MS, Site } from "./site.mjs";

const CARRIED_MAX = 6;
// Well below the five minutes for which an old secret is served after a raise.
const CARRIED_MS_MAX = 150_000;
const RECOVERY_MS_MAX = 30_000;

export class Room {
  // Sessions of earlier rounds that are looked at again: what lived is to live on, what was
  // dead is to stay dead.
  #carried = [];
  recoveries = [];

  // `fault`: a room's module, see faults/*.mjs.
  static async open(fault, chance) {
    const room = new Room();
    room.fault = fault;
    room.chance = chance;
    room.history = new History({ bound: BOUND_MS, bounds: { continue: CONTINUE_MS }, idle: fault.distrustsClock ? Infinity : IDLE_MS, hasGrace: !fault.distrustsClock });
    const { site, ...own } = (await fault.open?.(chance)) ?? {};
    Object.assign(room, own);
    room.site = site ?? (await Site.open());
    room.people = new People(room.site, room.history, chance.of("people"));
    room.people.distrustsClock = fault.distrustsClock;
    room.people.isFeedSound = !fault.hurtsFeed;
    await room.#recovers();
    return room;
  }

  // One round: people come, the fault is made and taken back, all comes to rest, and is looked
  // at. Returns what the checker found in the whole history of this room.
  async round(number) {
    const { history, people } = this;
    const chance = this.chance.of("round", number);
    history.round = number;
    people.chance = chance.of("people");
    people.sessions = [...this.#carried];
    people.pending = [];
    const took = (this.took = { begin: -performance.now() });
    const next = (from, to) => ((took[from] += performance.now()), (took[to] = -performance.now()));
    await Promise.all(Array.from({ length: 6 }, () => people.start()));
    next("begin", "fault");
    const load = new Load(people, chance.of("load"), this.fault.load);
    const stuck = [];
    try {
      await this.fault.round(this, chance.of("fault"));
    } finally {
      await load.stop();
    }
    next("fault", "recovery");
    const recovery = await this.#recovers().catch((error) => stuck.push({ error }) && undefined);
    // The fault says when it was over; else it was at the end of its round.
    if (recovery !== undefined) this.recoveries.push(recovery - (this.healed ?? recovery));
    this.healed = undefined;
    next("recovery", "settling");
    await this.#settle(stuck);
    took.settling += performance.now();
    const found = check(history);
    found.wrong.push(...stuck);
    return found;
  }

  // Of the many ways of a fault those whose turn it is; the seed says which is the first.
  turn(list, count = 1) {
    this.first ??= this.chance.of("first").whole(0, list.length - 1);
    return Array.from({ length: count }, (_, n) => list[(this.first + (this.history.round - 1) * count + n) % list.length]);
  }

  // Tells that from now on all is to go well again.
  heal() {
    this.healed = performance.now();
  }

  // Resolves with when each edge logs people in, lets them through and ends their sessions.
  async #recovers() {
    const deadline = performance.now() + RECOVERY_MS_MAX;
    for (const edge of EDGES) {
      for (let session; ; ) {
        session ??= await this.people.start({ via: "command", edge });
        const isServed = session !== undefined && ["done"].includes((await this.people.check(session, { route: "strict", edge })).result);
        if (isServed && (await this.people.check(session, { edge })).result === "done" && (await this.people.end(session, "session", { edge }))?.published) break;
        if (session?.isEnded) session = undefined;
        if (performance.now() > deadline) throw new Error(`${edge} does not recover within ${RECOVERY_MS_MAX} ms`);
        await pause(25);
      }
    }
    return performance.now();
  }

  // Waits for what is still on its way and for the end of the bound, and then asks for every
  // session, at every edge and of its object.
  async #settle(stuck) {
    const { history, people } = this;
    await Promise.all(people.watching);
    for (const kill of people.pending) {
      for (const deadline = performance.now() + RECOVERY_MS_MAX; !kill.published; await pause(50)) {
        await people.receipt(kill);
        if (performance.now() > deadline) {
          stuck.push({ call: kill, error: new Error("an end is not published") });
          break;
        }
      }
    }
    const own = history.calls.filter(({ round }) => round === history.round);
    const last = Math.max(...own.filter(({ op, result }) => op === "kill" && result === "done").map(({ answered }) => answered));
    await pause(Math.max(0, last + (BOUND_MS * 1.001 + 60) - performance.now()));
    // An end of the site that was cut goes on by itself, from one alarm to the next.
    if (own.some(({ scope, result, status }) => scope === "site" && (result === "cut" || status === 503))) await pause(ALARM_MS);
    const ask = (session) => this.#settled(() => people.check(session, { route: "strict" }));
    await inTurn(people.sessions, ask);
    history.settle();
    await inTurn(people.sessions, async (session) => {
      const { status } = await ask(session);
      session.isDead = status === 401;
      for (const edge of EDGES) await this.#settled(() => people.check(session, { edge }));
      if (!session.isDead) await this.#settled(() => people.record(session));
    });
    const receipts = own.filter(({ op, kill, published }) => op === "kill" && published && kill !== undefined);
    await inTurn(receipts, (kill) => this.#settled(() => people.receipt(kill)));
    this.#carry();
  }

  // An answer that says yes or no.
  async #settled(ask) {
    const deadline = performance.now() + RECOVERY_MS_MAX;
    for (;;) {
      const noted = await ask();
      if (noted === undefined || noted.result === "done" || [401, 404].includes(noted.status) || performance.now() > deadline) return noted;
      await pause(25);
    }
  }

  #carry() {
    const young = this.people.sessions.filter(({ born, secrets }) => performance.now() - born < CARRIED_MS_MAX && secrets.size > 0);
    const [dead, living] = [young.filter(({ isDead }) => isDead), young.filter(({ isDead }) => !isDead)];
    for (const session of living) session.isEnded = false;
    for (const session of dead) session.isEnded = true;
    this.#carried = [...dead.slice(-CARRIED_MAX), ...living.slice(-CARRIED_MAX)];
  }

  async close() {
    // What the fault has made, the disk for one, is still looked at.
    try {
      await this.site.close();
    } finally {
      await this.fault.close?.(this);
    }
  }
}

const ALARM_MS = 2_200;
const AT_ONCE = 6;

async function inTurn(list, act) {
  const left = [...list];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (left.length > 0) await act(left.shift());
  }));
}
