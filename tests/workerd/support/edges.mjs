// Several edges of one site in one workerd: each is a Worker of its own, with an
// isolate and a memory of its own, bound to the same objects and the same KV
// namespace, as the machines of a network are.
import { readFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import { UNLIMITED, newAdminKey, newKeys } from "./gateway.mjs";
import { gatewayOf, startWorkers } from "./miniflare.mjs";

const here = fileURLToPath(new URL("edges/", import.meta.url));

// `edges`: for each a name, and keys of [vars.WARIFU] that it has of its own. `origin` is the
// address of an application that is a process of its own; without one there is one in workerd.
// `tailed`: a tail Worker logs what the platform records of the requests to the objects.
export async function startEdges({ edges, warifu = {}, build = "build", origin, tailed = false }) {
  const ops = newAdminKey();
  const keys = newKeys();
  const source = (name) => ({ type: "ESModule", path: `/${name}`, contents: readFileSync(path.join(here, name), "utf8") });
  const { scan, logs, door, close } = await startWorkers({ warifu, keys, adminKeys: [ops] }, async (scan) => {
    const { origin: application } = await scan.behind({ origin: origin ?? "http://origin.test" });
    const worker = (name, entry, own, more) => ({
      name,
      ...gatewayOf({ build, around: [source(entry), source("messages.mjs")], ...more }),
      kvNamespaces: { REPLICA: "replica" },
      bindings: {
        WARIFU: { limits: UNLIMITED, ...warifu, ...own, origin: application },
        WARIFU_KEYS: keys,
        WARIFU_ADMIN_KEYS: JSON.stringify([ops.entry]),
      },
      ...(origin === undefined ? { outboundService: "origin" } : {}),
      ...(tailed && name === OBJECTS ? { tails: ["tail"] } : {}),
    });
    return [
      worker(OBJECTS, "objects.mjs", {}),
      ...edges.map(({ name, ...own }) => worker(name, "edge.mjs", own, { objects: OBJECTS })),
      ...["origin", "tail"].map((name) => ({ name, modules: [source(`${name}.mjs`)] })),
    ];
  });
  const connect = async (name) => {
    const { url, dial } = await door(name);
    return new Edge(name, url, ops, dial);
  };
  const objects = await connect(OBJECTS);
  const all = await Promise.all(edges.map(({ name }) => connect(name)));
  return {
    objects,
    edges: all,
    logs,
    async close() {
      // What has gone between the Workers, and to the data set, they have kept.
      for (const worker of [objects, ...all]) {
        const { messages, points } = JSON.parse((await worker.send("GET", "/hand/seen")).text);
        scan.saw(`the messages of ${worker.name}`, messages.join("\n"));
        scan.saw("the data points", points.join("\n"));
      }
      await close();
    },
  };
}

const OBJECTS = "objects";

// Calls to one Worker, over connections that are kept alive.
export class Edge {
  constructor(name, url, ops, dial) {
    this.name = name;
    this.url = url;
    this.ops = ops;
    // workerd closes a connection after five seconds without a request.
    this.agent = Object.assign(new http.Agent({ keepAlive: true, timeout: 3_000 }), { createConnection: dial });
  }

  // The answer with its body as text, and when it was asked for and began.
  async send(method, where, { headers = {}, body } = {}) {
    const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const length = text === undefined ? {} : { "content-length": Buffer.byteLength(text) };
    for (;;) {
      const sent = Date.now();
      const request = http.request(new URL(where, this.url), { method, headers: { ...length, ...headers }, agent: this.agent });
      request.end(text);
      try {
        const [answer] = await once(request, "response");
        const answered = Date.now();
        const chunks = await answer.toArray();
        return { status: answer.statusCode, headers: answer.headers, text: chunks.join(""), sent, answered };
      } catch (error) {
        // The other end has just closed this connection, which was not in use.
        if (!request.reusedSocket) throw error;
      }
    }
  }

  get(where, cookie) {
    return this.send("GET", where, { headers: { cookie } });
  }

  // An administrator's call.
  async admin(method, where, body) {
    const answer = await this.send(method, `/_warifu/${where}`, { headers: { authorization: `Bearer ${this.ops.key}` }, body });
    return { ...answer, json: answer.text === "" ? undefined : JSON.parse(answer.text) };
  }

  // A person's call from the application's own pages.
  async user(method, where, cookie) {
    const answer = await this.send(method, `/_warifu/${where}`, { headers: { cookie, "sec-fetch-site": "same-origin" } });
    return { ...answer, json: answer.text === "" ? undefined : JSON.parse(answer.text) };
  }

  async mint(session) {
    const { status, text, json } = await this.admin("POST", "sessions", session);
    if (status !== 201) throw new Error(`mint: ${status} ${text}`);
    return { id: json.session.id, subject: json.session.subject, cookie: json.set_cookie.split(";")[0] };
  }

  // Faults of its messages to objects; see edges/messages.mjs.
  async suffer(faults) {
    await this.send("POST", "/hand", { body: faults });
  }

  // How many messages of each kind it has sent to objects.
  async counts() {
    return JSON.parse((await this.send("GET", "/hand")).text);
  }

  // Only of the Worker that has the objects.
  async stop(binding, name) {
    await this.send("GET", `/stop?${new URLSearchParams({ binding, name })}`);
  }
}

// When the edge let a request through; undefined if it did not.
export function letThroughAt({ headers }) {
  const at = headers["let-through"];
  return at === undefined ? undefined : Number(at);
}
