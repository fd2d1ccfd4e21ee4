// The command finds what is planted, on the real platform: each of the three guarantees is
// broken once, and it says so, shows the history of the session concerned, and fails.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = (file) => fileURLToPath(new URL(file, import.meta.url));

async function run(env) {
  const child = spawn(process.execPath, [here("run.mjs")], { env: { ...process.env, WARIFU_CHAOS_ROUNDS: "1", ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const text = Promise.all([child.stdout, child.stderr].map((stream) => stream.toArray()));
  const [code] = await once(child, "close");
  return { code, text: (await text).map((chunks) => Buffer.concat(chunks).toString()).join("\n") };
}

test("a disk that is set back: what was acknowledged is lost, and who was ended is back", async () => {
  const { code, text } = await run({ CHAOS_FAULTS: here("planted"), CHAOS_ONLY: "restored" });
  assert.equal(code, 1, text);
  assert.match(text, /FOUND lost: session /);
  assert.match(text, /FOUND resurrected: session /);
  assert.match(text, /its history[^\n]*\n +#\d+ round 1 [^\n]* start at edge-\d: done/);
  assert.match(text, /CHAOS_SEED=\d+ repeats the plan/);
});

test("an edge that does not see time pass: it accepts beyond the bound", async () => {
  const { code, text } = await run({ CHAOS_FAULTS: here("planted"), CHAOS_ONLY: "still" });
  assert.equal(code, 1, text);
  assert.match(text, /FOUND beyond: session [^,]+, \d+ ms beyond the bound/);
  assert.doesNotMatch(text, /FOUND (lost|resurrected|wrong)|shows nowhere/, "and nothing else");
});
