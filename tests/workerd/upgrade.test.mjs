// Upgrades: on public routes they pass; on protected ones they are refused, for
// as long as the gateway could not cut them when their session ends.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { start } from "./support/gateway.mjs";

let origin, gateway;
before(async () => {
  origin = createServer((request, response) => response.end()).listen(0, "127.0.0.1");
  origin.on("upgrade", (request, socket) => {
    // RFC 6455, section 1.3.
    const accept = createHash("sha1")
      .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64");
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    socket.write(Buffer.concat([Buffer.from([0x81, 5]), Buffer.from("hello")])); // one text frame
    socket.on("data", () => socket.destroy());
  });
  await once(origin, "listening");
  gateway = await start({
    origin: `http://127.0.0.1:${origin.address().port}`,
    warifu: { routes: [{ path: "/open", access: "public" }, { path: "/maybe", access: "optional" }] },
  });
});
after(async () => {
  await gateway.close();
  origin.close();
});

// Resolves with the first message, or with the error if there is none.
const firstMessage = (path, from) =>
  new Promise((resolve) => {
    const headers = from === undefined ? {} : { origin: from };
    const socket = new WebSocket(gateway.url.replace("http", "ws") + path, { headers });
    socket.addEventListener("message", ({ data }) => {
      socket.close();
      resolve(data);
    });
    socket.addEventListener("error", ({ message }) => resolve(`error: ${message}`));
  });

test("on a public route it passes", async () => {
  assert.equal(await firstMessage("/open", gateway.url), "hello");
});

test("from another site, or from nowhere, it is refused", async () => {
  for (const from of ["https://evil.example", undefined]) {
    assert.match(await firstMessage("/open", from), /non-101/);
  }
});

test("on other routes it is 501", async () => {
  for (const path of ["/maybe", "/account"]) {
    const answer = await gateway.raw(
      `GET ${path} HTTP/1.1\nHost: app.test\nOrigin: http://app.test\nUpgrade: websocket\nConnection: Upgrade\n` +
        "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n",
    );
    assert.equal(answer.status, 501, path);
    assert.match(answer.text, /not_yet/);
  }
});
