// The load finds what is planted in a gateway: here is a small one of its own, which can be
// told to be wrong. In all that it is not told, it does what the real one promises.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { describe, test } from "node:test";

import { Client } from "../../benches/soak/client.mjs";
import * as deeds from "../../benches/soak/deeds.mjs";
import { Drive } from "../../benches/soak/drive.mjs";
import { ENDS, end } from "../../benches/soak/ends.mjs";
import { Stock } from "../../benches/soak/fill.mjs";
import { People } from "../../benches/soak/people.mjs";
import { COOKIE } from "../../benches/soak/site.mjs";

const stock = new Stock(randomBytes(32), 40);

// A gateway of a test's own, and the world of the load at it: both edges are one server, which
// knows sessions by their cookie. `wrong` changes an answer.
async function start(t, wrong) {
  const sessions = new Map(Array.from({ length: stock.size }, (_, at) => [stock.session(at).cookie, stock.session(at)]));
  const server = http.createServer((request, response) => {
    const answer = { status: 200, body: {}, headers: {}, ...wrong?.(request, sessions) };
    if (answer.handled !== true) Object.assign(answer, gateway(sessions, request, answer));
    response.writeHead(answer.status, answer.headers).end(JSON.stringify(answer.body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}`;
  const client = new Client({ edges: [{ name: "edge-1", url }, { name: "edge-2", url }], admin: "key" });
  const drive = new Drive(client, new People(stock, { busy: 12 }));
  t.after(() => server.close());
  t.after(() => client.close());
  return {
    ...drive.world,
    world: drive.world,
    // Does it, and all looks that are due afterwards; how much was found, by kind.
    async found(deed) {
      await deed(drive.world);
      await drive.run({ seconds: 0, clients: 1 });
      return client.findings.counts;
    },
  };
}

const identity = ({ subject, id, level, claims }) => ({ subject, session: id, level: String(level), claims });
const refusal = { status: 401, body: { code: "no_session" } };

function gateway(sessions, { method, url, headers }, { keeps }) {
  const { pathname, searchParams } = new URL(url, "http://edge");
  const session = sessions.get(headers.cookie);
  const ends = (those) => {
    if (keeps !== true) for (const [cookie, { id }] of sessions) if (those.some((it) => it.id === id)) sessions.delete(cookie);
  };
  const of = (subject) => [...sessions.values()].filter((it) => it.subject === subject);
  const renew = () => {
    const cookie = `${COOKIE}=${randomBytes(54).toString("base64url")}`;
    sessions.delete(headers.cookie);
    sessions.set(cookie, { ...session, cookie });
    return { headers: { "set-cookie": `${cookie}; Path=/` } };
  };
  const receipt = { body: { kill_id: "1", state: searchParams.has("wait") ? "quiesced" : "published" } };
  if (method === "DELETE" && pathname === "/_warifu/sessions") return ends(of(searchParams.get("subject"))), receipt;
  if (method === "DELETE" && pathname.startsWith("/_warifu/sessions/")) return ends([{ id: pathname.split("/").at(-1) }]), receipt;
  const command = headers["x-wanted"];
  if (command?.startsWith("do=start")) {
    const cookie = `${COOKIE}=${randomBytes(54).toString("base64url")}`;
    const id = `AQAAAA${randomBytes(12).toString("base64url")}`;
    sessions.set(cookie, { subject: command.match(/sub="(.*)"/)[1], id, cookie, level: 1, claims: "" });
    return { headers: { "set-cookie": `${cookie}; Path=/` } };
  }
  if (session === undefined) return refusal;
  if (pathname === "/_warifu/logout") return ends([session]), { status: 204 };
  if (pathname === "/_warifu/me/not-me" || command === "do=end-all") return ends(of(session.subject)), receipt;
  if (pathname === "/_warifu/me/sessions" || command === "do=end-others") {
    ends(of(session.subject).filter(({ id }) => id !== session.id));
    return { ...receipt, ...renew() };
  }
  if (command === "do=end") return ends([session]), {};
  return { body: identity(session) };
}

// Most of the time goes by until the bound is over: so beside one another.
describe("the load", { concurrency: true }, () => {
  test("where nothing is wrong, nothing is found", async (t) => {
    const { world, found } = await start(t);
    for (const name of ["check", "firstCheck", "strictCheck", "logsIn", "withoutCookie", "gone"]) await deeds[name](world);
    assert.deepEqual(await found(() => Promise.all(Object.keys(ENDS).map((name) => end(world, name)))), {});
    assert.equal(world.ends, Object.keys(ENDS).length);
    assert.equal(world.served, 0);
  });

  for (const name of Object.keys(ENDS)) {
    test(`a session that is served after its end is found: ${name}`, async (t) => {
      const { world, found } = await start(t, () => ({ keeps: true }));
      const counts = await found(() => end(world, name));
      assert.ok(counts["served after its end"] >= 1, JSON.stringify(counts));
      assert.ok(world.served >= 1);
    });
  }

  test("edges that go on for longer than the bound are found, also where strict routes are right", async (t) => {
    let ended;
    const { client, people, found } = await start(t, ({ url, headers }, sessions) => {
      const isEnded = headers.cookie === ended?.cookie && !sessions.has(headers.cookie);
      return isEnded && url === "/page" ? { handled: true, body: identity(ended) } : undefined;
    });
    const take = people.take.bind(people);
    people.take = async () => {
      const session = await take();
      ended = { ...session };
      return session;
    };
    await found((world) => end(world, "log-out"));
    const where = client.findings.kept.filter(({ kind }) => kind === "served after its end").map(({ what }) => what);
    const late = where.filter((what) => Number(what.match(/(\d+) ms after/)[1]) > deeds.EVERYWHERE_MS);
    assert.ok(where.length > late.length, "at once at the edge that was asked");
    for (const edge of ["edge-1", "edge-2"]) assert.ok(late.some((what) => what.includes(edge)), `after the bound at ${edge}: ${where.join("; ")}`);
  });

  test("somebody else's identity is found", async (t) => {
    const { found } = await start(t, () => ({ handled: true, body: { ...identity(stock.session(39)), subject: "mallory" } }));
    assert.deepEqual(await found(deeds.check), { check: 1 });
  });

  test("an answer that should not be is found, and kept without the cookie", async (t) => {
    const { client, found } = await start(t, ({ headers }) => ({ handled: true, status: 500, body: { text: `broken: ${headers.cookie}` } }));
    assert.deepEqual(await found(deeds.strictCheck), { "strict check": 1 });
    const [{ what }] = client.findings.kept;
    assert.match(what, /^GET \/strict at edge-[12]: 500, wanted 200: .*broken: __Host-Http-warifu=…/);
  });

  test("an honest neighbour of a flooder's who is refused is found", async (t) => {
    const { found } = await start(t, ({ headers }) => (headers["cf-connecting-ip"] === "203.0.113.9" ? { handled: true, status: 429 } : undefined));
    assert.deepEqual(await found(deeds.neighbour), { check: 1 });
  });

  test("a cookie that should open nothing, and does, is found", async (t) => {
    const { people, found } = await start(t, () => ({ handled: true, body: identity(stock.session(1)) }));
    people.bury(stock.session(0).cookie);
    assert.deepEqual(await found(deeds.gone), { "cookie of a session that is gone": 1 });
  });

  test("a rotation that changes nothing is found", async (t) => {
    const { found } = await start(t);
    assert.deepEqual(await found(deeds.rotate), { rotation: 1 });
  });

  test("an edge that is gone is found", async (t) => {
    const { client, found } = await start(t);
    for (const edge of client.edges) await edge.pool.destroy();
    assert.deepEqual(await found(deeds.check), { check: 1 });
  });

  test("a site that cannot know is counted, and is no finding", async (t) => {
    const { client, found } = await start(t, () => ({ handled: true, status: 503, body: { code: "store_unavailable" } }));
    assert.deepEqual(await found(deeds.check), {});
    assert.equal(client.unavailable, 1);
  });
});
