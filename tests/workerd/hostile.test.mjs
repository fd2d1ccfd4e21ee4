// Bad input over raw sockets, past what client libraries normalise. Names are
// those of the breaks in other gates that the cases repeat.
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

// The rule end to end: 400 from anyone, or matched and forwarded as one path.
test("the gate and the origin read a path alike", async () => {
  const refused = [
    "/echo/..%2faccount", "/echo/%2E%2e%2faccount", "/echo%2f..%2faccount", "/echo/..%5caccount", "/echo//x", "//echo/x",
    "/echo/%00", "/echo/%0d%0aX:y", "/echo/%7F", "/echo/%252e%252e/account", "/echo/%252faccount", "/echo/%25%32%66x",
    "/echo/..;/account", "/echo/..;x=1/account", "/echo/%", "/echo/%zz", "/echo/a b", "/%2561ccount", "/echo/\xe4",
  ];
  for (const path of refused) assert.equal((await get(path)).status, 400, path);
});

test("what the platform resolves is matched as resolved", async () => {
  for (const path of ["/echo/../account", "/echo/%2e%2e/account", "/echo/%2E./account", "/echo/..\\account", "/echo/x/..\\..\\account"]) {
    const { status } = await get(path, "Accept: application/json\n");
    assert.ok(status === 401 || status === 400, `${path}: ${status}`);
  }
  for (const path of ["/%61ccount", "/account;x=1", "/account%3bx", "/account#/../echo/x"]) {
    assert.equal((await get(path, "Accept: application/json\n")).status, 401, path);
  }
});

test("the canonical form is what arrives", async () => {
  const { text } = await get("/ech%6f/%7Ea%c3%a4|b?q=%2f..%2F//&%zz");
  const seen = JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1));
  assert.equal(seen.path, "/echo/~a%C3%A4%7Cb");
  assert.equal(seen.query, "q=%2f..%2F//&%zz");
});

test("forged identity never arrives, on public routes either", async () => {
  const forged = [
    "Warifu-Subject: admin", "warifu_subject: admin", "WARIFU-SUBJECT: admin", "Warifu.Subject: admin",
    "Warifu-Level: 255", "warifu_claims: admin", "X-Original-URL: /admin", "X-Rewrite-URL: /admin",
    "X-HTTP-Method-Override: DELETE", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Host: evil", "Forwarded: for=6.6.6.6",
    "X_Forwarded_For: 6.6.6.6",
  ].join("\n");
  const bob = await gateway.logIn("bob");
  const open = await start({ warifu: { routes: [{ path: "/*", access: "public" }] } });
  try {
    const request = (cookie) => `GET /echo/x HTTP/1.1\nHost: app.test\nConnection: close\nCookie: ${cookie}\n${forged}\n\n`;
    const cases = [
      ["public", await open.raw(request("a=b")), undefined],
      ["anonymous", await gateway.raw(request("a=b")), ""],
      ["bob", await gateway.raw(request(bob.cookie)), "bob"],
    ];
    for (const [name, { text, status }, subject] of cases) {
      assert.equal(status, 200, text);
      const { headers } = JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1));
      for (const lie of ["admin", "255", "DELETE", "6.6.6.6", "evil"]) {
        assert.ok(!JSON.stringify(headers).includes(lie), `${lie}, ${name}: ${JSON.stringify(headers)}`);
      }
      assert.equal(headers["warifu-subject"], subject, name);
      assert.ok(!("warifu_subject" in headers));
    }
  } finally {
    await open.close();
  }
});

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

test("cookie tossing, duplicates and foreign bytes", async () => {
  const [mine, thiefs] = [await gateway.logIn(), await gateway.logIn()];
  const status = async (header) => (await get("/api/me", `Accept: application/json\n${header}\n`)).status;
  assert.equal(await status(`Cookie: ${mine.cookie}`), 200);
  assert.equal(await status(`Cookie: ${mine.cookie}; ${thiefs.cookie}`), 401);
  assert.equal(await status(`Cookie: ${mine.cookie}; ${mine.cookie}; ${COOKIE}=x`), 200);
  assert.equal(await status(`Cookie: a=1\nCookie: ${mine.cookie}`), 401, "two headers are joined by a comma");
  assert.equal(await status(`Cookie: ${mine.cookie}\xff`), 401);
  assert.equal(await status(`Cookie: \xff=1; ${mine.cookie}`), 200);
  assert.equal(await status(`Cookie: ${mine.cookie.toLowerCase()}`), 401);
  assert.equal(await status(`Cookie: \xa0${mine.cookie}`), 401, "prefix bypass with Unicode space");
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

async function lyingOrigin(answer) {
  const server = createServer((request, response) => answer(response)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${server.address().port}`;
  const gateway = await start({ origin, warifu: { routes: [{ path: "/open", access: "public" }] } });
  return { gateway, close: () => gateway.close().then(() => server.close()) };
}

test("cross-origin requests that change something are refused", async () => {
  const { cookie } = await gateway.logIn();
  const post = async (headers) =>
    (await gateway.fetch("/transfer", { method: "POST", headers: { cookie, ...headers }, body: "x" })).status;
  assert.equal(await post({ "sec-fetch-site": "cross-site" }), 403);
  assert.equal(await post({ "sec-fetch-site": "same-site" }), 403);
  assert.equal(await post({ origin: "https://evil.example" }), 403);
  assert.equal(await post({ origin: "null" }), 403);
  assert.notEqual(await post({ "sec-fetch-site": "same-origin" }), 403);
  assert.notEqual(await post({ origin: gateway.url }), 403, "an Origin equal to the Host");
});
