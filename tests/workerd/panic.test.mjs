// A panic costs one request: 500 at once, without its text, and nothing is lost.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { newAdminKey, start } from "./support/gateway.mjs";

const ops = newAdminKey();
let gateway;
before(async () => (gateway = await start({ adminKeys: [ops] })));
after(() => gateway.close());

// Without unwinding it was eight seconds, and then no answer.
const AT_ONCE_MS = 5_000;

async function panicAt(place) {
  const began = performance.now();
  const answer = await gateway.fetch(`/_warifu/test/${place}-panic`);
  const body = await answer.text();
  assert.ok(performance.now() - began < AT_ONCE_MS, "at once");
  assert.equal(answer.status, 500);
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  assert.equal(JSON.parse(body).code, "internal");
  assert.ok(!/secret|panic|\.rs/i.test(body), body);
}

const ask = async (what) => Number((await (await gateway.fetch(`/_warifu/test/${what}`)).json()).memory);
const memory = () => ask("object-memory");

test("in the Worker", async () => {
  const { cookie } = await gateway.logIn();
  for (let round = 0; round < 3; round++) {
    await panicAt("worker");
    assert.equal((await gateway.fetch("/api/me", { headers: { cookie } })).status, 200);
  }
});

test("whoever watches the metrics sees it", async () => {
  const counted = async () => {
    const answer = await gateway.fetch("/_warifu/metrics", { headers: { authorization: `Bearer ${ops.key}` } });
    return Number(/^warifu_events_total\{.*event="panicked".*\} (\d+)$/m.exec(await answer.text())?.[1] ?? 0);
  };
  const before = await counted();
  await panicAt("worker");
  assert.equal(await counted(), before + 1);
});

test("in the object, which keeps its memory", async () => {
  const { cookie } = await gateway.logIn();
  const before = await memory();
  await panicAt("object");
  await panicAt("object");
  assert.equal(await memory(), before + 3, "each call is counted in memory");
  assert.equal((await gateway.fetch("/_warifu/health")).status, 200);
  assert.equal((await gateway.fetch("/api/me", { headers: { cookie } })).status, 200);
});

test("a transaction that fails or panics leaves nothing behind", async () => {
  assert.equal(await ask("object-rollback"), 0);
  assert.equal(await ask("object-rollback-panic"), 0);
  assert.equal((await gateway.fetch("/_warifu/health")).status, 200);
});

test("a browser gets a page", async () => {
  const answer = await gateway.fetch("/_warifu/test/worker-panic", { headers: { "sec-fetch-mode": "navigate" } });
  assert.equal(answer.status, 500);
  assert.match(answer.headers.get("content-type"), /text\/html/);
  assert.match(answer.headers.get("content-security-policy"), /default-src 'none'/);
});
