// Two versions of the Worker at a time, as while one replaces the other: that before this
// one speaks with its objects by bodies, and knows nothing of messages in header fields.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startEdges } from "./support/edges.mjs";
import { until } from "./support/gateway.mjs";

let world;

before(async () => {
  world = await startEdges({ edges: [{ name: "tokyo" }], warifu: { routes: [{ path: "/*", access: "strict" }] }, tailed: true });
});

after(() => world.close());

async function shows(edge, cookie) {
  return (await edge.get("/account", cookie)).status;
}

test("an object of the version before is asked again by a body", async () => {
  const [edge] = world.edges;
  await edge.suffer(["SESSIONS", "FEED"].map((to) => ({ to, before: true })));
  const { cookie } = await edge.mint({ subject: "alice" });
  assert.equal(await shows(edge, cookie), 200);
  assert.equal((await edge.admin("DELETE", "sessions?subject=alice")).status, 200);
  assert.equal(await shows(edge, cookie), 401);
  await edge.suffer([]);
});

test("an edge of the version before is answered by a body", async () => {
  const probe = JSON.stringify({ home: null, is_fenced: false, by: null, call: "probe" });
  const answer = await world.objects.send("POST", "/said?binding=SESSIONS&name=default/health", { body: probe });
  assert.deepEqual([answer.status, JSON.parse(answer.text)], [200, "alive"]);
  const poll = JSON.stringify({ poll: { since: null, bound_ms: 2_000, continue_ms: 0, rows: [], back_ms: 0 } });
  const reply = await world.objects.send("POST", "/said?binding=FEED&name=default/feed", { body: poll });
  assert.deepEqual(Object.keys(JSON.parse(reply.text)), ["polled"]);
});

test("what fits into no header field goes in a body, both ways", async () => {
  const [edge] = world.edges;
  const claims = { note: "\u5272\u7b26 ".repeat(200) };
  const { cookie } = await edge.mint({ subject: "\u5f01\u6176", claims });
  assert.equal(await shows(edge, cookie), 200);
});

test("what the platform records of a message does not say what is in it", async () => {
  const [edge] = world.edges;
  const { cookie } = await edge.mint({ subject: "alice" });
  assert.equal(await shows(edge, cookie), 200);
  const recorded = () => world.logs.flatMap((line) => (line.includes('"tailed"') ? [JSON.parse(line).tailed["warifu-secret-message"]] : []));
  await until(() => recorded().some((value) => value !== undefined), "a message is recorded");
  assert.deepEqual([...new Set(recorded().filter((value) => value !== undefined))], ["REDACTED"]);
});
