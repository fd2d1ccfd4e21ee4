// What the run looks like from outside, every few seconds: requests and their latency,
// processor time and memory of the processes, the heap of each isolate, and what the edges
// themselves have counted.
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";

import WebSocket from "ws";

import { cpuOf } from "../support/processes.mjs";
import { bytesOf } from "./fill.mjs";

// V8 collects garbage when it likes. What lives is known after it was made to.
const COLLECT_EVERY_MS = 30_000;

export class Watch {
  samples = [];
  #lag = monitorEventLoopDelay({ resolution: 10 });
  #collected = 0;

  constructor(site, client) {
    Object.assign(this, { site, client, began: performance.now(), isOver: false });
  }

  // Takes a sample every `every` ms, until stopped, and hands each to `each`.
  async run(every, each) {
    this.inspectors = await inspectorsOf(this.site.inspector);
    this.#lag.enable();
    this.client.takeInterval();
    let last = this.#counters();
    for (let due = performance.now() + every; !this.isOver; due += every) {
      await pause(Math.max(0, due - performance.now()));
      if (this.isOver) break;
      const now = this.#counters();
      const sample = await this.#sample(last, now);
      last = now;
      this.samples.push(sample);
      each(sample);
    }
    for (const { socket } of this.inspectors) socket.close();
  }

  stop() {
    this.isOver = true;
  }

  #counters() {
    return { at: performance.now(), machine: machineCpu(), workerd: cpuOf(this.site.child.pid), origin: cpuOf(this.site.nginx.pid), own: process.cpuUsage() };
  }

  async #sample(last, now) {
    const latencies = this.client.takeInterval();
    const span = now.at - last.at;
    const share = (nanos) => round(nanos / 1e6 / span, 3);
    const own = process.cpuUsage(last.own);
    const lag = this.#lag.max / 1e6;
    this.#lag.reset();
    const isDue = now.at - this.#collected >= COLLECT_EVERY_MS;
    if (isDue) this.#collected = now.at;
    const heap_mb = await this.#heaps(isDue); // before the process is looked at: without its garbage
    return {
      seconds: round((now.at - this.began) / 1_000, 1),
      per_second: round((latencies.totalCount / span) * 1_000, 1),
      p50_ms: round(latencies.getValueAtPercentile(50) / 1e3, 2),
      p99_ms: round(latencies.getValueAtPercentile(99) / 1e3, 2),
      max_ms: round(latencies.maxValue / 1e3, 1),
      workerd_cpu: share(now.workerd - last.workerd),
      origin_cpu: share(now.origin - last.origin),
      own_cpu: share((own.user + own.system) * 1e3),
      // Of all cores together, in cores: what anybody used.
      machine_cpu: share(now.machine - last.machine),
      own_lag_ms: round(lag, 1),
      ...memoryOf(this.site.child.pid),
      heap_mb,
      ...(await this.#metrics()),
      store_mb: Object.fromEntries(Object.entries(bytesOf(this.site.objects)).map(([name, bytes]) => [name, round(bytes / 1e6, 1)])),
      findings: this.client.findings.total,
    };
  }

  // By isolate: what its heap holds, after a collection where one was made, and the memory of WebAssembly beside it.
  async #heaps(collects) {
    const heaps = {};
    for (const { name, send, context } of this.inspectors) {
      if (collects) await send("HeapProfiler.collectGarbage");
      const { usedSize, totalSize } = await send("Runtime.getHeapUsage");
      heaps[name] = { used: mb(usedSize), total: mb(totalSize), collected: collects, ...(collects ? { wasm: mb(await wasmOf(send, context)) } : {}) };
    }
    return heaps;
  }

  // What each edge has counted: docs/operations/metrics.md.
  async #metrics() {
    const of = {};
    for (const edge of this.client.edges) {
      const { text, isRight } = await this.client.ask(edge, "metrics", {
        path: "/_warifu/metrics",
        headers: { authorization: `Bearer ${this.client.admin}` },
      });
      if (!isRight) continue;
      const value = (name) => {
        const found = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))];
        return found.length === 0 ? undefined : found.reduce((sum, [, number]) => sum + Number(number), 0);
      };
      of[edge.name] = {
        feed_age: value("warifu_feed_age_seconds"),
        kills: value("warifu_kill_delay_seconds_count"),
        kill_delay_sum: value("warifu_kill_delay_seconds_sum"),
        cached: value("warifu_cached_verdicts"),
        cached_mb: mb(value("warifu_cached_bytes")),
        dead: value("warifu_cached_dead"),
        feed_entries: value("warifu_feed_entries"),
        evictions: value("warifu_evictions_total"),
        store_failures: value("warifu_store_failures_total"),
        poll_failures: value("warifu_poll_failures_total"),
        checks: value("warifu_checks_total"),
        bad_macs: value("warifu_bad_macs_total"),
        limited: value("warifu_limited_total"),
      };
    }
    return { edges: of };
  }
}

const round = (number, digits) => Number(number.toFixed(digits));
const mb = (bytes) => (bytes === undefined ? undefined : round(bytes / 1e6, 3));

// Nanoseconds of processor time, of all processes of the machine.
function machineCpu() {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) * 1e6;
}

// Of workerd: all that is resident, and of that what is no file's.
function memoryOf(pid) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const of = (name) => round(Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)[1]) / 1_024, 1);
  return { rss_mib: of("VmRSS"), anonymous_mib: of("RssAnon") };
}

// Bytes of the memories of WebAssembly in an isolate, which are outside of its heap.
async function wasmOf(send, context) {
  const objectGroup = "memories";
  // It says which context there is, and then sends all lines of the log: so not for long.
  await send("Runtime.enable");
  const { result: prototype } = await send("Runtime.evaluate", { expression: "WebAssembly.Memory.prototype", contextId: context(), objectGroup });
  const { objects } = await send("Runtime.queryObjects", { prototypeObjectId: prototype.objectId, objectGroup });
  const { result } = await send("Runtime.callFunctionOn", {
    objectId: objects.objectId,
    functionDeclaration: "function () { return this.reduce((sum, memory) => sum + memory.buffer.byteLength, 0) }",
  });
  await send("Runtime.releaseObjectGroup", { objectGroup });
  await send("Runtime.disable");
  return result.value;
}

// A connection to the debugger of each isolate.
async function inspectorsOf(host) {
  const targets = await (await fetch(`http://${host}/json`)).json();
  return Promise.all(
    targets.map(async ({ id, webSocketDebuggerUrl }) => {
      const socket = new WebSocket(webSocketDebuggerUrl);
      const waiting = new Map();
      let contextId;
      socket.on("message", (data) => {
        const { id, result, error, method, params } = JSON.parse(data);
        if (method === "Runtime.executionContextCreated") contextId = params.context.id;
        const call = waiting.get(id);
        waiting.delete(id);
        if (error) call?.reject(new Error(`the debugger: ${error.message}`));
        else call?.resolve(result);
      });
      await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
      let serial = 0;
      const send = (method, params = {}) =>
        new Promise((resolve, reject) => {
          waiting.set((serial += 1), { resolve, reject });
          socket.send(JSON.stringify({ id: serial, method, params }));
        });
      return { name: id, socket, send, context: () => contextId };
    }),
  );
}
