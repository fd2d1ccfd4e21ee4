// Workers in workerd as Miniflare starts them, without anything in front of them: the bytes of a
// request reach the runtime as they were sent.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from "miniflare";

import { project, root } from "../../../benches/support/project.mjs";
import { Scan } from "../../scan/scan.mjs";

// `secrets` is what Scan takes; `workersOf` is given the Scan, and returns Workers as Miniflare
// takes them.
export async function startWorkers(secrets, workersOf) {
  const scan = new Scan(secrets);
  const workers = await workersOf(scan);
  const stores = mkdtempSync(path.join(tmpdir(), "warifu-miniflare-"));
  const logs = [];
  const { compatibility_date: compatibilityDate, compatibility_flags: compatibilityFlags } = project;
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      log: new Log(LogLevel.NONE),
      resourcePersistencePath: stores,
      handleStructuredLogs({ message }) {
        logs.push(message);
        scan.saw("the log", `${message}\n`);
      },
      workers: workers.map((worker) => ({ modulesRoot: "/", compatibilityDate, compatibilityFlags, ...worker })),
    }),
  );
  await miniflare.ready;
  return {
    scan,
    logs,
    // The address of a Worker that has the gateway, and a way to connect to it.
    door: async (name) => scan.before(Number((await miniflare.unsafeGetDirectURL(name)).port)),
    async close() {
      await miniflare.dispose();
      try {
        scan.finish([stores]);
      } finally {
        rmSync(stores, { recursive: true });
      }
    },
  };
}

// What a Worker needs to have the gateway, of the folder `build`, as the module gateway.mjs, which
// is its entry if it has none `around` it. `objects` is the name of the Worker with the durable
// objects, if that is another.
export function gatewayOf({ build, around = [], objects }) {
  const file = (name) => readFileSync(path.join(root, build, name));
  return {
    modules: [
      ...around,
      { type: "ESModule", path: "/gateway.mjs", contents: file("index.js").toString() },
      { type: "CompiledWasm", path: "/index_bg.wasm", contents: file("index_bg.wasm") },
    ],
    durableObjects: Object.fromEntries(
      project.durable_objects.bindings.map(({ name, class_name: className }) => [
        name,
        { className, useSQLite: true, ...(objects === undefined ? {} : { scriptName: objects }) },
      ]),
    ),
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
  };
}
