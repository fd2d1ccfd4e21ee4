// Time to the first byte of a cold isolate: the gateway and a bare JavaScript
// pass-through, each started anew in turn, in workerd itself, without wrangler,
// before the same origin. From the start of the process, so that loading the
// isolate counts. Prints medians and ranges in milliseconds.
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";

import { startWorkerd } from "./cost/workerd.mjs";
import { project, root } from "./support/project.mjs";
import { median } from "./support/statistics.mjs";

const rounds = Number(process.argv[2] ?? 25);
const folder = mkdtempSync(path.join(tmpdir(), "warifu-cold-"));

const origin = http.createServer((_, response) => response.end("ok")).listen(0, "127.0.0.1");
await once(origin, "listening");
const originUrl = `http://127.0.0.1:${origin.address().port}`;

const bare = `export default { fetch: (r) => fetch(new Request("${originUrl}" + new URL(r.url).pathname, r)) }`;
writeFileSync(path.join(folder, "bare.js"), bare);
const keys = [{ kid: 1, key: Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url") }];

const contenders = {
  bare: { modules: { "index.js": path.join(folder, "bare.js") } },
  warifu: {
    modules: { "index.js": path.join(root, "build/index.js"), "index_bg.wasm": path.join(root, "build/index_bg.wasm") },
    bindings: { WARIFU: { ...project.vars.WARIFU, origin: originUrl }, WARIFU_KEYS: JSON.stringify(keys) },
    objects: true,
  },
};

// Milliseconds until the first byte of an answer of 200.
function get(url) {
  const sent = performance.now();
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent: false }, (answer) => {
      const took = performance.now() - sent;
      answer.resume();
      answer.on("end", () => (answer.statusCode === 200 ? resolve(took) : reject(new Error(`status ${answer.statusCode}`))));
    });
    request.on("error", reject);
  });
}

async function measure(name) {
  const { url, took: start, stop } = await startWorkerd(folder, { name, ...contenders[name] });
  const first = await get(url);
  const warm = [];
  for (let i = 0; i < 9; i++) warm.push(await get(url));
  await stop();
  return { start, first, whole: start + first, warm: median(warm) };
}

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
