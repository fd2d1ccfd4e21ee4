// What HTTP has for passing answers on in parts, as they come, or not at all: on a protected
// route, with a session.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";
import { brotliCompressSync, constants, createBrotliCompress, createGzip, gzipSync } from "node:zlib";

import { newAdminKey, start, until } from "./support/gateway.mjs";

const ops = newAdminKey();
const CONTENT = Buffer.from("割符 ".repeat(2_000));
const CODED = { gzip: gzipSync(CONTENT), br: brotliCompressSync(CONTENT) };

// What the origin does on each path, until a test says otherwise.
const paths = {
  "/range": ({ headers }, answer) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
    const fields = { "content-type": "application/octet-stream", "accept-ranges": "bytes", etag: '"v1"' };
    if (from === undefined) return answer.writeHead(200, fields).end(CONTENT);
    if (headers["if-range"] === '"v0"') return answer.writeHead(200, fields).end(CONTENT);
    if (Number(from) >= CONTENT.length) return answer.writeHead(416, { "content-range": `bytes */${CONTENT.length}` }).end();
    const part = CONTENT.subarray(Number(from), Number(to) + 1);
    answer.writeHead(206, { ...fields, "content-range": `bytes ${from}-${to}/${CONTENT.length}`, "content-length": part.length });
    return answer.end(part);
  },
  "/head": (_, answer) => answer.writeHead(200, { "content-length": 123_456, "content-type": "image/png" }).end(),
  "/trace": ({ headers: { traceparent, tracestate, baggage } }, answer) => answer.end(JSON.stringify({ traceparent, tracestate, baggage })),
  "/none": (_, answer) => answer.writeHead(204, { "x-a": "1" }).end(),
  "/same": (_, answer) => answer.writeHead(304, { etag: '"v1"', "cache-control": "max-age=60" }).end(),
  "/cookies": (_, answer) => answer.writeHead(200, { "set-cookie": ["a=1; Path=/, x", "b=2; Expires=Thu, 01 Jan 2099 00:00:00 GMT", "a=3"] }).end(),
};

let origin, gateway, cookie;
before(async () => {
  origin = http.createServer((request, answer) => paths[new URL(request.url, "http://origin").pathname](request, answer));
  origin.on("checkContinue", (request, answer) => paths[request.url](request, answer));
  origin.listen(0, "127.0.0.1");
  await once(origin, "listening");
  const url = `http://127.0.0.1:${origin.address().port}`;
  gateway = await start({ origin: url, adminKeys: [ops], warifu: { routes: [{ path: "/maybe", access: "optional" }] } });
  const init = { method: "POST", headers: { authorization: `Bearer ${ops.key}` }, body: '{"subject":"alice"}' };
  cookie = (await (await gateway.fetch("/_warifu/sessions", init)).json()).set_cookie.split(";")[0];
});
after(async () => {
  await gateway?.close();
  origin?.close();
});

const get = (path, headers = {}, method = "GET") => gateway.fetch(path, { method, headers: { cookie, ...headers } });
const bytes = async (answer) => Buffer.from(await answer.arrayBuffer());

// A request whose connection is the test's to cut.
function request(path, init = {}) {
  const { headers, ...rest } = init;
  const sent = http.request(gateway.url + path, { ...rest, headers: { cookie, ...headers }, agent: false });
  sent.on("error", () => {}); // cut on purpose
  return sent;
}

test("events arrive one by one, each before the next is written", async () => {
  let stream;
  paths["/events"] = (_, answer) => {
    answer.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    stream = answer;
    answer.write("data: 0\n\n");
  };
  const answer = await get("/events", { accept: "text/event-stream" });
  assert.equal(answer.headers.get("content-type"), "text/event-stream");
  const reader = answer.body.getReader();
  for (let i = 0; i < 20; i += 1) {
    // The next one is written only after this one has come: one that is kept back ends the test.
    const { value } = await reader.read();
    assert.equal(Buffer.from(value).toString(), `data: ${i}\n\n`);
    stream.write(`data: ${i + 1}\n\n`);
  }
  await reader.cancel();
  await told(stream);
});

// Many applications compress events too, and send what they have after each.
for (const [coding, make, flush] of [
  ["gzip", createGzip, constants.Z_SYNC_FLUSH],
  ["br", createBrotliCompress, constants.BROTLI_OPERATION_FLUSH],
]) {
  test(`events that come compressed (${coding}) arrive one by one too`, async () => {
    let stream;
    paths[`/events/${coding}`] = (_, answer) => {
      answer.writeHead(200, { "content-type": "text/event-stream", "content-encoding": coding });
      stream = make();
      stream.pipe(answer);
      write(0);
    };
    const write = (number) => {
      stream.write(`data: ${number}\n\n`);
      stream.flush(flush);
    };
    const answer = await get(`/events/${coding}`, { accept: "text/event-stream", "accept-encoding": "gzip, br" });
    assert.equal(answer.headers.get("content-encoding"), null);
    const reader = answer.body.getReader();
    for (let i = 0; i < 5; i += 1) {
      const { value } = await reader.read();
      assert.equal(Buffer.from(value).toString(), `data: ${i}\n\n`);
      write(i + 1);
    }
    await reader.cancel();
    stream.destroy();
  });
}

// The runtime sees that a client has closed its connection when it next writes to it. So an
// application that streams is told at its next word, and one that is silent is not.
const told = (stream) =>
  until(() => {
    if (!stream.closed) stream.write(": are you there?\n\n");
    return stream.closed;
  }, "the application is told that the client is gone");

test("a client that goes away ends the application's answer", async () => {
  for (const isWriting of [true, false]) {
    let stream;
    paths["/endless"] = (_, answer) => {
      stream = answer.writeHead(200, { "content-type": "application/octet-stream" });
      const write = () => {
        while (!stream.closed && stream.write(Buffer.alloc(100_000)));
        if (!stream.closed) stream.once("drain", write);
      };
      if (isWriting) write();
      else stream.write("x");
    };
    const sent = request("/endless");
    sent.end();
    const [answer] = await once(sent, "response");
    await once(answer, "data");
    assert.ok(!stream.closed);
    sent.destroy();
    if (isWriting) await until(() => stream.closed, "the application's answer is closed");
    else await told(stream);
    assert.ok(!stream.writableFinished);
  }
});

test("an upload that breaks off is not taken for a whole one", async () => {
  // Up to 16 KiB, the application has its time; with more, requests wait for it as long as it takes.
  for (const [half, length] of [[8_000, { "content-length": 16_000 }], [500_000, { "content-length": 1_000_000 }], [500_000, { "transfer-encoding": "chunked" }]]) {
    let ended;
    let came = 0;
    paths["/upload"] = (upload) => {
      upload.on("data", (part) => (came += part.length)).on("end", () => (ended = "whole"));
      upload.on("error", ({ code }) => (ended ??= code));
    };
    const sent = request("/upload", { method: "POST", headers: length });
    sent.write(Buffer.alloc(half));
    await until(() => came === half, "the first half came");
    sent.destroy();
    await until(() => ended !== undefined, `the origin sees an end, ${JSON.stringify(length)}`);
    assert.equal(ended, "ECONNRESET");
  }
});

test("a broken answer of the application is broken for the client", async () => {
  for (const length of [{ "content-length": 1_000_000 }, {}]) {
    let stream;
    paths["/broken"] = (_, answer) => {
      stream = answer.writeHead(200, { "content-type": "application/octet-stream", ...length });
      stream.write(Buffer.alloc(500_000));
    };
    const sent = request("/broken");
    sent.end();
    const [answer] = await once(sent, "response");
    let came = 0;
    answer.on("data", (part) => (came += part.length)).on("error", () => {});
    await until(() => came === 500_000, "the first half came");
    stream.destroy();
    await until(() => answer.closed, "the client's answer is closed");
    assert.ok(!answer.complete, JSON.stringify(length));
  }
});

test("ranges pass", async () => {
  const part = await get("/range", { range: "bytes=10-99" });
  assert.deepEqual([part.status, part.headers.get("content-range")], [206, `bytes 10-99/${CONTENT.length}`]);
  assert.equal(part.headers.get("content-length"), "90");
  assert.deepEqual(await bytes(part), CONTENT.subarray(10, 100));
  const newer = await get("/range", { range: "bytes=10-99", "if-range": '"v0"' });
  assert.deepEqual([newer.status, await bytes(newer)], [200, CONTENT]);
  const beyond = await get("/range", { range: "bytes=999999-9999999" });
  assert.deepEqual([beyond.status, beyond.headers.get("content-range")], [416, `bytes */${CONTENT.length}`]);
});

test("who waits for 100 Continue gets it, and then the answer, whichever it is", async () => {
  let waited;
  paths["/continue"] = async (upload, answer) => {
    waited = upload.headers.expect;
    if (waited !== undefined) answer.writeContinue();
    let came = "";
    for await (const text of upload.setEncoding("utf8")) came += text;
    answer.end(came);
  };
  const sent = request("/continue", { method: "POST", headers: { expect: "100-continue", "content-length": 3 } });
  sent.flushHeaders();
  await once(sent, "continue");
  sent.end("abc");
  const [answer] = await once(sent, "response");
  assert.equal(Buffer.concat(await answer.toArray()).toString(), "abc");
  assert.equal(waited, "100-continue", "the application is asked itself");
  let continued = false;
  paths["/continue"] = (_, answer) => answer.writeHead(417, { connection: "close" }).end();
  const refused = request("/continue", { method: "POST", headers: { expect: "100-continue", "content-length": 3 } });
  refused.on("continue", () => (continued = true)).flushHeaders();
  const [no] = await once(refused, "response");
  assert.deepEqual([no.statusCode, continued], [417, true], "it may refuse; by then the runtime has said to go on");
});

test("an answer to HEAD keeps its length, one without a body its headers", async () => {
  const head = await get("/head", {}, "HEAD");
  assert.deepEqual([head.status, head.headers.get("content-length"), head.headers.get("content-type")], [200, "123456", "image/png"]);
  const none = await get("/none");
  assert.deepEqual([none.status, none.headers.get("x-a"), none.headers.get("content-length")], [204, "1", null]);
  const same = await get("/same", { "if-none-match": '"v1"' });
  assert.deepEqual([same.status, same.headers.get("etag")], [304, '"v1"']);
});

test("a trace passes as it is", async () => {
  const trace = { traceparent: `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01`, tracestate: "congo=t61rcWkgMzE,rojo=00f067aa", baggage: "a=1" };
  assert.deepEqual(await (await get("/trace", trace)).json(), trace);
  assert.deepEqual(await (await get("/trace")).json(), {}, "none is begun");
});

test("bodies in a coding that the client takes pass byte for byte", async () => {
  for (const [coding, body] of Object.entries(CODED)) {
    for (const type of ["application/octet-stream", "text/plain", "application/json"]) {
      paths["/coded"] = (_, answer) =>
        answer.writeHead(200, { "content-type": type, "content-encoding": coding, "content-length": body.length }).end(body);
      const answer = await get("/coded", { "accept-encoding": coding });
      assert.equal(answer.headers.get("content-encoding"), coding);
      assert.equal(answer.headers.get("content-length"), String(body.length));
      assert.deepEqual(await bytes(answer), body, `${coding}, ${type}`);
    }
  }
});

test("each Set-Cookie is one of its own", async () => {
  const { headers } = await get("/cookies");
  assert.deepEqual(headers.getSetCookie(), ["a=1; Path=/, x", "b=2; Expires=Thu, 01 Jan 2099 00:00:00 GMT", "a=3"]);
});

test("what nobody gets varies by the cookie, beside what the application says", async () => {
  for (const [said, seen] of [[{}, "Cookie"], [{ vary: "Accept-Encoding" }, "Accept-Encoding, Cookie"]]) {
    paths["/maybe"] = (_, answer) => answer.writeHead(200, { "cache-control": "max-age=60", "content-type": "image/png", ...said }).end();
    const { headers } = await gateway.fetch("/maybe");
    assert.deepEqual([headers.get("vary"), headers.get("cache-control")], [seen, "max-age=60"]);
    assert.equal((await get("/maybe")).headers.get("cache-control"), "no-store");
  }
});

test("no-transform goes through with what is stored nowhere", async () => {
  paths["/events"] = (_, answer) => answer.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache, no-transform" }).end("data: 0\n\n");
  assert.equal((await get("/events")).headers.get("cache-control"), "no-store, no-transform");
});
