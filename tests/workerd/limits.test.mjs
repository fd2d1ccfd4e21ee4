// Rate limits in the runtime: the isolate's own, and the platform's where it is bound. And
// what is bound beside them: a data set for events.
import assert from "node:assert/strict";
import { test } from "node:test";

import { events, newAdminKey, PASSWORD, start, told, until } from "./support/gateway.mjs";

const ops = newAdminKey();
const MINUTE = 60_000;
// Five log-ins and three that are refused take a second, and several where much else is going on.
const ROOM = 20_000;

// Log-ins from an address until one is refused, ten at most; the answer that refused.
async function refused(gateway, address) {
  for (let index = 0; index < 10; index++) {
    const answer = await gateway.fetch("/login", {
      method: "POST",
      body: new URLSearchParams({ username: "alice", password: PASSWORD, return_to: "/account" }),
      headers: { "sec-fetch-site": "same-origin", "cf-connecting-ip": address },
    });
    const text = await answer.text();
    if (answer.status === 429) return { index, text, headers: answer.headers };
    assert.equal(answer.status, 303, text);
  }
}

async function stop(gateway, test) {
  try {
    await test();
  } finally {
    await gateway.close();
  }
}

test("the isolate counts by itself", async () => {
  const gateway = await start({ adminKeys: [ops], warifu: { limits: { starts: "3/1m" } } });
  await stop(gateway, async () => {
    const { index, text, headers } = await refused(gateway, "203.0.113.7");
    assert.equal(index, 3);
    assert.equal(JSON.parse(text).code, "rate_limited");
    // One of three a minute; some of it has passed.
    const wait = Number(headers.get("retry-after"));
    assert.ok(wait >= 1 && wait <= 20, `${wait} s`);
    assert.deepEqual(headers.getSetCookie(), []);
    const { limit, from } = await told(gateway, { event: "rate_limited" });
    assert.deepEqual([limit, from], ["starts", "203.0.113.0/24"]);
  });
});

test("the platform's limit takes its place, and events have a data set", async () => {
  const gateway = await start({
    adminKeys: [ops],
    warifu: { limits: { starts: "9/1m" } },
    bindings: {
      ratelimits: [{ name: "LIMIT_STARTS", namespace_id: "1001", simple: { limit: 2, period: 60 } }],
      analytics_engine_datasets: [{ binding: "EVENTS", dataset: "warifu" }],
    },
  });
  const started = () => events(gateway).filter(({ event }) => event === "session_started").length;
  await stop(gateway, async () => {
    // Here the platform's minutes are those of the clock, and all of this has to be in one.
    await until(() => Date.now() % MINUTE < MINUTE - ROOM, "there is room in this minute");
    assert.equal((await refused(gateway, "203.0.113.7")).index, 2);
    assert.equal((await refused(gateway, "203.0.113.200")).index, 0, "the same network");
    assert.equal((await refused(gateway, "198.51.100.7")).index, 2);
    await until(() => started() >= 4, "all that were let in are in the log");
  });
  assert.equal(started(), 4);
  assert.ok(!gateway.logs().includes("threw"));
});
