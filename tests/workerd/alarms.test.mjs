// Panics where nobody waits for an answer: in the alarm of a shard, or of the feed, which has to ring
// again, or what it was for is never done; and in the feed when it is told something.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { callsTo } from "./support/calls.mjs";
import { events, newAdminKey, start, until } from "./support/gateway.mjs";

const ops = newAdminKey();

let gateway;
before(async () => {
  // One shard, so that no other's alarm comes between.
  gateway = await start({ adminKeys: [ops], warifu: { map: [{ generation: 1, shards: 1 }] } });
});
after(() => gateway.close());

const { admin, mint, seen, someone } = callsTo(() => gateway, ops);

// The next times that anything comes to this place, it panics; see src/edge/test_panic.rs.
const panics = async (place, times) =>
  assert.equal((await gateway.fetch(`/_warifu/test/panics/${place}/${times}`)).status, 204);
const left = async (place) => (await (await gateway.fetch(`/_warifu/test/panics/${place}`)).json()).left;
const panicked = (place) => events(gateway).filter((event) => event.event === "panicked" && event.place === place).length;
const ALWAYS = 1_000_000;

const PLACES = ["session-object-alarm", "feed-object-alarm", "feed-object"];
beforeEach(() => Promise.all(PLACES.map((place) => panics(place, 0))));

async function isPublished(kill) {
  const isDone = async () => ["published", "quiesced"].includes((await admin("GET", `revocations/${kill}`)).json.state);
  await until(isDone, "the kill is published");
}

test("in the feed, which is told something: it fails alone, and the feed keeps its memory", async () => {
  const [first, second, stays] = [await mint({ subject: someone() }), await mint({ subject: someone() }), await mint({ subject: someone() })];
  const before = (await admin("DELETE", `sessions/${first.id}`)).json;
  assert.equal(before.state, "published");
  await panics("feed-object", ALWAYS);
  const { status, json } = await admin("DELETE", "sessions", { confirm: "default" });
  assert.deepEqual([status, json.code], [500, "internal"]);
  assert.ok(!/secret|panic|\.rs/i.test(JSON.stringify(json)), JSON.stringify(json));
  assert.notEqual(await seen(stays), null, "who is logged in stays so");
  const told = ALWAYS - (await left("feed-object"));
  await until(() => panicked("feed object") >= told, "each is in the log");
  assert.equal(panicked("session object"), 0, "and nobody else's");
  await panics("feed-object", 0);
  const after = (await admin("DELETE", `sessions/${second.id}`)).json;
  assert.deepEqual([after.state, after.epoch, after.seq], ["published", before.epoch, before.seq + 1]);
});

test("in a shard's alarm: a kill that the feed could not be told is published all the same", async () => {
  const alice = await mint({ subject: someone() });
  await panics("feed-object", ALWAYS);
  const { status, json } = await admin("DELETE", `sessions/${alice.id}`);
  assert.deepEqual([status, json.state], [202, "committed"]);
  assert.equal(await seen(alice), null, "it holds at once where the session lives");
  const before = panicked("session object");
  await panics("session-object-alarm", 2);
  await until(async () => (await left("session-object-alarm")) === 0, "the alarm rings again after it has panicked");
  await until(() => panicked("session object") >= before + 2, "both times are in the log");
  await panics("feed-object", 0);
  await isPublished(json.kill_id);
});

test("in the feed's alarm: a kill of the site reaches every shard all the same", async () => {
  const alice = await mint({ subject: someone() });
  const before = panicked("feed object");
  await panics("feed-object-alarm", 2);
  const { status, json } = await admin("DELETE", "sessions", { confirm: "default" });
  assert.deepEqual([status, json.state], [202, "committed"]);
  await until(async () => (await left("feed-object-alarm")) === 0, "the alarm rings again after it has panicked");
  await isPublished(json.kill_id);
  assert.equal(await seen(alice), null);
  await until(() => panicked("feed object") === before + 2, "both times are in the log");
});
