// An isolate asks the session objects so much at a time, and no more: each question has one of its
// places (src/revocation/under_way.rs). Who keeps hanging up must not take them from everybody else.
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";

import { startEdges } from "./support/edges.mjs";
import { until } from "./support/gateway.mjs";

const AT_ONCE = 20;
const DELAY_MS = 1_500;

let site;
let edge;

before(async () => {
  site = await startEdges({ edges: [{ name: "edge-1" }], warifu: { routes: [{ path: "/strict/*", access: "strict" }] } });
  [edge] = site.edges;
});
after(() => site?.close());

const asked = async () => (await edge.counts()).check ?? 0;

// How many have been answered.
async function over() {
  const { text } = await edge.send("GET", "/_warifu/metrics", { headers: { authorization: `Bearer ${edge.ops.key}` } });
  return Number(/^warifu_checks_total\{.*source="object",outcome="live".*\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

// Begins requests, and tells how many of them have been answered.
function begin(count, cookie) {
  const wave = { answered: 0, requests: [] };
  for (let n = 0; n < count; n += 1) {
    const request = http.request(new URL(`/strict/${n}`, edge.url), { headers: { cookie }, agent: false });
    request.on("error", () => {});
    request.on("response", (answer) => {
      wave.answered += 1;
      answer.resume();
    });
    request.end();
    wave.requests.push(request);
  }
  return wave;
}

// Else its place would be free when V8 comes to collect what is left of the request.
test("a question whose client has gone away comes to its end, and its place is free", async () => {
  const { cookie } = await edge.mint({ subject: "leaves" });
  await edge.suffer([{ to: "SESSIONS", kinds: ["check"], beforeMs: [DELAY_MS, DELAY_MS] }]);
  const [before, ended] = [await asked(), await over()];
  const { requests } = begin(AT_ONCE, cookie);
  await until(async () => (await asked()) === before + AT_ONCE, "each asks");
  assert.equal(await over(), ended, "none is answered yet");
  for (const request of requests) request.socket.resetAndDestroy();
  await until(async () => (await over()) === ended + AT_ONCE, "each has its answer", { seconds: 10 });
  await edge.suffer([]);
});

test("one session that asks much at a time is refused before it has all places", async () => {
  const [greedy, stays] = [await edge.mint({ subject: "greedy" }), await edge.mint({ subject: "stays" })];
  await edge.suffer([{ to: "SESSIONS", kinds: ["check"], beforeMs: [3_000, 3_000] }]);
  const before = await asked();
  const wave = begin(600, greedy.cookie);
  await until(async () => (await asked()) - before + wave.answered >= 600, "each asks, or is answered");
  const { status, text } = await edge.get("/strict/stays", stays.cookie);
  assert.equal(status, 200, text);
  await edge.suffer([]);
  await until(() => wave.answered === 600, "all are answered");
});
