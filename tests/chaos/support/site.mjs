// A site on a machine: its configuration, its application, its KV, and calls to its edges.
import http from "node:http";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";

import { Scan } from "../../scan/scan.mjs";
import { COOKIE, UNLIMITED, newAdminKey, newKeys, sessionCookie } from "../../workerd/support/gateway.mjs";
import { startKv } from "./kv.mjs";
import { Machine, OBJECTS } from "./machine.mjs";
import { startOrigin } from "./origin.mjs";

export { OBJECTS };
export const EDGES = ["edge-1", "edge-2"];
export const BOUND_MS = 1_000;
export const CONTINUE_MS = 3_000;
export const IDLE_MS = 30_000;
export const ORIGIN_TIMEOUT_MS = 2_000;
export const SHARDS = [1, 2].flatMap((generation) => Array.from({ length: 2 * generation }, (_, shard) => ["SESSIONS", `default/${generation}/0/${shard}`]));
export const FEED = ["FEED", "default/feed"];

const CONFIGURATION = {
  limits: UNLIMITED,
  bound: `${BOUND_MS}ms`,
  continue_for: `${CONTINUE_MS}ms`,
  // Renewals every three seconds of use. A secret that a lost answer left behind goes on for as
  // long as it ever may, so that a refusal is a finding.
  idle_timeout: `${IDLE_MS}ms`,
  rotation_grace: "5m",
  origin_timeout: `${ORIGIN_TIMEOUT_MS}ms`,
  map: [
    { generation: 1, shards: 2 },
    { generation: 2, shards: 4 },
  ],
  custody: { cookies: ["token"] },
  adopt: { cookie: "old", probe: "/who", subject: "/id", until: "2999-01-01" },
  routes: [
    { path: "/public", access: "public" },
    { path: "/optional", access: "optional" },
    { path: "/strict", access: "strict" },
    { path: "/continue", access: "required", on_outage: "continue" },
    { path: "/do", access: "optional", commands: true },
    { path: "/hostile/*", access: "required", commands: true },
    { path: "/*", access: "required" },
  ],
};

export class Site {
  // `warifu` changes keys of the configuration.
  static async open({ warifu = {}, state, edge, environment, build = process.env.WARIFU_CHAOS_BUILD ?? "build" } = {}) {
    const site = new Site();
    site.origin = await startOrigin();
    site.kv = await startKv();
    site.ops = newAdminKey();
    site.keys = newKeys();
    site.build = build;
    site.configuration = { ...CONFIGURATION, origin: site.origin.url, ...warifu };
    // Of what a machine under faults lets out, the log and what it stores: its connections break
    // on purpose, and other tests look at what is said on them.
    site.scan = new Scan({ warifu: site.configuration, keys: site.keys, adminKeys: [site.ops] });
    const hears = (words) => site.scan.saw("the log", words);
    site.machine = await Machine.create({ edges: EDGES, state, kv: site.kv.address, edge, environment, hears });
    site.deploy();
    await site.machine.start();
    site.edges = Object.fromEntries([OBJECTS, ...EDGES].map((name) => [name, new Client(name, site.machine.url(name))]));
    return site;
  }

  // What the next start serves: for a Worker of a name `warifu`, `keys`, `adminKeys` (a list; both
  // null for none) and `build` of its own.
  deploy(own = {}) {
    const deployment = (name) => {
      const { warifu = {}, keys = this.keys, adminKeys = [this.ops], build = this.build } = { ...own.all, ...own[name] };
      const env = { WARIFU: { ...this.configuration, replica: name === "edge-2" ? "always" : "off", ...warifu } };
      if (keys !== null) env.WARIFU_KEYS = keys;
      if (adminKeys !== null) env.WARIFU_ADMIN_KEYS = JSON.stringify(adminKeys.map(({ entry }) => entry));
      return [name, { build, env }];
    };
    this.machine.deploy(Object.fromEntries([OBJECTS, ...EDGES].map(deployment)));
  }

  // The machine loses its power, and comes back.
  async crash() {
    await this.machine.stop("SIGKILL");
    await this.machine.start();
  }

  // What is done to messages from all edges to objects, and from objects to objects; see
  // tests/workerd/support/edges/messages.mjs. Nothing, if nothing is given.
  async suffer({ edges = [], objects = [] } = {}) {
    await Promise.all([this.edges[OBJECTS].hand(objects), ...EDGES.map((name) => this.edges[name].hand(edges))]);
  }

  // The machine stops as for a deployment, and comes back with what is deployed now.
  async redeploy(own) {
    this.deploy(own);
    await this.machine.stop("SIGTERM");
    await this.machine.start();
  }

  stopObject([binding, name]) {
    return this.edges[OBJECTS].send("GET", `/stop?${new URLSearchParams({ binding, name })}`);
  }

  async close() {
    await this.machine.end();
    for (const [name, record] of this.kv.records) this.scan.saw("KV", `${name}\n${record}\n`);
    try {
      this.scan.finish([this.machine.state]);
    } finally {
      await this.machine.close();
      this.origin.stop();
      this.kv.stop();
    }
  }
}

// Calls to one Worker, over connections that are kept. Nothing is ever sent twice.
export class Client {
  constructor(name, url) {
    this.name = name;
    this.url = url;
    // workerd closes a connection after five seconds without a request.
    this.agent = new http.Agent({ keepAlive: true, timeout: 3_000 });
  }

  // { result: "answered", … }, or "cut" or "unsent" where no whole answer came.
  async send(method, where, { headers = {}, body } = {}) {
    const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const request = http.request(new URL(where, this.url), {
      method,
      headers: { ...(text === undefined ? {} : { "content-length": Buffer.byteLength(text) }), ...headers },
      agent: this.agent,
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    try {
      request.end(text);
      const [answer] = await once(request, "response");
      const chunks = [];
      let size = 0;
      for await (const chunk of answer) {
        chunks.push(chunk);
        if ((size += chunk.length) > BODY_BYTES_MAX) throw new Error("a body without an end");
      }
      const whole = Buffer.concat(chunks).toString();
      return { result: "answered", status: answer.statusCode, headers: answer.headers, text: whole, json: parsed(whole) };
    } catch (error) {
      request.destroy();
      return { result: error.code === "ECONNREFUSED" ? "unsent" : "cut", isUnanswered: error.name === "AbortError" || error.name === "TimeoutError" || undefined };
    }
  }

  async hand(faults) {
    const { status } = await this.send("POST", "/hand", { body: faults });
    if (status !== 200) throw new Error(`${this.name} took no faults: ${status}`);
  }

  // As send, until somebody answers: after a start.
  async reached(method, where, init) {
    for (;;) {
      const answer = await this.send(method, where, init);
      if (answer.result === "answered") return answer;
      await pause(20);
    }
  }
}

// The gateway gives an object ten seconds, and an application two here.
const PATIENCE_MS = 15_000;
const BODY_BYTES_MAX = 256 * 1024;

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// The session's cookie as an answer sets it; undefined if it sets none, or there is no answer.
export function cookieOf({ headers = {} }) {
  const found = sessionCookie({ headers });
  return found === `${COOKIE}=` ? undefined : found;
}

export const touches = ({ headers = {} }) => sessionCookie({ headers }) !== undefined;
