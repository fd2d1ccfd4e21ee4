// An hour of load, of all kinds at once, over a store with a million sessions, in which
// every answer is looked at. Says what came out, and fails on anything that should not be.
//
//   node benches/soak.mjs              an hour; docs/operations/soak.md and its figure are rewritten
//   SOAK_SECONDS=60 SOAK_SESSIONS=20000 node …   shorter, and nothing is written (SOAK_WRITE=yes: it is)
//   SOAK_CLIENTS=32                    how many deeds are under way at a time
//   SOAK_NICE=-10                      the priority of everything that is started
//   SOAK_DIR=/dev/shm                  where the store's files are; a file system in memory if there is one
//   SOAK_AGAIN=file                    judges and reports an earlier run once more, from what it has left
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import path from "node:path";

import { Scan } from "../tests/scan/scan.mjs";
import { Client } from "./soak/client.mjs";
import { counted } from "./soak/count.mjs";
import { Drive } from "./soak/drive.mjs";
import { Stock, bytesOf, firstSubjects, write as fill } from "./soak/fill.mjs";
import { judge } from "./soak/judge.mjs";
import { People } from "./soak/people.mjs";
import { latencies, line, print, versions, write } from "./soak/report.mjs";
import { EDGES, SHARDS, Site, newFolder } from "./soak/site.mjs";
import { Watch } from "./soak/watch.mjs";
import { root } from "./support/project.mjs";

const number = (name, otherwise) => Number(process.env[name] || otherwise);
const options = {
  seconds: number("SOAK_SECONDS", 3_600),
  sessions: number("SOAK_SESSIONS", 1_000_000),
  clients: number("SOAK_CLIENTS", 32),
  nice: number("SOAK_NICE", 0),
};
const isWhole = options.seconds >= 3_600 && options.sessions >= 1_000_000;
const raw = process.env.SOAK_AGAIN ? JSON.parse(readFileSync(process.env.SOAK_AGAIN, "utf8")) : await soak();
const judged = judge(raw);
print(raw, judged);
if (process.env.SOAK_WRITE === "yes" || (isWhole && !process.env.SOAK_AGAIN)) await write(raw, judged);
process.exit(judged.every(({ isGood }) => isGood) ? 0 : 1);

async function soak() {
  prioritise(options.nice);
  const folder = newFolder(options.sessions, process.env.SOAK_DIR);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));
  const started = new Date();
  const site = new Site(folder);
  await site.begin();
  const stock = await stocked(site);
  await site.start();

  const client = new Client(site);
  const people = new People(stock, { busy: Math.min(2_000, Math.floor(options.sessions / 20)) });
  const drive = new Drive(client, people);
  const watch = new Watch(site, client);
  const logs = path.join(root, ".warifu/soak");
  mkdirSync(logs, { recursive: true });
  let shown = 0;
  const watching = watch.run(Math.min(10_000, (options.seconds * 1_000) / 6), (sample) => {
    console.log(line(sample));
    for (const { at, kind, what } of client.findings.kept.slice(shown)) console.log(`${at} ${kind}: ${what}`);
    shown = client.findings.kept.length;
  });
  await Promise.race([drive.run(options), site.ended, watching]);
  watch.stop();
  await watching;
  const store = bytesOf(site.objects);
  await client.close();
  await site.stop();

  const { ends, served, flooded, delays } = drive.world;
  const left = {
    date: started.toISOString().slice(0, 10),
    versions: versions(),
    options,
    edges: EDGES.length,
    shards: SHARDS,
    requests: client.requests,
    unavailable: client.unavailable,
    kinds: latencies(client.kinds),
    ends,
    served,
    flooded,
    delay_ms: latencies({ all: delays }, 1).all,
    findings: { counts: client.findings.counts, kept: client.findings.kept },
    store: { bytes: store },
    samples: watch.samples,
  };
  const save = () => writeFileSync(path.join(logs, "last.json"), JSON.stringify(left));
  save();
  Object.assign(left.store, counted(site.objects, people));
  save();
  search(site, people);
  site.close();
  return left;
}

// Throws where the store has something that opens a session, or a key.
function search(site, people) {
  const scan = new Scan();
  scan.knows("admin key", site.admin);
  scan.knows("gateway key", site.mac.toString("base64url"));
  for (const cookie of people.cookies()) scan.wasGiven(cookie.split("=").at(-1));
  scan.finish([site.objects]);
}

// Also of the group that Linux makes of a terminal's processes, where it does: in there a
// priority counts for nothing against those of other terminals.
function prioritise(nice) {
  if (nice === 0) return;
  setPriority(nice);
  try {
    writeFileSync("/proc/self/autogroup", String(nice));
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
}

async function stocked(site) {
  const began = performance.now();
  const client = new Client(site);
  for (const subject of firstSubjects()) await client.call(client.anyEdge(), "start", "POST", "sessions", { body: { subject }, wants: [201] });
  await client.close();
  await site.stop();
  if (client.findings.total > 0) throw new Error(`no first sessions: ${JSON.stringify(client.findings.kept)}`);
  const stock = new Stock(site.mac, options.sessions);
  fill(site.objects, stock, (written) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${written} sessions written`);
  });
  const mb = Math.round(bytesOf(site.objects).databases / 1e6);
  console.log(`${options.sessions} sessions in ${SHARDS} shards, ${mb} MB, in ${((performance.now() - began) / 1_000).toFixed(0)} s`);
  return stock;
}
