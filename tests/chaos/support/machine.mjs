// One machine with the gateway on it: a workerd of its own, started without any tool in
// between, so that it can be killed at any moment, begun again on the same state, given
// another clock, and denied room on the disk. In it are, as in tests/workerd/support/edges,
// several edges, each a Worker with an isolate and a memory of its own, and one Worker with
// the objects of all.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { writeConfiguration } from "../../../benches/support/capnp.mjs";
import { binary, listening } from "../../../benches/support/processes.mjs";
import { root } from "../../../benches/support/project.mjs";

const edgesFolder = path.join(root, "tests/workerd/support/edges");

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
    // Found by the first start, and kept by the later ones.
    machine.ports = {};
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
    writeConfiguration(path.join(this.folder, "config.capnp"), { workers, disk: this.state, kv: this.kv });
  }

  #worker(name, build, env) {
    const ofObjects = name === OBJECTS;
    const own = ofObjects ? ["objects.mjs"] : this.edge === undefined ? ["edge.mjs"] : [OWN_EDGE, "edge.mjs"];
    const file = (name) => path.join(this.folder, name);
    return {
      name,
      modules: {
        ...Object.fromEntries(own.map((name) => [name, file(name)])),
        "gateway.mjs": file(`${build}-index.js`),
        "index_bg.wasm": file(`${build}-index_bg.wasm`),
        "messages.mjs": file("messages.mjs"),
      },
      bindings: env,
      kv: "REPLICA",
      objects: ofObjects || OBJECTS,
    };
  }

  // Resolves once all Workers can be reached.
  async start() {
    const kept = Object.entries(this.ports).map(([name, port]) => `--socket-addr=${name}=127.0.0.1:${port}`);
    const child = spawn(binary, ["serve", "config.capnp", "--control-fd=3", ...kept], {
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
    try {
      this.ports = await listening(child, this.names);
    } catch (error) {
      if (!child.isEnding) throw new Error(`${error.message}: ${this.log.slice(-5).join("")}`);
    }
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
