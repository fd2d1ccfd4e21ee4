// A shard does what its model does on workerd's own SQLite too: sequences of
// tests/model, run by an object on its own database.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { start } from "./support/gateway.mjs";

const SEQUENCES = 300;
const AT_ONCE = 25; // an object has ten seconds for an answer

let gateway;
before(async () => (gateway = await start()));
after(() => gateway.close());

test(`${SEQUENCES} random sequences`, async () => {
  for (let first = 0; first < SEQUENCES; first += AT_ONCE) {
    const answer = await gateway.fetch(`/_warifu/test/object-model/${first}/${AT_ONCE}`);
    assert.equal(answer.status, 200, `seeds from ${first} on`);
    const { model } = await answer.json();
    assert.equal(model, String(AT_ONCE), model);
  }
});

test("the object answers probes as before", async () => {
  assert.equal((await gateway.fetch("/_warifu/health")).status, 200);
  assert.doesNotMatch(gateway.logs(), /sweep_failed|panicked/);
});
