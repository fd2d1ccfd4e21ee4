// Custody in the runtime itself: bodies that are read and replaced, compressed ones too,
// and an application that knows nothing of the gateway.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from "node:zlib";

import { sessionCookie, start } from "./support/gateway.mjs";
import { jwt } from "./support/jwt.mjs";

let application, gateway, seen;
before(async () => {
  application = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    seen = { method: request.method, url: request.url, headers: request.headers, body };
    application.answer(request, response);
  });
  application.listen(0, "127.0.0.1");
  await once(application, "listening");
  gateway = await start({
    origin: `http://127.0.0.1:${application.address().port}`,
    warifu: {
      origin_timeout: "1s",
      custody: {
        cookies: ["token", "refresh"],
        bearer: [
          { path: "/api/login", tokens: ["/access_token", "/refresh_token"] },
          { path: "/api/refresh", tokens: ["/access_token", "/refresh_token"], body: ["/refresh_token"] },
        ],
      },
      routes: [
        { path: "/login", access: "optional" },
        { path: "/api/login", access: "optional" },
        { path: "/api/refresh", access: "optional" },
        { path: "/open", access: "public" },
      ],
    },
  });
});
after(async () => {
  await gateway?.close();
  application?.closeAllConnections();
  application?.close();
});

const says = (status, headers, body) => {
  application.answer = (_, response) => response.writeHead(status, headers).end(body);
};
const send = (path, { cookie, ...init } = {}) =>
  gateway.fetch(path, { redirect: "manual", ...init, headers: { ...(cookie ? { cookie } : {}), ...init.headers } });

test("a cookie is kept, given back, and ends with the log-out", async () => {
  const token = jwt({ sub: "alice" });
  says(303, { location: "/", "set-cookie": [`token=${token}; HttpOnly; Path=/`, "theme=dark"] });
  const answer = await send("/login", { method: "POST" });
  assert.equal(answer.status, 303);
  assert.deepEqual(answer.headers.getSetCookie().map((set) => set.split("=")[0]), ["theme", "__Host-Http-warifu"]);
  const cookie = sessionCookie(answer);
  says(200, {}, "hello");
  assert.equal(await (await send("/account", { cookie: `${cookie}; theme=dark` })).text(), "hello");
  assert.deepEqual([seen.headers.cookie, seen.headers["warifu-subject"]], [`token=${token}; theme=dark`, "alice"]);
  assert.equal((await send("/account", { cookie: `token=${token}` })).status, 401);
  await send("/open", { cookie: `token=${token}` });
  assert.equal(seen.headers.cookie, undefined);
  says(200, { "set-cookie": "token=; Max-Age=0" }, "bye");
  await send("/logout", { method: "POST", cookie });
  assert.equal((await send("/account", { cookie })).status, 401);
});

const same = (bytes) => bytes;
const codings = [["identity", same, same], ["gzip", gzipSync, gunzipSync], ["br", brotliCompressSync, brotliDecompressSync]];
for (const [coding, compress, decompress] of codings) {
  test(`tokens in a JSON answer are replaced: ${coding}`, async () => {
    const access = jwt({ sub: "alice" });
    const text = `{"access_token":"${access}",  "refresh_token": "r-0123456789-0123456789", "big": 12345678901234567890.50}`;
    const headers = { "content-type": "application/json", ...(coding === "identity" ? {} : { "content-encoding": coding }) };
    says(200, headers, compress(text));
    const answer = await send("/api/login", { method: "POST", body: "{}" });
    const shown = String(decompress(Buffer.from(await answer.arrayBuffer())));
    assert.ok(!shown.includes(access) && !shown.includes("r-0123456789"), shown);
    assert.ok(shown.endsWith('"big": 12345678901234567890.50}'), shown);
    const { access_token: placeholder } = JSON.parse(shown);
    const cookie = sessionCookie(answer);
    says(200, {}, "");
    await send("/api/me", { cookie, headers: { authorization: `Bearer ${placeholder}` } });
    assert.equal(seen.headers.authorization, `Bearer ${access}`);
  });
}

test("a refresh: the body has the token, the page a placeholder, the browser a new secret", async () => {
  const answerWith = (refresh) => JSON.stringify({ access_token: jwt({ sub: "alice" }), refresh_token: refresh });
  says(200, { "content-type": "application/json" }, answerWith("refresh-token-number-one"));
  const first = await send("/api/login", { method: "POST" });
  const body = JSON.stringify({ refresh_token: (await first.json()).refresh_token, umlaut: "ä" });
  const ofTheBytes = { "content-digest": "sha-256=:AAAA:", etag: '"1"', "accept-ranges": "bytes" };
  says(200, { "content-type": "application/json", ...ofTheBytes }, answerWith("refresh-token-number-two"));
  const headers = { "content-type": "application/json", "content-digest": "sha-256=:AAAA:" };
  const second = await send("/api/refresh", { method: "POST", cookie: sessionCookie(first), body, headers });
  assert.deepEqual(JSON.parse(seen.body), { refresh_token: "refresh-token-number-one", umlaut: "ä" });
  assert.equal(Number(seen.headers["content-length"]), Buffer.byteLength(seen.body));
  assert.equal(seen.headers["content-digest"], undefined, "they are other bytes");
  for (const name of Object.keys(ofTheBytes)) assert.equal(second.headers.get(name), null, name);
  assert.ok(!(await second.text()).includes("number-two"));
  assert.notEqual(sessionCookie(second), sessionCookie(first));
  // Whichever of the two cookies comes next, the token that was used up does not go out again.
  for (const cookie of [sessionCookie(first), sessionCookie(second)]) {
    await send("/api/refresh", { method: "POST", cookie, body, headers });
    assert.equal(JSON.parse(seen.body).refresh_token, "refresh-token-number-two");
  }
});

test("what cannot be kept reaches nobody", async () => {
  const json = { "content-type": "application/json" };
  const cases = [
    (response) => response.writeHead(200, { "content-type": "text/html" }).end("<p>"),
    (response) => response.writeHead(200, json).end("{"),
    (response) => response.writeHead(200, json).end(JSON.stringify({ access_token: "no-jwt-but-long-enough" })),
    (response) => response.writeHead(200, json).end(JSON.stringify({ access_token: jwt({ sub: "a" }), x: "x".repeat(70_000) })),
    // It begins, and does not end.
    (response) => response.writeHead(200, json).write(`{"access_token":"${jwt({ sub: "a" })}",`),
    (response) => response.writeHead(200, { ...json, "content-length": 1000 }).write(`{"access_token":"${jwt({ sub: "a" })}"`, () => response.destroy()),
  ];
  for (const [index, answer] of cases.entries()) {
    application.answer = (_, response) => answer(response);
    const got = await send("/api/login", { method: "POST" });
    assert.deepEqual([got.status, (await got.json()).code], [502, "bad_custody"], `case ${index}`);
    assert.deepEqual(got.headers.getSetCookie(), []);
  }
});
