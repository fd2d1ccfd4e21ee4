// httpbin, served by gunicorn, as a process of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { root } from "../workerd/support/gateway.mjs";

export const here = path.join(root, "tests/httpbin");
const venv = process.env.WARIFU_HTTPBIN ?? "";
export const python = path.join(venv, "bin/python");

// Where scripts/setup has unpacked requests, whose tests these are.
const pinned = readFileSync(path.join(here, "suite.txt"), "utf8").match(/^requests==(\S+)/m)[1];
export const suite = path.join(venv, `requests-${pinned}`);

export async function startHttpbin() {
  const folder = mkdtempSync(path.join(tmpdir(), "warifu-httpbin-"));
  const file = path.join(folder, "seen");
  const forget = () => writeFileSync(file, "");
  forget();
  const child = spawn(path.join(venv, "bin/gunicorn"), ["--config", "origin.py", "--bind", "127.0.0.1:0", "origin:app"], {
    cwd: here,
    env: { ...process.env, WARIFU_SEEN: file, PYTHONDONTWRITEBYTECODE: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (log += text));
  const ended = new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(`it ended with ${code ?? signal}`));
  });
  const port = await Promise.race([
    (async () => {
      for (;;) {
        const said = /^port (\d+)$/m.exec(log);
        if (said !== null) return said[1];
        await once(child.stdout, "data");
      }
    })(),
    ended.then((why) => Promise.reject(new Error(`gunicorn: ${why}\n${log}`))),
  ]);
  return {
    url: `http://127.0.0.1:${port}`,
    forget,
    // The requests that it got, [by whom, request].
    seen: () => readFileSync(file, "utf8").trim().split("\n").map((line) => line.split(/ (.*)/).slice(0, 2)),
    async stop() {
      child.kill();
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}
