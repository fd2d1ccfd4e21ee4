// One contender in a workerd of its own, without wrangler or Miniflare around it, and
// what the system says of the processor time that the process has used.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import path from "node:path";

import { writeConfiguration } from "../support/capnp.mjs";
import { binary, cpuOf, follow, listening } from "../support/processes.mjs";

// $V8_FLAGS are for a profiler: with --perf-basic-prof `perf report` knows what V8 has compiled.
// `modules`, `bindings` and `objects` are as capnp.mjs has them; `kv`: the address of a store.
export async function startWorkerd(folder, { name, modules, bindings, kv, objects, v8Flags = process.env.V8_FLAGS?.split(" ") }) {
  const here = path.join(folder, name);
  const stored = path.join(here, "objects");
  mkdirSync(stored, { recursive: true });
  const config = path.join(here, "config.capnp");
  const main = { name: "main", modules, bindings, kv: kv && "KV", objects };
  writeConfiguration(config, { workers: [main], kv, disk: objects ? stored : undefined, v8Flags });
  const began = performance.now();
  const child = follow(spawn(binary, ["serve", "--control-fd=3", config], { stdio: ["ignore", "ignore", "inherit", "pipe"] }));
  const ended = once(child, "exit");
  const { main: port } = await listening(child, ["main"]);
  return {
    name,
    url: `http://127.0.0.1:${port}`,
    pid: child.pid,
    // Milliseconds from the start of the process until it listened.
    took: performance.now() - began,
    cpu: () => cpuOf(child.pid),
    stop: () => {
      child.kill("SIGKILL");
      return ended;
    },
  };
}
