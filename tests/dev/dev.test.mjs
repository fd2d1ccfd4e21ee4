// `make dev` as a person uses it: the real command, on free ports.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { networkInterfaces } from "node:os";
import path from "node:path";
import { test } from "node:test";

import { dev, folder, ports, send } from "./support.mjs";

// Where the processors are shared with other tests, it says less about the second start.
const READY_MS_MAX = process.env.CI === "true" ? 60_000 : 15_000;

// The process below `ancestor` that was started as this.
function descendant(ancestor, command) {
  const listed = execFileSync("ps", ["-axo", "pid=,ppid=,args="], { encoding: "utf8" });
  const processes = listed.split("\n").map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line)?.slice(1)).filter(Boolean);
  const isBelow = (pid) => pid === ancestor || (pid > 1 && isBelow(Number(processes.find(([p]) => Number(p) === pid)?.[1] ?? 0)));
  const [pid] = processes.find(([p, , args]) => args.includes(command) && isBelow(Number(p)));
  return Number(pid);
}

// Not so once it has ended, though nobody has asked yet what it ended with.
function isRunning(pid) {
  const listed = execFileSync("ps", ["-axo", "pid=,stat="], { encoding: "utf8" });
  return new RegExp(`^\\s*${pid}\\s+[^Z\\s]`, "m").test(listed);
}

// Addresses of this machine that a server on 127.0.0.1 alone does not have. On Linux all of 127.0.0.0/8 is
// there; elsewhere it takes those by which others reach the machine.
const otherAddresses = () =>
  process.platform === "linux"
    ? ["127.0.0.2"]
    : Object.values(networkInterfaces()).flat().filter(({ internal, scopeid }) => !internal && !scopeid).map(({ address }) => address);

// What comes of connecting there: "connect", or the error's code.
async function knock(host, port) {
  const socket = net.connect({ host, port, timeout: 5_000 });
  socket.on("timeout", () => socket.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" })));
  const outcome = once(socket, "connect").then(() => "connect", ({ code }) => code);
  return outcome.finally(() => socket.destroy());
}

async function isFree(port) {
  const server = net.createServer();
  server.listen(port, "127.0.0.1");
  return Promise.race([
    once(server, "listening").then(() => new Promise((resolve) => server.close(() => resolve(true)))),
    once(server, "error").then(() => false),
  ]).catch(() => false);
}

test("from the start to a log-in, and over a restart", async () => {
  let running = dev();
  try {
    await running.ready;
    for (const hint of [`http://127.0.0.1:${ports.PORT}`, `http://localhost:${ports.PORT}/_warifu/console/`, `http://127.0.0.1:${ports.STORY_PORT}/`, "alice", "correct horse battery staple", "Safari takes no Secure cookie over http"]) {
      assert.ok(running.output().includes(hint), `it says ${hint}`);
    }
    const login = await send("/login", {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: "username=alice&password=correct+horse+battery+staple",
    });
    const [setCookie] = login.headers["set-cookie"];
    assert.match(setCookie, /^__Host-Http-warifu=[\w-]{72}; Path=\/; Secure; HttpOnly; SameSite=Lax/);
    const cookie = setCookie.split(";")[0];
    assert.equal(JSON.parse((await send("/api/me", { headers: { cookie } })).text).subject, "alice");
    const page = await send("/_warifu/console/", { headers: { host: `localhost:${ports.PORT}` } });
    assert.equal(page.status, 200, "the console is where it says");
    assert.equal((await send("/_warifu/shared/vendor/uplot.js")).status, 200, "with what the build has put there");

    await running.stop("SIGINT");
    for (const port of Object.values(ports)) assert.ok(await isFree(port), `nothing is left on ${port}`);

    running = dev();
    const took = await running.ready;
    assert.ok(took < READY_MS_MAX, `the second start took ${took} ms`);
    assert.equal((await send("/api/me", { headers: { cookie } })).status, 200, "the session is still live");
    await send("/_warifu/logout", { method: "POST", headers: { cookie } });
    assert.equal((await send("/api/me", { headers: { cookie } })).status, 401);
  } finally {
    await running.stop("SIGTERM");
  }
  for (const port of Object.values(ports)) assert.ok(await isFree(port), `nothing is left on ${port}`);
});

test("nobody else's machine reaches it", async () => {
  const running = dev();
  try {
    await running.ready;
    for (const port of Object.values(ports)) {
      assert.equal(await knock("127.0.0.1", port), "connect");
      for (const host of otherAddresses()) assert.equal(await knock(host, port), "ECONNREFUSED", `${host}:${port}`);
    }
  } finally {
    await running.stop();
  }
});

test("the story: its bank is a second site of the gateway, and what is reported there is refused", async () => {
  const running = dev();
  try {
    await running.ready;
    const story = `http://127.0.0.1:${ports.STORY_PORT}`;
    const events = http.get(`${story}/events`, { agent: false });
    const [stream] = await once(events, "response");
    // The first transfer on the right that came to this.
    const transferOf = async (outcome) => {
      let text = "";
      for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
        text += chunk;
        for (const [, data] of text.matchAll(/^event: side\ndata: (.*)$/gm)) {
          const { name, transfer } = JSON.parse(data);
          if (name === "guarded" && transfer?.outcome === outcome) return transfer;
        }
      }
      throw new Error("the events ended");
    };
    const press = async (where) => (await send(`${story}${where}`, { method: "POST", headers: { "sec-fetch-site": "same-origin" } })).status;
    assert.equal(await press("/begin"), 204);
    assert.equal((await transferOf("taken")).status, 303);
    assert.equal(await press("/not-me"), 204);
    assert.equal((await transferOf("refused")).status, 401);
    await running.says(/POST \/_warifu\/me\/not-me 200/);
    assert.equal((await send("/login", { headers: { host: `story.localhost:${ports.PORT}` } })).status, 200, "for a browser too");
    events.destroy();
  } finally {
    await running.stop();
  }
});

test("if one of them dies it says which, and ends the others, with their banks", async () => {
  for (const name of ["exchange", "story"]) {
    const running = dev();
    await running.ready;
    const story = descendant(running.pid, "story/server.mjs");
    const begun = await send(`http://127.0.0.1:${ports.STORY_PORT}/begin`, { method: "POST", headers: { "sec-fetch-site": "same-origin" } });
    assert.equal(begun.status, 204);
    const bank = descendant(story, "jwt-express/server.mjs");
    assert.ok(bank > 0, "a bank is there");
    process.kill(descendant(running.pid, `${name}/server.mjs`), "SIGKILL");
    assert.notEqual(await running.ended, 0);
    assert.match(running.output(), new RegExp(`warifu: the ${name} ended`));
    for (const port of Object.values(ports)) assert.ok(await isFree(port), `nothing is left on ${port}`);
    assert.ok(!isRunning(bank), "nor of the bank");
  }
});

test("a port that is taken is named, with the variable to change", async () => {
  const taken = net.createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const port = String(taken.address().port);
  for (const variable of ["PORT", "ORIGIN_PORT", "STORY_PORT"]) {
    const running = dev({ [variable]: port });
    assert.notEqual(await running.ended, 0);
    assert.match(running.output(), new RegExp(`^warifu: port ${port} is taken .* with ${variable}=`, "m"));
  }
  taken.close();
});

test("CONFIG takes the gateway's table from another file", async () => {
  const origin = http.createServer((request, response) => response.end(`theirs ${request.url}`)).listen(0, "127.0.0.1");
  await once(origin, "listening");
  const file = path.join(folder, "mine.toml");
  writeFileSync(
    file,
    `[vars.WARIFU]\norigin = "http://127.0.0.1:${origin.address().port}"\n[[vars.WARIFU.routes]]\npath = "/*"\naccess = "public"\n`,
  );
  const running = dev({ CONFIG: file });
  try {
    await running.ready;
    assert.equal((await send("/x?y")).text, "theirs /x?y");
    assert.ok(await isFree(ports.ORIGIN_PORT), "the exchange is not started");
    assert.ok(await isFree(ports.STORY_PORT), "nor the story");
  } finally {
    await running.stop();
    origin.close();
  }
});

test("a bad configuration is shown key by key", async () => {
  const file = path.join(folder, "bad.toml");
  writeFileSync(file, '[vars.WARIFU]\norigin = "http://127.0.0.1:9"\norign = "x"\nidle_timeout = "30"\n');
  const running = dev({ CONFIG: file });
  try {
    await running.ready;
    await running.says(/^ +orign: unknown key/m);
    await running.says(/^ +idle_timeout: found "30"/m);
    assert.equal((await send("/")).status, 500);
  } finally {
    await running.stop();
  }
});

test("a gateway that would be its own origin is refused", async () => {
  const file = path.join(folder, "loop.toml");
  for (const origin of ["", `origin = "http://127.0.0.1:${ports.PORT}"\n`]) {
    writeFileSync(file, `[vars.WARIFU]\n${origin}`);
    const running = dev({ CONFIG: file });
    assert.notEqual(await running.ended, 0);
    assert.match(running.output(), /origin/);
  }
});

test("a CONFIG that cannot be read is one clear line", async () => {
  const broken = path.join(folder, "broken.toml");
  writeFileSync(broken, "[vars.WARIFU\n");
  for (const file of [path.join(folder, "missing.toml"), broken]) {
    const running = dev({ CONFIG: file });
    assert.notEqual(await running.ended, 0);
    assert.ok(running.output().includes(path.basename(file)), running.output());
    assert.ok(!/\n\s+at /.test(running.output()), "no stack");
  }
});
