// The session object, or the feed, is stopped before each statement of a start, a
// rotation and a kill, one after the other: what is left is what was before or
// what was to be.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { newAdminKey, sessionCookie, start, until } from "./support/gateway.mjs";
import { commanding, startOrigin } from "./support/origin.mjs";

const ops = newAdminKey();
let origin;
let gateway;

before(async () => {
  origin = await startOrigin();
  gateway = await start({
    origin: origin.url,
    adminKeys: [ops],
    warifu: { routes: [{ path: "/do", access: "optional", commands: true }] },
  });
});

after(async () => {
  await gateway.close();
  origin.stop();
});

async function command(text, cookie) {
  const headers = cookie === undefined ? {} : { cookie };
  const answer = await gateway.fetch(commanding(text), { headers });
  return { status: answer.status, cookie: sessionCookie(answer) };
}

const lives = async (cookie) =>
  (await gateway.fetch("/_warifu/me", { headers: { cookie, accept: "application/json" } })).status === 200;

async function sessions(subject) {
  const headers = { authorization: `Bearer ${ops.key}` };
  const answer = await gateway.fetch(`/_warifu/sessions?subject=${subject}`, { headers });
  assert.equal(answer.status, 200);
  return (await answer.json()).sessions.length;
}

// Does it again and again, stopped before statement 0, 1, 2 … of `act`, until it
// is not stopped any more. Returns how often it was.
async function stopEverywhere(prepare, act, check) {
  for (let statement = 0; statement < 60; statement += 1) {
    const prepared = await prepare(statement);
    await gateway.fetch(`/_warifu/test/object-stop/${statement}`);
    const done = await act(prepared);
    const { left } = await (await gateway.fetch("/_warifu/test/object-stop/")).json();
    await check(prepared, done, left === null);
    if (left !== null) return statement;
  }
  throw new Error("it never came to its end");
}

test("a start that is stopped has not happened, or has, and then the old session is gone", async () => {
  const stops = await stopEverywhere(
    async (n) => ({ subject: `start${n}`, old: (await command(`do=start, sub="start${n}"`)).cookie }),
    ({ subject, old }) => command(`do=start, sub="${subject}"`, old),
    async ({ subject }, done, wasStopped) => {
      assert.equal(await sessions(subject), 1, "never two, never none");
      if (done.status === 200) assert.ok(await lives(done.cookie));
      else assert.ok(wasStopped && done.cookie === undefined);
    },
  );
  assert.ok(stops > 5, `${stops} stops`);
});

test("a rotation that is stopped logs nobody out", async () => {
  const stops = await stopEverywhere(
    async (n) => (await command(`do=start, sub="rotate${n}"`)).cookie,
    (old) => command("do=rotate", old),
    async (old, done, wasStopped) => {
      assert.ok(await lives(old), "the old secret is served in either case");
      if (done.status === 200) assert.ok(await lives(done.cookie));
      else assert.ok(wasStopped);
      // Whoever comes next with the old secret gets one and the same successor;
      // where it was the feed that was stopped, a moment later.
      let one;
      await until(async () => (one = await command("do=rotate", old)).status === 200, "a rotation succeeds");
      const two = await command("do=rotate", old);
      assert.ok(one.cookie !== undefined && one.cookie === two.cookie && (await lives(one.cookie)));
    },
  );
  assert.ok(stops > 5, `${stops} stops`);
});

test("a kill that is stopped is not acknowledged, or holds", async () => {
  const stops = await stopEverywhere(
    async (n) => {
      const cookies = [];
      for (let i = 0; i < 2; i += 1) cookies.push((await command(`do=start, sub="kill${n}"`)).cookie);
      return { subject: `kill${n}`, cookies };
    },
    async ({ subject }) => {
      const headers = { authorization: `Bearer ${ops.key}` };
      return gateway.fetch(`/_warifu/sessions?subject=${subject}`, { method: "DELETE", headers });
    },
    async ({ cookies }, done, wasStopped) => {
      const living = await Promise.all(cookies.map(lives));
      assert.equal(living[0], living[1], "both or none");
      if (done.status < 300) assert.ok(!living[0], "what is acknowledged holds");
      else assert.ok(wasStopped);
    },
  );
  assert.ok(stops > 5, `${stops} stops`);
});
