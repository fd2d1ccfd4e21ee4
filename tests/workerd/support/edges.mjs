// Several edges of one site in one workerd: each is a Worker of its own, with an
// isolate and a memory of its own, bound to the same objects and the same KV
// namespace, as the machines of a network are.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from "miniflare";

import { Scan } from "../../scan/scan.mjs";
import { COOKIE, UNLIMITED, newAdminKey, newKeys, project, root } from "./gateway.mjs";

const here = fileURLToPath(new URL("edges/", import.meta.url));

// `edges`: for each a name, and keys of [vars.WARIFU] that it has of its own. `origin` is the
// address of an application that is a process of its own; without one there is one in workerd.
// `tailed`: a tail Worker logs what the platform records of the requests to the objects.
export async function startEdges({ edges, warifu = {}, build = "build", origin, tailed = false }) {
  const ops = newAdminKey();
  const keys = newKeys();
  const scan = new Scan({ warifu, keys, adminKeys: [ops] });
  const { origin: application } = await scan.behind({ origin: origin ?? "http://origin.test" });
  const stores = mkdtempSync(path.join(tmpdir(), "warifu-edges-"));
  const source = (name) => ({ type: "ESModule", path: `/${name}`, contents: readFileSync(path.join(here, name), "utf8") });
  const gateway = [
    { type: "ESModule", path: "/gateway.mjs", contents: readFileSync(path.join(root, build, "index.js"), "utf8") },
    { type: "CompiledWasm", path: "/index_bg.wasm", contents: readFileSync(path.join(root, build, "index_bg.wasm")) },
    source("messages.mjs"),
  ];
  const worker = (name, entry, own) => ({
    name,
    modulesRoot: "/",
    modules: [source(entry), ...gateway],
    compatibilityDate: project.compatibility_date,
    durableObjects: Object.fromEntries(
      project.durable_objects.bindings.map(({ name: binding, class_name: className }) => [
        binding,
        { className, useSQLite: true, ...(name === OBJECTS ? {} : { scriptName: OBJECTS }) },
      ]),
    ),
    kvNamespaces: { REPLICA: "replica" },
    bindings: {
      WARIFU: { limits: UNLIMITED, ...warifu, ...own, origin: application },
      WARIFU_KEYS: keys,
      WARIFU_ADMIN_KEYS: JSON.stringify([ops.entry]),
    },
    ...(origin === undefined ? { outboundService: "origin" } : {}),
    ...(tailed && name === OBJECTS ? { tails: ["tail"] } : {}),
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
  });
  const logs = [];
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      log: new Log(LogLevel.NONE),
      resourcePersistencePath: stores,
      handleStructuredLogs({ message }) {
        logs.push(message);
        scan.saw("the log", `${message}\n`);
      },
      workers: [
        worker(OBJECTS, "objects.mjs", {}),
        ...edges.map(({ name, ...own }) => worker(name, "edge.mjs", own)),
        ...["origin", "tail"].map((name) => ({ name, modules: [source(`${name}.mjs`)], modulesRoot: "/", compatibilityDate: project.compatibility_date })),
      ],
    }),
  );
  await miniflare.ready;
  const connect = async (name) => {
    const { url, dial } = await scan.before(Number((await miniflare.unsafeGetDirectURL(name)).port));
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
      await miniflare.dispose();
      try {
        scan.finish([stores]);
      } finally {
        rmSync(stores, { recursive: true });
      }
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

// The session's cookie as an answer sets it.
export function cookieOf({ headers }) {
  const found = (headers["set-cookie"] ?? []).find((value) => value.startsWith(`${COOKIE}=`));
  return found?.split(";")[0];
}

// When the edge let a request through; undefined if it did not.
export function letThroughAt({ headers }) {
  const at = headers["let-through"];
  return at === undefined ? undefined : Number(at);
}
