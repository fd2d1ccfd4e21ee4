// People, and what they and their application and its operators do: every call is noted in the
// history before it is sent, with the label of its session and never with a cookie.
import { setTimeout as pause } from "node:timers/promises";

import { BOUND_MS, EDGES, cookieOf, touches } from "./site.mjs";

export class People {
  sessions = [];
  #serial = 0;
  // Whether the feed is told of ends in time: then a log-out that is answered is published. It
  // has no receipt that says so.
  #soundSince = 0;

  set isFeedSound(isSound) {
    if (!isSound) this.#soundSince = Infinity;
    else if (this.#soundSince === Infinity) this.#soundSince = performance.now();
  }

  // Not for a call that began while it could not be told: what was lost of that is told later, and
  // the call can be answered when all is well again.
  isFeedSoundFor({ sent }) {
    return this.#soundSince < sent;
  }

  constructor(site, history, chance) {
    Object.assign(this, { site, history, chance });
  }

  // --- calls ---------------------------------------------------------------------

  // `call` is what the history gets, `method`, `where` and `init` what is sent. A good answer is one
  // below 400.
  async #do(call, method, where, { headers = {}, ...init } = {}) {
    const edge = call.edge ?? this.chance.one(EDGES);
    const noted = this.history.begin({ ...call, edge });
    const answer = await this.site.edges[edge].send(method, where, { headers: { ...headers, "x-call": noted.number }, ...init });
    noted.answered = performance.now();
    const { status, json } = answer;
    noted.result = answer.result !== "answered" ? answer.result : status < 400 ? "done" : "refused";
    noted.isUnanswered = answer.isUnanswered;
    noted.expected ??= this.expects?.(noted);
    if (answer.result === "answered") Object.assign(noted, { status, code: json?.code, retryAfter: answer.headers["retry-after"], isTouched: touches(answer) || undefined });
    return { noted, answer, isDone: noted.result === "done" };
  }

  #admin(call, method, where, body) {
    return this.#do(call, method, `/_warifu/${where}`, { headers: { authorization: `Bearer ${this.site.ops.key}` }, body });
  }

  // A person's own call, from the application's pages.
  #user(call, method, where, cookie) {
    return this.#do(call, method, `/_warifu/${where}`, { headers: { cookie, "sec-fetch-site": "same-origin" } });
  }

  #command(call, command, cookie) {
    return this.#do(call, "GET", `/do?${new URLSearchParams({ command })}`, { headers: cookie === undefined ? {} : { cookie } });
  }

  // The secret that an answer gives a session: a new label for a value that is new.
  #given(session, noted, cookie) {
    if (cookie === undefined) return;
    this.site.scan.wasGiven(cookie.split("=")[1]);
    if (!session.secrets.has(cookie)) session.secrets.set(cookie, `${session.label}/${session.secrets.size}`);
    noted.gives = session.secrets.get(cookie);
  }

  #take(session, cookie) {
    if (cookie !== undefined) session.cookie = cookie;
  }

  // --- beginnings ------------------------------------------------------------------

  // A new session of a person's, or undefined. `via`: "command", "mint", "custody" or "adopt".
  async start({ subject = `p${this.history.round}-${(this.#serial += 1)}`, via = this.chance.one(["command", "command", "mint", "custody", "adopt"]), edge } = {}) {
    const label = `${subject}:${(this.#serial += 1)}`;
    const session = { label, subject, via, version: 0, level: 1, secrets: new Map(), born: performance.now(), busy: 0 };
    const call = { op: "start", via, session: label, subject, edge };
    const { noted, answer, isDone } = await {
      command: () => this.#command(call, `do=start, sub="${subject}", claims=${claims(0)}`),
      mint: () => this.#admin(call, "POST", "sessions", { subject, claims: { v: 0 } }),
      custody: () => this.#do(call, "GET", held(subject, 0)),
      adopt: () => this.#do(call, "GET", "/page", { headers: { cookie: `old=${subject}` } }),
    }[via]();
    if (via === "command" || via === "custody") noted.forwarded = this.site.origin.arrivals.get(noted.number);
    const cookie = via === "mint" ? answer.json?.set_cookie?.split(";")[0] : cookieOf(answer);
    if (!isDone || cookie === undefined) {
      // An answer without the cookie is a log-in half done. But who moves in may be served and
      // get the new cookie another time: the old one goes on leading there.
      if (isDone) Object.assign(noted, via === "adopt" ? { result: "cut" } : { result: "refused", code: undefined });
      return undefined;
    }
    this.#given(session, noted, cookie);
    this.#take(session, cookie);
    this.sessions.push(session);
    return session;
  }

  // --- uses ------------------------------------------------------------------------

  async check(session, { route = "page", edge } = {}) {
    const { cookie } = session;
    const call = { op: "check", route, session: session.label, subject: session.subject, secret: session.secrets.get(cookie), edge };
    const { noted, answer, isDone } = await this.#do(call, "GET", `/${route}`, { headers: { cookie } });
    if (!isDone) return noted;
    noted.admitted = this.#admitted(answer, noted);
    // What is held counts for those who were logged in by it.
    noted.version = session.via === "custody" ? (answer.json.held ?? -1) : (answer.json.claims?.v ?? 0);
    const successor = cookieOf(answer);
    this.#given(session, noted, successor);
    // Unless another answer was faster.
    if (session.cookie === cookie) this.#take(session, successor);
    return noted;
  }

  // When the edge let it through: by the edge's clock, which is this machine's, or, where that
  // clock is not to be trusted, when the application got it.
  #admitted(answer, { number }) {
    if (this.distrustsClock) return this.site.origin.arrivals.get(number);
    return answer.json.admitted - (Date.now() - performance.now());
  }

  async record(session) {
    const id = await this.id(session);
    if (id === undefined) return undefined;
    const { noted, answer, isDone } = await this.#admin({ op: "record", session: session.label }, "GET", `sessions/${id}`);
    if (isDone) noted.expires = this.distrustsClock ? undefined : Date.parse(answer.json.idle_expires);
    return noted;
  }

  // The public id is what its person may know.
  async id(session) {
    if (session.id !== undefined) return session.id;
    const { answer, isDone } = await this.#user({ op: "other", session: session.label }, "GET", "me", session.cookie);
    if (isDone) session.id = answer.json.id;
    return session.id;
  }

  async rotate(session, { raise = false } = {}) {
    const { cookie } = session;
    const call = { op: "rotate", raise: raise || undefined, session: session.label, secret: session.secrets.get(cookie) };
    const { noted, answer, isDone } = await this.#command(call, raise ? `do=rotate, level=${(session.level += 1)}` : "do=rotate", cookie);
    if (isDone) {
      this.#given(session, noted, cookieOf(answer));
      this.#take(session, cookieOf(answer));
    }
    return noted;
  }

  // New claims, or a new value to hold.
  async update(session) {
    const version = (session.version += 1);
    const { cookie } = session;
    const call = { op: "update", session: session.label, secret: session.secrets.get(cookie), version };
    const { noted, answer, isDone } = await (session.via === "custody"
      ? this.#do(call, "GET", held(session.subject, version), { headers: { cookie } })
      : this.#command(call, `do=update, claims=${claims(version)}`, cookie));
    if (isDone && session.via === "custody") {
      this.#given(session, noted, cookieOf(answer));
      this.#take(session, cookieOf(answer));
    }
    return noted;
  }

  // --- ends --------------------------------------------------------------------------

  // `how`: one of ENDS.
  async end(session, how, { edge } = {}) {
    const { label, subject, cookie } = session;
    const call = { op: "kill", how, scope: ENDS[how], edge, subject, ...(how === "site" ? { subject: undefined } : { session: label }), secret: session.secrets.get(cookie) };
    for (const other of this.sessions) {
      const isMeant = ENDS[how] === "site" || (ENDS[how] === "session" ? other === session : other.subject === subject && (ENDS[how] === "subject" || other !== session));
      if (isMeant) other.isEnded = true;
    }
    const id = how === "session" ? await this.id(session) : undefined;
    if (how === "session" && id === undefined) return undefined;
    const { noted, answer, isDone } = await {
      logout: () => this.#user(call, "POST", "logout", cookie),
      end: () => this.#command(call, "do=end", cookie),
      session: () => this.#admin(call, "DELETE", `sessions/${id}`),
      subject: () => this.#admin(call, "DELETE", `sessions?subject=${subject}`),
      endAll: () => this.#command(call, "do=end-all", cookie),
      notMe: () => this.#user(call, "POST", "me/not-me", cookie),
      others: () => this.#user(call, "DELETE", "me/sessions", cookie),
      endOthers: () => this.#command(call, "do=end-others", cookie),
      site: () => this.#admin(call, "DELETE", "sessions", { confirm: "default" }),
    }[how]();
    if (ENDS[how] === "others") {
      // Of a secret that never arrived nobody can make use.
      if (noted.result !== "unsent") session.isEnded = !isDone;
      this.#given(session, noted, cookieOf(answer));
      this.#take(session, cookieOf(answer));
    }
    if (!isDone) return noted;
    const receipt = answer.json?.kill_id === undefined ? undefined : answer.json;
    noted.published = receipt !== undefined ? receipt.state !== "committed" : this.isFeedSoundFor(noted) && noted.answered - noted.sent < FEED_IN_TIME_MS;
    if (receipt !== undefined) Object.assign(noted, placeOf(receipt));
    // A kill of the site that is committed has not reached all shards.
    if (how === "site" && !noted.published) noted.result = "cut";
    if (receipt !== undefined && !noted.published) this.pending.push(noted);
    return noted;
  }

  // Ends that were answered as committed only.
  pending = [];

  // Makes every edge know a session, ends it at one, and asks for it at all of them until each has
  // refused, or the bound is well over: for how long it is outlived is what the bound is about.
  async endWatched(session, how, chance) {
    const doomed = [session, ...this.sessions.filter((other) => other !== session && !other.isEnded && ENDS[how] !== "session" && other.subject === session.subject)];
    await Promise.all(doomed.flatMap((one) => EDGES.map((edge) => this.check(one, { edge }))));
    const noted = await this.end(session, how, { edge: chance.one(EDGES) });
    if (noted?.result !== "done") return noted;
    for (const one of doomed) for (const edge of EDGES) if (one.isEnded) this.#watch(one, edge, noted.answered + 1.2 * BOUND_MS);
    return noted;
  }

  // What is watched still.
  watching = new Set();

  #watch(session, edge, until) {
    const watching = (async () => {
      while (performance.now() < until) {
        const { status } = await this.check(session, { edge });
        if (status === 401) return;
        await pause(WATCH_MS);
      }
    })().finally(() => this.watching.delete(watching));
    this.watching.add(watching);
  }

  // Asks for the receipt of an end. One that was not published yet is from now on, if it says so.
  async receipt(kill) {
    const { noted, answer, isDone } = await this.#admin({ op: "receipt", kill: kill.kill }, "GET", `revocations/${kill.kill}`);
    if (!isDone || answer.json.state === "committed") return noted;
    Object.assign(noted, placeOf(answer.json));
    if (!kill.published) Object.assign(kill, { ...placeOf(answer.json), published: true, result: "done", answered: noted.answered });
    return noted;
  }

  async other(method, where, { edge, expected, headers } = {}) {
    return (await this.#do({ op: "other", where, edge, expected }, method, where, { headers })).noted;
  }
}

const placeOf = ({ kill_id: kill, epoch, seq }) => ({ kill, epoch: epoch ?? undefined, seq: seq ?? undefined });

// Every way to end something, and what it ends.
export const ENDS = {
  logout: "session",
  end: "session",
  session: "session",
  subject: "subject",
  endAll: "subject",
  notMe: "subject",
  others: "others",
  endOthers: "others",
  site: "site",
};

// An end without a receipt waits two seconds for the feed, and is then answered all the same.
const FEED_IN_TIME_MS = 1_500;
const WATCH_MS = 25;

const claims = (v) => `:${Buffer.from(JSON.stringify({ v })).toString("base64")}:`;
const held = (sub, v) => `/optional?${new URLSearchParams({ token: JSON.stringify({ sub, v }) })}`;
