// The Worker in workerd, without anything in front of it: the bytes of a request reach the
// runtime as they were sent.
import { readFileSync } from "node:fs";
import path from "node:path";

import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from "miniflare";

import { UNLIMITED, client, newKeys, project, raw, root } from "./gateway.mjs";

export async function startBare({ warifu, adminKeys = [], originKeys, build = "build-test" }) {
  const file = (name) => readFileSync(path.join(root, build, name));
  const classes = project.durable_objects.bindings.map(({ name, class_name: className }) => [name, { className, useSQLite: true }]);
  const logs = [];
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      log: new Log(LogLevel.NONE),
      handleStructuredLogs: ({ message }) => logs.push(message),
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
            WARIFU: { limits: UNLIMITED, ...warifu },
            WARIFU_KEYS: newKeys(),
            ...(adminKeys.length === 0 ? {} : { WARIFU_ADMIN_KEYS: JSON.stringify(adminKeys.map(({ entry }) => entry)) }),
            ...(originKeys === undefined ? {} : { WARIFU_ORIGIN_KEYS: originKeys }),
          },
          unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
        },
      ],
    }),
  );
  await miniflare.ready;
  const url = await miniflare.unsafeGetDirectURL("warifu");
  return { url, fetch: client(url), raw: (text) => raw(url, text), logs: () => logs.join("\n"), close: () => miniflare.dispose() };
}
