// An application with sessions in Flask's own cookie gets the gateway while people are
// logged in: they stay so, and new ones log in as before. Only in CI, since it needs Python;
// scripts/setup ci installs what it imports.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";

import { parse } from "smol-toml";

import { Browser } from "../article/browser.mjs";
import { PASSWORD, codeOf } from "../article/doors.mjs";
import { COOKIE, client, root, start, until } from "../workerd/support/gateway.mjs";

const folder = path.join(root, "examples/flask-session");
const python = path.join(process.env.WARIFU_FLASK ?? "", "bin/python");

let flask, plain, gateway, lines;
before(async () => {
  codeOf("flask-session");
  lines = [];
  flask = spawn(python, ["-m", "flask", "--app", "app", "run", "--port", "0"], {
    cwd: folder,
    env: { ...process.env, PASSWORD, PYTHONDONTWRITEBYTECODE: "1" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  flask.once("error", (error) => (flask.failure = `${error.message}: run scripts/setup ci, and scripts/test verify-flask`));
  flask.stderr.setEncoding("utf8").on("data", (text) => lines.push(...text.split("\n")));
  let url;
  await until(() => {
    assert.equal(flask.failure, undefined);
    return (url = /Running on (http:\S+)/.exec(lines.join("\n"))?.[1]) !== undefined;
  }, "Flask says where it listens");
  plain = { fetch: client(url) };
  const table = parse(readFileSync(path.join(folder, "warifu.toml"), "utf8")).vars.WARIFU;
  gateway = await start({ table, origin: url });
});
after(async () => {
  await gateway?.close();
  flask?.kill();
});

const probes = () => lines.filter((line) => line.includes('"GET /api/me ')).length;

test("who is logged in stays so, and the application is asked once", async () => {
  const alice = await new Browser(plain).logIn("alice", PASSWORD);
  assert.deepEqual([...alice.cookies.keys()], ["session"]);
  const old = alice.copy();
  alice.door = gateway;
  const before = probes();
  const answers = await Promise.all(Array.from({ length: 20 }, () => alice.send("GET", "/")));
  for (const { status, text } of answers) assert.deepEqual([status, /alice, you have/.test(text)], [200, true]);
  assert.equal(probes() - before, 1);
  assert.deepEqual([...alice.cookies.keys()], [COOKIE], "the old cookie has gone");
  assert.equal((await alice.transfer("bob", 1)).status, 303);
  await alice.send("POST", "/logout");
  assert.equal(await alice.isIn(), false);
  old.door = gateway;
  assert.equal(await old.isIn(), false, "a copy of the old cookie is over with the session");
});

test("who logs in from now on gets no cookie of the application's", async () => {
  const bob = await new Browser(gateway).logIn("bob", PASSWORD);
  assert.deepEqual([...bob.cookies.keys()], [COOKIE]);
  assert.equal(await bob.isIn(), true);
  const copy = bob.copy();
  await bob.send("POST", "/logout");
  assert.deepEqual([...bob.cookies.keys()], []);
  assert.deepEqual([await bob.isIn(), await copy.isIn()], [false, false]);
  await assert.rejects(new Browser(gateway).logIn("bob", "wrong"), /401/);
});
