// Processes of a run: that they end with it, when they are there, and what they have used.
import { once } from "node:events";
import { readFileSync, readdirSync } from "node:fs";

import workerd from "workerd";

// The platform's binary itself. The package's launcher would be a process in between, which a
// SIGKILL leaves without its child.
export const binary = workerd.default ?? workerd;

const children = [];
process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));

// A process that does not outlive this one, whatever becomes of it.
export function follow(child) {
  children.push(child);
  return child;
}

// Resolves once the condition holds.
export async function until(condition, what, seconds = 20) {
  const deadline = Date.now() + seconds * 1_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// Resolves once a workerd, started with --control-fd=3, listens on all of these sockets: with the
// port of each. "inspector" is that of its debugger.
export async function listening(child, sockets) {
  const ports = {};
  let rest = "";
  for await (const chunk of child.stdio[3]) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop();
    for (const line of lines.filter((line) => line !== "")) {
      const { event, socket, port } = JSON.parse(line);
      ports[event === "listen-inspector" ? "inspector" : socket] = port;
    }
    if (sockets.every((name) => name in ports)) return ports;
  }
  const hasEnded = child.exitCode !== null || child.signalCode !== null;
  if (!hasEnded) await once(child, "exit");
  throw new Error(`workerd ended with ${child.exitCode ?? child.signalCode}`);
}

// Nanoseconds of processor time, user and system, of all threads.
export function cpuOf(pid) {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).reduce((sum, task) => sum + Number(readFileSync(`${tasks}/${task}/schedstat`, "utf8").split(" ")[0]), 0);
}
