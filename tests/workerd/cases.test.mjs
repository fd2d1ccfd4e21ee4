// By which fields a request is known to be like one before (src/edge/cases.js), without workerd:
// requests and their order are drawn, and compared with what their texts say.
import assert from "node:assert/strict";
import { before, test } from "node:test";

import { Recent, caseOf, fieldsOf, fits, keyOfAnswer, keyOfRequest, leaveOut, patternOfAnswer } from "../../src/edge/cases.js";

const CHARS_MAX = 200;
before(() => leaveOut("cf-ray referer", CHARS_MAX));

const drawn = (choices) => choices[Math.floor(Math.random() * choices.length)];

// Few names and values, so that many are alike, or nearly.
function draw() {
  const headers = new Headers();
  for (const name of ["accept", "cf-ray", "cookie", "referer", "x-a", "x-b"]) {
    if (Math.random() < 0.7) headers.append(name, drawn(["", "1", "2", "1, 2", "x-a", "cookie"]));
  }
  return fieldsOf(headers);
}

// What counts, as JSON.
function textOf(fields) {
  const pairs = [];
  for (let at = 0; at < fields.length; at += 2) pairs.push([fields[at], ["cf-ray", "referer"].includes(fields[at]) ? "" : fields[at + 1]]);
  return JSON.stringify(pairs);
}

test("a case is found by what counts of its fields, and by nothing else", () => {
  const known = new Recent(10_000);
  const byText = new Map();
  let found = 0;
  for (let n = 0; n < 20_000; n += 1) {
    const fields = draw();
    const key = textOf(fields);
    const got = known.get(key.length, fields);
    // With more than a few of one key, some are forgotten; none is ever taken for another.
    if (got !== undefined) {
      assert.equal(got.text, key);
      assert.equal(got, byText.get(key));
      found += 1;
    }
    if (got === undefined || Math.random() < 0.1) {
      const made = { ...caseOf(fields), text: key };
      known.set(key.length, made);
      byText.set(key, made);
    } else if (Math.random() < 0.1) {
      known.delete(key.length, got);
      assert.equal(known.get(key.length, fields), undefined);
      byText.delete(key);
    }
  }
  assert.ok(found > 1_000, `${found} of 20,000`);
});

test("no more is kept than there is room for, and what is in use stays", () => {
  const known = new Recent(64);
  const fields = (n) => ["x-a", `${n}`];
  const made = (n) => ({ ...caseOf(fields(n)), n });
  known.set("used", made(0));
  for (let n = 1; n < 2_000; n += 1) {
    known.set(`key ${n % 100}`, made(n));
    assert.equal(known.get("used", fields(0)).n, 0);
  }
  const left = Array.from({ length: 2_000 }, (_, n) => known.get(`key ${n % 100}`, fields(n))).filter((it) => it !== undefined);
  assert.ok(left.length > 32 && left.length <= 128, `${left.length}`);
});

test("what is out of use for two minutes is forgotten", (t) => {
  t.mock.timers.enable({ apis: ["Date"] });
  const known = new Recent(64);
  known.set("a", { pattern: [] });
  for (let minutes = 0; minutes < 2; minutes += 1) {
    t.mock.timers.tick(60_001);
    known.set("b", { pattern: [] });
  }
  assert.equal(known.get("a"), undefined);
  assert.notEqual(known.get("b"), undefined);
});

test("one that is too long, or no text, makes none", () => {
  const of = (value) => caseOf(["x-a", value]);
  assert.deepEqual(of("1").pattern, ["x-a", "1"]);
  assert.equal(of("a\uFFFDb"), undefined);
  assert.notEqual(of("a".repeat(CHARS_MAX - 7)), undefined);
  assert.equal(of("a".repeat(CHARS_MAX - 6)), undefined);
});

test("one like it that is too long, or has what cannot be set as it was read, is heard", () => {
  const of = (value) => ["cf-ray", value, "x-a", "1"];
  assert.equal(caseOf(of("a".repeat(500))), undefined);
  const known = caseOf(of("a"));
  assert.deepEqual(known.pattern, ["cf-ray", null, "x-a", "1"]);
  const most = CHARS_MAX - "cf-rayx-a1".length - 8;
  assert.equal(fits(known, of("a".repeat(most))), true);
  assert.equal(fits(known, of("a".repeat(most + 1))), false);
  for (const odd of ["\u00e9", "\uFFFD", "a\x7f"]) assert.equal(fits(known, of(odd)), false, odd);
});

test("of answers the fields count that the gate looks at, and all names", () => {
  const fields = ["cache-control", "private", "date", "Sun", "warifu-command", "do=end"];
  assert.deepEqual(patternOfAnswer(fields), ["cache-control", "private", "date", null, "warifu-command", "do=end"]);
});

test("one is looked for by what counts", () => {
  const key = (...fields) => keyOfRequest(1, fields);
  const known = key("cf-connecting-ip", "192.0.2.1", "cookie", "a=1", "user-agent", "a browser");
  assert.notEqual(known, key("cf-connecting-ip", "192.0.2.2", "cookie", "a=1", "user-agent", "a browser"));
  assert.notEqual(known, key("cf-connecting-ip", "192.0.2.1", "cookie", "a=2", "user-agent", "a browser"));
  assert.notEqual(key("user-agent", "a browser"), key("user-agent", "another"));
  assert.notEqual(keyOfRequest(1, []), keyOfRequest(2, []));
  assert.notEqual(keyOfAnswer(1, 200, ["content-type", "text/plain"]), keyOfAnswer(1, 200, ["content-type", "text/html"]));
  assert.notEqual(keyOfAnswer(1, 200, []), keyOfAnswer(1, 404, []));
  const allowed = ["access-control-allow-headers", "content-type", "content-type"];
  assert.notEqual(keyOfAnswer(1, 200, [...allowed, "text/plain"]), keyOfAnswer(1, 200, [...allowed, "text/html"]));
});

// A case that is made anew takes no room of others: each URL that was not there before makes one.
test("who is made again and again pushes nobody out", () => {
  const known = new Recent(64);
  known.set("other", { pattern: [], other: true });
  for (let n = 0; n < 1_000; n += 1) known.set("again", { pattern: [], n });
  assert.equal(known.get("other")?.other, true);
  assert.equal(known.get("again").n, 999);
});

test("of one key those are forgotten that were used before all others", () => {
  const known = new Recent(1_000);
  const made = (n) => ({ pattern: ["x-a", `${n}`], n });
  for (let n = 0; n < 100; n += 1) {
    known.set("key", made(n));
    assert.equal(known.get("key", ["x-a", "0"])?.n, 0);
  }
  assert.equal(known.get("key", ["x-a", "98"]).n, 98);
  assert.equal(known.get("key", ["x-a", "1"]), undefined);
});
