// What is open when its session ends is cut, within the bound and a second, and
// nothing else is. All connections of an isolate share its window of the feed.
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";

import { newAdminKey, sessionCookie, start, told, until } from "./support/gateway.mjs";
import { connect, startSockets } from "./support/sockets.mjs";

const BOUND = 2_000;
const SECOND = 1_000;
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const admin = newAdminKey();
let origin, gateway;
before(async () => {
  origin = await startSockets();
  gateway = await start({
    origin: origin.url,
    adminKeys: [admin],
    warifu: {
      bound: `${BOUND}ms`,
      rotation_grace: "1s",
      routes: [
        { path: "/do", access: "optional", commands: true },
        { path: "/kept/*", access: "required", on_end: "keep" },
        { path: "/events/kept", access: "required", on_end: "keep" },
        { path: "/strict/*", access: "strict" },
      ],
    },
  });
});
after(async () => {
  await gateway?.close();
  origin?.stop();
});

const command = (text, cookie) =>
  gateway.fetch(`/do?command=${encodeURIComponent(text)}`, { headers: cookie === undefined ? {} : { cookie } });
const logIn = async (subject, more = "") => sessionCookie(await command(`do=start, sub="${subject}"${more}`));

// Ends the subject's sessions; when that was acknowledged, by a receipt that the
// feed has it.
async function kill(subject) {
  const answer = await gateway.fetch(`/_warifu/sessions?subject=${subject}`, {
    method: "DELETE",
    headers: { authorization: `Bearer ${admin.key}` },
  });
  assert.equal(answer.status, 200, await answer.text());
  return Date.now();
}

// An event stream, read for as long as it lasts. `ended` resolves with when, and
// with whether it was broken off.
async function listen(cookie, path = "/events") {
  const headers = { cookie, traceparent: `00-${TRACE}-b7ad6b7169203331-01` };
  const request = http.get(gateway.url + path, { headers, agent: false });
  const stream = { status: 0, text: "", stop: () => request.destroy() };
  await new Promise((resolve, reject) => {
    request.on("error", reject);
    request.on("response", (answer) => {
      stream.status = answer.statusCode;
      stream.ended = new Promise((resolve) => {
        answer.on("close", () => resolve({ at: Date.now(), isWhole: answer.complete }));
      });
      answer.on("error", () => {});
      answer.on("data", (data) => {
        stream.text += data;
        resolve();
      });
    });
  });
  request.on("error", () => {});
  return stream;
}

const echoes = async (socket, text) => {
  socket.send(text);
  return (await socket.next()) === text;
};

async function open(path, cookie) {
  const socket = connect(gateway, path, { cookie });
  await socket.opened;
  return socket;
}

test("a kill cuts the WebSockets and event streams of its sessions, and no others", async () => {
  const [alice, bob] = [await logIn("alice"), await logIn("bob")];
  const sockets = [await open("/sockets/echo", alice), await open("/strict/echo", alice)];
  const stream = await listen(alice);
  const [other, hers] = [await open("/sockets/echo", bob), await listen(bob)];
  const T = await kill("alice");
  for (const socket of sockets) {
    const { at, ...seen } = await socket.closed;
    assert.deepEqual(seen, { code: 4401, reason: "the session has ended" });
    assert.ok(at <= T + BOUND + SECOND, `cut ${at - T} ms after the kill was acknowledged`);
  }
  const { at, isWhole } = await stream.ended;
  assert.ok(at <= T + BOUND + SECOND, `cut ${at - T} ms after the kill was acknowledged`);
  assert.equal(isWhole, false, "broken off, which no client takes for an end");
  // The origin is told as well, and nobody else is touched.
  await until(() => origin.streams.size === 1, "the origin's side of the stream is closed");
  await until(() => origin.closed.length >= 2, "and the sides of both sockets");
  assert.deepEqual(origin.closed.slice(-2).map(({ code }) => code), [4401, 4401]);
  origin.tick();
  await until(() => hers.text.includes("next"), "the other stream goes on");
  assert.ok(await echoes(other, "still here"));
  other.close();
  hers.stop();
  // The platform notices with what is next sent, on streams of public routes too.
  const isLeft = () => (origin.tick(), origin.streams.size === 0);
  await until(isLeft, "the client's leaving reaches the origin");
  await told(gateway, { event: "connection_cut", site: "default", trace: TRACE });
});

test("a log-out in another tab cuts as well", async () => {
  const cookie = await logIn("carol");
  const socket = await open("/sockets/echo", cookie);
  const answer = await gateway.fetch("/_warifu/logout", { method: "POST", headers: { cookie, "sec-fetch-site": "same-origin" } });
  assert.ok(answer.status < 400, String(answer.status));
  assert.equal((await socket.closed).code, 4401);
});

test('with on_end = "keep" they stay', async () => {
  const cookie = await logIn("dave");
  const kept = [await open("/kept/echo", cookie), await listen(cookie, "/events/kept")];
  const cut = await open("/sockets/echo", cookie);
  await kill("dave");
  assert.equal((await cut.closed).code, 4401);
  assert.ok(await echoes(kept[0], "still here"));
  origin.tick();
  await until(() => kept[1].text.includes("next"), "the kept stream goes on");
  kept[0].close();
  kept[1].stop();
});

test("a session that expires takes them along", async () => {
  const cookie = await logIn("erin", ", ttl=3");
  const socket = await open("/sockets/echo", cookie);
  const opened = Date.now();
  const { code, at } = await socket.closed;
  assert.equal(code, 4401);
  assert.ok(at - opened > 2 * SECOND && at - opened < 3 * SECOND + BOUND + SECOND, `${at - opened} ms`);
});

test("what an old secret has opened is cut when its grace ends", async () => {
  const old = await logIn("frank");
  const before = await open("/sockets/echo", old);
  const newer = sessionCookie(await command("do=rotate", old));
  assert.notEqual(newer, old);
  const after = await open("/sockets/echo", newer);
  assert.equal((await before.closed).code, 4401);
  assert.ok(await echoes(after, "still here"));
  after.close();
});

test("a thousand WebSockets echo; those of a killed session are cut in time, with one poll for all", async () => {
  const SESSIONS = 50;
  const EACH = 20;
  const cookies = await Promise.all(Array.from({ length: SESSIONS }, (_, index) => logIn(`user${index}`)));
  const sockets = [];
  for (const [session, cookie] of cookies.entries()) {
    const opened = await Promise.all(Array.from({ length: EACH }, () => open("/sockets/echo", cookie)));
    sockets.push(...opened.map((socket) => ({ socket, session })));
  }
  assert.equal(sockets.length, 1_000);
  const all = await Promise.all(sockets.map(({ socket }, index) => echoes(socket, `message ${index}`)));
  assert.ok(all.every((echoed) => echoed));

  const counts = async () => (await gateway.fetch("/_warifu/test/store-calls")).json();
  const [from, began] = [await counts(), Date.now()];
  const T = await kill("user7");
  const doomed = sockets.filter(({ session }) => session === 7);
  const cuts = await Promise.all(doomed.map(({ socket }) => socket.closed));
  const late = cuts.map(({ at }) => at - T);
  assert.deepEqual([...new Set(cuts.map(({ code }) => code))], [4401]);
  assert.ok(Math.max(...late) <= BOUND + SECOND, `cut at most ${Math.max(...late)} ms after the kill`);

  const living = sockets.filter(({ session }) => session !== 7);
  const still = await Promise.all(living.map(({ socket }, index) => echoes(socket, `again ${index}`)));
  assert.ok(still.every((echoed) => echoed));
  await until(async () => Date.now() - began > 5 * BOUND, "a few bounds pass");
  const to = await counts();
  const spans = Math.ceil((Date.now() - began) / (BOUND / 2));
  console.log(`1000 sockets, ${Date.now() - began} ms: ${to.polls - from.polls} polls, ${to.store_calls - from.store_calls} calls of session objects; cut after ${Math.min(...late)} to ${Math.max(...late)} ms`);
  assert.ok(to.polls > from.polls && to.polls - from.polls <= spans + 2, `${to.polls - from.polls} polls in ${spans} halves of a bound`);
  assert.ok(to.store_calls - from.store_calls <= 2 * SESSIONS + 2 * EACH, `${to.store_calls - from.store_calls} calls`);
  living.forEach(({ socket }) => socket.close());
  await Promise.all(living.map(({ socket }) => socket.closed));
});
