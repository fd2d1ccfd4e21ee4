// make chaos: breaks what the gateway stands on, round after round, and looks whether what was
// promised is still true. Prints a table, and ends with a status other than 0 on any finding.
//
//   CHAOS_SEED=n            repeats the plan of a run; the seed is printed
//   CHAOS_ONLY=a,b          only these rooms (names of files in faults/)
//   WARIFU_CHAOS_ROUNDS=n   rounds in all, about; 208 if absent
//   CHAOS_FAULTS=folder     other rooms than those of faults/
import { readdirSync } from "node:fs";
import { randomInt } from "node:crypto";
import { fileURLToPath } from "node:url";
import path from "node:path";

import { line } from "./history.mjs";
import { FINDINGS, table } from "./table.mjs";
import { Chance } from "./support/chance.mjs";
import { Room } from "./support/room.mjs";

// How many rooms are open at a time. Rounds are mostly waiting: for a bound, for a start.
const AT_ONCE = 2;
const LINES_SHOWN = 40;

const folder = path.resolve(process.env.CHAOS_FAULTS ?? fileURLToPath(new URL("faults/", import.meta.url)));
const only = process.env.CHAOS_ONLY?.split(",");
const names = readdirSync(folder).filter((file) => file.endsWith(".mjs")).map((file) => path.basename(file, ".mjs")).filter((name) => only?.includes(name) ?? true);
const seed = process.env.CHAOS_SEED ?? String(randomInt(2 ** 32));
const rounds = Number(process.env.WARIFU_CHAOS_ROUNDS ?? 208);
if (process.platform !== "linux") throw new Error("it steps a process's clock and fills its disk in ways that only Linux has");
if (!(rounds >= 1) || names.length === 0) throw new Error("WARIFU_CHAOS_ROUNDS and CHAOS_ONLY leave nothing to do");

const faults = await Promise.all(names.map(async (name) => ({ ...(await import(path.join(folder, `${name}.mjs`))) })));
const weight = ({ share = 1 }) => share;
const whole = faults.reduce((sum, fault) => sum + weight(fault), 0);
const plan = faults.map((fault) => ({ fault, rounds: Math.max(1, Math.round((rounds * weight(fault)) / whole)) }));
const total = plan.reduce((sum, { rounds }) => sum + rounds, 0);
console.log(`chaos: seed ${seed}; ${total} rounds: ${plan.map(({ fault, rounds }) => `${fault.name} ${rounds}`).join(", ")}`);

const began = performance.now();
const results = [];
const notes = [];
let done = 0;

// The rounds of one room, one after the other; all of them even where something is found, but
// for the room that cannot go on.
async function enter({ fault, rounds }) {
  const result = { name: fault.name, rounds: 0, findings: new Map(), histories: [], recoveries: [], delays: [] };
  results.push(result);
  const room = await Room.open(fault, new Chance(seed, fault.name));
  try {
    for (let number = 1; number <= rounds; number += 1) {
      const found = await room.round(number);
      done += 1;
      Object.assign(result, { rounds: number, delays: found.delays, calls: room.history.calls, recoveries: room.recoveries });
      const fresh = note(result, room, found);
      const seconds = Math.round((performance.now() - began) / 1_000);
      const own = room.history.calls.filter(({ round }) => round === number);
      console.log(`${String(seconds).padStart(4)} s ${String(done).padStart(4)} of ${total}  ${fault.name} ${number}/${rounds}: ${own.length} calls, ${own.filter(({ result }) => result === "cut").length} cut, recovered in ${Math.round(room.recoveries.at(-1) ?? NaN)} ms${fresh === 0 ? "" : `, ${fresh} FINDINGS`}`);
    }
  } catch (error) {
    result.findings.set(`the room ${fault.name} broke`, { kind: "wrong", error });
    console.error(error);
    console.error(room.site.machine.log.slice(-LINES_SHOWN).join(""));
  } finally {
    if (fault.tells !== undefined) notes.push(`${fault.name}: ${fault.tells(room)}`);
    await room.close();
  }
}

// Findings of the whole history of a room come again with each round.
function note(result, room, found) {
  let fresh = 0;
  for (const kind of FINDINGS) {
    const before = fresh;
    for (const finding of found[kind]) {
      const key = `${kind} ${finding.session ?? ""} ${finding.call?.number ?? finding.error}`;
      if (result.findings.has(key)) continue;
      result.findings.set(key, { kind, ...finding });
      // One of each kind is shown.
      if ((fresh += 1) === before + 1) tell(room, kind, finding);
    }
  }
  return fresh;
}

// A finding, with all that concerns its session.
function tell(room, kind, { session, call, kill, change, error, by }) {
  console.error(`\nFOUND ${kind}${session === undefined ? "" : `: session ${session}`}${by === undefined ? "" : `, ${Math.round(by)} ms beyond the bound`}${error === undefined ? "" : `: ${error.message}`}`);
  for (const [what, one] of Object.entries({ call, kill, change })) if (one !== undefined) console.error(`  ${what}: ${line(one)}`);
  const history = session === undefined ? [] : room.history.of(session);
  if (history.length > 0) console.error(`  its history, the last ${LINES_SHOWN} calls of ${history.length}:`);
  for (const one of history.slice(-LINES_SHOWN)) console.error(`    ${line(one)}`);
  console.error("");
}

const left = [...plan].sort((a, b) => b.rounds - a.rounds);
await Promise.all(Array.from({ length: AT_ONCE }, async () => {
  while (left.length > 0) await enter(left.shift());
}));

console.log(`\n${table(results)}\n`);
for (const one of notes) console.log(one);
const findings = results.reduce((sum, { findings }) => sum + findings.size, 0);
const made = results.reduce((sum, { rounds }) => sum + rounds, 0);
console.log(`chaos: ${made} rounds in ${Math.round((performance.now() - began) / 1_000)} s, seed ${seed}: ${findings === 0 ? "nothing found" : `${findings} findings; CHAOS_SEED=${seed} repeats the plan`}`);
process.exitCode = findings === 0 && made === total ? 0 : 1;
