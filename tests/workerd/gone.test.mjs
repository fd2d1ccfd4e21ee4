// A request whose client has gone away never goes on, but where something would be lost; what is
// kept for it is dropped (src/edge/turn.rs): at the latest when V8 collects what is old, which the
// test has it do.
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
let mint;
// What it has been asked for, and answers only where that is /answered.
let asked = 0;
// What it does for some of them.
const paths = {};

before(async () => {
  origin = http.createServer((request, response) => {
    asked += 1;
    if (request.url === "/answered") response.end("answered");
    paths[request.url]?.(response, request);
  });
  await once(origin.listen(0, "127.0.0.1"), "listening");
  folder = mkdtempSync(path.join(tmpdir(), "warifu-gone-"));
  const file = (name) => path.join(root, "build-test", name);
  const [ops, keys] = [newAdminKey(), newKeys()];
  const warifu = {
    origin: `http://127.0.0.1:${origin.address().port}`,
    routes: [{ path: "/do/*", access: "required", commands: true }, { path: "/*", access: "required" }],
    adopt: { cookie: "old", probe: "/who", subject: "/id", until: new Date(Date.now() + 86_400_000).toISOString().slice(0, 10) },
  };
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
  mint = async (subject) => {
    const answer = await ask("/_warifu/sessions", {
      method: "POST",
      headers: { authorization: `Bearer ${ops.key}`, "content-type": "application/json" },
      body: JSON.stringify({ subject }),
    });
    assert.equal(answer.status, 201);
    return (await answer.json()).set_cookie.split(";")[0];
  };
  cookie = await mint("leaves");
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

const kept = async () => (await (await ask("/_warifu/test/waiting")).json()).kept;

// Has what was left before collected, as much of it as is together with what comes later.
async function tidy() {
  const headers = { cookie, "sec-fetch-site": "same-origin" };
  for (let n = 0; n < TOGETHER; n += 1) await ask("/answered", { method: "POST", headers });
  await until(async () => (await kept()) === 0, "nothing is kept of what was before");
}

// Sends a request, and goes away once the origin has it, or once an answer has begun.
async function leave(path, { headers = {}, method = "GET", when = () => true } = {}) {
  const before = asked;
  const request = http.request(new URL(path, url), { method, headers: { "sec-fetch-site": "same-origin", ...headers }, agent: false });
  const begun = once(request, "response");
  begun.catch(() => {});
  request.end();
  await until(() => asked > before && when(), `${path} reaches the origin`);
  return {
    begun,
    go: () => {
      request.on("error", () => {});
      request.socket.resetAndDestroy();
    },
  };
}

test("what the application says of a session counts though the client has gone away", async () => {
  const [mine, theirs] = [await mint("hurried"), await mint("hurried")];
  const status = async (cookie) => (await ask("/answered", { headers: { cookie } })).status;
  assert.deepEqual([await status(mine), await status(theirs)], [200, 200]);
  const answers = {};
  paths["/do/sign-out-everywhere"] = (response) => (answers.ends = response);
  paths["/asks"] = (response) => (answers.asks = response);
  const client = await leave("/do/sign-out-everywhere", { method: "POST", headers: { cookie: mine } });
  const other = await leave("/asks", { headers: { cookie: mine } });
  client.go();
  other.go();
  await until(() => answers.asks.socket.destroyed, "the gateway sees that they have gone: the call that asks is given up");
  assert.ok(!answers.ends.socket.destroyed, "the one that may end something goes on");
  const answer = answers.ends;
  answer.writeHead(200, { "warifu-command": "do=end-all" }).end();
  await until(async () => (await status(mine)) === 401 && (await status(theirs)) === 401, "all of the person's sessions have ended");
});

test("nothing is kept of who listens, and goes away", async () => {
  await tidy();
  const streams = [];
  paths["/events"] = (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).write("data: 0\n\n");
    streams.push(response);
  };
  const listeners = [];
  for (let n = 0; n < 8; n += 1) listeners.push(await leave("/events", { headers: { cookie } }));
  for (const { begun } of listeners) (await begun)[0].resume();
  assert.ok((await kept()) >= 8, "each is watched");
  for (const { go } of listeners) go();
  // The platform sees it at the application's next word.
  await until(async () => {
    for (const stream of streams) if (!stream.closed) stream.write("data: 1\n\n");
    return (await kept()) === 0;
  }, "nothing is kept");
});

test("nothing is kept of who comes with an old cookie while another asks about it, and goes away", async () => {
  await tidy();
  let probe;
  paths["/who"] = (response) => (probe ??= response);
  const headers = { cookie: "old=0123456789abcdef0123456789abcdef" };
  const first = await leave("/answered", { headers });
  const others = [];
  for (let n = 0; n < 4; n += 1) {
    const request = http.request(new URL("/answered", url), { headers: { "sec-fetch-site": "same-origin", ...headers }, agent: false });
    request.on("error", () => {});
    request.end();
    others.push(request);
  }
  await until(async () => (await kept()) >= 5, "all wait");
  first.go();
  for (const request of others) request.socket.resetAndDestroy();
  // Who asks goes on without its client, so that nobody waits for the end of its claim.
  probe.writeHead(401);
  probe.end();
  await until(async () => (await kept()) === 0, "nothing is kept");
});
