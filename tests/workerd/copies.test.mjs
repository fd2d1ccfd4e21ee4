// A copy of everything that is stored, the files themselves, has none of the values that
// sessions hold, nor what opens them: after log-ins by cookie and by JSON, refreshes,
// rotations, and a session that has moved in.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import { copyOf, findIn } from "./support/copies.mjs";
import { newAdminKey, newKeys, sessionCookie, start, until } from "./support/gateway.mjs";
import { jwt } from "./support/jwt.mjs";

const opaque = () => randomBytes(24).toString("base64url");

let application, gateway, state, answer;
before(async () => {
  application = createServer((request, response) => {
    if (request.url === "/api/who") return response.writeHead(200, json).end('{"id":"mover"}');
    answer(response);
  });
  application.listen(0, "127.0.0.1");
  await once(application, "listening");
  state = mkdtempSync(path.join(tmpdir(), "warifu-copies-"));
  gateway = await start({
    origin: `http://127.0.0.1:${application.address().port}`,
    adminKeys: [newAdminKey()],
    originKeys: newKeys(),
    state,
    warifu: {
      replica: "always",
      map: [{ generation: 1, shards: 2, region: "weur" }],
      adopt: { cookie: "token", probe: "/api/who", subject: "/id", until: "2999-01-01" },
      custody: {
        cookies: ["token", "refresh"],
        bearer: [{ path: "/api/login", tokens: ["/access_token", "/refresh_token"] }],
      },
      routes: [
        { path: "/login", access: "optional", commands: true },
        { path: "/api/login", access: "optional" },
      ],
    },
  });
});
after(async () => {
  await gateway?.close();
  application?.closeAllConnections();
  application?.close();
  rmSync(state, { recursive: true, force: true });
});

const json = { "content-type": "application/json" };
const send = (where, cookie, method = "POST") => gateway.fetch(where, { method, headers: cookie ? { cookie } : {} });

test("the files have no value that is held, in whatever way it is written", async () => {
  const held = [];
  const sessions = [];
  // The application gives a value, and the browser gets what comes of it.
  const given = (...values) => held.push(...values) && values;
  const note = (got, cookie) => sessions.push(sessionCookie(got) ?? cookie) && sessions.at(-1);

  const [token, refresh] = given(jwt({ sub: "alice" }), opaque());
  answer = (response) => response.writeHead(200, { "set-cookie": [`token=${token}; Path=/`, `refresh=${refresh}`] }).end();
  let alice = note(await send("/login"));
  const [newer] = given(opaque());
  answer = (response) => response.writeHead(200, { "set-cookie": `refresh=${newer}` }).end();
  const first = alice;
  alice = note(await send("/login", alice));
  assert.notEqual(alice, first, "a new secret, and the old one in its grace");
  answer = (response) => response.writeHead(200, { "warifu-command": "do=rotate" }).end();
  alice = note(await send("/login", alice));

  const [access, other] = given(jwt({ sub: "bob" }), opaque());
  answer = (response) => response.writeHead(200, json).end(JSON.stringify({ access_token: access, refresh_token: other }));
  const bob = note(await send("/api/login"));

  answer = (response) => response.end("there");
  const [old] = given(jwt({ sub: "mover" }));
  const mover = note(await send("/", `token=${old}`, "GET"));
  for (const cookie of [alice, bob, mover]) assert.equal(await (await send("/", cookie, "GET")).text(), "there");

  // Copies in KV are written after the answers.
  const people = ["alice", "bob", "mover"];
  await until(() => people.every((name) => copyOf(state).filter((file) => file.includes(name)).length > 1), "they are in objects and in KV");
  const copy = copyOf(state);
  assert.ok(copy.some((file) => file.includes("CREATE TABLE held")), "shards");
  for (const value of held) {
    for (const piece of value.split(".")) {
      assert.deepEqual(findIn(copy, piece), [], piece);
      assert.deepEqual(findIn(copy, Buffer.from(piece, "base64url")), [], `${piece}, decoded`);
    }
  }
  // Nor the secrets that open them, which are in the cookies.
  for (const cookie of sessions) {
    const secret = Buffer.from(cookie.split("=")[1], "base64url").subarray(6, 38);
    assert.deepEqual(findIn(copy, secret), []);
  }
});
