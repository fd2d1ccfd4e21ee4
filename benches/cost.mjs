// What a request costs: warifu beside a bare pass-through, beside the least that any
// gateway has to do, and beside what else one checks sessions with. Each contender is a
// workerd of its own, in front of the same nginx and under the same load; they take
// turns of a tenth of a second, so that what else the machine does meets all of them.
// Processor time is that of the whole workerd process, as the system counts it.
//
//   node benches/cost.mjs              all of it, and README.md and docs/figures/ are rewritten
//   ONLY=bare,floor,warm node …        only these, and nothing is written (BENCH_WRITE=yes: it is)
//   BENCH_ROUNDS=14 BENCH_SLOTS=10     how many rounds, and how many turns each has in one
//   BENCH_BUILD=../other/build         another build of warifu
//   BUILDS=old=../old/build,new=build  several, and their ratios to the first; nothing is written
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { CONTENDERS } from "./cost/contenders.mjs";
import { ask, headersWith } from "./cost/load.mjs";
import { startNginx } from "./cost/nginx.mjs";
import { print, summarise, write } from "./cost/report.mjs";
import { storeCalls } from "./cost/store-calls.mjs";
import { round, warmUp } from "./cost/turns.mjs";
import { startWorkerd } from "./cost/workerd.mjs";
import { root } from "./support/project.mjs";

const only = (process.env.ONLY ?? "").split(",").filter((name) => name !== "");
const rounds = Number(process.env.BENCH_ROUNDS ?? 14);
const slots = Number(process.env.BENCH_SLOTS ?? 10);
const builds = (process.env.BUILDS ?? `=${process.env.BENCH_BUILD ?? "build"}`).split(",").map((pair) => pair.split("="));
const isChosen = ({ name }) => only.length === 0 || only.includes(name);
const unknown = only.filter((name) => CONTENDERS.every((contender) => contender.name !== name));
if (unknown.length > 0) throw new Error(`there is no ${unknown.join(", ")}; there are ${CONTENDERS.map(({ name }) => name).join(", ")}`);

const folder = mkdtempSync(path.join(tmpdir(), "warifu-cost-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

const began = Date.now();
const nginx = await startNginx(folder);
const contenders = CONTENDERS.filter(isChosen).flatMap((contender) =>
  (contender.group === "warifu" ? builds : [[]]).map(([label, build]) => ({
    share: 1,
    ...contender,
    kind: contender.name,
    name: label ? `${contender.name}-${label}` : contender.name,
    says: label ? `${contender.says}: ${label}` : contender.says,
    build: build && path.resolve(root, build),
    turns: [],
  })),
);
// Two processes of one Worker differ by some hundredths for as long as they live, now and then by
// a tenth and more: so each contender has one for each half of the rounds.
for (const half of [1, 2]) {
  const tell = (text) => progress(`half ${half} of 2: ${text}`);
  tell("start");
  for (const contender of contenders) await start(contender, path.join(folder, `${half}`));
  await warmUp(contenders, (nth) => tell(`warm-up ${nth} of ${contenders.length}`));
  for (let at = Math.ceil(((half - 1) * rounds) / 2); at < (half * rounds) / 2; at += 1) {
    tell(`round ${at + 1} of ${rounds}`);
    await round(contenders, { at, slots });
  }
}
progress("store calls");
await storeCalls(contenders, nginx);
progress("");
const result = summarise(contenders, { rounds, slots });
print(result);
console.log(`${Math.round((Date.now() - began) / 1_000)} s`);
if (builds.length === 1 && (only.length === 0 || process.env.BENCH_WRITE === "yes")) await write(result);
process.exit(0);

function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

async function start(contender, folder) {
  await contender.workerd?.stop();
  const { name, build, start } = contender;
  Object.assign(contender, await start({ name, folder, nginx, build, startWorkerd }));
  await verify(contender);
}

// Whether a contender does what it is measured for: it knows who comes, refuses who
// does not prove it, and lets nothing of ours through that the client has made up.
async function verify({ kind, name, checks = true, identifies = true, workerd, cookie, forged }) {
  const seenWith = (headers) => ask(`${workerd.url}/seen`, { headers });
  const fail = (what) => {
    throw new Error(`${name}: ${what}`);
  };
  const answer = await seenWith({ ...headersWith(cookie), "warifu-subject": "mallory", "x-original-url": "/admin" });
  if (answer.status !== 200) fail(`a good request got ${answer.status}`);
  const seen = JSON.parse(answer.text);
  if (identifies && (seen["warifu-subject"] === "" || seen["warifu-subject"] === "mallory")) fail("the origin is not told who comes");
  if (kind.match(/floor|public|warm|unlike|signed|strict|cold/)) {
    if (seen["x-original-url"] !== "" || seen["x-forwarded-host"] === "") fail("the headers are not what they should be");
    if (cookie !== undefined && seen.cookie !== headersWith().cookie) fail("the session cookie, or another than it, has been passed on");
  }
  if (kind === "signed" && (seen.signature === "" || seen["warifu-claims"] === "")) fail("nothing is signed");
  for (const bad of checks ? [undefined, forged ?? "session=forged"] : []) {
    const { status } = await seenWith(headersWith(bad));
    if (status !== 401) fail(`a request without a good session got ${status}`);
  }
}
