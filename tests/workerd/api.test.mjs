// The API under /_warifu/ in real workerd: who may call what, bad input, and
// what each call changes, seen from the other side.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";

import { callsTo, text } from "./support/calls.mjs";
import { COOKIE, PASSWORD, SCOPES, newAdminKey, root, sessionCookie, start, until } from "./support/gateway.mjs";

const ADMIN_HOST = "admin.test";
const SECOND = 1_000;
const BOUND = 2 * SECOND;
const HANDLE = /^[A-Za-z0-9_-]{22}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const NOWHERE = "AQAAAAAAAAAAAAAAAAAAAA"; // a session that the first shard does not have
const NO_SHARD = "CQAAAAAAAAAAAAAAAAAAAA"; // a handle of a row that the map does not have

const all = newAdminKey("all");
// For each scope a key that has it alone, and one that has all others.
const only = Object.fromEntries(SCOPES.map((scope) => [scope, newAdminKey(`only-${scope.replace(":", "-")}`, [scope])]));
const without = Object.fromEntries(
  SCOPES.map((scope) => [scope, newAdminKey(`no-${scope.replace(":", "-")}`, SCOPES.filter((other) => other !== scope))]),
);

let gateway;
before(async () => {
  gateway = await start({
    adminKeys: [all, ...Object.values(only), ...Object.values(without)],
    warifu: { admin_host: ADMIN_HOST },
  });
});
after(() => gateway.close());

const { call, bearer, admin, user, mint, seen, someone, list } = callsTo(() => gateway, all);

// --- who ----------------------------------------------------------------------------

const ADMIN_CALLS = [
  ["GET", "verify", "verify"],
  ["POST", "sessions", "mint"],
  ["GET", "sessions?subject=nobody", "sessions:read"],
  ["DELETE", "sessions?subject=nobody", "revoke"],
  ["GET", `sessions/${NOWHERE}`, "sessions:read"],
  ["PATCH", `sessions/${NOWHERE}`, "sessions:write"],
  ["DELETE", `sessions/${NOWHERE}`, "revoke"],
  ["GET", `revocations/${NOWHERE}`, "revoke"],
  ["GET", "audit", "sessions:read"],
  ["GET", "metrics", "metrics"],
];
const USER_CALLS = [
  ["GET", "me"],
  ["GET", "me/sessions"],
  ["DELETE", "me/sessions"],
  ["DELETE", `me/sessions/${NOWHERE}`],
  ["POST", "me/not-me"],
];

test("an administrator's call wants a key with its scope", async () => {
  const alice = await gateway.logIn();
  const stranger = newAdminKey();
  for (const [method, where, scope] of ADMIN_CALLS) {
    const name = `${method} ${where}`;
    for (const headers of [{}, alice, bearer(stranger), { authorization: all.key }, { authorization: `Basic ${all.key}` }]) {
      const { status, code, headers: got } = await call(method, where, { headers });
      assert.deepEqual([status, code, got.get("www-authenticate")], [401, "bad_admin_key", "Bearer"], name);
    }
    const weak = await admin(method, where, undefined, without[scope]);
    assert.deepEqual([weak.status, weak.code, weak.json.detail], [403, "missing_scope", scope], name);
    const enough = await admin(method, where, undefined, only[scope]);
    assert.ok(!["bad_admin_key", "missing_scope"].includes(enough.code), `${name}: ${enough.status} ${enough.code}`);
  }
  assert.notEqual(await seen(alice), null);
});

test("the name of the scheme is written in any case", async () => {
  const { status } = await call("GET", "sessions?subject=nobody", { headers: { authorization: `bEARER ${all.key}` } });
  assert.equal(status, 200);
});

// It sends Sec-Fetch-Mode, and is no browser.
test("a backend in Node can call with its own fetch", async () => {
  const answer = await fetch(new URL("/_warifu/sessions?subject=nobody", gateway.url), { headers: bearer(all) });
  assert.deepEqual([answer.status, await answer.json()], [200, { sessions: [], next: null }]);
});

test("a key from a browser counts on admin_host only", async () => {
  const fromBrowser = [
    { origin: gateway.url },
    { "sec-fetch-site": "same-origin" },
    { "sec-fetch-site": "none", "sec-fetch-mode": "navigate-not" },
  ];
  for (const [method, where] of ADMIN_CALLS) {
    for (const headers of fromBrowser) {
      const { status, code } = await call(method, where, { headers: { ...bearer(all), ...headers } });
      assert.deepEqual([status, code], [403, "admin_host_only"], `${method} ${where} ${JSON.stringify(headers)}`);
    }
  }
  const onAdminHost = (method, where, headers) =>
    call(method, where, { headers: { host: ADMIN_HOST, ...bearer(all), ...headers } });
  const own = { origin: `http://${ADMIN_HOST}`, "sec-fetch-site": "same-origin" };
  assert.equal((await onAdminHost("GET", "sessions?subject=nobody", own)).status, 200);
  assert.equal((await onAdminHost("DELETE", "sessions?subject=nobody", own)).code, "not_found");
  for (const site of ["same-site", "cross-site", "nonsense"]) {
    const foreign = { origin: "https://evil.example", "sec-fetch-site": site };
    assert.equal((await onAdminHost("DELETE", "sessions?subject=nobody", foreign)).code, "cross_origin", site);
  }
});

test("a user's call wants the cookie, from the same origin", async () => {
  const mine = await mint({ subject: someone() });
  for (const [method, where] of USER_CALLS) {
    const name = `${method} ${where}`;
    for (const headers of [{}, bearer(all), { cookie: `${COOKIE}=x` }]) {
      const { status, code, headers: got } = await call(method, where, { headers });
      assert.deepEqual([status, code, got.get("www-authenticate")], [401, "no_session", "Cookie"], name);
    }
    for (const site of ["same-site", "cross-site", "nonsense"]) {
      assert.equal((await user(mine, method, where, { "sec-fetch-site": site })).code, "cross_origin", `${name} ${site}`);
    }
  }
  for (const [method, where] of USER_CALLS.filter(([method]) => method !== "GET")) {
    const { code } = await call(method, where, { headers: { cookie: mine.cookie, origin: "https://evil.example" } });
    assert.equal(code, "cross_origin", `${method} ${where}`);
  }
  assert.notEqual(await seen(mine), null, "nothing has ended it");
});

test("two good cookies are nobody's", async () => {
  const [one, two] = [await mint({ subject: someone() }), await mint({ subject: someone() })];
  for (const [method, where] of USER_CALLS) {
    assert.equal((await user({ cookie: `${one.cookie}; ${two.cookie}` }, method, where)).code, "no_session", where);
  }
  assert.notEqual(await seen(one), null);
  assert.notEqual(await seen(two), null);
});

test("another method gets 405 with those that are allowed, before any key is asked for", async () => {
  for (const [method, where, allow] of [
    ["PUT", "sessions", "POST, GET, HEAD, DELETE"],
    ["POST", `sessions/${NOWHERE}`, "GET, HEAD, PATCH, DELETE"],
    ["GET", "me/not-me", "POST"],
    ["DELETE", "health", "GET, HEAD"],
    ["OPTIONS", "me", "GET, HEAD"],
  ]) {
    const { status, code, headers } = await call(method, where);
    assert.deepEqual([status, code, headers.get("allow")], [405, "method_not_allowed", allow], `${method} ${where}`);
  }
  for (const where of ["", "sessions/", `sessions/${NOWHERE}/x`, "me/", "Sessions", "openapi"]) {
    assert.equal((await admin("GET", where)).code, "not_found", where);
  }
});

test("the description that is served is the one in the repository", async () => {
  const { status, json } = await call("GET", "openapi.json");
  assert.equal(status, 200);
  assert.deepEqual(json, JSON.parse(readFileSync(path.join(root, "src/control/openapi.json"), "utf8")));
});

// --- bad input ------------------------------------------------------------------------

test("bad input is refused by name, and changes nothing", async () => {
  const subject = someone();
  const { id } = await mint({ subject, level: 5, claims: { a: 1 } });
  const before = await list(subject);
  const deep = (depth) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
  const mints = [
    "", "x", "null", "[]", "{}", '"alice"', '{"subject":"a"', '{"subject":"a"}x', "\u{0}",
    { subject: "" }, { subject: "x".repeat(256) }, { subject: "割".repeat(86) }, { subject: " a" }, { subject: "a\u{a0}" },
    { subject: "a\u{0}b" }, { subject: "a\nb" }, { subject: null }, { subject: 42 }, { subject: [] },
    '{"subject":"\\ud800"}', '{"subject":"a","subject":"b"}', `{"subject":"a","claims":{"a":${deep(1_000)}}}`,
    { subject: "a", claims: { a: "x".repeat(2_048) } }, { subject: "a", claims: [] }, { subject: "a", claims: null },
    { subject: "a", claims: "{}" }, { subject: "a", level: -1 }, { subject: "a", level: 256 }, { subject: "a", level: 1.5 },
    { subject: "a", level: "1" }, { subject: "a", level: null }, { subject: "a", ttl: 0 }, { subject: "a", ttl: -1 },
    { subject: "a", ttl: 315_360_001 }, '{"subject":"a","ttl":1e300}', '{"subject":"a","ttl":18446744073709551616}',
    { subject: "a", ttl: "60" }, { subject: "a", device: "x" }, { subject: "a", device: { ip: "x" } },
    { subject: "a", device: { city: null } }, { subject: "a", token: "x" },
  ];
  for (const body of mints) {
    const { status, code, json } = await admin("POST", "sessions", body);
    assert.deepEqual([status, code], [400, "bad_request"], text(body));
    assert.equal(typeof json.detail, "string", text(body));
  }
  assert.deepEqual(await list("a"), []);
  const query = { subject, cursor: (await cursorOf(someone())) };
  const queries = [
    ["POST", "sessions?x=1"],
    ["GET", "sessions"], ["GET", "sessions?subject="], ["GET", `sessions?subject=${"x".repeat(256)}`],
    ["GET", "sessions?subject=%20a"], ["GET", "sessions?subject=a%00"], ["GET", "sessions?subject=%ff"],
    ["GET", "sessions?subject=%c0%af"], ["GET", "sessions?subject=%ed%a0%80"], ["GET", "sessions?subject=a&subject=a"],
    ["GET", "sessions?subject=a&limit=5"], ["GET", "sessions?Subject=a"], ["GET", "sessions?subject=a&cursor="],
    ["GET", "sessions?subject=a&cursor=x"], ["GET", `sessions?subject=a&cursor=${"A".repeat(44)}`],
    ["GET", `sessions?${new URLSearchParams(query)}`], ["GET", `sessions/${id}?x=1`],
    ["DELETE", "sessions"], ["DELETE", "sessions?subject="], ["DELETE", `sessions?subject=${subject}&subject=${subject}`],
    ["DELETE", `sessions?subject=${subject}&wait=soon`], ["DELETE", `sessions?subject=${subject}&x`],
    ["DELETE", `sessions/${id}?wait=`], ["DELETE", `sessions/${id}?x=1`], ["GET", `revocations/${NOWHERE}?x=1`],
    ["GET", "verify?access=public"], ["GET", "verify?access="], ["GET", "verify?access=required&access=optional"],
    ["GET", "verify?level=256"], ["GET", "verify?level=-1"], ["GET", "verify?level="], ["GET", "verify?max_auth_age=5"],
    ["GET", "verify?max_auth_age=-5m"], ["GET", "verify?method=get"], ["GET", "verify?method="],
    ["GET", "verify?origin=a%0Ab"], ["GET", "verify?sec_fetch_site=a%0Asec-fetch-site:none"], ["GET", "verify?path=/"],
  ];
  for (const [method, where] of queries) {
    const { status, code } = await admin(method, where, method === "POST" ? { subject } : undefined);
    assert.deepEqual([status, code], [400, "bad_request"], `${method} ${where}`);
  }
  const changes = [
    "", "x", "{}", "null", { level: null }, { claims: null }, { claims: { a: "x".repeat(2_048) } }, { claims: [] },
    { level: -1 }, { level: 256 }, { subject: "b" }, { level: 1, id }, `{"claims":{"a":${deep(1_000)}}}`,
  ];
  for (const body of changes) {
    const { status, code } = await admin("PATCH", `sessions/${id}`, body);
    assert.deepEqual([status, code], [400, "bad_request"], text(body));
  }
  assert.equal((await admin("PATCH", `sessions/${id}?x=1`, { level: 1 })).code, "bad_request");
  assert.deepEqual(await list(subject), before);
});

test("what is not there is 404, whatever its name looks like", async () => {
  const names = [NOWHERE, NO_SHARD, "x", "A".repeat(21), "A".repeat(23), "B".repeat(22), "%F0%9F%8E%AB", "=".repeat(22), "a;b"];
  for (const name of names) {
    for (const [method, where] of [
      ["GET", `sessions/${name}`],
      ["PATCH", `sessions/${name}`],
      ["DELETE", `sessions/${name}`],
      ["GET", `revocations/${name}`],
    ]) {
      assert.equal((await admin(method, where, method === "PATCH" ? { level: 0 } : undefined)).code, "not_found", `${method} ${where}`);
    }
  }
  assert.equal((await admin("GET", "sessions/%00")).code, "bad_request");
  assert.equal((await admin("GET", "sessions/..%2fx")).code, "bad_request");
  assert.equal((await admin("DELETE", `sessions?subject=${someone()}`)).code, "not_found", "nobody lives there");
});

test("a subject of 1 and of 255 bytes, and in any script", async () => {
  for (const subject of ["x".repeat(255), "割".repeat(85), "a", "a b", "a%2Fb?&=#+", "\u{1F38E}", "\u{FFFD}"]) {
    const { session } = await mint({ subject });
    assert.equal(session.subject, subject);
    assert.deepEqual((await list(subject)).map(({ id }) => id), [session.id]);
  }
});

test("claims of 2,048 bytes, and levels and lifetimes at their ends", async () => {
  const claims = { a: "x".repeat(2_040) };
  const subject = someone();
  assert.equal(JSON.stringify(claims).length, 2_048);
  const least = await mint({ subject, claims, level: 0, ttl: 1 });
  assert.deepEqual([least.session.claims, least.session.level], [claims, 0]);
  assert.match(least.set_cookie, /Max-Age=[01]$/);
  const most = await mint({ subject, level: 255, ttl: 315_360_000, claims: { deep: [[[{}]]] } });
  assert.equal(most.session.level, 255);
  assert.match(most.set_cookie, /Max-Age=3153(60000|59999)$/);
});

test("a body that is too large is 413", async () => {
  const subject = someone();
  for (const [method, where] of [["POST", "sessions"], ["PATCH", `sessions/${NOWHERE}`]]) {
    const { status, code } = await admin(method, where, JSON.stringify({ subject }) + " ".repeat(16_384));
    assert.deepEqual([status, code], [413, "body_too_large"], where);
  }
  assert.deepEqual(await list(subject), []);
});

test("a body that never ends is given up", async () => {
  const subject = someone();
  const { id } = await mint({ subject });
  const began = performance.now();
  const answers = await Promise.all([
    endless("POST", "/_warifu/sessions", JSON.stringify({ subject })),
    endless("PATCH", `/_warifu/sessions/${id}`, '{"level":0}'),
    endless("POST", "/_warifu/logout", "return_to=/", "Content-Type: application/x-www-form-urlencoded\r\n"),
  ]);
  const took = performance.now() - began;
  for (const answer of answers) {
    assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.match(answer, /"code":"body_timeout"/);
  }
  assert.ok(took > 9 * SECOND && took < 20 * SECOND, `${took} ms`);
  const [left, ...others] = await list(subject);
  assert.deepEqual([left.level, others], [1, []]);
});

// A request whose body is announced longer than it is, on a connection that stays open.
async function endless(method, where, body, headers = "") {
  const { hostname, port, host } = new URL(gateway.url);
  const socket = net.connect(Number(port), hostname);
  socket.write(
    `${method} ${where} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${all.key}\r\n${headers}` +
      `Content-Length: ${body.length + 100}\r\n\r\n${body}`,
  );
  let answer = "";
  while (!answer.includes('"code"')) {
    const [chunk] = await once(socket, "data", { signal: AbortSignal.timeout(30 * SECOND) });
    answer += chunk.toString("latin1");
  }
  socket.destroy();
  return answer;
}

// --- what the calls do ------------------------------------------------------------------

test("a minted session is what was asked for, and opens the application", async () => {
  const subject = someone();
  const minted = await mint({ subject, level: 3, ttl: 3_600, claims: { plan: "pro" }, device: { user_agent: "TV", country: "JP" } });
  assert.match(minted.id, HANDLE);
  assert.match(minted.set_cookie, new RegExp(`^${COOKIE}=${minted.token}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=3(600|599)$`));
  const { session } = minted;
  assert.deepEqual([session.subject, session.level, session.claims], [subject, 3, { plan: "pro" }]);
  assert.deepEqual(session.device, { user_agent: "TV", country: "JP" });
  for (const name of ["auth_time", "created", "last_seen", "idle_expires", "absolute_expires"]) assert.match(session[name], TIME);
  const { subject: whom, level, headers } = await seen(minted);
  assert.deepEqual([whom, level], [subject, 3]);
  assert.equal(Buffer.from(headers["warifu-claims"], "base64url").toString(), '{"plan":"pro"}');
  const shown = await admin("GET", `sessions/${minted.id}`);
  assert.deepEqual([shown.status, shown.json], [200, session]);
  assert.ok(!JSON.stringify(await list(subject)).includes(minted.token));
});

test("a change is seen by the next request; a level only falls", async () => {
  const minted = await mint({ subject: someone(), level: 2, claims: { plan: "pro" } });
  assert.equal((await seen(minted)).level, 2);
  const changed = await admin("PATCH", `sessions/${minted.id}`, { claims: { plan: "basic" }, level: 1 });
  assert.deepEqual([changed.status, changed.json.claims, changed.json.level], [200, { plan: "basic" }, 1]);
  const { level, headers } = await seen(minted);
  assert.deepEqual([level, Buffer.from(headers["warifu-claims"], "base64url").toString()], [1, '{"plan":"basic"}']);
  const raised = await admin("PATCH", `sessions/${minted.id}`, { level: 2, claims: {} });
  assert.deepEqual([raised.status, raised.code], [409, "needs_rotation"]);
  assert.deepEqual((await admin("GET", `sessions/${minted.id}`)).json, changed.json, "the claims have not changed either");
});

// A receipt says when the kill was committed, where it stands in the feed, and
// from when on it holds everywhere; it is the same whoever asks for it later.
async function isKept(receipt, scope) {
  const { kill_id, committed_at, accepted_at, refused_everywhere_by, epoch, seq, ...rest } = receipt;
  assert.match(kill_id, HANDLE);
  for (const time of [committed_at, accepted_at, refused_everywhere_by]) assert.match(time, TIME);
  assert.match(epoch, /^[0-9a-f]{16}$/);
  assert.ok(Number.isSafeInteger(seq) && seq > 0, `${seq}`);
  assert.deepEqual(rest, { scope, state: "published", bound_ms: BOUND });
  const [committed, accepted, everywhere] = [committed_at, accepted_at, refused_everywhere_by].map(Date.parse);
  assert.ok(committed <= accepted && accepted + BOUND < everywhere && everywhere < accepted + BOUND + SECOND);
  const { status, json } = await admin("GET", `revocations/${kill_id}`);
  assert.equal(status, 200);
  assert.ok(["published", "quiesced"].includes(json.state), json.state);
  assert.deepEqual({ ...json, state: receipt.state }, receipt);
}

test("an ended session is refused at once, and its receipt is kept", async () => {
  const subject = someone();
  const [one, other] = [await mint({ subject }), await mint({ subject })];
  assert.notEqual(await seen(one), null);
  const { status, json: receipt } = await admin("DELETE", `sessions/${one.id}`);
  assert.equal(status, 200);
  assert.equal(await seen(one), null);
  assert.notEqual(await seen(other), null);
  assert.equal((await admin("DELETE", `sessions/${one.id}`)).json.kill_id, receipt.kill_id, "whoever lost it gets it again");
  assert.equal((await admin("PATCH", `sessions/${one.id}`, { level: 0 })).code, "not_found");
  await isKept(receipt, "session");
});

test("all sessions of a subject end, and nobody else's", async () => {
  const [subject, bystander] = [someone(), someone()];
  const theirs = [await mint({ subject }), await mint({ subject }), await mint({ subject })];
  const other = await mint({ subject: bystander });
  const { status, json: receipt } = await admin("DELETE", `sessions?subject=${subject}`);
  assert.equal(status, 200);
  for (const session of theirs) assert.equal(await seen(session), null);
  assert.notEqual(await seen(other), null);
  assert.deepEqual(await list(subject), []);
  await isKept(receipt, "subject");
  assert.notEqual(await seen(await mint({ subject })), null, "who logs in afterwards is let in");
});

test("to end a whole site wants its name", async () => {
  const minted = await mint({ subject: someone() });
  for (const body of [{ confirm: "another" }, { confirm: "" }, { confirm: null }, {}, { confirm: "default", x: 1 }]) {
    assert.equal((await admin("DELETE", "sessions", body)).code, "bad_request", text(body));
  }
  assert.notEqual(await seen(minted), null);
});

test("who waits for a kill is answered when the bound is over, and in the meantime it holds", async () => {
  const [one, whole, left] = await Promise.all([1, 2, 3].map(() => mint({ subject: someone() })));
  const before = Date.now();
  const waiting = [
    admin("DELETE", `sessions/${one.id}?wait=quiesced`),
    admin("DELETE", `sessions?subject=${whole.session.subject}&wait=quiesced`),
    user(left, "POST", "me/not-me?wait=quiesced"),
  ];
  const taking = waiting.map(async (answer) => {
    const { status, json } = await answer;
    assert.deepEqual([status, json.state], [200, "quiesced"]);
    return Date.now() - before;
  });
  await until(async () => (await Promise.all([one, whole, left].map(seen))).every((who) => who === null), "they hold");
  const unanswered = Date.now() - before < BOUND;
  for (const took of await Promise.all(taking)) assert.ok(took > BOUND && took < BOUND + 5 * SECOND, `${took} ms`);
  assert.ok(unanswered, "long before the answers");
});

test("who ends all others gets the new cookie at once, whether or not it is to wait", async () => {
  const mine = await mint({ subject: someone() });
  const before = Date.now();
  const answer = await user(mine, "DELETE", "me/sessions?wait=quiesced");
  assert.deepEqual([answer.status, answer.json.state], [200, "published"]);
  assert.ok(Date.now() - before < BOUND, "its other tabs have nothing but the old one");
  assert.equal(await seen(mine), null);
  assert.notEqual(await seen({ cookie: sessionCookie(answer) }), null);
});

test("a long list comes in pages, newest first, each session once", async () => {
  const subject = someone();
  const minted = [];
  for (let index = 0; index < 105; index++) minted.push((await mint({ subject })).id);
  const found = [];
  let cursor;
  do {
    const query = new URLSearchParams({ subject, ...(cursor === undefined ? {} : { cursor }) });
    const { status, json } = await admin("GET", `sessions?${query}`);
    assert.equal(status, 200);
    found.push(...json.sessions);
    cursor = json.next;
  } while (cursor !== null);
  assert.equal(found.length, 105);
  assert.deepEqual(found.map(({ id }) => id).sort(), minted.sort());
  const created = found.map((session) => session.created);
  assert.deepEqual(created, [...created].sort().reverse());
  const own = await mint({ subject });
  const mine = await user(own, "GET", "me/sessions");
  assert.equal(mine.json.sessions.length, 100);
  const rest = await user(own, "GET", `me/sessions?cursor=${mine.json.next}`);
  assert.equal(rest.json.sessions.length, 6);
  assert.equal((await user(await mint({ subject: someone() }), "GET", `me/sessions?cursor=${mine.json.next}`)).code, "bad_request");
});

// The cursor that another query would give.
async function cursorOf(subject) {
  for (let index = 0; index < 101; index++) await mint({ subject });
  const { json } = await admin("GET", `sessions?subject=${subject}`);
  assert.match(json.next, /^[A-Za-z0-9_-]{44}$/);
  return json.next;
}

// --- one's own -------------------------------------------------------------------------

test("the list of one's own sessions marks the current one and says where each is used", async () => {
  const answer = await gateway.fetch("/login", {
    method: "POST",
    body: new URLSearchParams({ username: "alice", password: PASSWORD }),
    headers: { "sec-fetch-site": "same-origin", "user-agent": "Mozilla/5.0 Test/1" },
  });
  const mine = { cookie: sessionCookie(answer) };
  const elsewhere = await gateway.logIn();
  const { status, json: me } = await user(mine, "GET", "me");
  assert.deepEqual([status, me.subject, me.current], [200, "alice", true]);
  assert.equal(me.device.user_agent, "Mozilla/5.0 Test/1");
  assert.match(me.device.first_prefix, /^\d+\.\d+\.\d+\.0\/24$|^[0-9a-f:]+::\/48$/);
  const { json: page } = await user(mine, "GET", "me/sessions");
  assert.deepEqual(page.sessions.filter(({ current }) => current).map(({ id }) => id), [me.id]);
  const { json: other } = await user(elsewhere, "GET", "me");
  assert.ok(page.sessions.some(({ id, current }) => id === other.id && current === false));
  assert.ok(page.sessions.every(({ subject }) => subject === "alice"));
  const shown = await admin("GET", `sessions/${me.id}`);
  assert.equal("current" in shown.json, false, "an administrator has no session of their own");
});

test("one of one's own sessions is ended; another person's is not there", async () => {
  const subject = someone();
  const [mine, phone, stranger] = [await mint({ subject }), await mint({ subject }), await mint({ subject: someone() })];
  for (const id of [stranger.id, NOWHERE, NO_SHARD, "x"]) {
    const { status, code } = await user(mine, "DELETE", `me/sessions/${id}`);
    assert.deepEqual([status, code], [404, "not_found"], id);
  }
  assert.notEqual(await seen(stranger), null);
  const { status, json } = await user(mine, "DELETE", `me/sessions/${phone.id}`);
  assert.deepEqual([status, json.scope, json.state], [200, "session", "published"]);
  assert.deepEqual([await seen(phone), (await seen(mine)).subject], [null, subject]);
  assert.equal((await user(mine, "DELETE", `me/sessions/${mine.id}`)).status, 200);
  assert.equal(await seen(mine), null);
});

test("to end all others gives a fresh cookie, and the old one is refused at once", async () => {
  const subject = someone();
  const [mine, phone, stranger] = [await mint({ subject }), await mint({ subject }), await mint({ subject: someone() })];
  const answer = await user(mine, "DELETE", "me/sessions");
  assert.deepEqual([answer.status, answer.json.scope, answer.json.state], [200, "subject", "published"]);
  const fresh = { cookie: sessionCookie(answer) };
  assert.notEqual(fresh.cookie, mine.cookie);
  assert.deepEqual([await seen(mine), await seen(phone)], [null, null]);
  const { subject: whom, session } = await seen(fresh);
  assert.deepEqual([whom, session], [subject, mine.id], "the session is the same");
  assert.equal((await user(mine, "DELETE", "me/sessions")).code, "no_session");
  assert.notEqual(await seen(stranger), null);
});

test("not me: all end, this one too, and a browser is sent to the login", async () => {
  const subject = someone();
  const [mine, phone] = [await mint({ subject }), await mint({ subject })];
  const answer = await user(mine, "POST", "me/not-me");
  assert.deepEqual([answer.status, answer.json.scope, answer.headers.get("clear-site-data")], [200, "subject", '"cache"']);
  assert.deepEqual([await seen(mine), await seen(phone)], [null, null]);
  const again = await mint({ subject });
  const page = await user(again, "POST", "me/not-me", { "sec-fetch-mode": "navigate" });
  assert.deepEqual([page.status, page.headers.get("location")], [303, "/login"]);
  assert.equal(await seen(again), null);
});

// --- forward-auth ----------------------------------------------------------------------

test("forward-auth says who it is, or why not", async () => {
  const subject = "割 %";
  const mine = await mint({ subject, level: 2, claims: { a: 1 } });
  const verify = (query, { cookie } = {}) =>
    call("GET", `verify?${new URLSearchParams(query)}`, { headers: { ...bearer(all), ...(cookie ? { cookie } : {}) } });
  const { status, headers } = await verify({ access: "required", level: 2, max_auth_age: "5m" }, mine);
  assert.equal(status, 204);
  assert.deepEqual(
    ["subject", "session", "level", "claims"].map((name) => headers.get(`warifu-${name}`)),
    [encodeURIComponent(subject), mine.id, "2", Buffer.from('{"a":1}').toString("base64url")],
  );
  const anonymous = await verify({ access: "optional" });
  assert.deepEqual([anonymous.status, anonymous.headers.get("warifu-subject")], [204, ""]);
  assert.equal((await verify({})).code, "no_session");
  assert.equal((await verify({ access: "strict", level: 3 }, mine)).code, "step_up_required");
  const post = (sec_fetch_site, origin) => verify({ method: "POST", sec_fetch_site, origin }, mine);
  assert.equal((await post("cross-site", "")).code, "cross_origin");
  assert.equal((await post("", "https://evil.example")).code, "cross_origin");
  assert.equal((await post("same-origin", gateway.url)).status, 204);
  assert.equal((await post("", gateway.url)).status, 204, "an Origin equal to the Host");
  await admin("DELETE", `sessions/${mine.id}`);
  assert.equal((await verify({}, mine)).code, "no_session");
});
