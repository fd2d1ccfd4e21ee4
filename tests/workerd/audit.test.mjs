// What happened, who wanted it and from where: in the log, in the history that administrators
// read, and in figures.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { callsTo } from "./support/calls.mjs";
import { newAdminKey, start, told, until } from "./support/gateway.mjs";

const SECOND = 1_000;
const all = newAdminKey("all");
const reader = newAdminKey("reader", ["sessions:read"]);

let gateway;
before(async () => (gateway = await start({ adminKeys: [all, reader] })));
after(() => gateway.close());

const { call, bearer, admin, mint, seen, someone } = callsTo(() => gateway, all);

test("every call of an administrator is in the log, and no key or token", async () => {
  const subject = someone();
  const minted = await mint({ subject, claims: { note: "private-claim" } });
  await admin("DELETE", `sessions/${minted.id}`);
  await admin("DELETE", `sessions/${minted.id}`, undefined, reader);
  await told(gateway, { event: "admin_called", call: "POST /_warifu/sessions", key: "all" });
  await told(gateway, { event: "session_started", session: minted.id, subject, actor: "admin:all" });
  await told(gateway, { event: "session_ended", session: minted.id, actor: "admin:all" });
  await told(gateway, { event: "admin_refused", call: `DELETE /_warifu/sessions/${minted.id}`, reason: "the key lacks the scope", key: "reader" });
  // With the last call all is written; close() searches what comes later.
  const logs = gateway.logs();
  for (const secret of [all.key, reader.key, minted.token, minted.token.slice(8, 50), "private-claim"]) {
    assert.ok(!logs.includes(secret));
  }
});

test("what happened to somebody can be read, with who wanted it and from where", async () => {
  const subject = someone();
  const minted = await mint({ subject });
  await call("DELETE", `sessions/${minted.id}`, {
    headers: { ...bearer(all), "cf-connecting-ip": "198.51.100.7", traceparent: `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01` },
  });
  const { status, json } = await admin("GET", `audit?subject=${subject}`);
  assert.equal(status, 200);
  const [looked, ended, started] = json.events;
  const who = ({ event, session, actor, reason }) => [event, session, actor, reason];
  assert.deepEqual(who(started), ["session_started", minted.id, "admin:all", "POST sessions"]);
  assert.deepEqual(who(ended), ["session_ended", minted.id, "admin:all", "DELETE sessions/*"]);
  assert.deepEqual(who(looked), ["admin_called", null, "admin:all", "GET audit"]);
  assert.equal(ended.from, "198.51.100.0/24", "the network, and not the address");
  const { from, trace, at } = await told(gateway, { event: "session_ended", session: minted.id });
  assert.deepEqual([from, trace], ["198.51.100.0/24", "ab".repeat(16)]);
  assert.ok(Math.abs(Date.parse(at) - Date.parse(ended.at)) < SECOND);
  // Nothing more is said of the call once the one after it is in the log.
  await told(gateway, { event: "admin_called", call: "GET /_warifu/audit" });
  assert.ok(!gateway.logs().includes("198.51.100.7"));
});

test("everybody's history has each event once", async () => {
  const subject = someone();
  const ids = [];
  for (let index = 0; index < 5; index++) ids.push((await mint({ subject: `${subject}-${index}` })).id);
  const seen = [];
  let cursor = "";
  do {
    const { status, json } = await admin("GET", `audit?limit=50${cursor}`);
    assert.equal(status, 200);
    seen.push(...json.events.filter(({ event }) => event === "session_started").map(({ session }) => session));
    cursor = json.next === null ? undefined : `&cursor=${json.next}`;
  } while (cursor !== undefined);
  for (const id of ids) assert.equal(seen.filter((other) => other === id).length, 1, id);
});

test("what an isolate counts can be read", async () => {
  const minted = await mint({ subject: someone() });
  const number = async (name) => {
    const answer = await gateway.fetch("/_warifu/metrics", { headers: bearer(all) });
    assert.equal(answer.status, 200);
    const line = (await answer.text()).split("\n").find((line) => line.startsWith(name) && !line.includes("none"));
    return Number(line?.split(" ").at(-1) ?? "0");
  };
  const before = await number("warifu_checks_total");
  await seen(minted);
  await until(async () => (await seen(minted)) && (await number("warifu_checks_total")) > before, "from memory");
  const forwarded = await number("warifu_origin_seconds_count");
  await until(async () => (await seen(minted)) && (await number("warifu_origin_seconds_count")) > forwarded, "each that is forwarded");
});
