// Requests go on in turns (src/edge/turn.rs): what one waits for is nothing to another, and who
// goes away while waiting takes nothing along.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";

import { startBare } from "./support/bare.mjs";
import { newAdminKey } from "./support/gateway.mjs";

const ops = newAdminKey();
const waiting = new Map();
let origin;
let gateway;

before(async () => {
  // Answers when it is told to, with what was asked for and by whom.
  origin = http.createServer((request, response) => {
    waiting.set(request.url, { request, answer: () => response.end(`${request.url} ${request.headers["warifu-subject"]}`) });
  });
  await once(origin.listen(0, "127.0.0.1"), "listening");
  gateway = await startBare({
    warifu: {
      origin: `http://127.0.0.1:${origin.address().port}`,
      origin_timeout: "1s",
      routes: [
        { path: "/strict/*", access: "strict" },
        { path: "/warm/*", access: "required" },
      ],
    },
    adminKeys: [ops],
  });
});
after(async () => {
  await gateway.close();
  origin.closeAllConnections();
  origin.close();
});

async function mint(subject) {
  const answer = await gateway.fetch("/_warifu/sessions", {
    method: "POST",
    headers: { authorization: `Bearer ${ops.key}`, "content-type": "application/json" },
    body: JSON.stringify({ subject }),
  });
  assert.equal(answer.status, 201);
  return (await answer.json()).set_cookie.split(";")[0];
}

async function arrived(path) {
  while (!waiting.has(path)) await new Promise((resolve) => setImmediate(resolve));
  return waiting.get(path);
}

const shuffled = (list) => list.map((it) => [Math.random(), it]).sort(([a], [b]) => a - b).map(([, it]) => it);

for (const route of ["/warm", "/strict"]) {
  test(`many requests that wait at a time each get their own answer, on ${route}`, async () => {
    const people = Array.from({ length: 12 }, (_, n) => `person-${n}`);
    const cookies = await Promise.all(people.map(mint));
    const answers = people.map((person, n) => gateway.fetch(`${route}/${person}`, { headers: { cookie: cookies[n] } }));
    await Promise.all(people.map((person) => arrived(`${route}/${person}`)));
    for (const person of shuffled(people)) waiting.get(`${route}/${person}`).answer();
    for (const [n, person] of people.entries()) {
      const answer = await answers[n];
      assert.equal(`${answer.status} ${await answer.text()}`, `200 ${route}/${person} ${person}`);
    }
  });
}

test("an origin that does not answer in time is 504, and the others are served meanwhile", async () => {
  const cookie = await mint("patient");
  const silent = gateway.fetch("/warm/silent", { headers: { cookie } });
  await arrived("/warm/silent");
  const other = gateway.fetch("/warm/other", { headers: { cookie } });
  (await arrived("/warm/other")).answer();
  assert.equal((await other).status, 200);
  assert.equal((await silent).status, 504);
  // The platform gives up what the request has begun.
  const { request } = waiting.get("/warm/silent");
  if (!request.socket.destroyed) await once(request.socket, "close");
});

test("who goes away while the origin is asked harms nobody", async () => {
  const cookie = await mint("hasty");
  for (let n = 0; n < 20; n += 1) {
    const request = http.get(new URL(`/warm/gone-${n}`, gateway.url), { headers: { cookie }, agent: false });
    request.on("error", () => {});
    const { answer } = await arrived(`/warm/gone-${n}`);
    request.destroy();
    answer();
  }
  const stays = gateway.fetch("/warm/stays", { headers: { cookie } });
  (await arrived("/warm/stays")).answer();
  assert.equal(await (await stays).text(), "/warm/stays hasty");
});
