// Sessions of an application's own kind move in, in the runtime itself: many requests at
// once, an application that is slow, silent or gone, a stop in between, and what is left
// in the files.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import { newAdminKey, newKeys, sessionCookie, start, until } from "./support/gateway.mjs";
import { jwt } from "./support/jwt.mjs";

const ops = newAdminKey();
const keys = newKeys();
// Who is logged in to the application, by its own cookie; what it was asked; how it answers.
const people = new Map();
const probes = [];
const seen = [];
let application, gateway, state, answers;

const knows = (request, response) => {
  const old = /(?:^|; )token=([^;]*)/.exec(request.headers.cookie ?? "")?.[1];
  const id = people.get(old);
  if (id === undefined) return response.writeHead(401).end();
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ user: { id } }));
};
const begin = () =>
  start({
    origin: `http://127.0.0.1:${application.address().port}`,
    adminKeys: [ops],
    keys,
    state,
    warifu: {
      // Three, since a busy machine may need one to ask and be answered.
      origin_timeout: "3s",
      replica: "always",
      adopt: { cookie: "token", probe: "/api/me?brief=1", subject: "/user/id", until: "2999-01-01" },
      custody: { cookies: ["token"] },
      routes: [
        { path: "/open", access: "public" },
        { path: "/maybe", access: "optional" },
      ],
    },
  });

before(async () => {
  application = createServer((request, response) => {
    if (request.url !== "/api/me?brief=1") {
      seen.push(request.headers);
      return response.end(request.headers["warifu-subject"]);
    }
    probes.push(request.headers);
    answers(request, response);
  });
  application.listen(0, "127.0.0.1");
  await once(application, "listening");
  state = mkdtempSync(path.join(tmpdir(), "warifu-state-"));
  answers = knows;
  gateway = await begin();
});
after(async () => {
  await gateway?.close();
  application?.closeAllConnections();
  application?.close();
  rmSync(state, { recursive: true, force: true });
});

function somebody(name) {
  const token = jwt({ sub: name });
  people.set(token, name);
  return token;
}
const get = (where, cookie, headers = {}) => gateway.fetch(where, { headers: { ...(cookie ? { cookie } : {}), ...headers } });
const asked = (token) => probes.filter(({ cookie }) => cookie === `token=${token}`).length;

test("requests that come at once are led to one session, and the application is asked once", async () => {
  const token = somebody("alice");
  const all = await Promise.all(Array.from({ length: 40 }, (_, index) => get(`/page/${index}`, `token=${token}; theme=dark`)));
  assert.deepEqual(new Set(await Promise.all(all.map((answer) => answer.text()))), new Set(["alice"]));
  assert.equal(new Set(all.map(sessionCookie)).size, 1);
  assert.equal(asked(token), 1);
  assert.ok(all.every((answer) => answer.headers.getSetCookie().includes("token=; Path=/; Secure; Max-Age=0")));
  const cookie = sessionCookie(all[0]);
  assert.equal(await (await get("/later", cookie)).text(), "alice");
  assert.equal(seen.at(-1).cookie, `token=${token}`, "from the gateway's keeping");
  await get("/open", `token=${token}`);
  assert.equal(seen.at(-1).cookie, undefined);
  const { sessions } = await (await admin("GET", "sessions?subject=alice")).json();
  assert.equal(sessions.length, 1);
});

test("what moves in survives a stop, and so does where it went", async () => {
  const token = somebody("bob");
  const cookie = sessionCookie(await get("/", `token=${token}`));
  await gateway.close();
  gateway = await begin();
  const again = await get("/", `token=${token}`);
  assert.deepEqual([await again.text(), sessionCookie(again)], ["bob", cookie]);
  assert.equal(await (await get("/", cookie)).text(), "bob");
  assert.equal(asked(token), 1);
});

test("the files of the stores do not have the token, nor what opens it", async () => {
  const token = somebody("carol");
  const cookie = sessionCookie(await get("/", `token=${token}`));
  await get("/", cookie);
  const files = () =>
    readdirSync(state, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(path.join(entry.parentPath, entry.name)));
  // The copy in KV is written after the answer.
  await until(() => files().filter((file) => file.includes("carol")).length > 1, "the person is in an object and in KV");
  const copy = Buffer.concat(files());
  assert.ok(copy.includes(Buffer.from("CREATE TABLE held")), "it is a copy");
  const secret = cookie.split("=")[1].slice(8, 48);
  for (const text of [...token.split("."), secret]) {
    for (const bytes of [Buffer.from(text), Buffer.from(text, "base64url")]) {
      for (const form of [bytes, bytes.toString("hex"), bytes.toString("base64").replace(/=+$/, "")]) {
        assert.ok(!copy.includes(form), `${text} as it is, in hexadecimal or in base64`);
      }
    }
  }
});

test("an application that does not know somebody is not asked again and again", async () => {
  const token = jwt({ sub: "mallory" });
  for (const where of ["/", "/a", "/b"]) assert.equal((await get(where, `token=${token}`)).status, 401);
  assert.equal((await get("/maybe", `token=${token}`)).status, 200);
  assert.equal(asked(token), 1);
});

for (const [what, answer, status] of [
  ["is silent", () => {}, 504],
  ["never ends its answer", (_, response) => response.writeHead(200).write('{"user":'), 504],
  ["hangs up", (request) => request.socket.destroy(), 502],
  ["hangs up in its answer", (request, response) => {
    response.writeHead(200, { "content-length": 100 }).write("{");
    setImmediate(() => request.socket.destroy());
  }, 502],
  ["fails", (_, response) => response.writeHead(500).end(), 502],
  ["redirects to somebody", (_, response) => response.writeHead(302, { location: "/api/me?brief=1" }).end(), 401],
  ["says too much", (_, response) => response.end(`{"user":{"id":"x"},"more":"${"x".repeat(70_000)}"}`), 401],
  ["says no JSON", (_, response) => response.end("<!doctype html>"), 401],
  ["names nobody", (_, response) => response.end('{"user":{"id":null}}'), 401],
]) {
  test(`an application that ${what}`, async () => {
    const token = somebody("dave");
    answers = answer;
    try {
      const began = Date.now();
      const got = await get("/", `token=${token}`);
      assert.equal(got.status, status, await got.text());
      assert.deepEqual(got.headers.getSetCookie(), []);
      assert.ok(Date.now() - began < 10_000);
    } finally {
      answers = knows;
    }
    const later = await get("/", `token=${token}`);
    assert.equal(later.status, status === 401 ? 401 : 200, "no answer is not the answer that there is nobody");
  });
}

test("who ends all sessions ends those that have not moved in", async () => {
  const [phone, laptop, others] = [somebody("erin"), somebody("erin"), somebody("frank")];
  const cookie = sessionCookie(await get("/", `token=${phone}`));
  const ended = await gateway.fetch("/_warifu/me/not-me", {
    method: "POST",
    headers: { cookie, "sec-fetch-site": "same-origin" },
  });
  assert.equal(ended.status, 200);
  const refused = await get("/", `token=${laptop}`);
  assert.deepEqual([refused.status, refused.headers.getSetCookie()], [401, []]);
  assert.equal(await (await get("/", `token=${others}`)).text(), "frank");
});

test("after a kill of the site nothing moves in any more", async () => {
  const token = somebody("grace");
  const killed = await admin("DELETE", "sessions", JSON.stringify({ confirm: "default" }));
  assert.equal(killed.status, 202);
  const { kill_id: kill } = await killed.json();
  // Not just "not committed": a call that fails says nothing of the kill.
  const done = async () => ["published", "quiesced"].includes((await (await admin("GET", `revocations/${kill}`)).json()).state);
  await until(done, "all shards have it");
  assert.equal((await get("/", `token=${token}`)).status, 401);
});

const admin = (method, call, body) =>
  gateway.fetch(`/_warifu/${call}`, {
    method,
    headers: { authorization: `Bearer ${ops.key}`, ...(body ? { "content-type": "application/json" } : {}) },
    body,
  });
