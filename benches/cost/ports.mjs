// Processes of a run, and the ports of this machine that they listen on.
import { once } from "node:events";
import net from "node:net";

export async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

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
