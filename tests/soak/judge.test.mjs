// The judge of the soak finds what is planted: memory that leaks, an answer that should not
// be, a session that is served after its end, a session that is lost, a flood that nobody holds back.
import assert from "node:assert/strict";
import { test } from "node:test";

import { growth, judge, slope } from "../../benches/soak/judge.mjs";
import { random, run } from "./run.mjs";

const bad = (raw) => judge(raw).filter(({ isGood }) => !isGood).map(({ name }) => name);

test("a good run is good, and all of its memory is judged", () => {
  assert.deepEqual(bad(run()), []);
  assert.equal(judge(run()).filter(({ name }) => name.startsWith("flat: ")).length, 7);
});

test("a leak of 60 kB a minute in one isolate is found, and where", () => {
  assert.deepEqual(bad(run({ leak: { "edge-2": 60 } })), ["flat: edge-2, what lives in its heap"]);
  assert.deepEqual(bad(run({ leak: { objects: 60 } })), ["flat: objects, what lives in its heap"]);
});

test("a leak outside of the heaps is found in the process, under noise of 80 MB", () => {
  assert.deepEqual(bad(run({ leak: { workerd: 1_500 } })), ["flat: workerd, its own memory"]);
});

test("memory that follows the load is no leak, and hides none", () => {
  const half = (raw) => {
    // Other work takes the machine for twenty of the minutes that are judged.
    for (const sample of raw.samples.filter(({ seconds }) => seconds > 1_300 && seconds < 2_500)) {
      sample.per_second /= 5;
      sample.anonymous_mib -= 40;
    }
    return raw;
  };
  assert.deepEqual(bad(half(run())), []);
  assert.deepEqual(bad(half(run({ leak: { workerd: 2_500 } }))), ["flat: workerd, its own memory"]);
});

test("a load that is never the same twice cannot be judged", () => {
  const raw = run();
  raw.samples.forEach((sample, index) => (sample.per_second = 1.004 ** (index * 5)));
  assert.match(judge(raw).find(({ isGood }) => !isGood).found, /cannot be judged/);
});

test("memory that WebAssembly does not give back is found", () => {
  const raw = run();
  raw.samples.forEach(({ heap_mb }, index) => (heap_mb["edge-1"].wasm += Math.floor(index / 10) * 0.131072));
  assert.deepEqual(bad(raw), ["flat: edge-1, its WebAssembly"]);
});

test("what grows while caches fill is no leak", () => {
  const raw = run();
  for (const sample of raw.samples) sample.heap_mb["edge-1"].used += 8 * Math.min(1, sample.seconds / 1_100);
  assert.deepEqual(bad(raw), []);
});

test("one unexpected answer among two million is enough", () => {
  const findings = { counts: { "strict check": 1 }, kept: [{ at: "", kind: "strict check", what: "" }] };
  assert.deepEqual(bad(run({ findings })), ["every answer was what it had to be"]);
});

test("a run without a load proves nothing", () => {
  assert.deepEqual(bad(run({ requests: 199 })), ["there was load"]);
  assert.deepEqual(bad(run({ ends: 2 })), ["there was load"]);
});

test("a site that often cannot know is found", () => {
  assert.deepEqual(bad(run({ unavailable: 200 })), []);
  assert.deepEqual(bad(run({ unavailable: 201 })), ["the site was there"]);
  assert.deepEqual(bad(run({ requests: 1_000, unavailable: 21 })), ["the site was there"]);
});

test("one session that is served after its end is enough", () => {
  assert.deepEqual(bad(run({ served: 1 })), ["no session was served after its end"]);
});

test("a session that is lost, and one that lives on, are found in the store", () => {
  const name = "the store holds the sessions that must live, and no other";
  assert.deepEqual(bad(run({ store: { living: 1e6, missing: 1, extra: 0, perhaps: 0 } })), [name]);
  assert.deepEqual(bad(run({ store: { living: 1e6, missing: 0, extra: 1, perhaps: 0 } })), [name]);
});

test("a flood that nobody holds back is found", () => {
  const name = "made-up cookies of one network are limited";
  assert.deepEqual(bad(run({ flooded: { refused: 130_000, limited: 0 } })), [name]);
  assert.deepEqual(bad(run({ flooded: { refused: 38_000, limited: 100_000 } })), [name]);
});

test("a short run is not judged by its memory, which still fills", () => {
  assert.equal(judge(run({ seconds: 60, flooded: { refused: 100, limited: 0 } })).length, 6);
});

test("the slope is that of the line, whatever a tenth of the points do", () => {
  const draw = random(3);
  const points = Array.from({ length: 100 }, (_, x) => [x, 5 + 0.25 * x + (draw() - 0.5) + (x % 10 === 0 ? 1_000 : 0)]);
  const { slope: found, low, high } = slope(points);
  assert.ok(Math.abs(found - 0.25) < 0.02, `${found}`);
  assert.ok(low < 0.25 && 0.25 < high && high - low < 0.05, `${low} to ${high}`);
});

test("noise alone is flat", () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const draw = random(seed);
    const points = Array.from({ length: 80 }, (_, index) => [index / 2, 2 + draw()]);
    assert.ok(growth(points).isFlat, `seed ${seed}`);
  }
});
