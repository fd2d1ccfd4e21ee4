// What one more isolate costs: workerd's CPU from loading it through its first answer,
// and its memory, of the gateway and of a bare JavaScript pass-through. One process
// serves N copies of the same Worker, each of which answers one request for a public
// page; the slope over N leaves out what a process costs once. Prints the slopes, and
// their ratio; with --check, fails where that is over the limit in .ci/limits.tsv.
//
// V8 shares the code of a module among all isolates of a process that load the very
// same bytes. In production an isolate rarely has such a neighbour, so each copy here
// has a custom section of its own, and is compiled anew.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";

import workerd from "workerd";

import { writeConfiguration } from "./support/capnp.mjs";
import { binary, cpuOf, listening } from "./support/processes.mjs";
import { project, root } from "./support/project.mjs";
import { median } from "./support/statistics.mjs";

const COUNTS = [1, 8, 15, 22];

const { values: options } = parseArgs({
  options: {
    check: { type: "boolean", default: false },
    rounds: { type: "string", default: "7" },
    build: { type: "string", default: "build" },
  },
});
const build = path.resolve(root, options.build);
const rounds = Number(options.rounds);
const folder = mkdtempSync(path.join(tmpdir(), "warifu-isolates-"));

const origin = http.createServer((_, response) => response.end("ok")).listen(0, "127.0.0.1");
await once(origin, "listening");
const originUrl = `http://127.0.0.1:${origin.address().port}`;

writeFileSync(
  path.join(folder, "bare.js"),
  `export default { fetch: (r) => fetch(new Request("${originUrl}" + new URL(r.url).pathname, r)) }`,
);
const keys = [{ kid: 1, key: Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url") }];
const wasms = readdirSync(build).filter((name) => name.endsWith(".wasm"));

// The file with a custom section (WebAssembly Core, 5.5.3) that no other copy has.
function copyOf(name, worker) {
  const file = path.join(folder, `${worker}-${name}`);
  const label = Buffer.from(`\u0004copy${worker.padStart(8)}`);
  const bytes = readFileSync(path.join(build, name));
  writeFileSync(file, Buffer.concat([bytes.subarray(0, 8), Buffer.from([0, label.length]), label, bytes.subarray(8)]));
  return file;
}

const modulesOf = (worker) => ({ "index.js": path.join(build, "index.js"), ...Object.fromEntries(wasms.map((name) => [name, copyOf(name, worker)])) });
const bindings = { WARIFU: { ...project.vars.WARIFU, origin: originUrl }, WARIFU_KEYS: JSON.stringify(keys) };

const contenders = {
  bare: (name) => ({ name, modules: { "index.js": path.join(folder, "bare.js") } }),
  warifu: (name) => ({ name, modules: modulesOf(name), bindings, objects: "objects" }),
};

// The objects live elsewhere, in production as here: one isolate has them all, and is
// no part of the slope.
const objects = () => ({ name: "objects", modules: modulesOf("objects"), bindings, objects: true });

const namesOf = (count) => Array.from({ length: count }, (_, number) => `worker${number}`);

function get(port) {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: "127.0.0.1", port, path: "/", agent: false }, (answer) => {
      answer.resume();
      answer.on("end", () => (answer.statusCode === 200 ? resolve() : reject(new Error(`status ${answer.statusCode}`))));
    });
    request.on("error", reject);
  });
}

// In MB, what is its own.
function memoryOf(pid) {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const of = (name) => Number(new RegExp(`^${name}: +(\\d+) kB`, "m").exec(rollup)[1]);
  return (of("Private_Clean") + of("Private_Dirty")) / 1e3;
}

// The encoded configuration of so many of them.
function configOf(name, count) {
  const config = path.join(folder, `${name}-${count}.capnp`);
  const sockets = namesOf(count);
  writeConfiguration(config, { workers: [...sockets.map(contenders[name]), ...(name === "warifu" ? [objects()] : [])], sockets });
  const encoded = `${config}.bin`;
  const output = openSync(encoded, "w");
  execFileSync(binary, ["compile", "--config-only", config], { stdio: ["ignore", output, "inherit"] });
  closeSync(output);
  return encoded;
}

async function measure(name, count) {
  const command = ["serve", "--binary", "--control-fd=3", encoded[name][count]];
  const child = spawn(binary, command, { stdio: ["ignore", "ignore", "inherit", "pipe"] });
  try {
    const ports = await listening(child, namesOf(count));
    for (const worker of namesOf(count)) await get(ports[worker]);
    return { count, cpu: cpuOf(child.pid) / 1e6, memory: memoryOf(child.pid) };
  } finally {
    child.kill();
    await once(child, "exit");
  }
}

// Least squares.
function slope(points, what) {
  const mean = (of) => points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean((point) => point.count), mean((point) => point[what])];
  return mean((p) => (p.count - x) * (p[what] - y)) / mean((p) => (p.count - x) ** 2);
}

const show = (list, digits) =>
  `${median(list).toFixed(digits)} (${Math.min(...list).toFixed(digits)}–${Math.max(...list).toFixed(digits)})`;

const encoded = {};
for (const name of Object.keys(contenders)) {
  encoded[name] = Object.fromEntries(COUNTS.map((count) => [count, configOf(name, count)]));
}
const slopes = { bare: [], warifu: [] };
try {
  for (let round = 0; round < rounds; round++) {
    const points = { bare: [], warifu: [] };
    for (const count of COUNTS) {
      for (const name of Object.keys(points)) points[name].push(await measure(name, count));
    }
    for (const name of Object.keys(points)) {
      slopes[name].push({ cpu: slope(points[name], "cpu"), memory: slope(points[name], "memory") });
    }
  }
} finally {
  origin.close();
  rmSync(folder, { recursive: true });
}

console.log(`one more isolate, from load through its first answer; slopes over ${COUNTS.join(", ")} isolates,`);
console.log(`median (range) of ${rounds} rounds, workerd ${workerd.version}`);
console.log("          CPU, ms               memory, MB");
for (const [name, of] of Object.entries(slopes)) {
  const cell = (what, digits) => show(of.map((one) => one[what]), digits).padEnd(22);
  console.log(name.padEnd(10) + cell("cpu", 2) + cell("memory", 2));
}
const [gateway, bare] = [slopes.warifu, slopes.bare].map((of) => median(of.map((one) => one.cpu)));
const ratio = gateway / bare;
console.log(`CPU, warifu / bare: ${ratio.toFixed(2)}`);
if (options.check) {
  const limits = readFileSync(path.join(root, ".ci/limits.tsv"), "utf8");
  const limit = Number(/^isolate_cpu_ratio\t([\d.]+)$/m.exec(limits)[1]);
  // Of what was not measured nothing is over a limit: neither NaN is, nor what is negative.
  if (!(gateway > 0 && bare > 0)) {
    console.error(`nothing was measured: one more isolate took ${gateway} ms of CPU, and a bare one ${bare} ms`);
    process.exitCode = 1;
  } else if (ratio > limit) {
    console.error(`an isolate costs ${ratio.toFixed(2)} times the bare one, more than the ${limit} of .ci/limits.tsv`);
    process.exitCode = 1;
  }
}
