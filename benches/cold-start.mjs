// Time to the first byte of a cold isolate: the gateway and a bare JavaScript
// pass-through, each started anew in turn, in workerd itself, without wrangler,
// before the same origin. From the start of the process, so that loading the
// isolate counts. Prints medians and ranges in milliseconds.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { parse } from "smol-toml";
import workerd from "workerd";

const root = fileURLToPath(new URL("..", import.meta.url));
const project = parse(readFileSync(path.join(root, "wrangler.toml"), "utf8"));
const rounds = Number(process.argv[2] ?? 25);
const folder = mkdtempSync(path.join(tmpdir(), "warifu-cold-"));

const origin = http.createServer((_, response) => response.end("ok")).listen(0, "127.0.0.1");
await once(origin, "listening");
const originUrl = `http://127.0.0.1:${origin.address().port}`;

const bare = `export default { fetch: (r) => fetch(new Request("${originUrl}" + new URL(r.url).pathname, r)) }`;
writeFileSync(path.join(folder, "bare.js"), bare);
const keys = [{ kid: 1, key: Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url") }];
const text = JSON.stringify; // a JSON string is a Cap'n Proto string too
const embed = (file) => `embed ${text(file)}`;

const contenders = {
  bare: `modules = [(name = "index.js", esModule = ${embed("bare.js")})]`,
  warifu: `
    modules = [
      (name = "index.js", esModule = ${embed(path.relative(folder, path.join(root, "build/index.js")))}),
      (name = "index_bg.wasm", wasm = ${embed(path.relative(folder, path.join(root, "build/index_bg.wasm")))}),
    ],
    bindings = [
      (name = "WARIFU", json = ${text(text({ ...project.vars.WARIFU, origin: originUrl }))}),
      (name = "WARIFU_KEYS", text = ${text(text(keys))}),
      (name = "SESSIONS", durableObjectNamespace = "SessionObject"),
    ],
    durableObjectNamespaces = [(className = "SessionObject", uniqueKey = "sessions", enableSql = true)],
    durableObjectStorage = (inMemory = void)`,
};

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

function get(port) {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: "127.0.0.1", port, path: "/", agent: false }, (answer) => {
      const at = performance.now();
      answer.resume();
      answer.on("end", () => (answer.statusCode === 200 ? resolve(at) : reject(new Error(`status ${answer.statusCode}`))));
    });
    request.on("error", reject);
  });
}

async function measure(name) {
  const port = await freePort();
  const config = path.join(folder, `${name}.capnp`);
  writeFileSync(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (compatibilityDate = "${project.compatibility_date}", ${contenders[name]})),
    (name = "internet", network = (allow = ["private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
`,
  );
  const began = performance.now();
  const child = spawn(workerd.default ?? workerd, ["serve", "--control-fd=3", config], { stdio: ["ignore", "ignore", "inherit", "pipe"] });
  await once(child.stdio[3], "data"); // it says when it listens
  const listening = performance.now();
  const cold = await get(port);
  const warm = [];
  for (let i = 0; i < 9; i++) {
    const sent = performance.now();
    warm.push((await get(port)) - sent);
  }
  child.kill();
  await once(child, "exit");
  return { start: listening - began, first: cold - listening, whole: cold - began, warm: median(warm) };
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const of = (name, what) => results[name].map((result) => result[what]);
const show = (list) => `${median(list).toFixed(1)} (${Math.min(...list).toFixed(1)}–${Math.max(...list).toFixed(1)})`.padEnd(20);

const results = { bare: [], warifu: [] };
for (let round = 0; round < rounds; round++) {
  for (const name of Object.keys(results)) results[name].push(await measure(name));
}
console.log(`ms, median (range) of ${rounds} starts each, in turn`);
console.log("          process start       first byte after it  both                later requests");
for (const name of Object.keys(results)) {
  console.log(name.padEnd(10) + ["start", "first", "whole", "warm"].map((what) => show(of(name, what))).join(""));
}
console.log(`both, warifu - bare: ${(median(of("warifu", "whole")) - median(of("bare", "whole"))).toFixed(1)} ms`);
origin.close();
rmSync(folder, { recursive: true });
