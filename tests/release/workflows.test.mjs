// The workflows for GitHub, which no other test runs: their form, what they may do, and that they call
// only what there is.
import assert from "node:assert/strict";
import { accessSync, constants, readFileSync, readdirSync } from "node:fs";
import { registerHooks } from "node:module";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { parse, parseDocument } from "yaml";

// The parser is written for bundlers: it imports JSON without saying so.
registerHooks({
  load: (url, context, next) => next(url, url.endsWith(".json") ? { ...context, importAttributes: { type: "json" } } : context),
});
const { parseWorkflow, convertWorkflowTemplate, NoOperationTraceWriter } = await import("@actions/workflow-parser");
const { ErrorPolicy } = await import("@actions/workflow-parser/model/convert");

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (file) => readFileSync(path.join(root, file), "utf8");
const folder = ".github/workflows";
const texts = new Map(readdirSync(path.join(root, folder)).map((name) => [name, read(`${folder}/${name}`)]));
const workflows = new Map([...texts].map(([name, text]) => [name, parse(text)]));
const jobs = [...workflows].flatMap(([name, { jobs }]) => Object.entries(jobs).map(([job, body]) => [`${name}: ${job}`, body]));
const steps = jobs.flatMap(([where, { steps }]) => steps.map((step) => [where, step]));
const runs = steps.flatMap(([where, { run }]) => (run ? [[where, run]] : []));

// GitHub's own parser, with its schema: keys, expressions and what they may refer to where.
async function mistakes(name, content) {
  const { context, value } = parseWorkflow({ name, content }, new NoOperationTraceWriter());
  const { errors = [] } = value ? await convertWorkflowTemplate(context, value, undefined, { errorPolicy: ErrorPolicy.TryConversion }) : {};
  return [...context.errors.getErrors(), ...errors].map(({ message }) => message);
}

const targets = new Set([...read("Makefile").matchAll(/^([a-z-]+):/gm)].map(([, target]) => target));
const stages = new Set([...read("scripts/test").matchAll(/^ *stage(?:_by_name)? ([a-z-]+) /gm)].map(([, stage]) => stage));
const calls = (text, pattern) => [...text.matchAll(pattern)].flatMap(([, list]) => list.split(" ").filter((word) => !word.includes("=")));
const stagesIn = (text) => calls(text, /^(?:.*&& )?scripts\/test ([a-z -]+)$/gm);

test("GitHub can read them", async () => {
  assert.deepEqual([...workflows.keys()].sort(), ["ci.yml", "release.yml"]);
  for (const [name, text] of texts) {
    assert.deepEqual(parseDocument(text).errors, [], name);
    assert.deepEqual(await mistakes(name, text), [], name);
  }
});

test("what GitHub cannot read is found", async () => {
  const text = texts.get("ci.yml");
  for (const [from, to] of [
    ["timeout-minutes: 90", "timeout-minuts: 90"],
    ["github.event_name == 'pull_request'", "github.event_nme.x == = 1"],
    ["hashFiles(", "hashFile("],
    ["    runs-on: ubuntu-24.04\n", ""],
  ]) {
    assert.ok(text.includes(from), from);
    assert.notDeepEqual(await mistakes("ci.yml", text.replace(from, to)), [], to || from);
  }
});

test("they call targets of make, stages and scripts that there are", () => {
  let called = 0;
  for (const [where, run] of runs) {
    for (const target of calls(run, /\bmake ([A-Za-z=. -]+)$/gm)) called += Number(targets.has(target) || assert.fail(`${where}: no target ${target}`));
    for (const stage of stagesIn(run)) called += Number(stages.has(stage) || assert.fail(`${where}: no stage ${stage}`));
    for (const [, script] of run.matchAll(/(?:^|[ &])((?:scripts|tests|\.ci)\/[A-Za-z/.-]+)/gm)) {
      accessSync(path.join(root, script), script.endsWith(".py") ? constants.R_OK : constants.X_OK);
      called += 1;
    }
  }
  assert.ok(called > 20, `${called}`);
});

test("CI runs there what it runs here", () => {
  const here = read(".ci/run");
  const there = runs.filter(([where]) => where.startsWith("ci.yml")).map(([, run]) => run).join("\n");
  const [, also] = /^make test ALSO="([a-z -]+)"$/m.exec(here);
  // Of `make test`, the other job needs two stages again.
  assert.deepEqual(stagesIn(there).filter((stage) => !stage.startsWith("build")), also.split(" "));
  for (const stage of also.split(" ")) assert.ok(stages.has(stage), stage);
  const vectors = "python3 tests/vectors/generate.py --check";
  assert.ok(here.split("\n").includes(vectors), vectors);
  for (const line of ["make test", vectors]) assert.ok(there.split("\n").includes(line), line);
});

test("actions are pinned by commit, and the remark says which version that is", () => {
  const uses = [...texts].flatMap(([name, text]) => [...text.matchAll(/^.*\buses:.*$/gm)].map(([line]) => [name, line]));
  assert.ok(uses.length >= 10, `${uses.length}`);
  for (const [name, line] of uses) assert.match(line, /uses: actions\/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/, name);
  const pinned = new Map();
  for (const [, line] of uses) {
    const [action, at] = line.split("uses: ")[1].split("@");
    assert.equal(pinned.get(action) ?? at, at, `${action} is pinned twice`);
    pinned.set(action, at);
  }
});

test("each job ends by itself, and may do no more than it needs", () => {
  for (const [name, { permissions, concurrency }] of workflows) {
    assert.deepEqual(permissions, { contents: "read" }, name);
    assert.ok(concurrency?.group, name);
  }
  for (const [where, job] of jobs) {
    assert.ok(job["timeout-minutes"] <= 120, where);
    const runsOurs = job.steps.some(({ uses, run }) => uses?.startsWith("actions/checkout@") || /\b(?:make|scripts)\b/.test(run ?? ""));
    assert.ok(!job.permissions || !runsOurs, `${where} runs the project's code and may write`);
  }
  for (const [where, step] of steps) {
    if (step.uses?.startsWith("actions/checkout@")) assert.equal(step.with?.["persist-credentials"], false, where);
    // What an event brings is never made a part of a command: it goes through the environment.
    assert.doesNotMatch(step.run ?? "", /\$\{\{/, where);
  }
  assert.ok(!/pull_request_target|workflow_run/.test([...texts.values()].join("")));
});
