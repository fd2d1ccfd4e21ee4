// What a request costs: warifu beside a bare pass-through, beside the least that any
// gateway has to do, and beside what else one checks sessions with. Each contender is a
// workerd of its own, in front of the same nginx and under the same load; they take
// turns, round after round, so that what else the machine does meets all of them.
// Processor time is that of the whole workerd process, as the system counts it.
//
//   node benches/cost.mjs              all of it, and README.md and docs/figures/ are rewritten
//   ONLY=bare,floor,warm node …        only these, and nothing is written (BENCH_WRITE=yes: it is)
//   BENCH_ROUNDS=15 BENCH_SECONDS=1    how many turns, and how long
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { CONTENDERS } from "./cost/contenders.mjs";
import { ask, headersWith, load } from "./cost/load.mjs";
import { startNginx } from "./cost/nginx.mjs";
import { print, summarise, write } from "./cost/report.mjs";
import { storeCalls } from "./cost/store-calls.mjs";
import { root, startWorkerd } from "./cost/workerd.mjs";

const only = (process.env.ONLY ?? "").split(",").filter((name) => name !== "");
const rounds = Number(process.env.BENCH_ROUNDS ?? 15);
const seconds = Number(process.env.BENCH_SECONDS ?? 1);
const build = path.resolve(root, process.env.BENCH_BUILD ?? "build");
const isChosen = ({ name }) => only.length === 0 || only.includes(name);
const unknown = only.filter((name) => CONTENDERS.every((contender) => contender.name !== name));
if (unknown.length > 0) throw new Error(`there is no ${unknown.join(", ")}; there are ${CONTENDERS.map(({ name }) => name).join(", ")}`);

const folder = mkdtempSync(path.join(tmpdir(), "warifu-cost-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

const began = Date.now();
const nginx = await startNginx(folder);
const contenders = [];
for (const contender of CONTENDERS.filter(isChosen)) {
  const started = await contender.start({ name: contender.name, folder, nginx, build, startWorkerd });
  await verify(contender, started);
  contenders.push({ ...contender, ...started, turns: [] });
}
for (const contender of contenders) await turn(contender, { seconds: 2 * seconds }); // compilers warm up
for (const contender of contenders) contender.turns = [];
for (let round = 0; round < rounds; round += 1) {
  // Each is as often early in a round as late.
  const from = Math.floor((round * contenders.length) / rounds);
  for (const contender of [...contenders.slice(from), ...contenders.slice(0, from)]) {
    if (round % (contender.every ?? 1) === 0) await turn(contender, { seconds, round });
  }
  if (process.stderr.isTTY) process.stderr.write(`\rround ${round + 1} of ${rounds}`);
}
if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
await storeCalls(contenders, { build: path.relative(root, build) });
const result = summarise(contenders, { rounds, seconds });
print(result);
console.log(`${Math.round((Date.now() - began) / 1_000)} s`);
if (only.length === 0 || process.env.BENCH_WRITE === "yes") await write(result);
process.exit(0);

async function turn(contender, { seconds, round }) {
  const { workerd, cookie, forged, script, usesKv, turns } = contender;
  const [cpu, asked] = [workerd.cpu(), nginx.asked()];
  const done = await load(`${workerd.url}/api/orders`, { cookie: forged ?? cookie, script, seconds, refused: forged !== undefined });
  turns.push({ ...done, round, cpu: (workerd.cpu() - cpu) / 1_000 / done.requests, kv: usesKv ? nginx.asked() - asked : 0 });
}

// Whether a contender does what it is measured for: it knows who comes, refuses who
// does not prove it, and lets nothing of ours through that the client has made up.
async function verify({ name, checks = true, identifies = true }, { workerd, cookie, forged }) {
  const seenWith = (headers) => ask(`${workerd.url}/seen`, { headers });
  const fail = (what) => {
    throw new Error(`${name}: ${what}`);
  };
  const answer = await seenWith({ ...headersWith(cookie), "warifu-subject": "mallory", "x-original-url": "/admin" });
  if (answer.status !== 200) fail(`a good request got ${answer.status}`);
  const seen = JSON.parse(answer.text);
  if (identifies && (seen["warifu-subject"] === "" || seen["warifu-subject"] === "mallory")) fail("the origin is not told who comes");
  if (name.match(/floor|public|warm|signed|strict|cold/)) {
    if (seen["x-original-url"] !== "" || seen["x-forwarded-host"] === "") fail("the headers are not what they should be");
    if (cookie !== undefined && seen.cookie !== headersWith().cookie) fail("the session cookie, or another than it, has been passed on");
  }
  if (name === "signed" && (seen.signature === "" || seen["warifu-claims"] === "")) fail("nothing is signed");
  for (const bad of checks ? [undefined, forged ?? "session=forged"] : []) {
    const { status } = await seenWith(headersWith(bad));
    if (status !== 401) fail(`a request without a good session got ${status}`);
  }
}
