// Kills in real workerd: from the shard into the feed, and what their receipts say.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import { newAdminKey, start, until } from "./support/gateway.mjs";

const ops = newAdminKey();
const admin = { authorization: `Bearer ${ops.key}` };

let state;
let gateway;

before(async () => {
  state = mkdtempSync(path.join(tmpdir(), "warifu-state-"));
  gateway = await start({ adminKeys: [ops], state });
});

after(async () => {
  await gateway.close();
  rmSync(state, { recursive: true, force: true });
});

async function call(method, where, body) {
  const answer = await gateway.fetch(`/_warifu/${where}`, { method, headers: admin, body });
  return { status: answer.status, json: await answer.json() };
}

const account = async (cookie) => (await gateway.fetch("/account", { headers: { cookie } })).status;

test("a kill is published before it is acknowledged, and holds at once", async () => {
  const { cookie } = await gateway.logIn();
  const { status, json } = await call("DELETE", "sessions?subject=alice");
  assert.equal(status, 200);
  assert.equal(json.state, "published");
  assert.match(json.epoch, /^[0-9a-f]{16}$/);
  assert.equal(json.seq, 1);
  assert.equal(await account(cookie), 401);
  const told = await call("GET", `revocations/${json.kill_id}`);
  assert.equal(told.json.accepted_at, json.accepted_at);
});

test("who waits for it is answered when no edge can accept", async () => {
  await gateway.logIn();
  const before = Date.now();
  const { status, json } = await call("DELETE", "sessions?subject=alice&wait=quiesced");
  assert.deepEqual([status, json.state], [200, "quiesced"]);
  assert.ok(Date.now() - before >= 2_050, "B and its slack have passed");
});

test("a kill of the site ends everybody's sessions, shard by shard", async () => {
  const cookies = await Promise.all(["alice", "bob"].map(async (name) => (await gateway.logIn(name)).cookie));
  assert.equal((await call("DELETE", "sessions", JSON.stringify({ confirm: "another" }))).status, 400);
  const { status, json } = await call("DELETE", "sessions", JSON.stringify({ confirm: "default" }));
  assert.deepEqual([status, json.state, json.progress.total], [202, "committed", 64]);
  let told;
  await until(async () => {
    told = (await call("GET", `revocations/${json.kill_id}`)).json;
    return ["published", "quiesced"].includes(told.state);
  }, "the kill of the site is published");
  assert.equal(told.progress.done, 64);
  for (const cookie of cookies) assert.equal(await account(cookie), 401);
  const { cookie } = await gateway.logIn();
  assert.equal(await account(cookie), 200);
});

test("a feed that wakes anew begins another epoch and goes on counting", async () => {
  await gateway.logIn("bob");
  const first = (await call("DELETE", "sessions?subject=bob")).json;
  await gateway.close();
  gateway = await start({ adminKeys: [ops], state });
  const { cookie } = await gateway.logIn("bob");
  const second = (await call("DELETE", "sessions?subject=bob")).json;
  assert.equal(second.state, "published");
  assert.notEqual(second.epoch, first.epoch, "no two incarnations are taken for one");
  assert.ok(second.seq > first.seq, `${second.seq} after ${first.seq}`);
  assert.equal(await account(cookie), 401);
  const told = await call("GET", `revocations/${first.kill_id}`);
  assert.deepEqual([told.json.epoch, told.json.seq], [first.epoch, first.seq], "what was published stands where it stood");
});
