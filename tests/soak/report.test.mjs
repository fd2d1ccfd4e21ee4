// What the soak writes into docs/operations/soak.md, and the figure beside it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

import * as hdr from "hdr-histogram-js";

import { draw } from "../../benches/soak/figure.mjs";
import { WARM_UP, judge } from "../../benches/soak/judge.mjs";
import { latencies, markdown } from "../../benches/soak/report.mjs";
import { root } from "../../benches/support/project.mjs";
import { run } from "./run.mjs";

test("the page says what was measured, and what was not good", () => {
  const good = run();
  const page = markdown(good, judge(good));
  assert.match(page, /\| requests \| 2,000,000 \|/);
  assert.match(page, /\| check \| 1,000,000 \| 60\.0 \| 150\.0 \| 300\.0 \| 400 \|/);
  assert.match(page, /\| edge-1, what lives in its heap \| 1\.3 \|/);
  assert.doesNotMatch(page, /not so|undefined|NaN/);
  const bad = run({ served: 3, leak: { "edge-1": 100 } });
  const told = markdown(bad, judge(bad));
  assert.match(told, /\*\*not so:\*\* no session was served after its end: 10000 ends, 3 served afterwards/);
  assert.match(told, /\*\*not so:\*\* flat: edge-1, what lives in its heap/);
});

test("the page in docs/ is of a run that was good, over all sessions and for an hour", () => {
  const { judged, options } = JSON.parse(readFileSync(path.join(root, "docs/figures/soak.json"), "utf8"));
  assert.deepEqual(judged.filter(({ isGood }) => !isGood), []);
  assert.ok(options.seconds >= 3_600 && options.sessions >= 1_000_000, JSON.stringify(options));
});

test("the figure has a line for each series, for light and for dark", async () => {
  const svg = await draw(run(), WARM_UP);
  assert.match(svg, /^<svg [^>]*width="720"[^>]*><title>.*<style>@media \(prefers-color-scheme: dark\)/);
  assert.equal(svg.match(/aria-roledescription="line mark"/g)?.length ?? svg.match(/mark-line/g).length, 6);
  for (const title of ["requests a second", "p99, ms", "workerd, MB", "one isolate, MB"]) assert.ok(svg.includes(title), title);
});

test("latencies are told in milliseconds, to the histogram's precision", () => {
  const histogram = hdr.build({ lowestDiscernibleValue: 1, highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3 });
  for (let micros = 1_000; micros <= 100_000; micros += 1_000) histogram.recordValue(micros);
  const { all } = latencies({ all: histogram });
  assert.equal(all.count, 100);
  for (const [name, wanted] of Object.entries({ p50: 50, p90: 90, p99: 99, max: 100 })) assert.ok(Math.abs(all[name] - wanted) < 0.1, `${name}: ${all[name]}`);
});
