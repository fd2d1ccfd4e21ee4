// Whoever starts a gateway has what it lets out searched: there is no test that starts one in
// another way.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const SCAN = "tests/scan/scan.mjs";

// Tests without a gateway, and why they need none.
const WITHOUT = {
  "tests/chaos/checker.test.mjs": "reads histories",
  "tests/chaos/planted.test.mjs": "runs the command, whose sites look",
  "tests/dev/twice.test.mjs": "starts a stage and no gateway",
  "tests/release/": "packs files, and reads them",
  "tests/soak/": "runs the command, which looks into its store, and parts of it",
  "tests/workerd/cases.test.mjs": "calls functions of the Worker, by themselves",
  "tests/timing/": "calls the comparisons themselves",
  "tests/pages/pages.test.mjs": "reads the files of the pages",
  "tests/scan/everywhere.test.mjs": "reads the tests",
  "tests/scan/search.test.mjs": "looks for bytes in bytes",
  "examples/exchange/test/": "the demonstration by itself, which knows of no session",
};
// How a Worker is started.
const STARTS = /unstable_startWorker\(|unstable_dev\(|new Miniflare\(|createTestHarness\(|spawn\("make"|begin=\$\(block|wrangler dev\b|workerd serve\b|\["serve", /;
// Who starts one for somebody else, who makes the scan.
const FOR = { "tests/chaos/support/machine.mjs": "tests/chaos/support/site.mjs" };
// What a scan of a site that is broken on purpose does without: it listens to no connection.
const PARTS = ["new Scan(", "scan.saw(", "scan.finish(["];
const SOURCES = ["tests", "examples"];

const read = (file) => readFileSync(path.join(root, file), "utf8");
const files = SOURCES.flatMap((folder) =>
  readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(mjs|js|py|sh|rs)$/.test(entry.name) && !/node_modules|\/target\//.test(entry.parentPath))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name))),
);
// Code, without what is said about it.
const code = (file) => read(file).replaceAll(/^\s*(\/\/|#).*$/gm, "");

// A file, and all that it imports of this repository.
function closure(file, found = new Set()) {
  if (found.has(file)) return found;
  found.add(file);
  for (const [, name] of code(file).matchAll(/(?:from|import)\s*\(?"(\.[^"]+)"/g)) closure(path.join(path.dirname(file), name), found);
  return found;
}

test("each test file looks, or it is said why it need not", () => {
  const tests = files.filter((file) => file.endsWith(".test.mjs"));
  assert.ok(tests.length > 40, `${tests.length} files`);
  const listed = (file) => Object.keys(WITHOUT).some((name) => file.startsWith(name));
  for (const file of tests) assert.equal(closure(file).has(SCAN), !listed(file), file);
  for (const name of Object.keys(WITHOUT)) assert.ok(tests.some((file) => file.startsWith(name)), `${name} is no test`);
});

test("whatever starts a Worker makes a scan, and ends with it", () => {
  const starting = files.filter((file) => STARTS.test(code(file)) && file !== "tests/scan/everywhere.test.mjs");
  assert.deepEqual(starting.sort(), [
    "tests/chaos/support/machine.mjs",
    "tests/dev/support.mjs",
    "tests/newcomer.sh",
    "tests/workerd/support/gateway.mjs",
    "tests/workerd/support/miniflare.mjs",
  ]);
  for (const file of starting) {
    if (file.endsWith(".sh")) assert.match(code(file), /^ *node tests\/scan\/after\.mjs .* -- /m, file);
    else for (const part of FOR[file] ? PARTS : [...PARTS, "scan.before("]) assert.ok(code(FOR[file] ?? file).includes(part), `${file}: ${part}`);
  }
});

test("a gateway that nobody closes fails its run", () => {
  const run = (then) => {
    const script = `import { Scan } from ${JSON.stringify(path.join(root, SCAN))}; const scan = new Scan(); await scan.before(1); ${then}`;
    return spawnSync(process.execPath, ["--input-type=module", "-e", script], { cwd: root, encoding: "utf8" });
  };
  const left = run("process.exit()");
  assert.deepEqual([left.status, /1 gateways were not closed/.test(left.stderr)], [1, true], left.stderr);
  assert.equal(run("scan.finish([]); process.exit()").status, 0);
});
