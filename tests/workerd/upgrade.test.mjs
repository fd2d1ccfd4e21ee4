// WebSockets go through as they are: frames, their kinds and order, subprotocols,
// and closes from either side. On protected routes both halves are the gateway's.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";

import { sessionCookie, start, until } from "./support/gateway.mjs";
import { connect, startSockets } from "./support/sockets.mjs";

let origin, gateway, cookie;
before(async () => {
  origin = await startSockets();
  gateway = await start({
    origin: origin.url,
    warifu: {
      origin_timeout: "1s",
      routes: [
        { path: "/login", access: "optional", commands: true },
        { path: "/open/*", access: "public" },
        { path: "/maybe/*", access: "optional" },
      ],
    },
  });
  const answer = await gateway.fetch(`/login?command=${encodeURIComponent('do=start, sub="alice"')}`);
  cookie = sessionCookie(answer);
});
after(async () => {
  await gateway?.close();
  origin?.stop();
});

const refusedWith = (socket) => socket.opened.then(() => "opened", ({ status }) => status);
const kinds = () => [
  ["public", "/open", undefined],
  ["without a session", "/maybe", undefined],
  ["watched", "/sockets", cookie],
];

test("text, binary, empty and large messages come back, in order", async () => {
  for (const [kind, path, cookie] of kinds()) {
    const socket = connect(gateway, `${path}/echo`, { cookie });
    await socket.opened;
    const sent = ["hello", "", "ふ".repeat(1000), randomBytes(1), Buffer.alloc(0), randomBytes(900_000), "last"];
    sent.forEach((message) => socket.send(message));
    for (const message of sent) assert.deepEqual(await socket.next(), message, kind);
    socket.close(1000);
    assert.equal((await socket.closed).code, 1000);
  }
});

test("who is there is told to the origin, and the cookie is not", async () => {
  const socket = connect(gateway, "/sockets/echo?room=1", { cookie: `${cookie}; theme=dark` });
  await socket.opened;
  const { url, headers } = origin.requests.at(-1);
  assert.deepEqual([url, headers["warifu-subject"], headers.cookie], ["/sockets/echo?room=1", "alice", "theme=dark"]);
  socket.close();
});

test("the origin chooses the subprotocol", async () => {
  for (const [kind, path, cookie] of kinds()) {
    const socket = connect(gateway, `${path}/echo`, { cookie, protocols: ["chat.v1", "chat.v2"] });
    await socket.opened;
    assert.equal(socket.protocol, "chat.v2", kind);
    socket.close();
  }
});

test("compression is between each side and the platform, and messages are whole", async () => {
  const socket = connect(gateway, "/sockets/echo", { cookie, perMessageDeflate: true });
  await socket.opened;
  const text = "the same again and again ".repeat(4_000);
  socket.send(text);
  assert.equal(await socket.next(), text);
  socket.close();
});

test("a close goes through with its code and its reason, from either side", async () => {
  const codes = [[1000, "done"], [1001, "away"], [1008, ""], [3000, "a"], [4999, "ふ"], [1005, ""]];
  for (const [code, reason] of codes) {
    const asked = connect(gateway, "/sockets/close", { cookie });
    await asked.opened;
    asked.send(`${code} ${reason}`);
    const { at, ...seen } = await asked.closed;
    assert.deepEqual(seen, { code, reason });

    const before = origin.closed.length;
    const closing = connect(gateway, "/sockets/echo", { cookie });
    await closing.opened;
    if (code === 1005) closing.close();
    else closing.close(code, reason);
    await until(() => origin.closed.length > before, "the origin sees the close");
    assert.deepEqual(origin.closed.at(-1), { code, reason });
    assert.equal((await closing.closed).code, code, "and the answer to it comes back");
  }
});

test("whoever vanishes without a close is gone for the other side too", async () => {
  const left = connect(gateway, "/sockets/vanish", { cookie });
  await left.opened;
  left.send("go");
  assert.equal((await left.closed).code, 1014, "Bad Gateway");
  const before = origin.closed.length;
  const leaving = connect(gateway, "/sockets/echo", { cookie });
  await leaving.opened;
  leaving.terminate();
  await until(() => origin.closed.length > before, "the origin sees that the client is gone");
  assert.deepEqual(origin.closed.at(-1), { code: 1001, reason: "" });
});

test("a ping is answered, by the platform", async () => {
  const socket = connect(gateway, "/sockets/echo", { cookie });
  await socket.opened;
  const pong = new Promise((resolve) => socket.on("pong", (data) => resolve(String(data))));
  socket.ping("are you there");
  assert.equal(await pong, "are you there");
  socket.close();
});

test("without a session there is no handshake", async () => {
  for (const given of [undefined, `${cookie}x`]) {
    const before = origin.requests.length;
    assert.equal(await refusedWith(connect(gateway, "/sockets/echo", { cookie: given })), 401);
    assert.equal(origin.requests.length, before, "the origin has heard nothing of it");
  }
});

test("gorilla/csrf CVE-2025-24358: from another site, or from nowhere, there is none either", async () => {
  for (const path of ["/open/echo", "/maybe/echo", "/sockets/echo"]) {
    for (const from of ["https://evil.example", "null", null]) {
      assert.equal(await refusedWith(connect(gateway, path, { cookie, from })), 403, `${path} from ${from}`);
    }
  }
});

test("what the origin says instead of a handshake is the answer", async () => {
  for (const [kind, path, cookie] of kinds()) {
    assert.equal(await refusedWith(connect(gateway, `${path}/refused`, { cookie })), 403, kind);
  }
});

test("a handshake that the origin does not finish is given up: origin_timeout", async () => {
  for (const [kind, path, cookie] of kinds()) {
    assert.equal(await refusedWith(connect(gateway, `${path}/never`, { cookie })), 504, kind);
  }
});

test("who has logged out while the origin took its time gets nothing of it", async () => {
  const answer = await gateway.fetch(`/login?command=${encodeURIComponent('do=start, sub="bob"')}`);
  const bobs = sessionCookie(answer);
  const begun = performance.now();
  const socket = connect(gateway, "/sockets/late", { cookie: bobs });
  await until(() => origin.requests.at(-1).url === "/sockets/late", "the handshake has reached the origin");
  const headers = { cookie: bobs, "sec-fetch-site": "same-origin" };
  assert.equal((await gateway.fetch("/_warifu/logout", { method: "POST", headers })).status, 204);
  await until(() => performance.now() - begun > 500, "the first verdict is too old to open on");
  const before = origin.closed.length;
  origin.grant();
  assert.equal(await refusedWith(socket), 401);
  await until(() => origin.closed.length > before, "the origin sees that nobody is there");
});

test("the offer of another protocol is not passed on, and is no hindrance", async () => {
  const answer = await gateway.raw(
    `GET /page HTTP/1.1\nHost: app.test\nUpgrade: h2c\nConnection: Upgrade, HTTP2-Settings, close\nHTTP2-Settings: AAMAAABk\nCookie: ${cookie}\n\n`,
  );
  assert.equal(answer.status, 200, answer.text);
  const { headers } = origin.requests.at(-1);
  assert.deepEqual([headers.upgrade, headers["http2-settings"]], [undefined, undefined]);
});
