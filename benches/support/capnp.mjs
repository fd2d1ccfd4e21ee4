// A configuration of workerd in the words of Cap'n Proto: what wrangler would make of wrangler.toml,
// for those who start a workerd of their own.
import { writeFileSync } from "node:fs";
import path from "node:path";

import { project } from "./project.mjs";

// `workers`: see below; each of them has a socket of its name, or only those in `sockets`, at a port
// that workerd finds and tells (`listening` in processes.mjs). `disk`: a folder for what the objects
// store, which is in memory without one; `kv`: the address of a store, host and port.
export function writeConfiguration(file, { workers, sockets = workers.map(({ name }) => name), disk, kv, v8Flags = [] }) {
  const services = [
    ...workers.map((one) => worker(one, { folder: path.dirname(file), disk })),
    `(name = "internet", network = (allow = ["private"]))`,
    ...(disk === undefined ? [] : [`(name = "disk", disk = (path = ${text(disk)}, writable = true))`]),
    ...(kv === undefined ? [] : [`(name = "kv", external = (address = ${text(kv)}, http = ()))`]),
  ];
  writeFileSync(
    file,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  v8Flags = [${v8Flags.map(text).join(", ")}],
  services = [
    ${services.join(",\n    ")}
  ],
  sockets = [
    ${sockets.map((name) => `(name = ${text(name)}, address = "127.0.0.1:0", http = (), service = ${text(name)})`).join(",\n    ")}
  ],
);
`,
  );
}

// `modules`: names and files of modules, the first is the entry; `bindings`: texts, and objects for
// JSON; `kv`: what the store is bound as; `objects`: true for a Worker that has the project's durable
// objects, or the name of the one that has them.
function worker({ name, modules, bindings = {}, kv, objects }, { folder, disk }) {
  const classes = objects === undefined ? [] : project.durable_objects.bindings;
  const from = (className) => (objects === true ? text(className) : `(className = ${text(className)}, serviceName = ${text(objects)})`);
  const embedded = Object.entries(modules).map(
    ([module, file]) => `(name = ${text(module)}, ${file.endsWith(".wasm") ? "wasm" : "esModule"} = embed ${text(path.relative(folder, file))})`,
  );
  const bound = [
    ...classes.map(({ name: binding, class_name: className }) => `(name = ${text(binding)}, durableObjectNamespace = ${from(className)})`),
    ...(kv === undefined ? [] : [`(name = ${text(kv)}, kvNamespace = "kv")`]),
    ...Object.entries(bindings).map(([key, value]) => `(name = ${text(key)}, ${typeof value === "string" ? `text = ${text(value)}` : `json = ${text(JSON.stringify(value))}`})`),
  ];
  const namespaces = classes.map(({ class_name: className }) => `(className = ${text(className)}, uniqueKey = ${text(className)}, enableSql = true)`);
  const stored = `durableObjectNamespaces = [${namespaces.join(", ")}],
      durableObjectStorage = ${disk === undefined ? "(inMemory = void)" : `(localDisk = "disk")`},`;
  return `(name = ${text(name)}, worker = (
      compatibilityDate = ${text(project.compatibility_date)},
      compatibilityFlags = [${(project.compatibility_flags ?? []).map(text).join(", ")}],
      modules = [${embedded.join(", ")}],
      bindings = [${bound.join(", ")}],
      ${objects === true ? stored : ""}
    ))`;
}

// Texts are written as those of C are.
const text = (value) => `"${Buffer.from(value).toString("latin1").replace(/[\\"]/g, "\\$&").replace(/[^\x20-\x7e]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`)}"`;
