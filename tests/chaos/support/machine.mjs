// One machine with the gateway on it: a workerd of its own, started without any tool in
// between, so that it can be killed at any moment, begun again on the same state, given
// another clock, and denied room on the disk. In it are, as in tests/workerd/support/edges,
// several edges, each a Worker with an isolate and a memory of its own, and one Worker with
// the objects of all.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";

import { freePort, project, root } from "../../workerd/support/gateway.mjs";

const require = createRequire(import.meta.url);
const edgesFolder = path.join(root, "tests/workerd/support/edges");

// Where the platform's binary is: what the package `workerd` would start. The package's own
// launcher is a process in between, which a SIGKILL would leave without its child.
export function workerdBinary() {
  const platform = { linux: "linux", darwin: "darwin" }[process.platform];
  const cpu = { x64: "64", arm64: "arm64" }[process.arch];
  return require.resolve(`@cloudflare/workerd-${platform}-${cpu}/bin/workerd`, { paths: [require.resolve("workerd/package.json")] });
}

export class Machine {
  // `edges`: names; `state`: the folder of the objects' files (one of its own if absent); `kv`:
  // the address of a KV namespace (support/kv.mjs), host and port; `edge`: a module in the place of
  // edges/edge.mjs, which it may import; `hears` is told all that is logged.
  static async create({ edges, state, kv, edge, environment = {}, hears = () => {} }) {
    const machine = new Machine();
    machine.folder = mkdtempSync(path.join(inMemory(), "warifu-chaos-"));
    machine.state = state ?? path.join(machine.folder, "state");
    mkdirSync(machine.state, { recursive: true });
    machine.names = [OBJECTS, ...edges];
    machine.kv = kv;
    machine.edge = edge;
    machine.environment = environment;
    machine.hears = hears;
    machine.ports = {};
    for (const name of machine.names) machine.ports[name] = await freePort();
    return machine;
  }

  // What the next start serves. `deployments`: for each Worker its `build` (a folder of the
  // project) and `env`: the bindings WARIFU (an object) and secrets (texts).
  deploy(deployments) {
    const builds = new Map();
    for (const { build } of Object.values(deployments)) builds.set(build, `build-${builds.size}`);
    for (const [build, name] of builds) {
      for (const file of ["index.js", "index_bg.wasm"]) copyFileSync(path.resolve(root, build, file), path.join(this.folder, `${name}-${file}`));
    }
    for (const file of ["edge.mjs", "objects.mjs", "messages.mjs"]) copyFileSync(path.join(edgesFolder, file), path.join(this.folder, file));
    if (this.edge !== undefined) copyFileSync(this.edge, path.join(this.folder, OWN_EDGE));
    const workers = this.names.map((name) => {
      const { build, env } = deployments[name] ?? deployments.all;
      return this.#worker(name, builds.get(build), env);
    });
    const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ${workers.join(",\n    ")},
    (name = "state", disk = (path = ${text(this.state)}, writable = true)),
    (name = "kv", external = (address = ${text(this.kv)}, http = ())),
    (name = "internet", network = (allow = ["private", "public"]))
  ],
  sockets = [
    ${this.names.map((name) => `(name = ${text(name)}, address = "127.0.0.1:${this.ports[name]}", http = (), service = ${text(name)})`).join(",\n    ")}
  ]
);
`;
    writeFileSync(path.join(this.folder, "config.capnp"), config);
  }

  #worker(name, build, env) {
    const ofObjects = name === OBJECTS;
    const own = ofObjects ? ["objects.mjs"] : this.edge === undefined ? ["edge.mjs"] : [OWN_EDGE, "edge.mjs"];
    const classes = project.durable_objects.bindings;
    const namespaces = classes.map(({ class_name: className }) => `(className = ${text(className)}, uniqueKey = ${text(`warifu-${className}`)}, enableSql = true)`);
    const bindings = [
      ...classes.map(({ name: binding, class_name: className }) => `(name = ${text(binding)}, durableObjectNamespace = (className = ${text(className)}${ofObjects ? "" : `, serviceName = ${text(OBJECTS)}`}))`),
      `(name = "REPLICA", kvNamespace = "kv")`,
      ...Object.entries(env).map(([key, value]) => (typeof value === "string" ? `(name = ${text(key)}, text = ${text(value)})` : `(name = ${text(key)}, json = ${text(JSON.stringify(value))})`)),
    ];
    return `(name = ${text(name)}, worker = (
      modules = [
        ${own.map((file) => `(name = ${text(file)}, esModule = embed ${text(file)})`).join(", ")},
        (name = "gateway.mjs", esModule = embed ${text(`${build}-index.js`)}),
        (name = "index_bg.wasm", wasm = embed ${text(`${build}-index_bg.wasm`)}),
        (name = "messages.mjs", esModule = embed "messages.mjs")
      ],
      compatibilityDate = ${text(project.compatibility_date)},
      bindings = [${bindings.join(", ")}],
      ${ofObjects ? `durableObjectNamespaces = [${namespaces.join(", ")}], durableObjectStorage = (localDisk = "state"),` : ""}
      globalOutbound = "internet"
    ))`;
  }

  // Resolves once all Workers can be reached.
  async start() {
    const child = spawn(workerdBinary(), ["serve", "config.capnp", "--control-fd=3"], {
      cwd: this.folder,
      env: { ...process.env, ...this.environment },
      stdio: ["ignore", "pipe", "pipe", "pipe"],
    });
    this.child = child;
    living.set(child, this.folder);
    this.over = once(child, "exit");
    this.over.finally(() => living.delete(child));
    this.log ??= [];
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => this.#note(String(data)));
    const listening = new Set();
    let rest = "";
    await Promise.race([
      this.over.then(([code, signal]) => {
        if (!child.isEnding) throw new Error(`workerd ended with ${code ?? signal}: ${this.log.slice(-5).join("")}`);
      }),
      (async () => {
        for await (const data of child.stdio[3]) {
          const lines = (rest + data).split("\n");
          rest = lines.pop();
          for (const line of lines) if (line !== "") listening.add(JSON.parse(line).socket);
          if (listening.size === this.names.length) return;
        }
        await this.over;
      })(),
    ]);
  }

  #note(words) {
    this.hears(words);
    this.log.push(words);
    if (this.log.length > LOG_PIECES_MAX) this.log.splice(0, LOG_PIECES_MAX / 2);
  }

  url(name) {
    return `http://127.0.0.1:${this.ports[name]}`;
  }

  // Resolves once the process is gone. Whom it is told to end in peace has a moment for that.
  async stop(signal = "SIGKILL") {
    this.child.isEnding = true;
    this.child.kill(signal);
    const late = setTimeout(() => this.child.kill("SIGKILL"), PEACE_MS);
    await this.over;
    clearTimeout(late);
  }

  // Its process ends; its files are still there.
  async end() {
    if (this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null) await this.stop();
  }

  async close() {
    await this.end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// Files in memory, where there are such: a process that is killed loses nothing that it has
// written to either, and a disk that others use as well makes it wait.
const inMemory = () => (existsSync("/dev/shm") ? "/dev/shm" : tmpdir());

// Whoever ends this process ends its machines.
const living = new Map();
process.on("exit", () => living.forEach((folder, child) => {
  child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}));
for (const [signal, number] of [["SIGTERM", 15], ["SIGINT", 2], ["SIGHUP", 1]]) process.on(signal, () => process.exit(128 + number));

export const OBJECTS = "objects";
const OWN_EDGE = "own-edge.mjs";
const PEACE_MS = 500;
const LOG_PIECES_MAX = 400;

// Texts of Cap'n Proto are written as those of C are.
const text = (value) => `"${Buffer.from(value).toString("latin1").replace(/[\\"]/g, "\\$&").replace(/[^\x20-\x7e]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`)}"`;
