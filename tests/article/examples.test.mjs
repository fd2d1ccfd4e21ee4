// The applications of the article as people use them, behind the gateway: what the browser
// gets to see, the applications' own refreshes, and their log-outs.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { COOKIE, until } from "../workerd/support/gateway.mjs";
import { Browser } from "./browser.mjs";
import { PASSWORD, guardedDoor } from "./doors.mjs";
import { logIn } from "./storage.mjs";

// A short-lived access token, so that refreshes need not be waited for.
const env = { ACCESS_SECONDS: "1" };
let express, spa, short;
before(async () => {
  express = await guardedDoor("jwt-express", { env });
  spa = await guardedDoor("jwt-spa");
  short = await guardedDoor("jwt-spa", { env });
});
after(() => Promise.all([express, spa, short].map((door) => door?.close())));

test("jwt-express: the browser has one cookie, which is the gateway's", async () => {
  const alice = await new Browser(express).logIn("alice", PASSWORD);
  assert.deepEqual([...alice.cookies.keys()], [COOKIE]);
  const page = await alice.send("GET", "/account");
  assert.match(page.text, /alice, you have ¥/);
  const before = await alice.balance();
  assert.equal((await alice.transfer("bob", 1)).status, 303);
  assert.equal(await alice.balance(), before - 1);
  assert.equal((await alice.transfer("nobody", 1)).status, 422, "the application's own answers pass");
  await alice.send("POST", "/logout");
  assert.deepEqual([...alice.cookies.keys()], []);
  assert.equal(await alice.isIn(), false);
});

test("jwt-express: when the access token is over the application makes another, and the gateway keeps that too", async () => {
  const alice = await new Browser(express).logIn("alice", PASSWORD);
  const first = alice.cookies.get(COOKIE);
  // The refresh token is replaced with it, so the browser gets a new secret.
  await until(async () => {
    assert.equal(await alice.isIn(), true);
    return alice.cookies.get(COOKIE) !== first;
  }, "the application refreshes");
  assert.equal(await alice.isIn(), true);
  assert.deepEqual([...alice.cookies.keys()], [COOKIE]);
});

test("jwt-spa: the page has placeholders, and refreshes as it always did", async () => {
  const alice = await logIn(short, "alice");
  assert.deepEqual([...alice.cookies.keys()], [COOKIE]);
  assert.equal(alice.tokens.refresh_token, "warifu-held.refresh_token");
  assert.ok(alice.tokens.access_token.endsWith("."), "unsigned");
  assert.equal(alice.tokens.expires_in, 1, "the rest is as it was");
  const me = () => alice.call("GET", "/api/me");
  for (let round = 0; round < 2; round += 1) {
    await until(async () => (await me()).status === 401, "the access token is over");
    // As the page does; a new one may be over by the time that it is used.
    await until(async () => {
      assert.equal(await alice.refresh(), 200, "refresh tokens are good for one use");
      return (await me()).json.id === "alice";
    }, "the new access token is accepted");
  }
});

test("jwt-spa: what the page has is worth nothing elsewhere, and nothing after the log-out", async () => {
  const alice = await logIn(spa, "alice");
  const elsewhere = await logIn(spa, "mallory");
  elsewhere.tokens = alice.tokens;
  assert.equal((await elsewhere.call("GET", "/api/me")).json.id, "mallory");
  const copy = alice.copy();
  assert.equal((await alice.call("POST", "/api/logout", { refresh_token: alice.tokens.refresh_token })).status, 204);
  for (const page of [alice, copy]) {
    page.tokens = elsewhere.tokens;
    assert.equal((await page.call("GET", "/api/me")).status, 401);
    assert.equal(await page.refresh(), 401);
  }
});

test("jwt-spa: a new password ends the other sessions", async () => {
  const [here, there] = [await logIn(spa, "bob"), await logIn(spa, "bob")];
  const changed = await here.call("POST", "/api/password", { current: PASSWORD, next: `${PASSWORD}!` });
  assert.equal(changed.status, 204);
  assert.deepEqual([(await here.call("GET", "/api/me")).status, (await there.call("GET", "/api/me")).status], [200, 401]);
});
