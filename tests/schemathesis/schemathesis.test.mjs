// The API against its own description: Schemathesis makes requests from it, good
// ones and bad ones, and holds every answer against it. Only in CI, since it needs
// Python; scripts/setup ci installs it.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import { newAdminKey, root, start } from "../workerd/support/gateway.mjs";

const here = path.join(root, "tests/schemathesis");
const description = path.join(root, "src/control/openapi.json");

let run;
before(async () => (run = await schemathesis()));

// Runs it to its end: what it printed, and all that it sent and got.
async function schemathesis() {
  const folder = mkdtempSync(path.join(tmpdir(), "warifu-schemathesis-"));
  const key = newAdminKey();
  const gateway = await start({ adminKeys: [key] });
  const api = `${gateway.url}/_warifu`;
  const child = spawn(
    path.join(process.env.WARIFU_SCHEMATHESIS ?? "", "bin/st"),
    [
      ["--config-file", path.join(here, "schemathesis.toml"), "run", description, "--url", api, "--no-color"],
      ["--checks", "all", "--report", "ndjson", "--report-ndjson-path", "report.ndjson"],
    ].flat(),
    {
      cwd: folder,
      env: { ...process.env, PYTHONPATH: here, PYTHONDONTWRITEBYTECODE: "1", WARIFU_API: api, WARIFU_ADMIN_KEY: key.key },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  after(async () => {
    child.kill();
    await gateway.close();
    rmSync(folder, { recursive: true });
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (printed += text));
  const [code] = await once(child, "close");
  const metrics = await gateway.fetch("/_warifu/metrics", { headers: { authorization: `Bearer ${key.key}` } });
  // A value of many kilobytes says no more than its beginning.
  printed = printed.replace(/\S{400,}/g, (long) => `${long.slice(0, 200)}…`);
  const lines = readFileSync(path.join(folder, "report.ndjson"), "utf8").trim().split("\n");
  return { code, printed, cases: lines.flatMap((line) => cases(JSON.parse(line))), logs: gateway.logs(), metrics: await metrics.text() };
}

// The cases of one line of the report.
function cases({ ScenarioFinished: scenario }) {
  if (scenario === undefined) return [];
  // What there is none of is left out.
  const { cases = {}, checks = {}, interactions = {} } = scenario.recorder;
  return Object.entries(cases).map(([id, { value, parent_id, is_transition_applied }]) => {
    const { request, response } = interactions[id] ?? {};
    return {
      operation: `${value.method} ${value.path}`,
      path: value.path,
      method: value.method,
      mode: value.meta?.generation.mode,
      about: value.meta?.phase.data ?? {},
      phase: value.meta?.phase.name,
      isProbe: parent_id !== null && parent_id !== undefined && !is_transition_applied,
      isStep: is_transition_applied === true,
      scenario,
      status: response?.status_code,
      headers: response?.headers ?? {},
      url: request?.uri,
      checks: (checks[id] ?? []).map(({ name }) => name),
    };
  });
}

test("every answer is as described", (t) => {
  assert.equal(run.code, 0, run.printed);
  const checks = run.cases.reduce((sum, one) => sum + one.checks.length, 0);
  t.diagnostic(`${run.cases.length} requests, ${checks} checks`);
});

test("every operation was called, with good and with bad input", () => {
  const { paths } = JSON.parse(readFileSync(description, "utf8"));
  for (const [where, methods] of Object.entries(paths)) {
    for (const [method, { parameters, requestBody }] of Object.entries(methods)) {
      const operation = `${method.toUpperCase()} ${where}`;
      const of = (mode) => run.cases.filter((one) => one.operation === operation && one.mode === mode);
      const succeeded = of("positive").filter(({ status }) => status >= 200 && status < 400);
      assert.ok(succeeded.length >= 1, `${operation}: ${of("positive").map(({ status }) => status)}`);
      if (parameters === undefined && requestBody === undefined) continue;
      assert.ok(of("negative").some(({ status }) => [400, 404].includes(status)), operation);
    }
  }
});

// A check that finds nothing to look at passes; each must have found something.
test("every check had something to check", () => {
  const by = (check, applies) => [check, run.cases.filter((one) => one.checks.includes(check) && applies(one))];
  const isDocumented = ({ status, about }) => status !== undefined && about.scenario !== "unspecified_http_method";
  const wasEnded = ({ scenario, url }) =>
    Object.values(scenario.recorder.interactions ?? {}).some(
      ({ request, response }) => request.method === "DELETE" && request.uri === url && [200, 202].includes(response?.status_code),
    );
  const applied = Object.fromEntries([
    by("not_a_server_error", isDocumented),
    by("status_code_conformance", isDocumented),
    by("content_type_conformance", isDocumented),
    by("response_headers_conformance", ({ status }) => status === 401 || status === 204),
    by("response_schema_conformance", isDocumented),
    by("positive_data_acceptance", ({ mode }) => mode === "positive"),
    by("negative_data_rejection", ({ mode }) => mode === "negative"),
    by("missing_required_header", ({ about }) => about.scenario === "missing_parameter" && about.parameter_location === "header"),
    by("unsupported_method", ({ about, status }) => about.scenario === "unspecified_http_method" && status === 405),
    by("allow_header_conformance", ({ method, headers }) => method === "OPTIONS" && headers.allow !== undefined),
    by("use_after_free", ({ isStep, status, ...one }) => isStep && status === 404 && wasEnded(one)),
    by("ensure_resource_availability", ({ isStep, path: where, status }) => isStep && where === "/sessions/{id}" && status < 300),
    by("max_response_time", isDocumented),
  ]);
  // This one sends requests of its own, without a key and with a wrong one.
  const refusedProbes = run.cases.filter(({ isProbe, status }) => isProbe && status === 401);
  applied.ignored_auth = refusedProbes;
  for (const [check, found] of Object.entries(applied)) assert.ok(found.length > 0, check);
  const protectedOnes = new Set(refusedProbes.map(({ operation }) => operation));
  assert.equal(protectedOnes.size, 16, [...protectedOnes].join(", "));
  // Nothing to look at here: it wants a call that reads an object by its id as its user.
  // Users see lists of their own only, and for administrators all keys with a scope are
  // alike. That another person's session is not there is tested in tests/workerd/api.test.mjs.
  applied.object_level_authorization = [];
  const known = new Set(run.cases.flatMap(({ checks }) => checks));
  assert.deepEqual([...known].sort(), Object.keys(applied).sort(), "a check that is not looked at here");
});

test("none of it made anything panic, or put a key into the log", () => {
  assert.doesNotMatch(run.logs, /"event":"(panicked|threw|store_unavailable|misconfigured)"/);
});

// Prometheus' own client reads them, strictly.
test("metrics are as Prometheus reads them", () => {
  const python = path.join(process.env.WARIFU_SCHEMATHESIS ?? "", "bin/python");
  const read = spawnSync(python, [path.join(here, "metrics.py")], { input: run.metrics, encoding: "utf8" });
  assert.equal(read.status, 0, read.stderr);
  const families = JSON.parse(read.stdout);
  assert.ok(families.length >= 15, read.stdout);
  const by = (name) => families.find((family) => family.name === name);
  assert.equal(by("warifu_checks").type, "counter");
  assert.ok(by("warifu_checks").total > 0);
  assert.equal(by("warifu_poll_seconds").type, "histogram");
});
