// What a run has done and found, one line for each kind of fault, as a table for a terminal and
// for a page alike.
import { markdownTable } from "markdown-table";

import { BOUND_MS } from "./support/site.mjs";

export const FINDINGS = ["lost", "resurrected", "beyond", "wrong"];

const HEADS = ["fault", "rounds", "writes acknowledged", "checks answered", "cut", "refused for cause", "lost", "resurrected", "beyond the bound", "wrong answers", "worst kill delay", "recovery, median and worst"];
const WRITES = ["start", "rotate", "update", "kill"];

export function table(results) {
  const rows = [...results].sort((a, b) => a.name.localeCompare(b.name)).map(row);
  const sum = (pick) => rows.reduce((total, one) => total + one[pick], 0);
  const all = HEADS.map((head, n) => (n === 0 ? "all" : n < 10 ? String(sum(n)) : ""));
  const shown = rows.map((one) => [...one.slice(0, 10), `${one[10]} of ${BOUND_MS} ms`, one[11]].map(String));
  return markdownTable([HEADS, ...shown, all], { align: HEADS.map((_, n) => (n === 0 ? "l" : "r")) });
}

function row({ name, rounds, calls = [], findings, delays, recoveries }) {
  const count = (fits) => calls.filter(fits).length;
  const kinds = [...findings.values()];
  const sorted = [...recoveries].sort((a, b) => a - b);
  const seconds = (ms) => (ms === undefined ? "–" : `${(ms / 1_000).toFixed(1)} s`);
  return [
    name,
    rounds,
    count(({ op, result }) => WRITES.includes(op) && result === "done"),
    // Yes or no: to say no to a session that has ended is an answer.
    count(({ op, result, status }) => op === "check" && (result === "done" || status === 401)),
    count(({ result }) => result === "cut"),
    count(({ op, result, status }) => result === "refused" && !(op === "check" && status === 401)),
    ...FINDINGS.map((kind) => kinds.filter((finding) => finding.kind === kind).length),
    Math.round(Math.max(0, ...delays)),
    `${seconds(sorted[Math.floor(sorted.length / 2)])}, ${seconds(sorted.at(-1))}`,
  ];
}
