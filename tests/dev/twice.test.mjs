// `make test` twice at once in one checkout: the second would remove the first's logs.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { until } from "../../benches/support/processes.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));

let folder, lock, log;
before(() => {
  folder = mkdtempSync(path.join(tmpdir(), "warifu-twice-"));
  for (const part of ["scripts", ".ci/budgets.tsv", "tests/schemathesis/requirements.txt", "tests/httpbin/requirements.txt", "examples/verify/flask/requirements.txt"]) {
    cpSync(path.join(root, part), path.join(folder, part), { recursive: true, verbatimSymlinks: true });
  }
  mkdirSync(path.join(folder, ".warifu/logs"), { recursive: true });
  lock = path.join(folder, ".warifu/test.lock");
  log = path.join(folder, ".warifu/logs/stage-native.log");
});
after(() => rmSync(folder, { recursive: true }));

const run = (script) => spawnSync("bash", ["-c", script], { cwd: folder, encoding: "utf8" });

const heldBy = (pid) => symlinkSync(`${pid} ${execFileSync("bash", ["-c", `. scripts/lib.sh; born ${pid}`], { cwd: folder, encoding: "utf8" }).trim()}`, lock);

test("the second run is refused in one line, and the first one's logs stay", () => {
  writeFileSync(log, "of the first");
  heldBy(process.pid);
  const { status, stdout, stderr } = run("scripts/test fmt");
  assert.deepEqual(
    { status, stdout, stderr },
    { status: 1, stdout: "", stderr: `warifu: process ${process.pid} is testing in this checkout already: wait for it, or end it (its lock is ${lock})\n` },
  );
  assert.equal(readFileSync(log, "utf8"), "of the first");
  assert.equal(lstatSync(lock).isSymbolicLink(), true, "the lock is still the first one's");
  rmSync(lock);
});

test("the lock of a run that is dead is taken, and each run gives its own back", () => {
  const dead = Number(execFileSync("bash", ["-c", "echo $$"], { encoding: "utf8" }));
  // Dead, or its number is another's by now.
  for (const held of [`${dead} ${new Date().getFullYear()}`, `${process.pid} Mon_Jan_1_00:00:00_1970`]) {
    symlinkSync(held, lock);
    const { status, stdout } = run(`. scripts/lib.sh; lock '${lock}' 'is testing'; readlink '${lock}'; echo $$`);
    const [owner, own] = stdout.trim().split("\n");
    assert.equal(status, 0);
    assert.equal(owner.split(" ")[0], own);
    assert.throws(() => lstatSync(lock), { code: "ENOENT" });
  }
});

test("a run that is ended gives its lock back", async () => {
  const child = spawn("bash", ["-c", `. scripts/lib.sh; lock '${lock}' 'is testing'; echo locked; read -r line`], { cwd: folder });
  await once(child.stdout, "data");
  assert.equal(lstatSync(lock).isSymbolicLink(), true);
  child.stdin.end();
  child.kill("SIGTERM");
  await once(child, "exit");
  assert.throws(() => lstatSync(lock), { code: "ENOENT" });
});

test("a stage that does not exist is named, with those that do", () => {
  const { status, stdout, stderr } = run("scripts/test natve");
  assert.deepEqual([status, stdout], [1, ""]);
  assert.match(stderr, /^warifu: there is no stage natve; there are: setup fmt .* native .* fuzz \n$/);
});

test("a stage that takes longer than its budget is ended, with all that it has started", async () => {
  writeFileSync(path.join(folder, ".ci/budgets.tsv"), "fmt\t3\n");
  const pids = path.join(folder, "pids");
  // Not a loop of bash: it can miss a signal that ends the command which it waits for too.
  const tidy = path.join(folder, "tidy.mjs");
  writeFileSync(tidy, `import { writeFileSync } from "node:fs";
process.on("SIGTERM", () => setTimeout(() => process.exit(writeFileSync(${JSON.stringify(`${pids}.log`)}, "tidied")), 500));
setInterval(() => {}, 1_000);`);
  const slow = path.join(folder, "slow.sh");
  writeFileSync(slow, `'${process.execPath}' '${tidy}' & sleep 321 & echo $! $$ >'${pids}'; trap "" TERM; while :; do sleep 0.1; done`);
  const { status, stderr } = run(`CI=true scripts/stage fmt -- bash '${slow}'`);
  assert.equal(status, 1);
  assert.match(stderr, /^warifu: === fmt: ended, it took longer than the 3 s that \.ci\/budgets\.tsv allows$/m);
  assert.equal(readFileSync(`${pids}.log`, "utf8"), "tidied", "there is time to put things away");
  for (const pid of readFileSync(pids, "utf8").trim().split(" ")) {
    // A zombie is dead, and waits for its parent only.
    await until(() => /^Z|^$/.test(run(`ps -o stat= -p ${pid}`).stdout.trim()), `${pid} is ended`);
  }
});

test("a stage that ends in time says so, and leaves nobody who waits for it", () => {
  writeFileSync(path.join(folder, ".ci/budgets.tsv"), "fmt\t7654\n");
  const { status, stdout } = run("CI=true scripts/stage fmt -- echo done");
  assert.equal(status, 0);
  assert.match(stdout, /^=== fmt: echo done\ndone\n=== fmt: ok, \d+ s, [\d.]+ processors\n$/);
  const { stdout: processes } = run("ps -eo args");
  assert.doesNotMatch(processes, /^sleep 7654$/m);
});
