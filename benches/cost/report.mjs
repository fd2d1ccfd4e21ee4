// What comes out: medians and ratios, as a table in the terminal, in the README and as
// JSON beside the figure.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { execFileSync } from "node:child_process";
import path from "node:path";

import { root } from "../support/project.mjs";
import { quantile } from "../support/statistics.mjs";
import { draw } from "./figure.mjs";
import { CONNECTIONS } from "./load.mjs";
import { SLOT_MS } from "./slots.mjs";

const FIGURES = path.join(root, "docs/figures");
const README = path.join(root, "README.md");

export function summarise(contenders, { rounds, slots }) {
  const turnsOf = (name) => contenders.find((contender) => contender.name === name)?.turns;
  // Of one round each, so that what slows all of them cancels out.
  const ratio = (turns, to) => to && spread(turns.map(({ cpu, round }) => cpu / to.find((other) => other.round === round).cpu), 3);
  const firstOf = (kind) => contenders.find((contender) => contender.kind === kind).turns;
  return {
    date: new Date().toISOString().slice(0, 10),
    versions: versions(),
    processor: cpus()[0].model,
    connections: CONNECTIONS,
    rounds,
    seconds: (slots * SLOT_MS) / 1_000,
    contenders: contenders.map(({ name, kind, says, group, turns, storeCalls, floor }) => ({
      name,
      says,
      group,
      cpu_us: spread(turns.map(({ cpu }) => cpu), 1),
      to_bare: ratio(turns, turnsOf("bare")),
      to_floor: ratio(turns, turnsOf(floor ?? "floor")),
      ...(name === kind ? {} : { to_first: ratio(turns, firstOf(kind)) }),
      per_second: spread(turns.map(({ perSecond }) => perSecond), 0),
      p50_us: spread(turns.map(({ p50 }) => p50), 0),
      p99_us: spread(turns.map(({ p99 }) => p99), 0),
      store_calls_per_1000: storeCalls === null ? null : round(storeCalls, storeCalls < 10 ? 1 : 0),
    })),
  };
}

const round = (value, digits) => Number(value.toFixed(digits));

// The median and the quartiles.
function spread(values, digits) {
  const at = (share) => round(quantile(values, share), digits);
  return { median: at(0.5), low: at(0.25), high: at(0.75) };
}

function versions() {
  const of = (folder, name) => JSON.parse(readFileSync(path.join(root, folder, name, "package.json"), "utf8")).version;
  const said = (command, flag, stream) => {
    // nginx says it on one stream, wrk on the other, and wrk then fails.
    const text = execFileSync("sh", ["-c", `PATH=$PATH:/usr/sbin; ${command} ${flag} 2>&1 || true`]).toString();
    return text.match(stream)?.[1] ?? "unknown";
  };
  const peers = ["better-auth", "iron-session", "jose"].map((name) => [name, of("benches/peers/node_modules", name)]);
  return {
    workerd: of("node_modules", "workerd"),
    nginx: said("nginx", "-v", /nginx\/([\d.]+)/),
    wrk: said("wrk", "-v", /wrk (?:debian\/)?([\d.]+)/),
    ...Object.fromEntries(peers),
  };
}

const COLUMNS = [
  ["", ({ says }) => says],
  ["CPU, µs", ({ cpu_us: { median, low, high } }) => `${median.toFixed(0)} (${low.toFixed(0)}–${high.toFixed(0)})`],
  ["to bare", ({ to_bare }) => to_bare && `${to_bare.median.toFixed(2)} (${to_bare.low.toFixed(2)}–${to_bare.high.toFixed(2)})`],
  ["to floor", ({ to_floor }) => to_floor && to_floor.median.toFixed(2)],
  ["to the first build", ({ to_first }) => to_first && `${to_first.median.toFixed(2)} (${to_first.low.toFixed(2)}–${to_first.high.toFixed(2)})`],
  ["requests/s", ({ per_second }) => `${per_second.median}`],
  ["p50, ms", ({ p50_us }) => (p50_us.median / 1e3).toFixed(1)],
  ["p99, ms", ({ p99_us }) => (p99_us.median / 1e3).toFixed(1)],
  ["store calls in 1,000", ({ store_calls_per_1000 }) => `${store_calls_per_1000 ?? "not counted"}`],
];

const cells = ({ contenders }, columns) => contenders.map((contender) => columns.map(([, cell]) => cell(contender) ?? ""));

export function print(result) {
  const columns = COLUMNS.filter(([, cell]) => result.contenders.some((contender) => cell(contender)));
  const rows = [columns.map(([title]) => title), ...cells(result, columns)];
  const widths = columns.map((_, column) => Math.max(...rows.map((row) => [...row[column]].length)));
  for (const row of rows) console.log(row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join("  "));
}

// Rewrites what the project shows of it.
export async function write(result) {
  mkdirSync(FIGURES, { recursive: true });
  writeFileSync(path.join(FIGURES, "cost.json"), `${JSON.stringify(result, null, 2)}\n`);
  writeFileSync(path.join(FIGURES, "cost.svg"), await draw(result));
  const readme = readFileSync(README, "utf8");
  const [begin, end] = ["<!-- make bench writes this -->\n", "<!-- end of what make bench writes -->\n"];
  const [before, rest] = readme.split(begin);
  const after = rest?.split(end)[1];
  if (after === undefined) throw new Error(`README.md has no ${begin.trim()} … ${end.trim()}`);
  writeFileSync(README, before + begin + markdown(result) + end + after);
}

// The README's table: fewer columns than the terminal's.
function markdown(result) {
  const shown = COLUMNS.filter(([title]) => !title.startsWith("p50") && !title.includes("build"));
  const rows = cells(result, shown);
  const line = (row) => `| ${row.join(" | ")} |\n`;
  const table = line(shown.map(([title]) => title)) + line(shown.map((_, column) => (column === 0 ? "---" : "---:"))) + rows.map(line).join("");
  const { workerd, nginx, wrk, ...peers } = result.versions;
  const beside = Object.entries(peers).map(([name, version]) => `${name} ${version}`);
  return `
![Processor time of workerd for one request, for each contender](docs/figures/cost.svg)

${table}
${result.date}, workerd ${workerd}, ${beside.join(", ")}, nginx ${nginx} as the application, wrk ${wrk} with ${result.connections} connections; medians of ${result.rounds} rounds, in each of which every contender has ${result.seconds} s or more in turns of ${SLOT_MS} ms, with the quartiles in brackets; ratios are of the same round.

`;
}
