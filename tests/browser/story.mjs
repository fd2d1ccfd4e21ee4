// The story with its real parts: the application twice, the gateway before one of them, and the
// process that plays it.
import { spawn, execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";

import { parse } from "smol-toml";

import { freePort } from "../../scripts/dev/ports.mjs";
import { PASSWORD, client, root, start } from "../workerd/support/gateway.mjs";

const OWN = { "sec-fetch-site": "same-origin" };

export async function startStory({ accessSeconds }) {
  const ports = { story: await freePort(), plain: await freePort(), guarded: await freePort() };
  const table = parse(readFileSync(path.join(root, "examples/jwt-express/warifu.toml"), "utf8")).vars.WARIFU;
  const gateway = await start({ build: "build", table, origin: `http://127.0.0.1:${ports.guarded}` });
  const { host, port } = new URL(gateway.url);
  const child = spawn(process.execPath, [path.join(root, "examples/story/server.mjs")], {
    env: {
      ...process.env,
      STORY_PORT: String(ports.story),
      PLAIN_PORT: String(ports.plain),
      GUARDED_PORT: String(ports.guarded),
      GATEWAY_PORT: port,
      GATEWAY_HOST: host,
      ACCESS_SECONDS: String(accessSeconds),
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  await Promise.race([
    once(child.stdout, "data"),
    once(child, "exit").then(([code]) => Promise.reject(new Error(`the story ended with ${code}`))),
  ]);
  const url = `http://127.0.0.1:${ports.story}`;
  const ask = client(url);
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill();
    await once(child, "exit");
  };
  return {
    url,
    ports,
    gateway,
    ask,
    press: (where) => ask(where, { method: "POST", headers: OWN }),
    /** All that it says of itself. */
    async state() {
      const answer = await ask("/events");
      let text = "";
      for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        if (text.includes("\n\n")) break; // which closes the stream
      }
      return JSON.parse(/^data: (.*)$/m.exec(text)[1]);
    },
    /** What the application says of somebody who logs in at it, past the story and the gateway. */
    async balanceOf(name, side) {
      const bank = client(`http://127.0.0.1:${ports[side]}`);
      const login = await bank("/login", { method: "POST", body: new URLSearchParams({ username: name, password: PASSWORD }) });
      const cookie = login.headers.getSetCookie().map((one) => one.split(";")[0]).join("; ");
      return (await (await bank("/api/me", { headers: { cookie } })).json()).balance;
    },
    /** Kills the process of a bank as a crash would. */
    crash(side) {
      const listed = execFileSync("ps", ["-o", "pid=", "--ppid", String(child.pid)], { encoding: "utf8" }).trim().split(/\s+/);
      const pid = listed.find((pid) => readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`PORT=${ports[side]}`));
      process.kill(Number(pid), "SIGKILL");
    },
    kill,
    async close() {
      await kill();
      await gateway.close();
    },
  };
}
