// The soak itself, for two minutes: SOAK_SECONDS and SOAK_SESSIONS make it longer and larger.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";

import { root } from "../../benches/support/project.mjs";

test("under load of all kinds every answer is what it has to be", async (t) => {
  const env = { SOAK_SECONDS: "120", SOAK_SESSIONS: "20000", ...process.env };
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", "benches/soak.mjs"], { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill());
  const output = [];
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (part) => output.push(part));
  const [code] = await once(child, "close");
  assert.equal(code, 0, output.join(""));
  for (const line of output.join("").split("\n")) if (line.startsWith("good ")) t.diagnostic(line);
});
