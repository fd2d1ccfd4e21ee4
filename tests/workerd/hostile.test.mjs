// Bad input from clients and origins, and what it costs. The breaks of other gates are in
// attacks-paths, attacks-people and attacks-sites.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { COOKIE, start } from "./support/gateway.mjs";

let gateway;
before(async () => (gateway = await start()));
after(() => gateway.close());

const get = (path, headers = "") => gateway.raw(`GET ${path} HTTP/1.1\nHost: app.test\nConnection: close\n${headers}\n`);
const storeCalls = async () => (await (await gateway.fetch("/_warifu/test/store-calls")).json()).store_calls;

test("a wrong MAC asks no store", async () => {
  const { cookie } = await gateway.logIn();
  const token = cookie.split("=")[1];
  const flipped = (at) => token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
  const bad = [flipped(0), flipped(3), flipped(20), flipped(71), token.slice(0, 71), `${token}A`, "A".repeat(72), "x".repeat(9000)];
  const calls = await storeCalls();
  for (const value of bad) {
    const answer = await gateway.fetch("/account", { headers: { cookie: `${COOKIE}=${value}`, accept: "application/json" } });
    assert.equal(answer.status, 401, value);
    assert.deepEqual(answer.headers.getSetCookie(), []);
  }
  assert.equal(await storeCalls(), calls, "bad tokens");
  assert.equal((await gateway.fetch("/account", { headers: { cookie } })).status, 200);
  assert.equal(await storeCalls(), calls + 1, "the counter counts");
});

test("a Cookie header over the limit gets 431 on every route", async () => {
  for (const path of ["/", "/account", "/_warifu/health"]) {
    assert.equal((await get(path, `Cookie: a=${"x".repeat(16_383)}\n`)).status, 431, path);
    assert.notEqual((await get(path, `Cookie: a=${"x".repeat(16_382)}\n`)).status, 431, path);
  }
});

test("an origin that relays headers cannot write the session cookie", async () => {
  const origin = await lyingOrigin((response) => {
    response.setHeader("Set-Cookie", [`${COOKIE}=evil; Path=/; Secure`, "theirs=1", `${COOKIE.toUpperCase()}=x`]);
    response.end();
  });
  try {
    const answer = await origin.gateway.fetch("/open");
    assert.deepEqual(answer.headers.getSetCookie(), ["theirs=1"]);
  } finally {
    await origin.close();
  }
});

test("a status that HTTP does not know is the origin's fault", async () => {
  let status;
  const origin = await lyingOrigin((response) => {
    response.socket.end(`HTTP/1.1 ${status} Odd\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
  });
  try {
    for (status of [600, 999]) {
      const answer = await origin.gateway.fetch("/open");
      assert.equal(answer.status, 502, `${status}`);
      assert.equal((await answer.json()).code, "origin_unreachable");
    }
  } finally {
    await origin.close();
  }
});

test("a GET with a body is the client's fault", async () => {
  for (const method of ["GET", "HEAD"]) {
    const answer = await gateway.raw(
      `${method} /echo/x HTTP/1.1\nHost: app.test\nContent-Length: 5\nConnection: close\n\nhello`,
    );
    assert.equal(answer.status, 400, method);
  }
});

// Some clients say so with each request.
test("a GET that says how long its body would be, and has none, is no different from others", async () => {
  for (const method of ["GET", "HEAD"]) {
    const answer = await gateway.raw(`${method} /echo/x HTTP/1.1\nHost: app.test\nContent-Length: 0\nConnection: close\n\n`);
    assert.equal(answer.status, 200, method);
  }
});

async function lyingOrigin(answer) {
  const server = createServer((request, response) => answer(response)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${server.address().port}`;
  const gateway = await start({ origin, warifu: { routes: [{ path: "/open", access: "public" }] } });
  return { gateway, close: () => gateway.close().then(() => server.close()) };
}

