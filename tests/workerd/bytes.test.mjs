// What wrangler's server between the client and the runtime would change or break: answers in a
// coding, the words of a status, cookies that are no UTF-8, the port in a Host.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";

import { startBare } from "./support/bare.mjs";
import { COOKIE, newAdminKey, until } from "./support/gateway.mjs";

const CONTENT = Buffer.from("割符 ".repeat(2_000));
const CODED = { gzip: gzipSync(CONTENT), br: brotliCompressSync(CONTENT) };
const ops = newAdminKey();

let origin, gateway, cookie, answers, seen;
before(async () => {
  origin = http.createServer((request, answer) => answers(answer, (seen = request))).listen(0, "127.0.0.1");
  await once(origin, "listening");
  gateway = await startBare({
    adminKeys: [ops],
    warifu: {
      origin: `http://127.0.0.1:${origin.address().port}`,
      origin_timeout: "1s",
      routes: [
        { path: "/log-in", access: "optional", commands: true },
        { path: "/public", access: "public" },
      ],
    },
  });
  const init = { method: "POST", headers: { authorization: `Bearer ${ops.key}` }, body: '{"subject":"alice"}' };
  cookie = (await (await gateway.fetch("/_warifu/sessions", init)).json()).set_cookie.split(";")[0];
});
after(async () => {
  await gateway?.close();
  origin?.close();
});

const get = (path, headers = {}) => gateway.fetch(path, { headers: { cookie, ...headers } });
const bytes = async (answer) => Buffer.from(await answer.arrayBuffer());

test("events in a coding that the platform does not know by that name keep it", async () => {
  answers = (answer) => answer.writeHead(200, { "content-type": "text/event-stream", "content-encoding": "GZIP" }).end(CODED.gzip);
  const answer = await get("/events", { "accept-encoding": "gzip" });
  assert.equal(answer.headers.get("content-encoding"), "GZIP");
  assert.deepEqual(await bytes(answer), CODED.gzip);
});

test("a part of what is coded passes byte for byte, of event streams too", async () => {
  for (const [coding, whole] of Object.entries(CODED)) {
    const part = whole.subarray(10, 33);
    const fields = { "content-encoding": coding, "content-range": `bytes 10-32/${whole.length}`, "content-length": part.length };
    for (const type of ["application/octet-stream", "application/x-ndjson"]) {
      answers = (answer) => answer.writeHead(206, { ...fields, "content-type": type }).end(part);
      const answer = await get("/part", { range: "bytes=10-32", "accept-encoding": coding });
      assert.deepEqual([answer.status, answer.headers.get("content-encoding")], [206, coding]);
      assert.equal(answer.headers.get("content-length"), String(part.length));
      assert.deepEqual(await bytes(answer), part, `${coding}, ${type}`);
    }
  }
});

// RFC 9112, section 4: reason-phrase = 1*( HTAB / SP / VCHAR / obs-text ).
test("an answer passes, and is obeyed, whatever the words of its status are", async () => {
  const logsIn = { "warifu-command": 'do=start, sub="alice"' };
  const events = { "content-type": "text/event-stream" };
  for (const phrase of ["Fine", "O\tK", "Schön"]) {
    for (const [path, fields] of [["/log-in", logsIn], ["/page", {}], ["/page", events], ["/public", {}]]) {
      answers = (answer) => answer.writeHead(200, phrase, fields).end("in");
      // Who logs in anew ends the session of before.
      const answer = await (path === "/log-in" ? gateway.fetch(path) : get(path));
      assert.deepEqual([answer.status, await answer.text()], [200, "in"], `${path} ${phrase}`);
      assert.equal(answer.headers.getSetCookie().length, path === "/log-in" ? 1 : 0);
    }
  }
});

test("a cookie of the application's keeps its bytes, but those beside one of ours that are no UTF-8", async () => {
  const utf8 = Buffer.from("u=Bär").toString("latin1");
  const cookies = async (...set) => {
    answers = (answer) => answer.writeHead(200, { "set-cookie": [utf8, "l=B\xe4r", ...set] }).end();
    return (await get("/page")).headers.getSetCookie().map((cookie) => Buffer.from(cookie, "latin1"));
  };
  assert.deepEqual(await cookies(), [utf8, "l=B\xe4r"].map((text) => Buffer.from(text, "latin1")));
  assert.deepEqual(await cookies(`${COOKIE}=theirs`), ["u=Bär", "l=B\ufffdr"].map((text) => Buffer.from(text)));
});

test("the time that a client takes for its upload is not the application's", async () => {
  let asked = 0;
  origin.once("request", () => (asked = performance.now()));
  answers = async (answer) => {
    for await (const _ of answer.req);
    answer.end("all of it");
  };
  let rest;
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new Uint8Array(20_000));
      rest = () => {
        controller.enqueue(new Uint8Array(20_000));
        controller.close();
      };
    },
  });
  const answering = gateway.fetch("/upload", { method: "POST", body, headers: { cookie, "content-length": 40_000 } });
  await until(() => asked > 0 && performance.now() - asked > 1_200, "origin_timeout is over");
  rest();
  const answer = await answering;
  assert.deepEqual([answer.status, await answer.text()], [200, "all of it"]);
});

test("the scheme's own port is no part of the host", async () => {
  const hosts = await startBare({ warifu: { origin: gateway.served.origin, hosts: ["app.test"], routes: [{ path: "/*", access: "public" }] } });
  try {
    let seen;
    answers = (answer) => {
      seen = answer.req.headers["x-forwarded-host"];
      answer.end();
    };
    const status = async (host) => (await hosts.fetch("/", { headers: { host } })).status;
    assert.deepEqual([await status("app.test:80"), seen], [200, "app.test"]);
    assert.equal(await status("app.test:443"), 421);
  } finally {
    await hosts.close();
  }
});

// To JavaScript, bytes that are no UTF-8 are all the same; the application gets each its own.
test("requests whose bytes differ are not alike", async () => {
  answers = (answer) => answer.end();
  const sent = async (path, headers) => {
    await (await gateway.fetch(path, { headers })).arrayBuffer();
    return seen.headers;
  };
  const same = Buffer.from("\uFFFD\uFFFD").toString("latin1");
  for (const value of ["\x80\x81", "\x80\x81", "\x90\x91", same, "\xc3\xbc", "\xc3\xbc", "a"]) {
    for (let times = 0; times < 3; times += 1) {
      assert.equal((await sent("/public", { cookie: `sid=${value}` })).cookie, `sid=${value}`);
      for (const name of ["x-name", "if-none-match", "referer"]) {
        assert.equal((await sent("/private", { cookie, [name]: value }))[name], value, name);
      }
    }
  }
});
