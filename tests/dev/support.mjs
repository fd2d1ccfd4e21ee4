// `make dev`, started on free ports for the tests of one file, and what it prints, answers and stores searched for
// secrets when they are done.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";

import { freePort } from "../../scripts/dev/ports.mjs";
import { Scan } from "../scan/scan.mjs";

export const root = fileURLToPath(new URL("../../", import.meta.url));

export let folder, ports;
let scan, dial;
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "warifu-dev-"));
  ports = { PORT: String(await freePort()), ORIGIN_PORT: String(await freePort()), STORY_PORT: String(await freePort()) };
  scan = new Scan();
  ({ dial } = await scan.before(Number(ports.PORT)));
});
// What it has printed, answered and stored has no secret; the keys are those that it has made.
after(() => {
  const key = (file, pattern) => pattern.exec(readFileSync(path.join(root, file), "utf8"))[1];
  scan.knows("admin key", key(".warifu/dev-admin-key", /^([\w-]{43})\n?$/));
  scan.knows("gateway key", key(".dev.vars", /^WARIFU_KEYS='.*?"key":"([\w-]{43})"/m));
  try {
    scan.finish([path.join(folder, "state")]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

// Starts it without a terminal. `ready` resolves with the milliseconds it took.
export function dev(env = {}, cwd = root) {
  const began = performance.now();
  const child = spawn("make", ["--silent", "dev"], {
    cwd,
    env: { ...process.env, ...ports, STATE: path.join(folder, "state"), ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let output = "";
  const ended = once(child, "exit").then(([code]) => code);
  const ready = new Promise((resolve, reject) => {
    const read = (chunk) => {
      output += chunk;
      scan.saw("what make dev prints", chunk);
      if (/^ready$/m.test(output)) resolve(performance.now() - began);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    ended.then((code) => reject(new Error(`ended with ${code}:\n${output}`)));
  });
  ready.catch(() => {});
  // Resolves once the output matches; the log may come a moment after the answer.
  const says = async (pattern) => {
    const aborts = AbortSignal.timeout(10_000);
    while (!pattern.test(output)) await once(child.stdout, "data", { signal: aborts });
  };
  const stop = async (signal = "SIGINT") => {
    if (child.exitCode === null) process.kill(-child.pid, signal); // as a terminal does: to the whole group
    await ended;
  };
  return { ready, ended, stop, says, pid: child.pid, output: () => output };
}

const url = (where) => new URL(where, `http://127.0.0.1:${ports.PORT}`);

export async function send(where, { method = "GET", headers = {}, body } = {}) {
  const to = url(where);
  // The story's page is no gateway.
  const request = http.request(to, { method, headers, ...(to.port === ports.PORT ? { createConnection: dial } : { agent: false }) });
  request.end(body);
  const [answer] = await once(request, "response");
  let text = "";
  for await (const chunk of answer) text += chunk;
  return { status: answer.statusCode, headers: answer.headers, text };
}
