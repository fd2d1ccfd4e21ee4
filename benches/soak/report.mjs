// What comes out: lines while it runs, tables in the terminal and in docs/operations/soak.md,
// and everything as JSON beside the figure.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import { root } from "../support/project.mjs";
import { median } from "../support/statistics.mjs";
import { draw } from "./figure.mjs";
import { WARM_UP, growth, memorySeries } from "./judge.mjs";

const PAGE = path.join(root, "docs/operations/soak.md");
const FIGURES = path.join(root, "docs/figures");

export function versions() {
  const version = (name) => JSON.parse(readFileSync(path.join(root, "node_modules", name, "package.json"), "utf8")).version;
  const { stderr } = spawnSync("nginx", ["-v"], { env: { PATH: `${process.env.PATH}:/usr/sbin:/usr/local/bin` }, encoding: "utf8" });
  const nginx = stderr?.match(/nginx\/([\d.]+)/)?.[1];
  return { workerd: version("workerd"), undici: version("undici"), node: process.versions.node, nginx };
}

// `scale`: how many of a histogram's units are one of the result's.
export function latencies(kinds, scale = 1_000) {
  const of = (histogram) => {
    const at = (percentile) => Number((histogram.getValueAtPercentile(percentile) / scale).toFixed(2));
    return { count: histogram.totalCount, p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: Number((histogram.maxValue / scale).toFixed(2)) };
  };
  return Object.fromEntries(Object.entries(kinds).map(([kind, histogram]) => [kind, of(histogram)]));
}

export function line({ seconds, per_second, p50_ms, p99_ms, workerd_cpu, origin_cpu, own_cpu, machine_cpu, own_lag_ms, anonymous_mib, heap_mb, edges, store_mb, findings }) {
  const heaps = Object.entries(heap_mb).map(([name, { used, wasm, collected }]) => `${name} ${used.toFixed(1)}${collected ? `+${wasm}` : "~"}`);
  const cached = Object.values(edges).map(({ cached, feed_age }) => `${cached} (${feed_age}s)`);
  return `${String(Math.round(seconds)).padStart(5)} s ${per_second.toFixed(0).padStart(5)}/s p50 ${p50_ms} p99 ${p99_ms} ms; cpu ${workerd_cpu} ${origin_cpu} ${own_cpu} of ${machine_cpu}, lag ${own_lag_ms} ms; ${anonymous_mib} MiB; ${heaps.join(", ")} MB; cached ${cached.join(", ")}; store ${store_mb.databases}+${store_mb.logs} MB; ${findings} findings`;
}

export function print(raw, judged) {
  console.log();
  console.table(raw.kinds);
  console.log(`from an end's answer to the last time that the other edge let it in, in ms: ${JSON.stringify(raw.delay_ms)}`);
  for (const { name, isGood, found } of judged) console.log(`${isGood ? "good" : "BAD "}  ${name}: ${found}`);
}

// --- docs/operations/soak.md ------------------------------------------------------------

export async function write(raw, judged) {
  const { samples, ...figures } = raw;
  mkdirSync(FIGURES, { recursive: true });
  writeFileSync(path.join(FIGURES, "soak.svg"), await draw(raw, WARM_UP));
  writeFileSync(path.join(FIGURES, "soak.json"), `${JSON.stringify({ ...figures, judged }, null, 2)}\n`);
  const page = readFileSync(PAGE, "utf8");
  const [begin, end] = ["<!-- make soak writes this -->\n", "<!-- end of what make soak writes -->\n"];
  const [before, rest] = page.split(begin);
  const after = rest?.split(end)[1];
  if (after === undefined) throw new Error(`docs/operations/soak.md has no ${begin.trim()} … ${end.trim()}`);
  writeFileSync(PAGE, before + begin + markdown(raw, judged) + end + after);
}

export function markdown(raw, judged) {
  const { options, versions, samples } = raw;
  const steady = samples.filter(({ seconds }) => seconds >= options.seconds * WARM_UP && seconds <= options.seconds);
  const middle = (of) => median(steady.map(of));
  // After the first minute, in which compilers warm up.
  const warm = samples.filter(({ seconds }) => seconds > 60 && seconds <= options.seconds);
  const range = (of) => {
    const sorted = warm.map(of).sort((a, b) => a - b);
    const at = (share) => number(Math.round(sorted[Math.floor(share * (sorted.length - 1))]));
    return `${at(0.5)} (${at(0)}–${at(1)})`;
  };
  // The quarter of the time with the most requests: when other work disturbed least.
  const busiest = [...warm].sort((one, other) => other.per_second - one.per_second).slice(0, Math.ceil(warm.length / 4));
  const then = (of) => Math.round(median(busiest.map(of)));
  const rows = Object.entries(raw.kinds).sort(([, one], [, other]) => other.count - one.count);
  const latency = rows.map(([kind, { count, p50, p99, p999, max }]) => [kind, number(count), p50.toFixed(1), p99.toFixed(1), p999.toFixed(1), max.toFixed(0)]);
  const memory = Object.entries(memorySeries(samples, options)).map(([name, points]) => {
    const { median_mb, kb_per_minute, interval, minutes, grown_mb, limit_mb, says } = growth(points);
    if (median_mb === undefined) return [name, says, "", "", "", ""];
    return [name, median_mb.toFixed(1), minutes.toFixed(0), `${kb_per_minute.toFixed(1)} (${interval})`, grown_mb.toFixed(2), limit_mb.toFixed(1)];
  });
  const { delay_ms: delay, store } = raw;
  const last = steady.at(-1);
  return `
![Requests a second, their p99, and memory over the time of the soak](../figures/soak.svg)

${raw.date}, ${number(options.seconds)} s, ${options.clients} clients, ${number(options.sessions)} sessions at the beginning, workerd ${versions.workerd}, nginx ${versions.nginx} as the application, Node ${versions.node} and undici ${versions.undici} as the clients.

| | |
| --- | ---: |
| requests | ${number(raw.requests)} |
| requests a second, of each ten seconds: median, least and most | ${range(({ per_second }) => per_second)} |
| their p99, ms: median, least and most | ${range(({ p99_ms }) => p99_ms)} |
| in the busiest quarter of the time: requests a second, and their p99, ms; medians | ${then(({ per_second }) => per_second)}, ${then(({ p99_ms }) => p99_ms)} |
| cores that workerd used then; and everything on the machine | ${median(busiest.map(({ workerd_cpu }) => workerd_cpu)).toFixed(2)}; ${median(busiest.map(({ machine_cpu }) => machine_cpu)).toFixed(2)} |
| ends of sessions and people | ${number(raw.ends)} |
| from an end's answer to the last time that the other edge let it in, ms: p50, p99, most | ${delay.p50 <= 1 ? 0 : delay.p50}, ${delay.p99}, ${delay.max} |
| made-up cookies of one network: looked at, and refused with 429 | ${number(raw.flooded.refused)}, ${number(raw.flooded.limited)} |
| answers with 503 | ${number(raw.unavailable)} |
| sessions that live in the store at the end | ${number(store.living)} |
| the store's files at the end, and their logs, MB | ${(store.bytes.databases / 1e6).toFixed(0)}, ${(store.bytes.logs / 1e6).toFixed(0)} |
| verdicts in the memory of an edge at the end; those that made room for others | ${Object.values(last.edges).map(({ cached, evictions }) => `${number(cached)}; ${number(evictions)}`).join(" and ")} |
| after the warm-up, cores that workerd, the clients and the application used; and everything on the machine; medians | ${middle(({ workerd_cpu }) => workerd_cpu).toFixed(2)}, ${middle(({ own_cpu }) => own_cpu).toFixed(2)}, ${middle(({ origin_cpu }) => origin_cpu).toFixed(2)}; ${middle(({ machine_cpu }) => machine_cpu).toFixed(2)} |

What was judged, besides memory:

${judged.filter(({ name, isGood }) => !isGood || !name.startsWith("flat: ")).map(({ name, isGood, found }) => `- ${isGood ? "" : "**not so:** "}${name}: ${found}`).join("\n")}

Memory after the warm-up:

| | median, MB | minutes | kB a minute, and the interval of 95 % | MB in all | at most |
| --- | ---: | ---: | ---: | ---: | ---: |
${memory.map((row) => `| ${row.join(" | ")} |`).join("\n")}

Latency by kind, over the whole run, in ms:

| | requests | p50 | p99 | p99.9 | most |
| --- | ---: | ---: | ---: | ---: | ---: |
${latency.map((row) => `| ${row.join(" | ")} |`).join("\n")}

`;
}

const number = (value) => Number(value).toLocaleString("en-GB");
