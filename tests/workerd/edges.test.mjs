// The promise of revocation in real workerd, at four edges with memories of their
// own: under load, while objects are stopped and messages to the feed are late or
// lost. What counts is checked afterwards, over the log of all answers.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { letThroughAt, startEdges } from "./support/edges.mjs";
import { sessionCookie, until } from "./support/gateway.mjs";
import { FAULTS, KINDS, Load, SITE } from "./support/load.mjs";
import { commanding } from "./support/origin.mjs";
import { History, check, summary } from "./support/promise.mjs";

const BOUND = 2_000;
const GRACE = 1_000;
const EDGES = ["edge-1", "edge-2", "edge-3", "edge-4"];
const warifu = { ...SITE, bound: `${BOUND}ms`, rotation_grace: `${GRACE}ms` };

let site;
let edges;
let calm;

before(async () => {
  // One of the edges reads the copy in KV too.
  site = await startEdges({ edges: EDGES.map((name, n) => ({ name, replica: n === 3 ? "always" : "off" })), warifu });
  edges = site.edges;
  calm = await startCalm();
});

after(async () => {
  await calm?.stop();
  await site?.close();
});

beforeEach(() => Promise.all([site.objects, ...edges].map((worker) => worker.suffer([]))));

const show = (what, numbers) => console.log(`${what}: ${Object.entries(numbers).map(([name, n]) => `${name} ${n}`).join(", ")}`);

// Asserts that a check has found nothing.
function isSound(found) {
  const says = {
    late: "accepted after T + B",
    strict: "accepted on a strict route after T",
    lost: "living sessions refused",
    touched: "cookies touched",
    unseen: "edges that nobody has asked after the bound",
  };
  for (const [name, what] of Object.entries(says)) {
    assert.equal(found[name].length, 0, `${found[name].length} ${what}, such as ${JSON.stringify(found[name][0])}`);
  }
}

test("once a kill is acknowledged, no edge accepts for longer than the bound, and strict routes do not at all", async () => {
  const load = new Load(site, { bound: BOUND, rate: 120, people: 50 });
  const began = Date.now();
  await load.start();
  for (const fault of Object.keys(FAULTS)) await load.kill({ fault, rate: 25, count: fault === "none" ? 140 : 90 });
  for (let round = 0; round < 3; round += 1) await load.killSite();
  await load.stop();

  const { history } = load;
  const found = check(history, BOUND, EDGES);
  const counts = await Promise.all(edges.map((edge) => edge.counts()));
  const asked = counts.reduce((sum, { check: checks = 0 }) => sum + checks, 0);
  const cached = history.requests.length - asked;
  for (const [fault, delays] of [["all", found.delays], ...Map.groupBy(found.delays, (delay) => delay.fault)]) {
    show(`kills (${fault})`, summary(delays));
  }
  show("requests", { all: history.requests.length, asked, "from memory, at least": cached, seconds: Math.round((Date.now() - began) / 1_000) });

  isSound(found);
  assert.ok(history.kills.length >= 500, `${history.kills.length} kills`);
  assert.deepEqual(new Set(found.delays.map(({ kind }) => kind)), new Set([...KINDS, "site"]), "kills of every kind");
  assert.ok(found.delays.length > 400, `${found.delays.length} acknowledged`);
  assert.ok(cached > 1_000, `${cached} answers from memory`);
  assert.ok(summary(found.delays).positive > 100, "kills are outlived for a moment, or nothing was tested");
});

test("cut off from the feed, an edge asks; cut off from the sessions too, it refuses and leaves the cookie; healed, it remembers again", async () => {
  const [cut, other] = edges;
  const [{ cookie }, killed] = [await site.objects.mint({ subject: "alice" }), await site.objects.mint({ subject: "alice" })];
  const asked = async () => (await cut.counts()).check;
  // How many of so many requests were asked for, and what they were answered.
  const watch = async (requests) => {
    const before = await asked();
    const answers = [];
    for (let n = 0; n < requests; n += 1) answers.push(await cut.get("/page", cookie));
    return { asked: (await asked()) - before, answers };
  };
  const remembers = async () => (await watch(1)).asked === 0;
  await until(remembers, "it remembers");
  await until(async () => (await cut.get("/page", killed.cookie)).status === 200, "the other one too");

  await cut.suffer([{ to: "FEED", lose: "message" }]);
  for (const end = Date.now() + BOUND; Date.now() < end; await pause(50)) await cut.get("/page", cookie);
  const [before, end] = [await asked(), Date.now() + 2 * BOUND];
  let answered = 0;
  for (; Date.now() < end; await pause(20)) {
    assert.equal((await cut.get("/page", cookie)).status, 200);
    answered += 1;
  }
  const questions = (await asked()) - before;
  assert.ok(questions >= 1 && questions <= 3, `${questions} questions for ${answered} requests in two bounds`);
  assert.equal((await other.admin("DELETE", `sessions/${killed.id}`)).json.state, "published");
  assert.equal((await cut.get("/page", killed.cookie)).status, 401, "a kill of whom it has not asked for lately holds at once");

  await cut.suffer([{ to: "FEED", lose: "message" }, { to: "SESSIONS", lose: "message" }]);
  const off = Date.now();
  await until(async () => (await cut.get("/page", cookie)).status === 503, "what was asked counts no more");
  assert.ok(Date.now() - off <= BOUND + 500, `after ${Date.now() - off} ms`);
  const nobody = await watch(10);
  for (const { status, headers } of nobody.answers) assert.deepEqual([status, headers["set-cookie"]], [503, undefined]);
  assert.equal((await other.get("/page", cookie)).status, 200, "the others go on");

  await cut.suffer([]);
  const healed = Date.now();
  await until(remembers, "it remembers again");
  assert.ok(Date.now() - healed <= 2 * BOUND, `healed after ${Date.now() - healed} ms`);
});

test("what the origin grants late is refused in time where nobody can say whether the session has ended meanwhile", async () => {
  const [edge] = edges;
  const { cookie } = await site.objects.mint({ subject: "patient" });
  const late = `/page?events-after=${BOUND + 500}`;
  await until(async () => (await edge.get("/page", cookie)).status === 200 && (await edge.counts()).poll > 0, "it is warm");
  assert.equal((await edge.get(late, cookie)).headers["content-type"], "text/event-stream", "granted late, and proven anew");
  await edge.get("/page", cookie);
  await edge.suffer([{ to: "FEED", lose: "message" }, { to: "SESSIONS", kinds: ["check"], beforeMs: [9_000, 9_000] }]);
  const began = Date.now();
  assert.equal((await edge.get(late, cookie)).status, 503);
  const took = Date.now() - began;
  assert.ok(took > BOUND + 500 && took < BOUND + 4_000, `${took} ms`);
});

test("a feed that is stopped begins another epoch, and a warm edge asks again for all that it remembered", async () => {
  const [edge] = edges;
  const sessions = [];
  while (sessions.length < 3) sessions.push(await site.objects.mint({ subject: `epoch-${sessions.length}` }));
  const [first, second] = [await site.objects.mint({ subject: "before" }), await site.objects.mint({ subject: "after" })];
  // How many of these sessions it has asked for.
  const ask = async () => {
    const { check: before } = await edge.counts();
    for (const { cookie } of sessions) assert.equal((await edge.get("/page", cookie)).status, 200);
    return (await edge.counts()).check - before;
  };
  const kill = async ({ id }) => (await site.objects.admin("DELETE", `sessions/${id}`)).json;
  const before = await kill(first);
  await until(async () => (await ask()) === 0, "it remembers");
  await site.objects.stop("FEED", "default/feed");
  let asked = 0;
  await until(async () => (asked += await ask()) >= sessions.length, "it asks again", { seconds: 3 * BOUND / 1_000 });
  await until(async () => (await ask()) === 0, "it remembers again");
  const after = await kill(second);
  assert.deepEqual([before.state, after.state], ["published", "published"]);
  assert.notEqual(after.epoch, before.epoch);
  assert.ok(after.seq > before.seq, `${after.seq} after ${before.seq}`);
});

test("changed claims are seen by all edges within the bound", async () => {
  const { id, cookie } = await site.objects.mint({ subject: "changing", claims: { version: 0 } });
  const seen = [];
  const changes = [];
  let isOver = false;
  const watching = edges.map(async (edge) => {
    while (!isOver) {
      const answer = await edge.get("/page", cookie);
      assert.equal(answer.status, 200);
      const { version } = JSON.parse(Buffer.from(answer.headers.claims, "base64url"));
      seen.push({ edge: edge.name, version, letThrough: letThroughAt(answer) });
      await pause(20);
    }
  });
  for (let version = 1; version <= 4; version += 1) {
    await pause(700);
    const { status, answered } = await edges[version - 1].admin("PATCH", `sessions/${id}`, { claims: { version } });
    assert.equal(status, 200);
    changes.push({ version, T: answered });
  }
  await pause(BOUND + 200);
  isOver = true;
  await Promise.all(watching);
  const delays = changes.map(({ version, T }) => ({
    delay: Math.max(...seen.filter((one) => one.version < version).map(({ letThrough }) => letThrough - T)),
  }));
  show("claims", summary(delays));
  assert.ok(delays.every(({ delay }) => delay <= BOUND), JSON.stringify(delays));
  assert.ok(delays.some(({ delay }) => delay > 0), "an edge had them in memory");
  for (const name of EDGES) assert.equal(seen.findLast(({ edge }) => edge === name).version, 4);
});

test("an old secret is served by no edge after its grace and the bound, and by all within the grace", async () => {
  const taking = Array.from({ length: 6 }, async (_, n) => {
    const { cookie: old } = await site.objects.mint({ subject: `rotating-${n}` });
    for (const edge of edges) await until(async () => (await edge.get("/page", old)).status === 200, "it is known");
    const answers = [];
    let isOver = false;
    const watching = edges.map(async (edge) => {
      while (!isOver) {
        answers.push(await edge.get("/page", old));
        await pause(30);
      }
    });
    const rotated = await edges[n % 4].get(commanding("do=rotate"), old);
    const successor = sessionCookie(rotated);
    assert.ok(successor !== undefined && successor !== old);
    const first = await edges[(n + 1) % 4].get("/page", successor);
    assert.equal(first.status, 200);
    await pause(GRACE + BOUND + 300);
    isOver = true;
    await Promise.all(watching);
    for (const answer of answers) {
      const { status, answered, headers } = answer;
      // Whoever comes with the old secret while its successor is served gets that.
      if (headers["set-cookie"] !== undefined) assert.equal(sessionCookie({ headers }), successor);
      if (answered < first.sent + GRACE) assert.equal(status, 200, "in its grace");
      if (status === 200) assert.ok(letThroughAt(answer) <= first.answered + GRACE + BOUND);
    }
    const last = answers.filter(({ status }) => status === 200).map((answer) => letThroughAt(answer) - first.answered - GRACE);
    assert.ok(answers.some(({ status, headers }) => status === 200 && headers["set-cookie"] !== undefined));
    for (const edge of edges) assert.equal((await edge.get("/page", old)).status, 401);
    assert.equal((await edges[0].get("/page", successor)).status, 200);
    return { delay: Math.max(...last) };
  });
  show("old secrets", summary(await Promise.all(taking)));
});

test("one person's log-ins, changes and log-outs at the highest rate keep nobody's kill from holding within the bound", async () => {
  const history = new History();
  let isOver = false;
  let rounds = 0;
  const looping = Array.from({ length: 8 }, async (_, n) => {
    const edge = edges[n % edges.length];
    for (let version = 0; !isOver; version += 1) {
      const cookie = sessionCookie(await edge.get(commanding('do=start, sub="busy"'), ""));
      if (cookie === undefined) continue;
      const claims = Buffer.from(JSON.stringify({ version })).toString("base64");
      for (let change = 0; change < 3; change += 1) await edge.get(commanding(`do=update, claims=:${claims}:`), cookie);
      await edge.user("POST", "logout", cookie);
      rounds += 1;
    }
  });
  const took = [];
  for (let number = 0; number < 12; number += 1) {
    const subject = `quiet-${number}`;
    const { cookie } = await site.objects.mint({ subject });
    const ask = async (edge) => {
      const answer = await edge.get("/page", cookie);
      const { status, sent, answered } = answer;
      history.request({ edge: edge.name, cookie, status, sent, answered, letThrough: letThroughAt(answer) });
      return status;
    };
    for (const edge of edges) assert.equal(await ask(edge), 200);
    const { sent, answered, json } = await edges[number % edges.length].admin("DELETE", `sessions?subject=${subject}`);
    assert.equal(json.state, "published");
    took.push({ delay: answered - sent });
    history.kill({ kind: "subject", cookies: [cookie], sent, acknowledged: answered });
    looping.push(
      (async () => {
        await Promise.all(edges.map((edge) => until(async () => (await ask(edge)) === 401, "it is refused")));
        await pause(Math.max(0, answered + BOUND + 50 - Date.now()));
        await Promise.all(edges.map(ask));
      })(),
    );
    await pause(250);
  }
  await pause(BOUND);
  isOver = true;
  await Promise.all(looping);
  const found = check(history, BOUND, EDGES);
  show("acknowledgements beside the loop", { ...summary(took), "rounds of the loop": rounds });
  show("kills beside the loop", summary(found.delays));
  isSound(found);
  assert.ok(summary(took).max <= BOUND, "acknowledged within the bound");
  assert.ok(rounds > 20, `${rounds} rounds`);
});

// An edge of a site of its own, with a hundred requests a second for fifty
// sessions: from the beginning to the end of this file, since what a session
// object has said is asked for anew after a minute.
async function startCalm() {
  const own = await startEdges({ edges: [{ name: "calm" }], warifu });
  const [edge] = own.edges;
  const cookies = [];
  while (cookies.length < 50) cookies.push((await own.objects.mint({ subject: `calm-${cookies.length}` })).cookie);
  const warm = async () => {
    const { check: before } = await edge.counts();
    for (const cookie of cookies) assert.equal((await edge.get("/page", cookie)).status, 200);
    return (await edge.counts()).check === before;
  };
  await until(warm, "the edge knows all sessions");
  const [began, before] = [Date.now(), await edge.counts()];
  const statuses = {};
  let requests = 0;
  let isOver = false;
  const underWay = new Set();
  const ask = async (cookie) => {
    const { status } = await edge.get("/page", cookie);
    statuses[status] = (statuses[status] ?? 0) + 1;
  };
  const asking = (async () => {
    while (!isOver) {
      await pause(began + requests * 10 - Date.now());
      const asked = ask(cookies[(requests += 1) % cookies.length]).finally(() => underWay.delete(asked));
      underWay.add(asked);
    }
    await Promise.all(underWay);
  })();
  return {
    began,
    async result() {
      const now = await edge.counts();
      const polls = now.poll - before.poll;
      const calls = Object.entries(now).reduce((sum, [kind, n]) => sum + n - (before[kind] ?? 0), 0) - polls;
      return { requests, statuses, calls, polls, ms: Date.now() - began };
    },
    async stop() {
      isOver = true;
      await asking;
      await own.close();
    },
  };
}

test("a warm edge asks the session objects for at most 15 of 1,000 requests, and polls at most once in half the bound", async () => {
  await pause(Math.max(0, calm.began + 63_000 - Date.now()));
  const { requests, statuses, calls, polls, ms } = await calm.result();
  show("a warm edge", { requests, seconds: Math.round(ms / 1_000), calls, "calls for 1,000": ((calls * 1_000) / requests).toFixed(1), polls });
  assert.deepEqual(Object.keys(statuses), ["200"]);
  assert.ok(calls >= 50, "each session was asked for again, or nothing was tested");
  assert.ok(requests > (ms / 1_000) * 90, `${requests} requests in ${ms} ms`);
  assert.ok(calls * 1_000 <= 15 * requests, `${calls} calls for ${requests} requests`);
  assert.ok(polls <= ms / (BOUND / 2) + 1, `${polls} polls in ${ms} ms`);
});
