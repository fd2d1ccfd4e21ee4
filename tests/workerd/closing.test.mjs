// A Close is half of an end: until the other side has answered it, messages still come from
// there, and whoever sent it may stay connected. Frames are made by hand here: no library sends
// these.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";

import { newAdminKey, start, until } from "./support/gateway.mjs";

const admin = newAdminKey();
let origin, gateway;
// The application's sides, by their paths.
const sides = new Map();

before(async () => {
  origin = http.createServer((_, answer) => answer.end("fine"));
  origin.on("upgrade", ({ url, headers }, socket) => {
    const key = `${headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash("sha1").update(key).digest("base64");
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    sides.set(url, new Side(socket));
  });
  origin.listen(0, "127.0.0.1");
  await once(origin, "listening");
  const warifu = { bound: "1s", routes: [{ path: "/strict/*", access: "strict" }] };
  gateway = await start({ origin: `http://127.0.0.1:${origin.address().port}`, adminKeys: [admin], warifu });
});
after(async () => {
  for (const { socket } of sides.values()) socket.destroy();
  await gateway?.close();
  origin?.close();
});

// One end of a WebSocket: it remembers what frames come, and sends what it is told to and nothing
// else.
class Side {
  messages = [];
  close;
  isGone = false;
  #bytes = Buffer.alloc(0);

  constructor(socket, isMasked = false) {
    this.socket = socket;
    this.isMasked = isMasked;
    socket.on("error", () => {});
    // A socket of Node's server stays half open else.
    socket.on("end", () => socket.end()).on("close", () => (this.isGone = true));
    socket.on("data", (data) => {
      this.#bytes = Buffer.concat([this.#bytes, data]);
      while (this.#take());
    });
  }

  // All frames here have less than 126 bytes.
  #take() {
    const [first, second] = this.#bytes;
    const from = second & 0x80 ? 6 : 2;
    const end = from + (second & 0x7f);
    if (!(this.#bytes.length >= end)) return false;
    const mask = this.#bytes.subarray(2, from);
    const payload = this.#bytes.subarray(from, end).map((byte, index) => byte ^ (mask[index % 4] ?? 0));
    this.#bytes = this.#bytes.subarray(end);
    if ((first & 0xf) === 8) this.close ??= payload.length < 2 ? 1005 : payload.readUInt16BE(0);
    else this.messages.push(String(payload));
    return true;
  }

  // Masked with zeros, a payload stays as it is.
  send(opcode, payload) {
    const [bit, mask] = this.isMasked ? [0x80, Buffer.alloc(4)] : [0, Buffer.alloc(0)];
    this.socket.write(Buffer.concat([Buffer.from([0x80 | opcode, bit | payload.length]), mask, payload]));
  }
  say(text) {
    this.send(1, Buffer.from(text));
  }
  sendClose(code, reason = "") {
    this.send(8, Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]));
  }
}

async function logIn(subject) {
  const init = { method: "POST", headers: { authorization: `Bearer ${admin.key}` }, body: JSON.stringify({ subject }) };
  return (await (await gateway.fetch("/_warifu/sessions", init)).json()).set_cookie.split(";")[0];
}
async function kill(subject) {
  const init = { method: "DELETE", headers: { authorization: `Bearer ${admin.key}` } };
  assert.equal((await gateway.fetch(`/_warifu/sessions?subject=${subject}`, init)).status, 200);
}

// Both ends of a WebSocket through the gateway.
let opened = 0;
async function open(subject, folder = "sockets") {
  const path = `/${folder}/${(opened += 1)}`;
  const headers = { cookie: await logIn(subject), origin: gateway.url, connection: "Upgrade", upgrade: "websocket" };
  Object.assign(headers, { "sec-websocket-version": 13, "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" });
  const request = http.get(gateway.url + path, { headers, agent: false });
  const [, socket, head] = await once(request, "upgrade");
  socket.unshift(head);
  const [client, application] = [new Side(socket, true), sides.get(path)];
  application.say("hello");
  await until(() => client.messages.length === 1, "it is open");
  return { client, application };
}

// Codes that are not to be sent (RFC 6455, section 7.4), and a reason that is no UTF-8, which is
// too long once it is.
const UNSENDABLE = [[5000], [1004], [1015], [999], [1000, Buffer.alloc(123, 0xff)]];

test("a close that cannot be passed on ends both sides", async () => {
  for (const folder of ["sockets", "strict"]) {
    for (const [code, reason] of UNSENDABLE) {
      for (const from of ["client", "application"]) {
        const both = await open("alice", folder);
        const what = `${code} from the ${from} on /${folder}/`;
        both[from].sendClose(code, reason);
        await until(() => both.client.close && both.application.close, `both are told: ${what}`);
        assert.deepEqual([both.client.close, both.application.close], [1002, 1002], what);
        // Neither of the two is heard any more.
        both.application.say("secret");
        both.client.say("order");
        if (from === "client") both.application.sendClose(1002);
        else both.client.sendClose(1002);
        await until(() => both.client.isGone && both.application.isGone, `both are gone: ${what}`);
        assert.deepEqual([both.client.messages, both.application.messages], [["hello"], []], what);
      }
    }
  }
});

test("a kill cuts what is closing", async () => {
  const { client, application } = await open("bob");
  client.sendClose(1000);
  await until(() => application.close === 1000, "the application is told");
  application.say("not yet");
  await until(() => client.messages.includes("not yet"), "it may go on for a while");
  await kill("bob");
  await until(() => client.close === 4401, "it is cut");
  application.say("secret");
  application.sendClose(1000);
  await until(() => client.isGone && application.isGone, "both are gone");
  assert.deepEqual(client.messages, ["hello", "not yet"]);
});

test("who does not answer a close in ten seconds is cut off", async () => {
  const pairs = [["client", "application"], ["application", "client"]];
  await Promise.all(pairs.map(async ([from, to]) => {
    const both = await open(`${from}s`);
    both[from].sendClose(1000, "bye");
    await until(() => both[to].close === 1000, `the ${to} is told`);
    both[to].say("not yet");
    await until(() => both[from].messages.includes("not yet"), `the ${to} may go on for a while`);
    await until(() => both[from].close === 1000, `the ${from} is closed without the ${to}`);
    const heard = [...both[from].messages];
    await kill(`${from}s`);
    both[to].say("secret");
    both[to].sendClose(1000);
    await until(() => both.client.isGone && both.application.isGone, "both are gone");
    assert.deepEqual(both[from].messages, heard);
  }));
});
