// The session object is stopped before each statement of a start, a rotation and
// a kill, one after the other: what is left is what was before or what was to be.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";

import { COOKIE, newAdminKey, start } from "./support/gateway.mjs";

const ops = newAdminKey();
let origin;
let gateway;

before(async () => {
  origin = http.createServer((request, answer) => {
    const command = new URL(request.url, "http://origin").searchParams.get("command");
    if (command !== null) answer.setHeader("Warifu-Command", command);
    answer.end();
  });
  origin.listen(0, "127.0.0.1");
  await once(origin, "listening");
  gateway = await start({
    origin: `http://127.0.0.1:${origin.address().port}`,
    adminKeys: [ops],
    warifu: { routes: [{ path: "/do", access: "optional", commands: true }] },
  });
});

after(async () => {
  await gateway.close();
  origin.close();
});

async function command(text, cookie) {
  const headers = cookie === undefined ? {} : { cookie };
  const answer = await gateway.fetch(`/do?command=${encodeURIComponent(text)}`, { headers });
  const set = answer.headers.getSetCookie().find((value) => value.startsWith(`${COOKIE}=`));
  return { status: answer.status, cookie: set?.split(";")[0] };
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
      // Whoever comes next with the old secret gets one and the same successor.
      const [one, two] = [await command("do=rotate", old), await command("do=rotate", old)];
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
