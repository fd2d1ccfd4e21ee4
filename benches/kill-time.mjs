// How long a killed session is still accepted somewhere: many kills under load at
// four edges, half of them while objects are stopped and messages to the feed are
// late or lost. Draws docs/figures/kill-time.svg and writes the numbers beside it;
// fails, and writes nothing, if the promise was broken.
//
//   node benches/kill-time.mjs [kills] [bound in ms]
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import { startEdges } from "../tests/workerd/support/edges.mjs";
import { root } from "../tests/workerd/support/gateway.mjs";
import { FAULTS, Load, SITE } from "../tests/workerd/support/load.mjs";
import { check, summary } from "../tests/workerd/support/promise.mjs";
import { draw } from "./kill-time-figure.mjs";

const wanted = Number(process.argv[2] ?? 2_000);
const bound = Number(process.argv[3] ?? 2_000);
const names = ["edge-1", "edge-2", "edge-3", "edge-4"];

const site = await startEdges({
  edges: names.map((name, n) => ({ name, replica: n === 3 ? "always" : "off" })),
  warifu: { ...SITE, bound: `${bound}ms` },
});
// Few kills at a time, so that each killed session is asked for often.
const load = new Load(site, { bound, rate: 150, people: 25 });
const began = Date.now();
const seconds = () => Math.round((Date.now() - began) / 1_000);
const faults = Object.keys(FAULTS).filter((fault) => fault !== "none");
await load.start();
for (let turn = 0; load.kills < wanted; turn += 1) {
  // Each fault in turn, and as many kills without any.
  const fault = turn % 2 === 0 ? "none" : faults[((turn - 1) / 2) % faults.length];
  await load.kill({ fault, rate: 7, count: Math.min(100, wanted - load.kills) });
  console.log(`${String(seconds()).padStart(4)} s  ${load.kills} of ${wanted} kills, ${load.history.requests.length} requests  (${fault})`);
}
await load.stop();
const counts = await Promise.all(site.edges.map((edge) => edge.counts()));
await site.close();

const { requests } = load.history;
const { delays, ...broken } = check(load.history, bound, names);
for (const [name, found] of Object.entries(broken)) {
  if (found.length > 0) throw new Error(`${found.length} times ${name}, such as ${JSON.stringify(found[0])}`);
}
const asked = counts.reduce((sum, count) => sum + count.check, 0);
const version = (name) => JSON.parse(readFileSync(path.join(root, "node_modules", name, "package.json"), "utf8")).version;
const isCalm = ({ fault }) => fault === "none";
const groups = { all: delays, "without faults": delays.filter(isCalm), "with faults": delays.filter((delay) => !isCalm(delay)) };
const rounded = (values) => values.map(({ delay }) => Math.max(0, delay)).sort((a, b) => a - b);
const result = {
  date: new Date().toISOString().slice(0, 10),
  versions: { workerd: version("workerd"), miniflare: version("miniflare"), node: process.versions.node },
  bound_ms: bound,
  edges: names.length,
  seconds: seconds(),
  kills: load.history.kills.length,
  acknowledged: delays.length,
  requests: requests.length,
  asked,
  from_memory_at_least: requests.length - asked,
  delay_ms: Object.fromEntries(Object.entries(groups).map(([name, group]) => [name, summary(group)])),
  delay_ms_by_fault: Object.fromEntries([...Map.groupBy(delays, ({ fault }) => fault)].map(([name, group]) => [name, summary(group)])),
  delay_ms_by_kind: Object.fromEntries([...Map.groupBy(delays, ({ kind }) => kind)].map(([name, group]) => [name, summary(group)])),
};
const folder = path.join(root, "docs/figures");
mkdirSync(folder, { recursive: true });
const { all, ...drawn } = groups;
writeFileSync(path.join(folder, "kill-time.svg"), await draw(Object.fromEntries(Object.entries(drawn).map(([name, group]) => [name, rounded(group)])), result));
writeFileSync(path.join(folder, "kill-time.json"), `${JSON.stringify(result, null, 2)}\n`);
console.log(`docs/figures/kill-time.svg: ${delays.length} kills, p50 ${summary(all).p50} ms, p99 ${summary(all).p99} ms, max ${summary(all).max} ms; the bound is ${bound} ms`);
