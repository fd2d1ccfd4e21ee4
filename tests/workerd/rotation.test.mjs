// Rotations in real workerd: requests that race one, the grace, the replay.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { sessionCookie, start, told, until } from "./support/gateway.mjs";
import { commanding, startOrigin } from "./support/origin.mjs";

let origin;
let gateway;

before(async () => {
  origin = await startOrigin();
  gateway = await start({
    origin: origin.url,
    warifu: {
      rotation_grace: "2s",
      routes: [
        { path: "/do", access: "optional", commands: true },
        { path: "/account", access: "required" },
      ],
    },
  });
});

after(async () => {
  await gateway.close();
  origin.stop();
});

async function command(text, cookie) {
  const headers = cookie === undefined ? {} : { cookie };
  const answer = await gateway.fetch(commanding(text), { headers });
  assert.equal(answer.status, 200, await answer.clone().text());
  return sessionCookie(answer);
}

const account = (cookie) => gateway.fetch("/account", { headers: { cookie } });

test("64 requests that race one rotation all succeed and all get the same successor", async () => {
  const old = await command('do=start, sub="racer"');
  const successors = await Promise.all(
    Array.from({ length: 64 }, async (_, index) => {
      if (index % 2 === 0) return command("do=rotate", old);
      const answer = await account(old);
      assert.equal(answer.status, 200);
      // Those that came before the rotation have nothing to be told.
      return sessionCookie(answer);
    }),
  );
  const rotated = successors.filter((_, index) => index % 2 === 0);
  assert.equal(new Set(rotated).size, 1);
  assert.notEqual(rotated[0], old);
  for (const successor of successors) assert.ok(successor === undefined || successor === rotated[0]);
  const late = await account(old);
  assert.equal(sessionCookie(late), rotated[0], "a lost answer logs nobody out");
});

test("an old secret is refused after the grace, and written down as a replay", async () => {
  const old = await command('do=start, sub="replayed"');
  const next = await command("do=rotate", old);
  assert.equal((await account(next)).status, 200);
  await until(async () => (await account(old)).status === 401, "the old secret is refused");
  await told(gateway, { event: "token_replayed" });
  assert.equal((await account(next)).status, 200, "observed only");
  const answer = await account(old);
  assert.equal(sessionCookie(answer), undefined, "the cookie is left alone");
});

test("a raised level goes to one answer only", async () => {
  const old = await command('do=start, sub="climber"');
  const raised = await command("do=rotate, level=2", old);
  const levels = await Promise.all([account(old), account(raised)].map(async (answer) => (await answer).text()));
  assert.deepEqual(levels, ["1", "2"]);
  assert.equal(sessionCookie(await account(old)), undefined);
});

test("concurrent log-ins never exceed the limit", async () => {
  const limited = await start({
    origin: origin.url,
    warifu: { max_sessions: 3, routes: [{ path: "/do", access: "optional", commands: true }] },
  });
  try {
    const answers = await Promise.all(
      Array.from({ length: 24 }, () => limited.fetch(commanding('do=start, sub="many"'))),
    );
    const cookies = answers.map(sessionCookie);
    assert.ok(cookies.every((cookie) => cookie !== undefined));
    const alive = await Promise.all(
      cookies.map(async (cookie) => (await limited.fetch("/_warifu/me", { headers: { cookie } })).status === 200),
    );
    assert.equal(alive.filter(Boolean).length, 3);
  } finally {
    await limited.close();
  }
});
