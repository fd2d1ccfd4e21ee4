// Everybody who is logged in moves in while all of them are busy: real workerd with two
// edges, a real application, and for a part of the people several requests at once, at both
// edges. Nobody is logged out, and the application is asked about each session once.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";

import { startEdges } from "../workerd/support/edges.mjs";
import { sessionCookie } from "../workerd/support/gateway.mjs";
import { jwt } from "../workerd/support/jwt.mjs";

// Ten thousand take minutes: WARIFU_MOVING=10000.
const SESSIONS = Number(process.env.WARIFU_MOVING ?? 1_000);
const AT_ONCE = 16;
// Every fifth person's page sends so many requests at once.
const [RACES_EVERY, RACING] = [5, 4];

const key = randomBytes(32).toString("base64url");

let application, origin, site;
before(async () => {
  application = spawn(process.execPath, [fileURLToPath(new URL("origin.mjs", import.meta.url))], {
    env: { ...process.env, JWT_KEY: key },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [port] = await once(application.stdout, "data");
  origin = `http://127.0.0.1:${String(port).trim()}`;
  site = await startEdges({
    edges: [{ name: "here" }, { name: "there" }],
    build: "build-test",
    origin,
    warifu: {
      replica: "off",
      adopt: { cookie: "token", probe: "/api/me", subject: "/id", until: "2999-01-01" },
      custody: { cookies: ["token"] },
    },
  });
});
after(async () => {
  await site?.close();
  application?.kill();
});

// Calls `work` for each of the people, so many at a time.
async function forAll(people, work) {
  const waiting = people.entries();
  const one = async () => {
    for (const [index, person] of waiting) await work(person, index);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

test(`${SESSIONS} live sessions move in under load`, async (t) => {
  const people = Array.from({ length: SESSIONS }, (_, index) => ({ name: `person-${index}`, token: jwt({ sub: `person-${index}` }, { key }) }));
  const began = Date.now();
  let requests = 0;
  const ask = async (index, where, cookie, name) => {
    requests += 1;
    const answer = await site.edges[index % site.edges.length].get(where, cookie);
    assert.equal(answer.status, 200, `${name}: ${answer.text}`);
    assert.equal(JSON.parse(answer.text).id, name);
    return sessionCookie(answer);
  };
  await forAll(people, async (person, index) => {
    const count = index % RACES_EVERY === 0 ? RACING : 1;
    const asked = Array.from({ length: count }, (_, n) => ask(index + n, `/page/${n}`, `token=${person.token}`, person.name));
    const cookies = new Set(await Promise.all(asked));
    assert.equal(cookies.size, 1, `${person.name}: one new cookie for all that race`);
    [person.cookie] = cookies;
    assert.ok(person.cookie, person.name);
  });
  const moved = Date.now();
  // The cookies work, also at the edge that has not seen them yet.
  await forAll(people, (person, index) => ask(index + 1, "/later", person.cookie, person.name));
  const done = Date.now();
  const counts = await (await fetch(`${origin}/counts`)).json();
  assert.deepEqual(counts, { sessions: SESSIONS, most: 1, refused: 0 });
  const started = site.logs.filter((line) => line.includes('"session_started"')).length;
  assert.equal(started, SESSIONS, "one session for each");
  t.diagnostic(`${requests} requests: moved in within ${(moved - began) / 1000} s, used in ${(done - moved) / 1000} s`);
});
