// The argument of the article, scenario by scenario: on an application that keeps its
// sessions in JWTs, and on the very same behind the gateway. Each fails there and holds
// here. With WARIFU_WRITE=1 what was seen goes into docs/article.md; without, it must be
// what stands there.
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { codeOf, guardedDoor, plainDoor } from "./doors.mjs";
import { scenarios } from "./scenarios.mjs";
import { scenario as storage } from "./storage.mjs";
import { table, write, written } from "./table.mjs";

const all = [...scenarios, storage].map((scenario) => ({ example: "jwt-express", ...scenario }));
const opened = new Map();
after(() => Promise.all([...opened.values()].map(async (doors) => Promise.all((await doors).map((door) => door.close())))));

// The two doors of an application; scenarios that need nothing of their own share them.
function doorsOf({ example, key, library }) {
  const name = `${example} ${key} ${library}`;
  const options = { key, library };
  if (!opened.has(name)) opened.set(name, Promise.all([plainDoor(example, options), guardedDoor(example, options)]));
  return opened.get(name);
}

const rows = [];
const hashes = {};
for (const scenario of all) {
  test(scenario.name, async () => {
    const [plain, guarded] = await doorsOf(scenario);
    assert.equal(plain.code, guarded.code, "one and the same code");
    hashes[scenario.example] = guarded.code;
    const [bare, held] = await Promise.all([scenario.run(plain), scenario.run(guarded)]);
    rows.push({ name: scenario.name, plain: bare, guarded: held });
    assert.ok(held.holds, `behind the gateway: ${held.saw}`);
    assert.ok(!bare.holds, `as it is: ${bare.saw}`);
  });
}

test("docs/article.md says what has happened", () => {
  for (const [example, hash] of Object.entries(hashes)) assert.equal(codeOf(example), hash, "unchanged to the end");
  assert.equal(rows.length, all.length);
  const made = table(rows, hashes);
  if (process.env.WARIFU_WRITE) write(made);
  assert.equal(written(), made, "run make article");
});
