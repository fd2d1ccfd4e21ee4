// The tests of Python's requests against httpbin: once directly, once through the gateway,
// and they must end alike, test by test. Only in CI, since it needs Python; scripts/setup ci
// installs it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import { start } from "../workerd/support/gateway.mjs";
import { here, python, startHttpbin, suite } from "./support.mjs";

// Of requests 2.34.2, 197 tests pass; a few less may in another environment.
const PASSED_MIN = 190;

let httpbin, gateway, directly, through;
before(async () => {
  httpbin = await startHttpbin();
  gateway = await start({ origin: httpbin.url, warifu: { routes: [{ path: "/*", access: "public" }] } });
  directly = await run(httpbin.url);
  through = await run(gateway.url);
});
after(async () => {
  await gateway?.close();
  await httpbin?.stop();
});

// Runs the tests against the httpbin at this address: how each ended, and what httpbin got.
async function run(url) {
  httpbin.forget();
  const folder = mkdtempSync(path.join(tmpdir(), "warifu-requests-"));
  const report = path.join(folder, "report.xml");
  const child = spawn(
    python,
    ["-m", "pytest", "-p", "through", "-p", "no:cacheprovider", "-o", "addopts=", "-q", `--junit-xml=${report}`, "tests"],
    {
      cwd: suite,
      env: { ...process.env, HTTPBIN_URL: url, PYTHONPATH: here, PYTHONDONTWRITEBYTECODE: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (printed += text));
  try {
    const [code] = await once(child, "close");
    // 1 says that tests failed: which, the report has.
    assert.ok(code === 0 || code === 1, printed);
    return { printed, outcomes: outcomes(readFileSync(report, "utf8")), seen: httpbin.seen() };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// The report's <testcase> elements: name → passed, failed, or skipped (xfail is among these).
function outcomes(xml) {
  const found = {};
  for (const [, attributes, inner = ""] of xml.matchAll(/<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)) {
    const { classname, name } = Object.fromEntries([...attributes.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value]));
    const ended = /^\s*<(failure|error|skipped)\b/.exec(inner)?.[1] ?? "passed";
    assert.equal(found[`${classname}.${name}`], undefined, `${name}: twice`);
    found[`${classname}.${name}`] = ended;
  }
  return found;
}

const passed = ({ outcomes }) => Object.values(outcomes).filter((ended) => ended === "passed").length;

test("the tests of requests end alike, directly and through the gateway", (t) => {
  assert.deepEqual(through.outcomes, directly.outcomes, through.printed);
  for (const one of [directly, through]) {
    assert.ok(passed(one) >= PASSED_MIN, `${passed(one)} passed\n${one.printed}`);
    assert.ok(!Object.values(one.outcomes).some((ended) => ended === "failure" || ended === "error"), one.printed);
  }
  t.diagnostic(`${Object.keys(through.outcomes).length} tests, ${passed(through)} passed`);
});

// A test that never got to the gateway would prove nothing of it.
test("the application got the same requests, and those through the gateway came through it", (t) => {
  // Some tests put httpbin's own address into a query, once or twice encoded.
  const all = ({ seen }) => seen.map(([, request]) => request.replaceAll(/127\.0\.0\.1(%\w{2,4})\d+/g, "httpbin")).sort();
  assert.deepEqual(all(through), all(directly));
  const by = (who, { seen }) => seen.filter(([found]) => found === who).length;
  assert.deepEqual([by("worker", directly), by("direct", through)], [0, 0]);
  assert.ok(by("worker", through) >= PASSED_MIN);
  t.diagnostic(`${by("worker", through)} requests`);
});
