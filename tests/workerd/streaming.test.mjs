// What goes through goes through untouched, as a stream, in both directions.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { start } from "./support/gateway.mjs";

let gateway;
before(async () => (gateway = await start()));
after(() => gateway.close());

test("an answer arrives while the origin is still writing", async () => {
  const answer = await gateway.fetch("/stream?chunks=3&pause_ms=300");
  const arrivals = [];
  for await (const chunk of answer.body) if (chunk.length > 0) arrivals.push(performance.now());
  assert.ok(arrivals.length >= 3, `${arrivals.length} chunks`);
  assert.ok(arrivals.at(-1) - arrivals[0] > 300, "spread over time, not at once");
});

test("a request's body arrives while the client is still writing", async () => {
  // An origin that tells when it has seen the first part.
  let firstPart;
  const seen = new Promise((resolve) => (firstPart = resolve));
  const origin = createServer(async (request, response) => {
    let bytes = 0;
    for await (const chunk of request) {
      bytes += chunk.length;
      firstPart(bytes);
    }
    response.end(String(bytes));
  }).listen(0, "127.0.0.1");
  await once(origin, "listening");
  const streaming = await start({ origin: `http://127.0.0.1:${origin.address().port}` });
  try {
    const body = new ReadableStream({
      async start(controller) {
        controller.enqueue(new Uint8Array(1000));
        // Only once the origin has the first part is the second sent.
        await seen;
        controller.enqueue(new Uint8Array(500));
        controller.close();
      },
    });
    const answer = await streaming.fetch("/echo/x", { method: "POST", body, duplex: "half" });
    assert.equal(await answer.text(), "1500");
  } finally {
    await streaming.close();
    origin.close();
  }
});

test("methods, bodies, status codes and cookies pass", async () => {
  for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
    const body = ["GET", "OPTIONS"].includes(method) ? undefined : "x".repeat(100_000);
    const seen = await (await gateway.fetch("/echo/a/b?c=d", { method, body })).json();
    assert.deepEqual([seen.method, seen.path, seen.query, seen.body_bytes], [method, "/echo/a/b", "c=d", body?.length ?? 0]);
  }
  const head = await gateway.fetch("/echo/x", { method: "HEAD" });
  assert.deepEqual([head.status, await head.text()], [200, ""]);
  for (const status of [204, 304, 404, 418, 500, 503]) {
    assert.equal((await gateway.fetch(`/status/${status}`)).status, status);
  }
  const cookies = await gateway.fetch("/cookies");
  assert.equal(cookies.headers.getSetCookie().length, 2);
});

test("redirects are the client's to follow", async () => {
  for (const status of [301, 302, 303, 307, 308]) {
    const answer = await gateway.fetch(`/status/${status}`);
    assert.equal(answer.status, status);
    assert.ok(answer.headers.get("location"));
  }
});

test("a large download passes whole", async () => {
  const bytes = 50_000_000;
  const answer = await gateway.fetch(`/bytes/${bytes}`);
  let total = 0;
  for await (const chunk of answer.body) total += chunk.length;
  assert.equal(total, bytes);
});

test("answers of public routes keep the origin's caching", async () => {
  const answer = await gateway.fetch("/assets/style.css");
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("cache-control"), /public, max-age=3600/);
});
