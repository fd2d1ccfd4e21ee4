// Requests whose answers are all looked at: each says what it must get, and what comes
// instead is kept. Latencies go into histograms, by kind.
import * as hdr from "hdr-histogram-js";
import { Pool } from "undici";

import { COOKIE } from "./site.mjs";

// Of unexpected answers so many are kept whole; all are counted.
const KEPT = 20;
const SECRET = new RegExp(`${COOKIE}=[\\w-]+`, "g");

export class Findings {
  counts = {};
  kept = [];

  add(kind, what) {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    // Cookies are credentials, also those of a run.
    if (this.kept.length < KEPT) this.kept.push({ at: new Date().toISOString(), kind, what: what.replaceAll(SECRET, `${COOKIE}=…`) });
  }

  get total() {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }
}

// In microseconds, from sending to the end of the body; up to a minute, to three digits.
const histogram = () => hdr.build({ lowestDiscernibleValue: 1, highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3 });

export class Client {
  findings = new Findings();
  kinds = {};
  // Of the present interval, all kinds.
  interval = histogram();
  requests = 0;
  // 503 of a site that cannot know just now: what a machine gets that is too slow for the bound.
  unavailable = 0;

  constructor({ edges, admin }, { connections = 64 } = {}) {
    // workerd closes a connection after five seconds without a request.
    this.edges = edges.map(({ name, url }) => ({ name, pool: new Pool(url, { connections, pipelining: 1, keepAliveTimeout: 2_000 }) }));
    this.admin = admin;
  }

  anyEdge() {
    return this.edges[Math.floor(Math.random() * this.edges.length)];
  }

  otherThan(edge) {
    return this.edges[(this.edges.indexOf(edge) + 1) % this.edges.length];
  }

  // One request. `kind` is the histogram's; `wants` are the statuses that it may get, and
  // with `as` also who the application must have been told is there. `isRight` of the answer
  // says whether that came.
  // A `command` is what the application answers with, to a form of its own page.
  async ask(edge, kind, { path, cookie, command, method = command ? "POST" : "GET", headers = {}, body, wants = [200], as }) {
    const sent = Date.now();
    const began = performance.now();
    const sends = { "cf-connecting-ip": "192.0.2.1", ...(command === undefined ? {} : { "sec-fetch-site": "same-origin" }), ...headers };
    if (cookie !== undefined) sends.cookie = cookie;
    if (command !== undefined) sends["x-wanted"] = command;
    let answer;
    try {
      const { statusCode: status, headers, body: stream } = await edge.pool.request({ method, path, headers: sends, body });
      answer = { status, headers, text: await stream.text(), sent, answered: Date.now() };
    } catch (error) {
      this.findings.add(kind, `${method} ${path} at ${edge.name}: ${error.code ?? error.name}: ${error.message}`);
      return { status: 0, headers: {}, text: "", sent, answered: Date.now() };
    }
    const micros = Math.max(1, Math.round((performance.now() - began) * 1_000));
    this.requests += 1;
    this.interval.recordValue(Math.min(micros, 60_000_000));
    (this.kinds[kind] ??= histogram()).recordValue(Math.min(micros, 60_000_000));
    if (answer.status === 503 && answer.text.includes('"store_unavailable"')) {
      this.unavailable += 1;
      return { ...answer, isRight: false };
    }
    const wrong = wants.includes(answer.status) ? answer.status === 200 && as && misled(answer.text, as) : `wanted ${wants.join(" or ")}`;
    answer.isRight = !wrong;
    if (wrong) this.findings.add(kind, `${method} ${path} at ${edge.name}: ${answer.status}, ${wrong}: ${answer.text.slice(0, 300)}`);
    return answer;
  }

  // An administrator's call, and what its body says.
  async call(edge, kind, method, where, { body, wants, key = this.admin, headers = {} } = {}) {
    const authorized = { ...headers, authorization: `Bearer ${key}` };
    const answer = await this.ask(edge, kind, { method, path: `/_warifu/${where}`, headers: authorized, body: body && JSON.stringify(body), wants });
    return { ...answer, json: answer.isRight && answer.text.startsWith("{") ? JSON.parse(answer.text) : undefined };
  }

  // Something that an answer with a good status did not say.
  wrong(kind, what) {
    this.findings.add(kind, what);
  }

  takeInterval() {
    const taken = this.interval;
    this.interval = histogram();
    return taken;
  }

  async close() {
    await Promise.all(this.edges.map(({ pool }) => pool.destroy()));
  }
}

// How who was told differs from who it is.
function misled(text, { subject, id, level, claims }) {
  const told = JSON.parse(text);
  const is = { subject, session: id, level: level === undefined ? undefined : String(level), claims };
  const wrong = Object.keys(is).filter((key) => is[key] !== undefined && told[key] !== is[key]);
  return wrong.length > 0 && `${wrong.join(", ")}: wanted ${wrong.map((key) => is[key]).join(", ")}`;
}

// The session cookie that an answer sets.
export function newCookie({ headers }) {
  const set = [headers["set-cookie"] ?? []].flat().findLast((value) => value.startsWith(`${COOKIE}=`));
  return set?.split(";")[0];
}
