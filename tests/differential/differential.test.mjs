// The gateway and three origins, each of which reads paths and headers in its own way, over
// raw sockets: what the policy matched is what the origin routed. Only in CI, since it needs
// nginx and python3; scripts/setup ci sees to that.
//
// WARIFU_DIFFERENTIAL is the number of requests, each sent to every origin; with another
// WARIFU_DIFFERENTIAL_SEED they are others.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";

import { startBare } from "../workerd/support/bare.mjs";
import { newAdminKey, until } from "../workerd/support/gateway.mjs";
import { sendAll } from "./support/client.mjs";
import { generate, request } from "./support/generate.mjs";
import { answerFaults, faults, need } from "./support/oracle.mjs";
import { startOrigins } from "./support/origins.mjs";
import { ROUTES, area } from "./support/readings.mjs";
import { table } from "./support/table.mjs";

const COUNT = Number(process.env.WARIFU_DIFFERENTIAL ?? 5_000);
const SEED = Number(process.env.WARIFU_DIFFERENTIAL_SEED ?? 1);

const admin = newAdminKey("ops", ["mint", "revoke"]);
const key = randomBytes(32).toString("base64url");
const seen = new Map(); // what arrived, by the number of its case
let origins, gateway, sites;

before(async () => {
  console.log(`seed ${SEED}, ${COUNT} requests`);
  origins = await startOrigins((record) => seen.set(record.id, [...(seen.get(record.id) ?? []), record]));
  // The last one stands before Express too, and was not told that it takes no notice of case.
  const behind = { express: "express", wsgi: "wsgi", nginx: "nginx", careless: "express" };
  gateway = await startBare({
    adminKeys: [admin],
    originKeys: JSON.stringify([{ kid: 1, key }]),
    warifu: {
      routes: ROUTES,
      identity: { user_header: "Remote-User" },
      sites: Object.entries(behind).map(([site, origin]) => ({
        ...{ site, hosts: [`${site}.test`], origin: origins.urls[origin] },
        case_insensitive: site === "express",
      })),
    },
  });
  sites = await Promise.all(Object.entries(behind).map(([name, origin]) => newSite(name, origin)));
  for (const site of sites) site.foreign = sites.find(({ name }) => name !== site.name).live;
});
after(async () => {
  await gateway?.close();
  await origins?.stop();
});

// Its sessions: a live one, another one, and one that has been ended.
async function newSite(name, origin) {
  const host = `${name}.test`;
  const call = async (method, path, body) => {
    const headers = { host, authorization: `Bearer ${admin.key}`, "content-type": "application/json" };
    const answer = await gateway.fetch(`/_warifu/sessions${path}`, { method, headers, body: body && JSON.stringify(body) });
    assert.ok(answer.status < 300, `${answer.status}`);
    return answer.json();
  };
  const claims = { at: name };
  const live = await call("POST", "", { subject: `alice of ${name}`, level: 3, claims });
  const other = await call("POST", "", { subject: `bob of ${name}` });
  const dead = await call("POST", "", { subject: `carol of ${name}` });
  await call("DELETE", `/${dead.session.id}?wait=quiesced`);
  const subject = encodeURIComponent(live.session.subject);
  const identity = {
    ...{ "warifu-subject": subject, "remote-user": subject, "warifu-session": live.session.id, "warifu-level": "3" },
    "warifu-auth-time": String(Math.floor(Date.parse(live.session.auth_time) / 1_000)),
    "warifu-claims": Buffer.from(JSON.stringify(claims)).toString("base64url"),
  };
  const { host: authority } = new URL(gateway.served.sites.find(({ site }) => site === name).origin);
  const resource = (path) => area(path, { ignoreCase: origin === "express" });
  return { name, host, origin, identity, key, resource, authority, live: live.token, other: other.token, dead: dead.token };
}

// Sends them all, and returns { sent, answer, seen, faults } of each.
async function run(requests) {
  const results = [];
  await sendAll(gateway.url, requests, (sent, answer) => results.push({ sent, answer }));
  // A record comes by a pipe of its own, and may come after the answer.
  const isWritten = ({ sent, answer }) => !answer.headers.some(([name]) => name === "x-origin") || seen.has(sent.id);
  await until(() => results.every(isWritten), "what was answered is written down");
  return results.map((result) => ({ ...result, ...judge(result) }));
}

function judge({ sent, answer }) {
  const records = seen.get(sent.id) ?? [];
  const own = sites.find(({ name }) => name === sent.site);
  const found = [...answerFaults(sent, answer, records, own)];
  for (const record of records) {
    // An absolute target can name another site.
    const site = record.origin === own.origin ? own : sites.find(({ origin }) => origin === record.origin);
    found.push(...faults({ ...sent, isAtHome: site === own }, record, site));
  }
  return { seen: records, faults: found };
}

function assertNone(results, what) {
  const bad = results.filter(({ faults }) => faults.length > 0);
  const shown = bad.slice(0, 5).map(({ sent, answer, seen, faults }) => {
    const head = sent.bytes.toString("latin1").slice(0, 600);
    return `${faults.join("\n")}\n${JSON.stringify(head)}\n→ ${answer.status} ${JSON.stringify(seen).slice(0, 1_500)}`;
  });
  assert.equal(bad.length, 0, `seed ${SEED}, ${what}: ${bad.length} of ${results.length}\n\n${shown.join("\n\n")}`);
}

const three = () => sites.filter(({ name }) => name !== "careless");
const answeredBy = ({ seen, answer }) => {
  if (seen.length === 0) return answer.status === 0 ? "closed" : `${answer.status}`;
  return need(seen[0]) === "session" ? "protected" : need(seen[0]) === "anyone" ? "optional" : "public";
};

let results;

test("what the policy matched is what the origin routed, and nobody is who he is not", { timeout: 300_000 }, async () => {
  const began = Date.now();
  results = await run(generate({ seed: SEED, count: COUNT, sites: three() }));
  const seconds = (Date.now() - began) / 1_000;
  console.log(`${results.length} requests in ${seconds.toFixed(1)} s\n`);
  console.log(table("origin", results, ({ sent }) => sent.site, answeredBy), "\n");
  console.log(table("kind of path", results, ({ sent }) => sent.kind, answeredBy), "\n");
  assertNone(results, "generated");
  assert.equal(results.length, 3 * COUNT);
});

// Else it would pass where everything is refused.
test("enough of them got through", () => {
  const share = (test) => results.filter(test).length / results.length;
  const arrived = ({ seen }) => seen.length > 0;
  assert.ok(share(arrived) >= 0.25, `${share(arrived)} arrived`);
  assert.ok(share((result) => answeredBy(result) === "protected") >= 0.05);
  assert.ok(share(({ answer }) => answer.status === 400) >= 0.05);
  assert.ok(share(({ answer }) => answer.status === 401) >= 0.05);
  for (const { name } of three()) assert.ok(share((result) => arrived(result) && result.seen[0].origin === name) >= 0.05, name);
});

test("a path that has arrived is a fixed point, and without a cookie it is matched as it was with one", { timeout: 300_000 }, async () => {
  const firsts = new Map();
  for (const { sent, seen: [record] } of results) {
    if (record !== undefined) firsts.set(`${sent.site} ${record.target}`, { sent, record });
  }
  const requests = [...firsts.values()].flatMap(({ sent, record }) =>
    ["with", "without"].map((which) => {
      const site = sites.find(({ name }) => name === sent.site);
      const id = `${sent.id}.${which}`;
      const lines = [`X-Case: ${id}`, ...(which === "with" ? [`Cookie: __Host-Http-warifu=${site.live}`] : [])];
      const cookie = which === "with" ? "good" : "bad";
      return request({ id, kind: which, method: "GET", target: record.target, site: site.name, host: site.host, cookie, lines, first: record });
    }),
  );
  const again = await run(requests);
  assertNone(again, "once more");
  for (const { sent, answer, seen: [record] } of again) {
    const { resources, target } = sent.first;
    const needed = need({ method: "GET", resources });
    if (sent.kind === "without" && needed === "session") {
      assert.deepEqual([answer.status, record], [401, undefined], `seed ${SEED}, ${target}`);
    } else {
      assert.deepEqual([answer.status, record?.target, record?.resources], [200, target, resources], `seed ${SEED}, ${target}`);
    }
  }
  console.log(`${again.length} requests once more`);
});

// The runtime's fetch writes it as %27 (URL Standard, section 4.4, query state).
test("a quote in a query is signed as it arrives", async () => {
  const { name, host, live } = sites[0];
  const lines = ["X-Case: quote", `Cookie: __Host-Http-warifu=${live}`];
  const sent = { id: "quote", kind: "honest", method: "GET", target: "/members/list?q=it's", site: name, host, cookie: "good", isPlain: true, lines };
  const quoted = await run([request(sent)]);
  assert.equal(quoted[0].seen.length, 1);
  assertNone(quoted, "a quote");
});

// Without `case_insensitive`, Express reads these otherwise than the policy does.
test("the check notices a gateway that was told something wrong of its origin", { timeout: 60_000 }, async () => {
  const careless = sites.find(({ name }) => name === "careless");
  const targets = { "/open/ADMIN/users": true, "/open/Vault": true, "/open/admin/users": false, "/OPEN/x": false };
  const requests = Object.keys(targets).map((target, n) => {
    const id = `careless.${n}`;
    return request({ id, kind: "careless", method: "GET", target, site: careless.name, host: careless.host, cookie: "bad", lines: [`X-Case: ${id}`] });
  });
  for (const { sent, faults } of await run(requests)) {
    assert.equal(faults.some((fault) => fault.startsWith("a protected resource without a session")), targets[sent.target], sent.target);
  }
});

test("the check notices each fault of a record that is otherwise in order", () => {
  const whole = results.find(({ sent, seen, answer }) => sent.isPlain && sent.cookie === "good" && sent.method === "GET" && seen[0]?.origin === "nginx" && answer.status === 200 && need(seen[0]) === "session");
  const site = sites.find(({ name }) => name === "nginx");
  const [record] = whole.seen;
  const sent = { ...whole.sent, isAtHome: true };
  const headers = (change) => ({ headers: record.headers.flatMap(change) });
  const more = (...header) => ({ headers: [...record.headers, header] });
  const replaced = (name, value) => headers(([found, old]) => [[found, found === name ? value : old]]);
  const broken = {
    "no identity": headers((header) => (header[0].startsWith("warifu-") || header[0] === "remote-user" ? [] : [header])),
    "somebody else": replaced("warifu-subject", "mallory"),
    "an identity with a hole": headers((header) => (header[0] === "warifu-claims" ? [] : [header])),
    "a second subject": more("Warifu_Subject", "alice"),
    "a name beside the list": more("Warifu.Anything", ""),
    "a forged address": more("X_Forwarded_For", "forged"),
    "an address of the client's own": more("X-Real_IP", "6.6.6.6"),
    "a rewritten URL": more("x-original-url", "/"),
    "the cookie": more("Cookie", "__Host-Http-warifu=x"),
    "another signature": replaced("signature", `warifu=:${Buffer.alloc(32).toString("base64")}:`),
    "no signature": headers((header) => (header[0] === "signature" ? [] : [header])),
    "another path": { target: "/open/admin/other" },
    "a path that is not canonical": { target: "/open//admin" },
    "a method that was changed": { method: "DELETE" },
    "identity on a public route": { resources: ["open"] },
  };
  assert.deepEqual([...faults(sent, record, site)], []);
  for (const [name, change] of Object.entries(broken)) {
    assert.notDeepEqual([...faults(sent, { ...record, ...change }, site)], [], name);
  }
  assert.notDeepEqual([...faults({ ...sent, cookie: "bad" }, record, site)], [], "a cookie that opens nothing");
  const { answer } = whole;
  assert.deepEqual([...answerFaults(sent, answer, [record], site)], []);
  assert.notDeepEqual([...answerFaults(sent, answer, [], site)], [], "an answer without a record");
  assert.notDeepEqual([...answerFaults(sent, answer, [record, record], site)], [], "it arrived twice");
  assert.notDeepEqual([...answerFaults(sent, { ...answer, extra: true }, [record], site)], [], "two answers");
  assert.notDeepEqual([...answerFaults(sent, { ...answer, status: 502 }, [], site)], [], "a failure");
});
