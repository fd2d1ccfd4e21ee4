// What the handler itself costs, without the HTTP around it: it is called thousands of
// times within one request, with a `fetch` that answers at once. Builds can be compared
// in one run, in which they take turns. Processor time is that of all threads of workerd,
// above what the same loop takes with a handler that only passes on.
//
//   node benches/handler.mjs                                the build in build/
//   BUILDS=old=../old/build,new=build node benches/handler.mjs   these, and their ratios to the first
//   ONLY=floor,warm HANDLER_ROUNDS=15 HANDLER_CALLS=3000    who, how many turns of how many calls
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { CONTENDERS } from "./cost/contenders.mjs";
import { ask, headersWith } from "./cost/load.mjs";
import { startNginx } from "./cost/nginx.mjs";
import { startWorkerd } from "./cost/workerd.mjs";
import { root } from "./support/project.mjs";
import { median } from "./support/statistics.mjs";

const only = (process.env.ONLY ?? "floor-public,floor,public,warm,signed,refused").split(",");
const rounds = Number(process.env.HANDLER_ROUNDS ?? 15);
const calls = Number(process.env.HANDLER_CALLS ?? 3_000);
const builds = Object.entries(Object.fromEntries((process.env.BUILDS ?? "build=build").split(",").map((pair) => pair.split("="))));

const folder = mkdtempSync(path.join(tmpdir(), "warifu-handler-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

// The Worker around the one that is measured. The answer is as nginx gives it.
const LOOP = `
import * as measured from "./measured.js";
const { default: worker } = measured;
const real = globalThis.fetch;
const answer = { headers: { "content-type": "application/json", "content-length": "600", "cache-control": "private", server: "nginx", date: "Sun, 29 Nov 2026 12:00:00 GMT" } };
const body = "x".repeat(600);
export default {
  async fetch(request, env, context) {
    const calls = Number(request.headers.get("x-calls"));
    if (calls === 0) return worker.fetch(request, env, context);
    const headers = new Headers(request.headers);
    headers.delete("x-calls");
    globalThis.fetch = async () => new Response(body, answer);
    let status;
    try {
      for (let n = 0; n < calls; n += 1) {
        ({ status } = await worker.fetch(new Request(request.url, { headers }), env, context));
      }
    } finally {
      globalThis.fetch = real;
    }
    return new Response(String(status));
  },
};
`;
const loops = {
  js: path.join(folder, "loop.js"),
  warifu: path.join(folder, "loop-warifu.js"),
};
writeFileSync(loops.js, LOOP);
writeFileSync(loops.warifu, `${LOOP}export { FeedObject, SessionObject } from "./measured.js";\n`);

function startLooped(at, { modules, ...options }) {
  const { "index.js": measured, ...others } = modules;
  return startWorkerd(at, { ...options, modules: { "loop.js": options.objects ? loops.warifu : loops.js, "measured.js": measured, ...others } });
}

const nginx = await startNginx(folder);
const started = [];
for (const contender of CONTENDERS.filter(({ name }) => name === "bare" || only.includes(name))) {
  for (const [label, build] of contender.group === "warifu" ? builds : [["", ""]]) {
    const name = label === "" ? contender.name : `${contender.name}-${label}`;
    const world = { name, folder, nginx, build: path.resolve(root, build), startWorkerd: startLooped };
    started.push({ name, label, kind: contender.name, ...(await contender.start(world)), micros: [] });
  }
}
for (const contender of started) await turn(contender); // compilers warm up
for (const contender of started) contender.micros = [];
for (let round = 0; round < rounds; round += 1) {
  for (const contender of started) await turn(contender);
  if (process.stderr.isTTY) process.stderr.write(`\rround ${round + 1} of ${rounds}`);
}
if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");

const bare = started.find(({ kind }) => kind === "bare");
console.log(`bare pass-through and the loop: ${median(bare.micros).toFixed(1)} µs a call`);
console.table(
  Object.fromEntries(
    started
      .filter((it) => it !== bare)
      .map((it) => {
        const above = it.micros.map((micros, round) => micros - bare.micros[round]);
        const first = started.find(({ kind }) => kind === it.kind);
        const ratio = above.map((micros, round) => micros / (first.micros[round] - bare.micros[round]));
        return [it.name, { "µs above bare": median(above).toFixed(1), least: Math.min(...above).toFixed(1), "to the first build": median(ratio).toFixed(2) }];
      }),
  ),
);
process.exit(0);

async function turn({ name, kind, workerd, cookie, forged, micros }) {
  const before = workerd.cpu();
  const { status, text } = await ask(`${workerd.url}/api/orders`, { headers: { ...headersWith(forged ?? cookie), "x-calls": String(calls) } });
  if (status !== 200 || text !== (kind === "refused" ? "401" : "200")) throw new Error(`${name}: ${status} ${text}`);
  micros.push((workerd.cpu() - before) / 1_000 / calls);
}
