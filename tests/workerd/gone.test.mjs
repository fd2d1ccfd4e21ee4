// A request whose client has gone away never goes on; what is kept for it is dropped
// (src/edge/turn.rs): at the latest when V8 collects what is old, which the test has it do.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import { startWorkerd } from "../../benches/cost/workerd.mjs";
import { Scan } from "../scan/scan.mjs";
import { client, newAdminKey, newKeys, root, until } from "./support/gateway.mjs";

// So many are collected together (src/edge/turns.js), so of those who come last some may stay.
const TOGETHER = 64;
const GONE = 3 * TOGETHER;

let origin;
let gateway;
let folder;
let scan;
let url;
let ask;
let cookie;
// What it has been asked for, and answers only where that is /answered.
let asked = 0;

before(async () => {
  origin = http.createServer((request, response) => {
    asked += 1;
    if (request.url === "/answered") response.end("answered");
  });
  await once(origin.listen(0, "127.0.0.1"), "listening");
  folder = mkdtempSync(path.join(tmpdir(), "warifu-gone-"));
  const file = (name) => path.join(root, "build-test", name);
  const [ops, keys] = [newAdminKey(), newKeys()];
  const warifu = { origin: `http://127.0.0.1:${origin.address().port}`, routes: [{ path: "/*", access: "required" }] };
  scan = new Scan({ warifu, keys, adminKeys: [ops] });
  gateway = await startWorkerd(folder, {
    name: "gone",
    modules: { "index.js": file("index.js"), "index_bg.wasm": file("index_bg.wasm") },
    bindings: { WARIFU: await scan.behind(warifu), WARIFU_KEYS: keys, WARIFU_ADMIN_KEYS: JSON.stringify([ops.entry]) },
    objects: true,
    v8Flags: ["--expose-gc"],
  });
  const door = await scan.before(Number(new URL(gateway.url).port));
  url = door.url;
  ask = client(url, door.dial);
  const answer = await ask("/_warifu/sessions", {
    method: "POST",
    headers: { authorization: `Bearer ${ops.key}`, "content-type": "application/json" },
    body: JSON.stringify({ subject: "leaves" }),
  });
  assert.equal(answer.status, 201);
  [cookie] = (await answer.json()).set_cookie.split(";");
});
after(async () => {
  if (gateway) {
    process.kill(gateway.pid);
    await until(() => !isRunning(gateway.pid), "workerd ends");
    scan.finish([path.join(folder, "gone", "objects")]);
  }
  origin.closeAllConnections();
  origin.close();
  rmSync(folder, { recursive: true, force: true });
});

function isRunning(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

// A body makes no difference to how long the origin may take where it is small; a large one may
// take as long as it takes, and is waited for in another way.
for (const [kind, headers] of [["that has little time", {}], ["that has all the time it wants", { "content-length": String(2 << 20) }]]) {
  test(`of who leaves an origin ${kind} nothing is kept`, { timeout: 60_000 }, async () => {
    const left = async () => (await (await ask("/_warifu/test/waiting")).json()).waiting;
    const before = asked;
    const method = headers["content-length"] ? "POST" : "GET";
    const requests = Array.from({ length: GONE }, (_, n) => {
      const request = http.request(new URL(`/left-${n}`, url), { method, headers: { ...headers, cookie, "sec-fetch-site": "same-origin" }, agent: false });
      request.on("error", () => {});
      if (method === "GET") request.end();
      else request.flushHeaders();
      return request;
    });
    await until(() => asked === before + GONE, "all reach the origin");
    assert.ok((await left()) >= GONE, "each waits");
    for (const request of requests) request.socket.resetAndDestroy();
    await until(async () => (await left()) <= TOGETHER, "they are collected");
    assert.equal(await (await ask("/answered", { headers: { cookie } })).text(), "answered");
  });
}
