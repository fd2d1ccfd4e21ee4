// Expired sessions leave the object's own database, by its alarm.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";

import { start, until } from "./support/gateway.mjs";

// Rows of all shards, read from the files that workerd writes.
function sessions(state) {
  let count = 0;
  for (const file of readdirSync(state, { recursive: true })) {
    if (!/SessionObject.*\.sqlite$/.test(file) || file.endsWith("metadata.sqlite")) continue;
    const database = new DatabaseSync(path.join(state, file), { readOnly: true });
    const tables = database.prepare("SELECT count(*) n FROM sqlite_master WHERE name = 'sessions'").get();
    if (tables.n > 0) count += database.prepare("SELECT count(*) n FROM sessions").get().n;
    database.close();
  }
  return count;
}

test("the alarm removes the expired session and leaves the living one", async () => {
  const state = mkdtempSync(path.join(tmpdir(), "warifu-state-"));
  const origin = createServer((request, response) => {
    const ttl = request.url.includes("short") ? 1 : 3600;
    response.setHeader("Warifu-Command", `do=start, sub="${request.url}", ttl=${ttl}`);
    response.end();
  }).listen(0, "127.0.0.1");
  await once(origin, "listening");
  const gateway = await start({
    state,
    origin: `http://127.0.0.1:${origin.address().port}`,
    // One shard, so that the living and the dead share it.
    warifu: { map: [{ generation: 1, shards: 1 }], routes: [{ path: "/*", access: "optional", commands: true }] },
  });
  try {
    await gateway.fetch("/long");
    await gateway.fetch("/short");
    await until(() => sessions(state) === 2, "both are stored");
    await until(() => sessions(state) === 1, "the expired one is gone");
  } finally {
    await gateway.close();
    origin.close();
    rmSync(state, { recursive: true });
  }
  assert.doesNotMatch(gateway.logs(), /sweep_failed|panicked/);
});
