// The Worker in workerd, without anything in front of it: the bytes of a request reach the
// runtime as they were sent.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from "miniflare";

import { Scan } from "../../scan/scan.mjs";
import { UNLIMITED, client, newKeys, project, raw, root } from "./gateway.mjs";

export async function startBare({ warifu, adminKeys = [], originKeys, build = "build-test" }) {
  const file = (name) => readFileSync(path.join(root, build, name));
  const classes = project.durable_objects.bindings.map(({ name, class_name: className }) => [name, { className, useSQLite: true }]);
  const configured = { limits: UNLIMITED, ...warifu };
  const keys = newKeys();
  const scan = new Scan({ warifu: configured, keys, originKeys, adminKeys });
  // With doors in the place of the applications' addresses, which are what it signs for.
  const served = await scan.behind(configured);
  const stores = mkdtempSync(path.join(tmpdir(), "warifu-bare-"));
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
        {
          name: "warifu",
          modulesRoot: "/",
          modules: [
            { type: "ESModule", path: "/index.js", contents: file("index.js").toString() },
            { type: "CompiledWasm", path: "/index_bg.wasm", contents: file("index_bg.wasm") },
          ],
          compatibilityDate: project.compatibility_date,
          durableObjects: Object.fromEntries(classes),
          bindings: {
            WARIFU: served,
            WARIFU_KEYS: keys,
            ...(adminKeys.length === 0 ? {} : { WARIFU_ADMIN_KEYS: JSON.stringify(adminKeys.map(({ entry }) => entry)) }),
            ...(originKeys === undefined ? {} : { WARIFU_ORIGIN_KEYS: originKeys }),
          },
          unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
        },
      ],
    }),
  );
  await miniflare.ready;
  const { url, dial } = await scan.before(Number((await miniflare.unsafeGetDirectURL("warifu")).port));
  return {
    url,
    served,
    fetch: client(url, dial),
    raw: (text) => raw(dial(), text),
    logs: () => logs.join("\n"),
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
