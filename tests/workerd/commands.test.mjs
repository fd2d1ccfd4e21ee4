// Commands of an application that is a process of its own, and of others whose answers it
// passes on: what repeats the nonce, or is signed, is obeyed, and nothing else.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";

import { COOKIE, root, sessionCookie, start, until } from "./support/gateway.mjs";

const originKeys = JSON.stringify([7, 3].map((kid) => ({ kid, key: randomBytes(32).toString("base64url") })));
const routes = [
  { path: "/open", access: "public" },
  { path: "/plain", access: "optional", commands: true },
  { path: "/nonce", access: "optional", commands: "nonce" },
  { path: "/maybe", access: "optional" },
];
const CLAIMS = Buffer.from('{"plan":"gold"}').toString("base64");

let origin, attacker, plain, signing;
before(async () => {
  origin = await startOrigin();
  attacker = await startAttacker();
  const gatewayWith = (warifu) => start({ origin: origin.url, originKeys, warifu: { routes, ...warifu } });
  plain = await gatewayWith({});
  signing = await gatewayWith({ require_signed_commands: true });
});
after(async () => {
  await plain?.close();
  await signing?.close();
  attacker?.close();
  origin?.stop();
});

async function startOrigin() {
  const child = spawn(process.execPath, [path.join(root, "tests/workerd/support/relaying.mjs")], {
    env: { ...process.env, WARIFU_ORIGIN_KEYS: originKeys },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [port] = await once(child.stdout, "data");
  return { url: `http://127.0.0.1:${Number(port)}`, stop: () => child.kill() };
}

// Whose answers the application passes on: it says what the test wants.
async function startAttacker() {
  const attacker = { fields: [] };
  const server = createServer((_, answer) => {
    for (const [name, value] of attacker.fields) answer.appendHeader(name, value);
    answer.end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(attacker, { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() });
}

// Asks the application for something: [name, value] pairs of its query.
const ask = (gateway, where, asked, { cookie, method = "POST", ...headers } = {}) =>
  gateway.fetch(`${where}?${new URLSearchParams(asked)}`, {
    method,
    headers: { accept: "application/json", ...(cookie === undefined ? {} : { cookie }), ...headers },
  });
const nonced = (command) => [["command", `${command}, nonce="NONCE"`]];
const signed = (command) => [["command", command], ["signed", ""]];
const seen = async (gateway, cookie) => (await ask(gateway, "/maybe", [], { cookie })).json();
const events = (gateway, event) => gateway.logs().split("\n").filter((line) => line.includes(`"event":"${event}"`));

// The log comes by itself, and may come later than the answer.
async function told(gateway, event, times) {
  await until(() => events(gateway, event).length >= times, event);
  assert.equal(events(gateway, event).length, times, event);
}

// What the application's answer must not do: nobody is logged in or out, and it goes on.
async function isIgnored(gateway, answer, cookie, what) {
  assert.equal(answer.status, 200, what);
  assert.equal(answer.headers.get("warifu-command"), null, what);
  assert.deepEqual(answer.headers.getSetCookie(), [], what);
  assert.equal(typeof (await answer.json()).host, "string", "the application's own body");
  assert.equal((await seen(gateway, cookie))["warifu-subject"], "alice", what);
}

const WAYS = [
  ["that repeats the nonce", () => plain, "/nonce", nonced],
  ["that is signed", () => signing, "/plain", signed],
  ["that is both", () => signing, "/nonce", (command) => [...nonced(command), ["signed", ""]]],
];

for (const [what, gateway, where, said] of WAYS) {
  test(`a command ${what} is obeyed, whatever it does`, async () => {
    const give = (command, options) => ask(gateway(), where, said(command), options);
    const start = `do=start, sub="alice", level=2, claims=:${CLAIMS}:`;
    const logIn = async () => sessionCookie(await give(start));
    const [cookie, other] = [await logIn(), await logIn()];
    const identity = await seen(gateway(), cookie);
    assert.deepEqual([identity["warifu-subject"], identity["warifu-level"]], ["alice", "2"]);
    assert.equal(Buffer.from(identity["warifu-claims"], "base64url").toString(), '{"plan":"gold"}');
    const updated = await give("do=update, claims=:e30=:", { cookie });
    assert.deepEqual([updated.status, updated.headers.getSetCookie()], [200, []]);
    assert.equal((await seen(gateway(), cookie))["warifu-claims"], "e30");
    const raised = sessionCookie(await give("do=rotate, level=5", { cookie }));
    assert.equal((await seen(gateway(), raised))["warifu-level"], "5");
    const alone = sessionCookie(await give("do=end-others", { cookie: raised }));
    assert.equal((await seen(gateway(), alone))["warifu-subject"], "alice");
    assert.equal((await seen(gateway(), other))["warifu-subject"], "");
    const another = await logIn();
    assert.equal((await give("do=end-all", { cookie: another })).status, 200);
    for (const ended of [alone, another]) assert.equal((await seen(gateway(), ended))["warifu-subject"], "");
    const last = await logIn();
    const ended = await give("do=end", { cookie: last });
    assert.match(ended.headers.getSetCookie()[0], new RegExp(`^${COOKIE}=; .*Max-Age=0`));
    assert.equal((await seen(gateway(), last))["warifu-subject"], "");
  });
}

test("the signature stays at the gateway, whatever the answer's status and the request are", async () => {
  for (const [method, status, more] of [["POST", 303, []], ["GET", 404, [["a", "ä &'\"<>`{}|"]]], ["PUT", 200, [["q", ""]]]]) {
    const asked = [...signed('do=start, sub="alice"'), ["status", String(status)], ...more];
    const answer = await ask(signing, "/plain", asked, { method, "sec-fetch-site": "same-origin" });
    assert.equal(answer.status, status);
    assert.ok(sessionCookie(answer), `${method} ${status}`);
    for (const name of ["signature", "signature-input"]) assert.equal(answer.headers.get(name), null);
  }
});

test("a nonce is of one request, and nobody brings his own", async () => {
  const nonces = new Set();
  const forged = ["Warifu-Nonce", "warifu_nonce", "WARIFU.NONCE", "warifu~nonce"].map((name) => `${name}: forged\n`).join("");
  for (const [gateway, where, isSent] of [
    [plain, "/nonce", true],
    [plain, "/plain", false],
    [plain, "/maybe", false],
    [plain, "/open", false],
    [signing, "/nonce", true],
    [signing, "/plain", true],
    [signing, "/maybe", false],
    [signing, "/open", false],
  ]) {
    const { text } = await gateway.raw(`GET ${where} HTTP/1.1\nHost: app.test\nConnection: close\n${forged}\n`);
    const arrived = JSON.parse(text.match(/\{.*\}/s)[0]);
    assert.ok(!JSON.stringify(arrived).includes("forged"), where);
    const nonce = arrived["warifu-nonce"];
    assert.equal(nonce !== undefined, isSent, where);
    if (isSent) assert.match(nonce, /^[\w-]{22}$/);
    if (isSent) assert.ok(!nonces.has(nonce) && nonces.add(nonce));
  }
});

test("headers of other people that the application passes on change nothing", async () => {
  const cookies = new Map();
  for (const [, gateway, where, said] of WAYS) cookies.set(gateway(), sessionCookie(await ask(gateway(), where, said('do=start, sub="alice"'))));
  // Mallory has an account: an answer that was signed, with its nonce, when he logged in.
  const own = await ask(signing, "/nonce", [...nonced('do=start, sub="mallory"'), ["signed", ""]]);
  const [input, signature] = own.headers.get("x-signed").split(/, (?=warifu=:)/);
  const { "warifu-nonce": nonce } = await own.json();
  const theirs = [
    ...['do=start, sub="mallory"', "do=end", "do=end-all", "do=rotate", "do=stop", '"', "do=end, do=end"],
    ...['do=start, sub="mallory", nonce=""', `do=start, sub="mallory", nonce="${nonce}"`, 'do=end, nonce="NONCE"'],
    `do=end${", x=1".repeat(1_000)}`,
  ];
  for (const command of theirs) {
    for (const fields of [[], [["Signature-Input", input], ["Signature", signature]]]) {
      attacker.fields = [["Warifu-Command", command], ["Set-Cookie", `${COOKIE}=evil; Path=/; Secure`], ...fields];
      for (const [gateway, where] of [[plain, "/nonce"], [signing, "/plain"], [signing, "/nonce"]]) {
        const cookie = cookies.get(gateway);
        const before = events(gateway, "command_ignored").length;
        const answer = await ask(gateway, where, [["relay", attacker.url]], { cookie });
        await isIgnored(gateway, answer, cookie, `${where}: ${command.slice(0, 60)}`);
        for (const name of ["signature", "signature-input"]) assert.equal(answer.headers.get(name), null);
        await told(gateway, "command_ignored", before + 1);
      }
    }
  }
});

test("beside the application's own command, somebody else's makes that one fail, and is not obeyed", async () => {
  attacker.fields = [["Warifu-Command", 'do=start, sub="mallory"']];
  const relay = [["relay", attacker.url]];
  const answer = await ask(plain, "/nonce", [...nonced('do=start, sub="alice"'), ...relay]);
  assert.deepEqual([answer.status, (await answer.json()).code], [502, "bad_command"]);
  assert.deepEqual(answer.headers.getSetCookie(), []);
  const both = await ask(signing, "/plain", [...signed('do=start, sub="alice"'), ...relay]);
  assert.deepEqual([both.status, both.headers.getSetCookie()], [200, []]);
});

test("what cannot be obeyed hides the answer, with a code and an event, and nothing is half done", async () => {
  const logIn = async () => sessionCookie(await ask(plain, "/plain", [["command", 'do=start, sub="alice"']]));
  const cookie = await logIn();
  const long = "a".repeat(256);
  for (const commands of [
    ["do=end", "do=end"],
    ['do=start, sub="alice"', 'do=start, sub="mallory"'],
    ["do=end, do=rotate"],
    ["do=stop"],
    ["do=start"],
    [`do=start, sub="${long}"`],
    [`do=start, sub="a", claims=:${Buffer.from("{a:1}").toString("base64")}:`],
    [`do=start, sub="a", claims=:${Buffer.from("[1]").toString("base64")}:`],
    ['do=end, nonce="AAAAAAAAAAAAAAAAAAAAAA"'],
    [`do=end${", x=1".repeat(1_500)}`],
    [" "],
  ]) {
    const what = commands.join(" and ").slice(0, 60);
    const before = events(plain, "command_refused").length;
    const asked = commands.map((command) => ["command", command]);
    const answer = await ask(plain, "/plain", asked, { cookie });
    assert.equal(answer.status, 502, what);
    assert.equal(answer.headers.get("content-type"), "application/problem+json");
    const problem = await answer.json();
    assert.equal(problem.code, "bad_command", what);
    assert.match(problem.detail, /^Warifu-Command: /);
    assert.deepEqual([answer.headers.getSetCookie(), answer.headers.get("x-signed")], [[], null], what);
    await told(plain, "command_refused", before + 1);
    assert.equal((await seen(plain, cookie))["warifu-subject"], "alice", what);
  }
});

test("a huge command is refused", async () => {
  // One that would be obeyed if it were shorter, and one that takes its time; more than a query can hold.
  for (const members of [`${" ".repeat(60_000)}sub="a"`, Array.from({ length: 9_000 }, (_, n) => `a${n}`).join(",")]) {
    attacker.fields = [["Warifu-Command", `do=start,${members}`]];
    const answer = await ask(plain, "/plain", [["relay", attacker.url]]);
    assert.deepEqual([answer.status, (await answer.json()).code], [502, "bad_command"]);
    assert.deepEqual(answer.headers.getSetCookie(), []);
  }
});
