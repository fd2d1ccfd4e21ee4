// Many requests of one session that come at once, after an isolate has rested: one asks the
// session object, and the others wait for what it hears, each in its own context
// (docs/adr/0014-an-answer-is-a-proof.md). Half of them are like one before, and wait in
// JavaScript.
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { startEdges } from "./support/edges.mjs";
import { until } from "./support/gateway.mjs";

const BOUND = 1_000;
// Where it is told apart by time who waits and who waits twice.
const LONG = 4_000;
const MANY = 20;

let site, edge, other, patient;

before(async () => {
  // The build that tells how many go by a precedent.
  const warifu = { bound: `${BOUND}ms`, routes: [{ path: "/strict/*", access: "strict" }, { path: "/*", access: "required" }] };
  site = await startEdges({ build: "build-test", edges: [{ name: "one" }, { name: "two" }, { name: "patient", bound: `${LONG}ms` }], warifu });
  [edge, other, patient] = site.edges;
});
after(() => site?.close());
beforeEach(() => Promise.all(site.edges.map((edge) => edge.suffer([]))));

const asked = async (at = edge) => (await at.counts()).check ?? 0;

// A session that the edge has in memory, with a window that is too old by now.
async function rested(subject, at = edge, bound = BOUND) {
  const session = await at.mint({ subject });
  await until(async () => {
    const before = await asked(at);
    for (const n of [1, 2]) assert.equal((await like(session.cookie, n, `/like?${n}`, at)).status, 200);
    return (await asked(at)) === before;
  }, "memory answers");
  await pause(bound + 200);
  return session;
}

const like = (cookie, n, path = `/like?${n}`, at = edge) => at.send("GET", path, { headers: { cookie, "x-request-id": `${n}` } });

// How many have gone by a precedent.
const followed = async () => JSON.parse((await edge.send("GET", "/_warifu/test/precedents")).text).followed;

// Half of them on a path that had requests like these, half on paths of their own, which must
// not be mixed up.
async function atOnce(cookie, count = MANY, at = edge) {
  const before = await asked(at);
  const paths = Array.from({ length: count }, (_, n) => (n % 2 ? `/like?${n}` : `/unlike/${n}`));
  const answers = await Promise.all(paths.map((path, n) => like(cookie, n, path, at)));
  for (const [n, { status, headers }] of answers.entries()) {
    if (status === 200) assert.equal(new Headers(JSON.parse(headers.told)).get("x-request-id"), `${n}`);
  }
  return { statuses: answers.map(({ status }) => status).sort(), asked: (await asked(at)) - before, answers };
}

const slow = (ms, more = {}) => [{ to: "SESSIONS", kinds: ["check"], beforeMs: [ms, ms], ...more }];

test("one asks, and all go by what it hears", async () => {
  const { cookie } = await rested("many");
  await edge.suffer(slow(150));
  const before = await followed();
  const { statuses, asked, answers } = await atOnce(cookie);
  assert.deepEqual([statuses, asked], [Array(MANY).fill(200), 1]);
  // But for those that have asked, polled or reported.
  assert.ok((await followed()) - before >= MANY / 2 - 3, `${(await followed()) - before} by a precedent`);
  for (const { sent, answered } of answers) assert.ok(answered - sent < 700, `${answered - sent} ms`);
});

test("what the object says counts for the bound, though the feed is away", async () => {
  const { cookie } = await rested("feedless");
  await edge.suffer([{ to: "FEED", lose: "message" }]);
  const before = await asked();
  const end = Date.now() + 3 * BOUND;
  let requests = 0;
  for (; Date.now() < end; requests += 1) assert.equal((await like(cookie, requests)).status, 200);
  const questions = (await asked()) - before;
  assert.ok(questions >= 3 && questions <= 5 && requests > 3 * questions, `${questions} questions for ${requests} requests in three bounds`);
});

test("where the session has ended, each is refused, and one has asked", async () => {
  const { cookie, id } = await rested("ended");
  assert.equal((await other.admin("DELETE", `sessions/${id}`)).status, 200);
  await edge.suffer(slow(150));
  const { statuses, asked } = await atOnce(cookie);
  assert.deepEqual([statuses, asked], [Array(MANY).fill(401), 1]);
});

test("on strict routes each asks for itself, and is refused where no answer comes", async () => {
  const { cookie } = await rested("strict");
  const strict = (n) => like(cookie, n, "/strict/x");
  assert.equal((await strict(0)).status, 200);
  await until(async () => {
    const before = await followed();
    await strict(1);
    return (await followed()) > before;
  }, "one goes by a precedent");
  for (const [faults, expected, by] of [[{}, 200, 5], [{ lose: "answer" }, 503, 0]]) {
    await edge.suffer(slow(100, faults));
    const before = [await asked(), await followed()];
    const answers = await Promise.all(Array.from({ length: 5 }, (_, n) => strict(n)));
    assert.deepEqual(answers.map(({ status }) => status), Array(5).fill(expected));
    assert.deepEqual([(await asked()) - before[0], (await followed()) - before[1]], [5, by]);
  }
});

test("where no answer comes, each asks after a moment", async () => {
  const { cookie } = await rested("lost");
  await edge.suffer([...slow(100, { lose: "answer" }), { to: "FEED", lose: "message" }]);
  const { statuses, asked } = await atOnce(cookie, 6);
  assert.deepEqual([statuses, asked], [Array(6).fill(503), 6]);
});

test("where no answer comes, a poll will do", async () => {
  const { cookie } = await rested("polled", patient, LONG);
  await patient.suffer(slow(900, { lose: "answer" }));
  const { statuses, asked } = await atOnce(cookie, 6, patient);
  assert.deepEqual([statuses, asked], [[...Array(5).fill(200), 503], 1]);
});

test("who has waited in vain asks, and does not wait for others who have", async () => {
  const { cookie } = await rested("vain", patient, LONG);
  await patient.suffer([...slow(700, { lose: "answer" }), { to: "FEED", lose: "message" }]);
  const { answers } = await atOnce(cookie, 6, patient);
  for (const { status, sent, answered } of answers) {
    assert.equal(status, 503);
    assert.ok(answered - sent < 1_900, `${answered - sent} ms`);
  }
});

test("where the answer takes long, nobody waits for more than a second", async () => {
  const { cookie } = await rested("slow", patient, LONG);
  await patient.suffer(slow(2_500));
  const before = await asked(patient);
  const [first, later] = await Promise.all([
    like(cookie, 1, "/unlike/first", patient),
    until(async () => (await asked(patient)) > before, "it asks").then(async () => {
      await patient.suffer([]);
      return [await like(cookie, 1, "/like?1", patient), await like(cookie, 1, "/unlike/later", patient)];
    }),
  ]);
  for (const { status, sent, answered } of later) {
    assert.equal(status, 200);
    assert.ok(answered - sent < 1_800, `${answered - sent} ms`);
  }
  assert.equal(first.status, 200);
});

test("who asks and hangs up has asked for the others all the same", async () => {
  const { cookie } = await rested("gone");
  await edge.suffer(slow(300));
  const before = await asked();
  const leaving = http.request(new URL("/unlike/leaving", edge.url), { headers: { cookie }, agent: false, createConnection: edge.agent.createConnection });
  leaving.on("error", () => {});
  leaving.end();
  await until(async () => (await asked()) > before, "it asks");
  const waiting = atOnce(cookie, 6);
  leaving.destroy();
  const { statuses, asked: more } = await waiting;
  assert.deepEqual([statuses, more], [Array(6).fill(200), 0]);
});
