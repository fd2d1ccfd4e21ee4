// The parts of the pages that need no browser: what they say in each language, and how they read
// what they are given.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { Api } from "../../www/shared/api.js";
import { buckets, by, parse, value } from "../../www/shared/metrics.js";
import { pieces } from "../../www/shared/names.js";
import { LANGUAGES, choose } from "../../www/shared/text.js";
import { ago } from "../../www/shared/times.js";
import en from "../../examples/story/public/words/en.js";
import ja from "../../examples/story/public/words/ja.js";
import { factsOf } from "../../examples/story/public/facts.js";
import { browserOf } from "../../www/shared/user_agent.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const scriptsOf = (folders) =>
  folders.flatMap((folder) => readdirSync(path.join(root, folder)).filter((file) => file.endsWith(".js")).map((file) => path.join(root, folder, file)));
const scripts = scriptsOf(["www/console", "www/account", "www/shared"]);
const story = scriptsOf(["examples/story/public"]);
const codeOf = (files) => files.map((file) => readFileSync(file, "utf8")).join("\n");
const code = codeOf(scripts);

const placeholders = (phrase) => [...new Set((typeof phrase === "string" ? phrase : phrase.other).match(/\{[a-z_]+\}/g) ?? [])].sort();

test("every language has the same keys, with the same gaps to fill", () => {
  for (const languages of [LANGUAGES, { en, ja }]) {
    const [first, ...others] = Object.entries(languages);
    for (const [language, words] of others) {
      assert.deepEqual(Object.keys(words).sort(), Object.keys(first[1]).sort(), language);
      for (const [key, phrase] of Object.entries(words)) {
        assert.deepEqual(placeholders(phrase), placeholders(first[1][key]), `${language}: ${key}`);
        assert.ok(typeof phrase === "string" ? phrase : phrase.other, `${language}: ${key} is empty`);
      }
    }
  }
});

test("every text that the pages ask for is there, and every one that is there is asked for", () => {
  const asked = new Set([...code.matchAll(/\b(?:t|parts)\(\s*(?:[a-zA-Z.]+ \? )?"([a-z_]+)"/g)].map(([, key]) => key));
  for (const key of asked) assert.ok(Object.hasOwn(LANGUAGES.en, key), `no text for ${key}`);
  const built = /^(refused|column|part|state|event|detail|outcome)_/;
  for (const key of Object.keys(LANGUAGES.en)) assert.ok(built.test(key) || code.includes(`"${key}"`), `nobody asks for ${key}`);
  assert.ok(asked.size > 60, `${asked.size}`);
});

test("every text of the story is asked for, and those that are asked for are there", () => {
  const text = codeOf(story);
  const asked = [...text.matchAll(/\b(?:t|say|parts)\(\s*"([a-z_]+)"/g)].map(([, key]) => key);
  assert.ok(asked.length > 20, `${asked.length}`);
  for (const key of asked) assert.ok(Object.hasOwn(en, key), `no text for ${key}`);
  const built = /^((plain|guarded|did)_|step_)|^(waiting|robbed|silent|empty)$/; // by the side, the step, the condition
  for (const key of Object.keys(en)) assert.ok(built.test(key) || text.includes(`"${key}"`), `nobody asks for ${key}`);
});

test("what follows from the transfers of a side", () => {
  const play = { phase: "running", elapsed: 4_000, amount: 80 };
  const sent = (at, outcome) => ({ at, ms: 10, outcome });
  const side = { opening: 10_000, balance: 9_840, reported: null, refused_at: null, expires: 60_000, problem: null, transfers: [sent(500, "taken"), sent(1_000, "taken")] };
  assert.deepEqual(factsOf(side, play), { lost: 160, lostAfter: null, took: null, left: 56_000, condition: "robbed" });
  const pressed = { ...side, balance: 9_760, reported: 1_005, transfers: [...side.transfers, sent(1_500, "taken")] };
  // The second was on its way when the press came: it belongs to before.
  assert.deepEqual(factsOf(pressed, play), { lost: 240, lostAfter: 80, took: null, left: 56_000, condition: "reported" });
  const refused = { ...pressed, refused_at: 2_015, transfers: [...pressed.transfers, sent(2_000, "refused")] };
  assert.deepEqual(factsOf(refused, play), { lost: 240, lostAfter: 80, took: 1_010, left: 56_000, condition: "refused" });
  // A token that expired before the press was not stopped by it.
  assert.equal(factsOf({ ...refused, reported: 3_000 }, play).took, null);
  assert.equal(factsOf({ ...side, problem: "ECONNREFUSED" }, play).condition, "silent");
  assert.equal(factsOf({ ...side, transfers: [sent(500, "empty")] }, play).condition, "empty");
  assert.equal(factsOf({ ...side, opening: null }, { ...play, phase: "waiting" }).condition, "waiting");
});

test("what is refused by code has a text only if there is such a code", () => {
  const codes = readFileSync(path.join(root, "src/error.rs"), "utf8");
  // The page's own, and those of other versions of the gateway.
  const own = ["unknown", "unreachable", "redirected", "rate_limited"];
  for (const key of Object.keys(LANGUAGES.en).filter((key) => key.startsWith("refused_"))) {
    const name = key.slice("refused_".length);
    assert.ok(own.includes(name) || codes.includes(`"${name}"`), `there is no code ${name}`);
  }
});

/** A call of the API; `fetched` is what it gave to fetch. */
async function call(answer, method = "get", key = "a-key") {
  const kept = [globalThis.document, globalThis.fetch];
  const fetched = {};
  Object.assign(globalThis, {
    document: { baseURI: "https://ops.test/_warifu/console/" },
    fetch: async (url, init) => (Object.assign(fetched, { url: String(url), ...init }), answer),
  });
  try {
    const came = await new Api(key)[method]("health").catch((refusal) => refusal);
    return { came, fetched };
  } finally {
    [globalThis.document, globalThis.fetch] = kept;
  }
}

test("a log-in before the gateway is named, and passed with its own cookie", async () => {
  const elsewhere = { type: "opaqueredirect", ok: false, status: 0, headers: new Headers(), json: async () => assert.fail("there is none to read") };
  for (const key of ["a-key", null]) {
    const { came, fetched } = await call(elsewhere, "get", key);
    assert.equal(came.code, "redirected");
    assert.match(came.words, /wants a log-in of its own/);
    assert.deepEqual([fetched.credentials, fetched.redirect], ["same-origin", "manual"]);
    assert.equal(fetched.headers.authorization, key === null ? undefined : "Bearer a-key");
  }
});

test("times are told from now, by the gateway's clock", async () => {
  const [second, hour] = [1_000, 3_600_000];
  const now = Date.parse("2026-11-23T12:00:00Z");
  const cases = [
    [0, "now"],
    [-9 * second, "now"],
    [-59 * second, "59 seconds ago"],
    [-3 * hour, "3 hours ago"],
    [-30 * hour, "1 day ago"],
    [30 * hour, "in 1 day"],
    [-46 * hour, "1 day ago"],
    [-49 * hour, "2 days ago"],
  ];
  for (const [from, expected] of cases) assert.equal(ago(now + from, now), expected, `${from}`);
  // This machine's clock is an hour behind: what has just happened is not to come.
  const there = Date.now() + hour;
  const answer = (date) => ({ type: "basic", ok: true, status: 200, headers: new Headers(date === null ? {} : { date }), json: async () => ({}) });
  await call(answer(new Date(there).toUTCString()));
  assert.equal(ago(there - 180 * second), "3 minutes ago");
  for (const none of [null, "soon"]) await call(answer(none));
  assert.equal(ago(there - 180 * second), "3 minutes ago", "an answer without a date changes nothing");
  await call(answer(new Date().toUTCString()));
});

test("no answer is waited for without an end", async (t) => {
  const waits = [];
  t.mock.method(AbortSignal, "timeout", (ms) => (waits.push(ms), AbortSignal.abort(new DOMException("", "TimeoutError"))));
  const never = { then: (_, refuse) => refuse(new DOMException("", "TimeoutError")) };
  for (const method of ["get", "text", "post", "delete"]) {
    const { came, fetched } = await call(never, method);
    assert.equal(came.code, "unreachable", method);
    assert.equal(fetched.signal?.aborted, true, method);
  }
  assert.deepEqual(waits, [20_000, 20_000, 60_000, 60_000]);
});

test("the language is the first of the browser's that there is", () => {
  assert.equal(choose(["ja-JP", "en"]), "ja");
  assert.equal(choose(["fr", "JA"]), "ja");
  assert.equal(choose(["fr", "constructor"]), "en");
  assert.equal(choose([]), "en");
});

test("browsers are named as the operators' command names them", () => {
  const { cases } = JSON.parse(readFileSync(path.join(root, "tests/vectors/user_agent.json"), "utf8"));
  for (const { user_agent: said, expect } of cases) assert.deepEqual(browserOf(said), expect, said);
  assert.ok(cases.length >= 15);
});

test("what cannot be seen in a name is told apart, and what can is left alone", () => {
  const cases = [
    ["alice", ["alice"]],
    ["", []],
    ["a\u202Eb", ["a", 0x202e, "b"]],
    ["\u200Balice", [0x200b, "alice"]],
    ["a\u00ADb\uFEFF", ["a", 0xad, "b", 0xfeff]],
    ["a\u2066\u2069", ["a", 0x2066, 0x2069]],
    // What belongs in an emoji does so only there, and once.
    ["❤\uFE0F\uFE0F", ["❤\uFE0F", 0xfe0f]],
    ["👩\u200Da", ["👩", 0x200d, "a"]],
    ["👩\u200D", ["👩", 0x200d]],
    ["🏴\u{E0061}\u{E0062}\u{E007F}", ["🏴", 0xe0061, 0xe0062, 0xe007f]],
    ["☎\uFE0E", ["☎", 0xfe0e]],
  ];
  for (const [text, expected] of cases) assert.deepEqual(pieces(text), expected, JSON.stringify(text));
  const vectors = JSON.parse(readFileSync(path.join(root, "tests/vectors/unseen.json"), "utf8"));
  for (const { text, unseen } of vectors.cases) {
    const found = pieces(text).filter((piece) => typeof piece === "number");
    assert.deepEqual(found, unseen.map((hex) => Number.parseInt(hex, 16)), JSON.stringify(text));
    assert.equal(pieces(text).map((piece) => (typeof piece === "number" ? String.fromCodePoint(piece) : piece)).join(""), text);
  }
  for (const text of vectors.emoji) assert.deepEqual(pieces(text), [text], JSON.stringify(text));
  assert.ok(vectors.cases.length >= 30 && vectors.emoji.length >= 10);
});

test("metrics are read as Prometheus writes them", () => {
  const samples = parse(`# HELP checks_total What checks came to.
# TYPE checks_total counter
checks_total{outcome="allowed",site="a b"} 3
checks_total{outcome="no_session"} 2 1700000000000
checks_total{outcome="allowed",site="quote\\"d\\\\ \\n"} 4.5e1

up 1
delay_bucket{le="0.5"} 1
delay_bucket{le="2"} 4
delay_bucket{le="+Inf"} 4
delay_sum NaN
`);
  assert.equal(samples.length, 8);
  assert.deepEqual(samples[2].labels, { outcome: "allowed", site: 'quote"d\\ \n' });
  assert.deepEqual([...by(samples, "checks_total", "outcome")], [["allowed", 48], ["no_session", 2]]);
  assert.deepEqual(buckets(samples, "delay"), [{ to: 0.5, count: 1 }, { to: 2, count: 3 }, { to: Infinity, count: 0 }]);
  assert.equal(value(samples, "up"), 1);
  assert.equal(value(samples, "down"), undefined);
  assert.deepEqual(parse(""), []);
  for (const bad of ["<html>", "a{b=c} 1", 'a{b="c} 1', "a one", "1a 2"]) assert.throws(() => parse(bad), bad);
});

test("nobody's messages are listened to, and nothing old is embedded", () => {
  // What the chart is drawn with, too.
  const drawn = path.join(root, "node_modules/uplot/dist/uPlot.esm.js");
  for (const file of [...scripts, drawn]) {
    const text = readFileSync(file, "utf8");
    for (const way of ["postMessage", "onmessage", '"message"', "'message'", "BroadcastChannel", "SharedWorker", "serviceWorker"]) {
      assert.ok(!text.includes(way), `${path.relative(root, file)}: ${way}`);
    }
  }
  for (const page of ["console", "account"]) {
    const html = readFileSync(path.join(root, "www", page, "index.html"), "utf8");
    const text = `${html}${code}`;
    assert.ok(!/<(object|embed|applet|iframe|frame|portal)\b|\bh\(\s*"(object|embed|applet|iframe|frame|script)"/i.test(text), page);
    // A module has a scope of its own and is strict: its names are no one else's.
    assert.deepEqual([...html.matchAll(/<script[^>]*>/g)].map(([tag]) => tag), ['<script type="module" src="main.js">'], page);
    assert.match(html, /<noscript>\S/, `${page} says what it needs`);
  }
});

test("text never becomes markup, and nothing is kept or asked elsewhere", () => {
  for (const sink of ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "localStorage", "sessionStorage", "document.cookie", "http://", "https://"]) {
    for (const file of [...scripts, ...story]) {
      const text = readFileSync(file, "utf8").replace('"http://www.w3.org/2000/svg"', "");
      assert.ok(!text.includes(sink), `${path.relative(root, file)}: ${sink}`);
    }
  }
});
