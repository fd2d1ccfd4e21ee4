// How long the application may take, where requests share a timer (src/edge/patience.js): each
// has its whole time and no more, also where the client has gone away whose timer it is.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { remind, withinShared } from "../../src/edge/patience.js";
import { startEdges } from "./support/edges.mjs";
import { until } from "./support/gateway.mjs";

const TIMEOUT = 3_000;
const PATH = "/slow";

let origin, site, edge, cookie;
// What the application does with what comes, and what it holds.
let does;
let held = [];
const answers = (response) => response.writeHead(200, { "cache-control": "private" }).end("at once");
const holds = (response) => held.push(response);
const breaks = (response) => response.socket.destroy();

before(async () => {
  origin = http.createServer((request, response) => {
    request.resume();
    does(response);
  });
  await once(origin.listen(0, "127.0.0.1"), "listening");
  site = await startEdges({
    build: "build-test",
    edges: [{ name: "one" }],
    warifu: { origin_timeout: `${TIMEOUT}ms`, bound: "1m", routes: [{ path: "/*", access: "required" }] },
    origin: `http://127.0.0.1:${origin.address().port}`,
  });
  [edge] = site.edges;
  ({ cookie } = await edge.mint({ subject: "waits" }));
});
after(async () => {
  origin?.closeAllConnections();
  origin?.close();
  await site?.close();
});

let requests = 0;
// With `own` there is none like it, so that each is heard in full.
const fields = (own) => ({ cookie, ...(own ? { "x-own": `${(requests += 1)}` } : {}) });
const ask = (own = false) => edge.send("GET", PATH, { headers: fields(own) });
const followed = async () => JSON.parse((await edge.send("GET", "/_warifu/test/precedents")).text).followed;

// One that waits alone has a timer of its own. The first that comes meanwhile sets the one that
// it shares with those after it.
beforeEach(async () => {
  [held, does] = [[], answers];
  await until(async () => {
    const before = await followed();
    await ask();
    return (await followed()) > before;
  }, "one goes by a precedent");
  does = holds;
});

// Begins one, and goes on once the application has it. `leave` goes away.
async function begin(own = false) {
  const count = held.length;
  const request = http.request(new URL(PATH, edge.url), { headers: fields(own), agent: false, createConnection: edge.agent.createConnection });
  const sent = Date.now();
  const answer = once(request, "response").then(([{ statusCode }]) => ({ status: statusCode, took: Date.now() - sent }));
  answer.catch(() => {});
  request.end();
  await until(() => held.length > count, "the application has it");
  return { answer, leave: () => request.destroy() };
}

// The platform's timers count from when its turn began.
function isInTime({ status, took }, name) {
  assert.equal(status, 504, name);
  assert.ok(took > TIMEOUT - 100 && took < TIMEOUT + 700, `${name}: ${took} ms`);
}

async function eachHasItsTime(own) {
  const before = await followed();
  const [alone, keeper] = [await begin(own), await begin(own)];
  const others = await Promise.all(Array.from({ length: 8 }, () => ask(own)));
  for (const { status, sent, answered } of others) isInTime({ status, took: answered - sent }, "another");
  isInTime(await alone.answer, "the one that waits alone");
  isInTime(await keeper.answer, "the one whose timer it is");
  return (await followed()) - before;
}

test("each has the time that one has who waits alone", async () => {
  // But for one that may have something to do along with it.
  assert.ok((await eachHasItsTime(false)) >= 9);
});

test("and so has each that is heard in full", async () => {
  assert.equal(await eachHasItsTime(true), 0);
});

test("who has its answer after the timer has rung gets it", async () => {
  const begun = [await begin(), await begin(), await begin(), await begin()];
  await pause(1_500);
  for (const response of held) response.writeHead(200).end();
  for (const { answer } of begun) assert.equal((await answer).status, 200);
});

test("who loses the application is told so, before and after it rings", async () => {
  for (const ms of [100, 1_500]) {
    [held, does] = [[], holds];
    const begun = [await begin(), await begin(), await begin()];
    await pause(ms);
    // The platform may ask once more.
    does = breaks;
    held.forEach(breaks);
    for (const { answer } of begun) assert.equal((await answer).status, 502);
  }
});

test("though the clients have gone away whose timers they are", async () => {
  const alone = await begin();
  const gone = [await begin(), await begin(), await begin()];
  const others = [await begin(), await begin(), await begin()];
  for (const one of gone) one.leave();
  await until(() => held[1].socket.destroyed || held[2].socket.destroyed, "the gateway sees that they have gone");
  for (const { answer } of others) isInTime(await answer, "another");
  isInTime(await alone.answer, "the one that waits alone");
});

test("though whoever set it has had its answer", async () => {
  const [, one, two, other] = [await begin(), await begin(), await begin(), await begin()];
  for (const response of held.slice(1, 3)) response.writeHead(200).end();
  for (const { answer } of [one, two]) assert.equal((await answer).status, 200);
  isInTime(await other.answer, "another");
});

// As where the platform has ended those whose timers they are: who comes later sees to it.
test("where no timer rings, the next that comes tells the others, and nobody has less time than there is", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const never = new Promise(() => {});
  const settled = [];
  const wait = (name) => withinShared({ waitUntil() {} }, 5_000, never).then((value) => settled.push([name, value]));
  const after = async (ms) => {
    t.mock.timers.tick(ms);
    for (let n = 0; n < 10; n += 1) await null;
    return settled.splice(0);
  };
  wait("alone");
  const { setTimeout: real } = globalThis;
  globalThis.setTimeout = () => {};
  wait("one");
  wait("two");
  globalThis.setTimeout = real;
  wait("other");
  assert.deepEqual(await after(2_500), []);
  remind();
  assert.deepEqual(await after(0), []);
  assert.deepEqual(await after(2_499), []);
  assert.deepEqual(await after(1), [["alone", null]]);
  // What is left by the clock is not less than what is left for certain.
  assert.deepEqual(await after(500), [["one", null], ["two", null], ["other", null]]);
});

test("two requests have timers for the others, though one of them waits twice", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  let timers = 0;
  const { setTimeout: real } = globalThis;
  globalThis.setTimeout = (...args) => {
    timers += 1;
    return real(...args);
  };
  const contexts = Array.from({ length: 4 }, () => ({ kept: 0, waitUntil() { this.kept += 1; } }));
  const wait = (context) => withinShared(context, 5_000, new Promise(() => {}));
  try {
    const [alone, one, two, other] = contexts;
    for (const context of [alone, one, one, two, two, other, one]) wait(context);
  } finally {
    globalThis.setTimeout = real;
  }
  assert.deepEqual(contexts.map(({ kept }) => kept), [0, 1, 1, 0]);
  assert.equal(timers, 3);
  t.mock.timers.tick(20_000);
});
