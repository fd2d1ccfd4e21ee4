// Load on all edges of a site, kills of every kind, and a log of all answers.
import { setTimeout as pause } from "node:timers/promises";

import { letThroughAt } from "./edges.mjs";
import { sessionCookie } from "./gateway.mjs";
import { commanding } from "./origin.mjs";
import { History } from "./promise.mjs";

// Ways to end a person's sessions: how many the person has, the call, and which
// of them it ends. Whose answer is a receipt says there whether the feed has the
// kill; the others are answered once the shards have it, even while the feed is
// out of reach.
const one = ([first]) => [first];
const all = (sessions) => sessions;
const others = (sessions) => sessions;
const KILLS = {
  // An administrator.
  session: { has: 1, of: one, receipt: true, end: ({ sessions }, edge) => edge.admin("DELETE", `sessions/${sessions[0].id}`) },
  subject: { has: 1, of: all, receipt: true, end: ({ subject }, edge) => edge.admin("DELETE", `sessions?subject=${subject}`) },
  // The person.
  logout: { has: 1, of: one, end: ({ sessions }, edge) => edge.user("POST", "logout", sessions[0].cookie) },
  own: { has: 2, of: one, receipt: true, end: ({ sessions }, edge) => edge.user("DELETE", `me/sessions/${sessions[0].id}`, sessions[1].cookie) },
  // The session that stays gets a new secret, and the old one is worth nothing.
  others: { has: 2, of: others, receipt: true, end: ({ sessions }, edge) => edge.user("DELETE", "me/sessions", sessions[1].cookie) },
  notMe: { has: 2, of: all, receipt: true, end: ({ sessions }, edge) => edge.user("POST", "me/not-me", sessions[0].cookie) },
  // The application.
  end: { has: 1, of: one, end: ({ sessions }, edge) => edge.get(commanding("do=end"), sessions[0].cookie) },
  endAll: { has: 1, of: all, end: ({ sessions }, edge) => edge.get(commanding("do=end-all"), sessions[0].cookie) },
  endOthers: { has: 2, of: others, end: ({ sessions }, edge) => edge.get(commanding("do=end-others"), sessions[1].cookie) },
};

export const KINDS = Object.keys(KILLS);

const SHARDS = Array.from({ length: 8 }, (_, shard) => ["SESSIONS", `default/2/0/${shard}`]);

// What can be done to a site meanwhile: messages that are delayed or lost, and
// objects that are stopped. `isFeedSound`: a kill without a receipt can be taken
// for published when it is answered.
export const FAULTS = {
  none: { isFeedSound: true },
  "the feed is slow": {
    isFeedSound: true,
    edges: [{ to: "FEED", kinds: ["poll"], beforeMs: [0, 300], afterMs: [0, 1_500] }],
  },
  "the feed fails": {
    isFeedSound: true,
    edges: [
      { to: "FEED", kinds: ["poll"], share: 0.4, lose: "message" },
      { to: "FEED", kinds: ["poll"], share: 0.3, lose: "answer" },
    ],
  },
  "shards are stopped": { isFeedSound: true, stop: SHARDS, everyMs: 200 },
  "the feed is stopped": {
    isFeedSound: false,
    objects: [
      { to: "FEED", kinds: ["append"], share: 0.2, lose: "answer" },
      { to: "FEED", kinds: ["append"], share: 0.5, afterMs: [0, 300] },
    ],
    stop: [["FEED", "default/feed"]],
    everyMs: 2_500,
  },
};

// The configuration that the load wants: a kill of a person reaches the shards of
// both rows.
export const SITE = {
  map: [
    { generation: 1, shards: 2 },
    { generation: 2, shards: SHARDS.length },
  ],
  routes: [
    { path: "/strict", access: "strict" },
    { path: "/do", access: "optional", commands: true },
    { path: "/*", access: "required" },
  ],
};

// Requests under way at one edge, and ends with the log-ins that take their place:
// a machine that cannot keep up is to serve fewer, not all of them late.
const AT_ONCE = 4;
const ENDS_AT_ONCE = 20;

export class Load {
  history = new History();
  // What is being done to the site meanwhile, for the log.
  fault = "none";
  kills = 0;
  // Those whose sessions live, the longest-known first, and how many are on their way.
  #people = new Set();
  #arriving = 0;
  #serial = 0;
  // Sessions that are asked for, and those among them that are killed.
  #living = new Set();
  #dying = new Set();
  #running = true;
  #work = new Set();

  // `rate`: requests a second at each edge; `people`: at a time.
  constructor(site, { bound, rate, people }) {
    Object.assign(this, { site, bound, rate, wanted: people });
  }

  async start() {
    for (const edge of this.site.edges) this.#do(this.#browse(edge));
    await this.#fill();
  }

  // Ends people's sessions in all ways, at most `rate` times a second, under a
  // fault of FAULTS.
  async kill({ rate, count, fault }) {
    const { isFeedSound, edges = [], objects = [], stop = [], everyMs } = FAULTS[fault];
    this.fault = fault;
    await Promise.all(this.site.edges.map((edge) => edge.suffer(edges)));
    await this.site.objects.suffer(objects);
    const ending = new Set();
    let isOver = stop.length === 0;
    const stopping = (async () => {
      for (let turn = 0; !isOver; turn += 1) {
        await this.site.objects.stop(...stop[turn % stop.length]);
        await pause(everyMs);
      }
    })();
    for (let number = 0; number < count; number += 1) {
      const pace = pause(1_000 / rate);
      const end = this.#end(await this.#oldest(), isFeedSound).finally(() => ending.delete(end));
      ending.add(end);
      if (ending.size >= ENDS_AT_ONCE) await Promise.race(ending);
      await pace;
    }
    isOver = true;
    await stopping;
    await Promise.all([this.site.objects, ...this.site.edges].map((worker) => worker.suffer([])));
    await Promise.all(ending);
    this.fault = "none";
  }

  // Ends everything of the site, and lets people log in again.
  async killSite() {
    while (this.#arriving > 0) await pause(10);
    const people = [...this.#people];
    this.#people.clear();
    const sent = Date.now();
    let answer = await this.#anyEdge().admin("DELETE", "sessions", { confirm: "default" });
    answer = await this.#published(answer);
    this.#killed("site", people.flatMap(({ sessions }) => sessions), sent, answer?.answered);
    await this.#fill();
  }

  // Ends once every killed session has been looked at after the bound.
  async stop() {
    while (this.#dying.size > 0) await pause(50);
    this.#running = false;
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  #do(work) {
    const done = work.finally(() => this.#work.delete(done));
    this.#work.add(done);
  }

  async #fill() {
    const arriving = [];
    for (; this.#people.size + this.#arriving < this.wanted; this.#arriving += 1) arriving.push(this.#arrive());
    await Promise.all(arriving);
  }

  // A person with sessions that all edges have seen.
  async #arrive() {
    const number = (this.#serial += 1);
    const kind = KINDS[number % KINDS.length];
    const person = { subject: `person-${number}`, kind, sessions: [] };
    while (person.sessions.length < KILLS[kind].has) {
      // A log-in may be refused: after a kill of the site, or in a fault.
      const session = await this.site.objects.mint({ subject: person.subject }).catch(() => pause(50));
      if (session !== undefined) person.sessions.push({ ...session, T: undefined, askedAt: new Map(), refusedAt: new Set(), doneAt: new Set() });
    }
    for (const session of person.sessions) {
      await Promise.all(this.site.edges.map((edge) => this.#ask(edge, session)));
      this.#living.add(session);
    }
    this.#people.add(person);
    this.#arriving -= 1;
  }

  async #oldest() {
    while (this.#people.size === 0) await pause(5);
    const [person] = this.#people;
    this.#people.delete(person);
    return person;
  }

  #anyEdge() {
    return this.site.edges[Math.floor(Math.random() * this.site.edges.length)];
  }

  async #end(person, isFeedSound) {
    const { kind, sessions } = person;
    const sent = Date.now();
    const answer = await KILLS[kind].end(person, this.#anyEdge()).catch(() => undefined);
    for (const session of sessions) this.#living.delete(session);
    // What has become of a kill without a good answer nobody knows.
    const isAnswered = answer?.status < 300;
    const published = !isAnswered ? undefined : KILLS[kind].receipt ? await this.#published(answer) : isFeedSound ? answer : undefined;
    this.#killed(kind, isAnswered ? KILLS[kind].of(sessions) : sessions, sent, published?.answered);
    const cookie = answer === undefined ? undefined : sessionCookie(answer);
    if (KILLS[kind].of === others && cookie !== undefined) await this.#ask(this.#anyEdge(), { cookie });
    await this.#fill();
  }

  // The first answer that says that the feed has the kill: its own, or that to a
  // later question.
  async #published(answer) {
    const { kill_id } = answer.json;
    for (const deadline = Date.now() + 60_000; answer?.json?.state === "committed"; ) {
      if (Date.now() > deadline) throw new Error(`in vain: the kill ${kill_id} is published`);
      await pause(20);
      const later = await this.site.objects.admin("GET", `revocations/${kill_id}`).catch(() => undefined);
      if (later?.status === 200) answer = later;
    }
    return answer;
  }

  #killed(kind, sessions, sent, acknowledged) {
    this.kills += 1;
    const cookies = sessions.map(({ cookie }) => cookie);
    this.history.kill({ kind, fault: this.fault, cookies, sent, acknowledged });
    for (const session of sessions) {
      this.#living.delete(session);
      if (acknowledged === undefined) continue;
      session.T = acknowledged;
      this.#dying.add(session);
      this.#do(this.#ask(this.#anyEdge(), session, true));
      for (const edge of this.site.edges) this.#do(this.#ask(edge, session));
    }
  }

  // Asks for one session after the other: those that are killed and not refused
  // here yet first, so that it is known well when they are; the killed ones also
  // once when the bound is over.
  async #browse(edge) {
    const underWay = new Set();
    let due = Date.now();
    for (let turn = 0; this.#running; turn += 1) {
      due = Math.max(due + 1_000 / this.rate, Date.now() - 100);
      if (due > Date.now()) await pause(due - Date.now());
      if (underWay.size >= AT_ONCE) await Promise.race(underWay);
      const session = this.#due(edge) ?? this.#next(edge, turn);
      if (session === undefined) continue;
      const asking = this.#ask(edge, session).finally(() => underWay.delete(asking));
      underWay.add(asking);
    }
    await Promise.all(underWay);
  }

  // One whose bound is over, and which nobody has asked for here since.
  #due(edge) {
    const now = Date.now();
    for (const session of this.#dying) {
      if (now <= session.T + this.bound || session.doneAt.has(edge)) continue;
      session.doneAt.add(edge);
      if (session.doneAt.size === this.site.edges.length) this.#dying.delete(session);
      return session;
    }
  }

  // Seven times one that is killed and not refused here yet, then one that lives;
  // of these the one that has not been asked for here for longest.
  #next(edge, turn) {
    const outliving = [...this.#dying].filter(({ refusedAt }) => !refusedAt.has(edge));
    const sessions = outliving.length > 0 && turn % 8 > 0 ? outliving : [...this.#living];
    const [first] = sessions.sort((one, other) => one.askedAt.get(edge) - other.askedAt.get(edge));
    return first;
  }

  async #ask(edge, session, isStrict = false) {
    const { cookie, askedAt, refusedAt } = session;
    if (!isStrict) askedAt?.set(edge, performance.now());
    const answer = await edge.get(isStrict ? "/strict" : "/page", cookie);
    const { status, headers, sent, answered } = answer;
    const isTouched = headers["set-cookie"] !== undefined;
    const letThrough = letThroughAt(answer);
    this.history.request({ edge: edge.name, cookie, isStrict, status, sent, answered, letThrough, isTouched });
    if (status === 401 && !isStrict) refusedAt?.add(edge);
  }
}
