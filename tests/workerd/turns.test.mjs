// Requests go on in turns (src/edge/turn.rs): what one waits for is nothing to another, and who
// goes away while waiting takes nothing along.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";

import { startBare } from "./support/bare.mjs";
import { callsTo } from "./support/calls.mjs";
import { newAdminKey, until } from "./support/gateway.mjs";

const ops = newAdminKey();
const waiting = new Map();
let origin;
let gateway;
// The same, with an origin that has little time.
let hasty;

// A turn that is lost is an answer that never comes.
const TIMEOUT = { timeout: 60_000 };

before(async () => {
  // Answers when it is told to, with what was asked for and by whom; or hangs up at once.
  origin = http.createServer((request, response) => {
    if (request.url.endsWith("/fails")) return request.socket.destroy();
    waiting.set(request.url, { request, answer: () => response.end(`${request.url} ${request.headers["warifu-subject"]}`) });
  });
  await once(origin.listen(0, "127.0.0.1"), "listening");
  const warifu = {
    origin: `http://127.0.0.1:${origin.address().port}`,
    routes: [
      { path: "/strict/*", access: "strict" },
      { path: "/warm/*", access: "required" },
    ],
  };
  [gateway, hasty] = await Promise.all([{}, { origin_timeout: "1s" }].map((own) => startBare({ warifu: { ...warifu, ...own }, adminKeys: [ops] })));
});
after(async () => {
  await Promise.all([gateway?.close(), hasty?.close()]);
  origin.closeAllConnections();
  origin.close();
});

const mint = async (subject, at = gateway) => (await callsTo(() => at, ops).mint({ subject })).cookie;

async function arrived(path) {
  await until(() => waiting.has(path), `${path} arrives`);
  return waiting.get(path);
}

const shuffled = (list) => list.map((it) => [Math.random(), it]).sort(([a], [b]) => a - b).map(([, it]) => it);

for (const route of ["/warm", "/strict"]) {
  test(`many requests that wait at a time each get their own answer, on ${route}`, TIMEOUT, async () => {
    const people = Array.from({ length: 12 }, (_, n) => `person-${n}`);
    const cookies = await Promise.all(people.map((person) => mint(person)));
    const answers = people.map((person, n) => gateway.fetch(`${route}/${person}`, { headers: { cookie: cookies[n] } }));
    await Promise.all(people.map((person) => arrived(`${route}/${person}`)));
    for (const person of shuffled(people)) waiting.get(`${route}/${person}`).answer();
    for (const [n, person] of people.entries()) {
      const answer = await answers[n];
      assert.equal(`${answer.status} ${await answer.text()}`, `200 ${route}/${person} ${person}`);
    }
  });
}

test("an origin that does not answer in time is 504, and the others are served meanwhile", TIMEOUT, async () => {
  const cookie = await mint("patient", hasty);
  const silent = hasty.fetch("/warm/silent", { headers: { cookie } });
  await arrived("/warm/silent");
  const other = hasty.fetch("/warm/other", { headers: { cookie } });
  (await arrived("/warm/other")).answer();
  assert.equal((await other).status, 200);
  assert.equal((await silent).status, 504);
  // The platform gives up what the request has begun.
  const { request } = waiting.get("/warm/silent");
  if (!request.socket.destroyed) await once(request.socket, "close");
});

// It becomes a task, which another waker has to reach; once it goes on it asks the store again.
test("a request that waits for time goes on when it is over, and others are served meanwhile", TIMEOUT, async () => {
  const [ended, cookie] = [await mint("ended"), await mint("stays")];
  const kill = gateway.fetch("/_warifu/sessions?subject=ended&wait=quiesced", { method: "DELETE", headers: { authorization: `Bearer ${ops.key}` } });
  const meanwhile = gateway.fetch("/warm/meanwhile", { headers: { cookie } });
  (await arrived("/warm/meanwhile")).answer();
  assert.equal(await (await meanwhile).text(), "/warm/meanwhile stays");
  const answer = await kill;
  assert.deepEqual([answer.status, (await answer.json()).state], [200, "quiesced"]);
  assert.equal((await gateway.fetch("/warm/ended", { headers: { cookie: ended } })).status, 401);
});

test("what fails is told to the one request that waited for it", TIMEOUT, async () => {
  const cookie = await mint("unlucky");
  const ask = (path) => gateway.fetch(path, { headers: { cookie } });
  const works = ask("/strict/works");
  const { answer } = await arrived("/strict/works");
  assert.equal((await ask("/strict/fails")).status, 502);
  answer();
  assert.equal(await (await works).text(), "/strict/works unlucky");
});

test("who goes away while the origin is asked harms nobody", TIMEOUT, async () => {
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
