// One contender in a workerd of its own, without wrangler or Miniflare around it, and
// what the system says of the processor time that the process has used.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readdirSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import { parse } from "smol-toml";
import workerd from "workerd";

import { follow, freePort } from "./ports.mjs";

export const root = new URL("../../", import.meta.url).pathname;
const { compatibility_date } = parse(readFileSync(path.join(root, "wrangler.toml"), "utf8"));
const binary = workerd.default ?? workerd;
const text = JSON.stringify; // a JSON string is a Cap'n Proto string too

// $V8_FLAGS are for a profiler: with --perf-basic-prof `perf report` knows what V8 has compiled.
// `modules`: names and files of modules, the first is the entry; `bindings`: texts, and
// objects for JSON; `kv`: the address of a store; `objects`: whether it has those of warifu.
export async function startWorkerd(folder, { name, modules, bindings = {}, kv, objects = false, v8Flags = process.env.V8_FLAGS?.split(" ") ?? [], arguments: extra = [] }) {
  const port = await freePort();
  const here = path.join(folder, name);
  mkdirSync(path.join(here, "objects"), { recursive: true });
  const listed = Object.entries(modules).map(([module, file]) => {
    const kind = file.endsWith(".wasm") ? "wasm" : "esModule";
    return `(name = ${text(module)}, ${kind} = embed ${text(path.relative(here, file))})`;
  });
  const bound = Object.entries(bindings).map(([key, value]) =>
    typeof value === "string" ? `(name = ${text(key)}, text = ${text(value)})` : `(name = ${text(key)}, json = ${text(text(value))})`,
  );
  if (kv) bound.push(`(name = "KV", kvNamespace = "kv")`);
  if (objects) {
    bound.push(`(name = "SESSIONS", durableObjectNamespace = "SessionObject")`, `(name = "FEED", durableObjectNamespace = "FeedObject")`);
  }
  const classes = ["SessionObject", "FeedObject"].map((it) => `(className = "${it}", uniqueKey = "${it}", enableSql = true)`);
  const config = path.join(here, "config.capnp");
  writeFileSync(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  v8Flags = ${text(v8Flags)},
  services = [
    (name = "main", worker = (
      compatibilityDate = "${compatibility_date}",
      modules = [${listed.join(", ")}],
      bindings = [${bound.join(", ")}],
      ${objects ? `durableObjectNamespaces = [${classes.join(", ")}], durableObjectStorage = (localDisk = "disk"),` : ""}
    )),
    (name = "internet", network = (allow = ["private"])),
    ${objects ? `(name = "disk", disk = (path = ${text(path.join(here, "objects"))}, writable = true)),` : ""}
    ${kv ? `(name = "kv", external = (address = ${text(kv)}, http = ())),` : ""}
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
`,
  );
  const child = follow(spawn(binary, ["serve", "--control-fd=3", ...extra, config], { stdio: ["ignore", "ignore", "inherit", "pipe"] }));
  const ended = once(child, "exit").then(([code]) => Promise.reject(new Error(`workerd for ${name} ended with ${code}`)));
  ended.catch(() => {});
  await Promise.race([once(child.stdio[3], "data"), ended]); // it says when it listens
  return {
    name,
    url: `http://127.0.0.1:${port}`,
    pid: child.pid,
    cpu: () => cpuOf(child.pid),
    stop: () => {
      child.kill("SIGKILL");
      return ended.catch(() => {});
    },
  };
}

// Nanoseconds of processor time, user and system, of all threads.
function cpuOf(pid) {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).reduce((sum, task) => sum + Number(readFileSync(`${tasks}/${task}/schedstat`, "utf8").split(" ")[0]), 0);
}
