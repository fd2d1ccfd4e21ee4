// The main job on real input: log in at an ordinary application, get an opaque
// cookie, be checked and forwarded with an identity, log out.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import { COOKIE, PASSWORD, newKeys, start, told } from "./support/gateway.mjs";

let gateway;
before(async () => (gateway = await start({ build: "build" })));
after(() => gateway.close());

const json = { accept: "application/json" };

test("a log-in sets the opaque cookie", async () => {
  const { setCookie } = await gateway.logIn();
  const [pair, ...attributes] = setCookie.split("; ");
  assert.match(pair, /^__Host-Http-warifu=[A-Za-z0-9_-]{72}$/);
  assert.deepEqual(attributes.sort(), ["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Lax", "Secure"]);
});

test("the command never reaches the client, nor is the answer stored", async () => {
  const answer = await gateway.fetch("/login", {
    method: "POST",
    body: new URLSearchParams({ username: "bob", password: PASSWORD }),
  });
  assert.equal(answer.status, 303);
  assert.equal(answer.headers.get("warifu-command"), null);
  assert.equal(answer.headers.get("cache-control"), "no-store");
});

test("a wrong password starts nothing", async () => {
  const answer = await gateway.fetch("/login", {
    method: "POST",
    body: new URLSearchParams({ username: "alice", password: "wrong" }),
  });
  assert.equal(answer.status, 401);
  assert.deepEqual(answer.headers.getSetCookie(), []);
});

test("each further request reaches the origin with the identity", async () => {
  const { cookie } = await gateway.logIn();
  const answer = await gateway.fetch("/api/me", { headers: { cookie: `theme=dark; ${cookie}` } });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  const { subject, session, level, headers } = await answer.json();
  assert.equal(subject, "alice");
  assert.equal(level, 1);
  assert.match(session, /^[A-Za-z0-9_-]{22}$/);
  assert.equal(headers["warifu-subject"], "alice");
  assert.equal(headers["warifu-claims"], "");
  assert.match(headers["warifu-auth-time"], /^\d{10}$/);
  assert.equal(headers.cookie, "theme=dark");
  assert.equal(headers["cache-control"], "no-cache", "the runtime's sign that no shared cache is used");
  assert.equal(headers["x-forwarded-host"], new URL(gateway.url).host);
  assert.ok(!JSON.stringify(headers).includes(cookie.split("=")[1]), "the token never reaches the origin");
  assert.equal((await gateway.fetch("/account", { headers: { cookie } })).status, 200);
});

test("without a session a browser is sent to the login, a program gets a problem", async () => {
  const browser = await gateway.fetch("/account?tab=1", { headers: { "sec-fetch-mode": "navigate" } });
  assert.equal(browser.status, 302);
  assert.equal(browser.headers.get("location"), "/login?return_to=/account%3Ftab%3D1");
  const old = await gateway.fetch("/account", { headers: { accept: "text/html,*/*" } });
  assert.equal(old.status, 302);
  const program = await gateway.fetch("/account", { headers: json });
  assert.equal(program.status, 401);
  assert.equal(program.headers.get("content-type"), "application/problem+json");
  assert.equal((await program.json()).code, "no_session");
});

test("after the logout the same cookie gets 401", async () => {
  const { cookie } = await gateway.logIn();
  const forged = await gateway.fetch("/_warifu/logout", {
    method: "POST",
    headers: { cookie, "sec-fetch-site": "cross-site" },
  });
  assert.equal(forged.status, 403);
  assert.equal((await gateway.fetch("/api/me", { headers: { cookie } })).status, 200);
  const logout = await gateway.fetch("/_warifu/logout", {
    method: "POST",
    headers: { cookie, "sec-fetch-site": "same-origin" },
  });
  assert.equal(logout.status, 204);
  assert.equal(logout.headers.get("clear-site-data"), '"cache"');
  assert.match(logout.headers.getSetCookie()[0], new RegExp(`^${COOKIE}=; .*Max-Age=0`));
  assert.equal((await gateway.fetch("/api/me", { headers: { cookie, ...json } })).status, 401);
});

test("a posted logout form goes back into this site only", async () => {
  const { cookie } = await gateway.logIn();
  const post = (return_to) =>
    gateway.fetch("/_warifu/logout", { method: "POST", headers: { cookie }, body: new URLSearchParams({ return_to }) });
  assert.equal((await post("//evil.example")).status, 400);
  assert.equal((await gateway.fetch("/api/me", { headers: { cookie } })).status, 200, "a bad form ends nothing");
  const answer = await post("/?bye");
  assert.equal(answer.status, 303);
  assert.equal(answer.headers.get("location"), "/?bye");
});

test("the application ends the session with a command", async () => {
  const { cookie } = await gateway.logIn();
  const answer = await gateway.fetch("/signout", { method: "POST", headers: { cookie } });
  assert.equal(answer.status, 303);
  assert.match(answer.headers.getSetCookie()[0], /Max-Age=0/);
  assert.equal((await gateway.fetch("/api/me", { headers: { cookie, ...json } })).status, 401);
});

test("one person's logout leaves the others logged in", async () => {
  const [alice, bob, again] = [await gateway.logIn("alice"), await gateway.logIn("bob"), await gateway.logIn("alice")];
  await gateway.fetch("/_warifu/logout", { method: "POST", headers: { cookie: alice.cookie } });
  const status = async ({ cookie }) => (await gateway.fetch("/api/me", { headers: { cookie } })).status;
  assert.deepEqual([await status(alice), await status(bob), await status(again)], [401, 200, 200]);
});

test("a session outlives a restart, object and all", async () => {
  const state = mkdtempSync(path.join(tmpdir(), "warifu-state-"));
  const keys = newKeys();
  const origin = createServer((request, response) => {
    if (request.url === "/login") response.setHeader("Warifu-Command", 'do=start, sub="alice"');
    response.end(request.headers["warifu-subject"]);
  }).listen(0, "127.0.0.1");
  await once(origin, "listening");
  const options = { build: "build", state, keys, origin: `http://127.0.0.1:${origin.address().port}` };
  let first = await start(options);
  try {
    const { cookie } = await first.logIn();
    await first.close();
    first = await start(options);
    const answer = await first.fetch("/account", { headers: { cookie } });
    assert.deepEqual([answer.status, await answer.text()], [200, "alice"]);
  } finally {
    await first.close();
    origin.close();
    rmSync(state, { recursive: true });
  }
});

test("health says ok and nothing else", async () => {
  const answer = await gateway.fetch("/_warifu/health");
  assert.equal(answer.status, 200);
  assert.deepEqual(await answer.json(), { status: "ok" });
  assert.equal((await gateway.fetch("/_warifu/nothing")).status, 404);
  assert.equal((await gateway.fetch("/_warifu/test/worker-panic")).status, 404, "the product has no test calls");
});

test("the log names sessions and people, and holds no token", async () => {
  const { cookie } = await gateway.logIn();
  const token = cookie.split("=")[1];
  await gateway.fetch("/api/me", { headers: { cookie } });
  // Of its own: other tests have logged alice in.
  const { id: session } = await (await gateway.fetch("/_warifu/me", { headers: { cookie } })).json();
  await told(gateway, { event: "session_started", session });
  const logs = gateway.logs();
  assert.ok(!logs.includes(token) && !logs.includes(token.slice(8, 50)));
});
