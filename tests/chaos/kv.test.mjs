// A KV that never answers: whoever comes is answered all the same, and who writes there waits for
// nobody. Reported by the room "stores out of reach", in which such a request waited for ever.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { History } from "./history.mjs";
import { Chance } from "./support/chance.mjs";
import { People } from "./support/people.mjs";
import { BOUND_MS, Site } from "./support/site.mjs";

let site, people;
before(async () => {
  site = await Site.open();
  people = new People(site, new History({ bound: BOUND_MS }), new Chance("kv"));
});
after(() => site?.close());

test("an edge that reads KV asks the session's object after half a second", { timeout: 60_000 }, async () => {
  const edge = "edge-2";
  const known = await people.start({ via: "mint", edge });
  // It reads KV once it has heard of the feed.
  for (const before = site.kv.asked; site.kv.asked === before; ) assert.equal((await people.check(known, { edge })).status, 200);
  site.kv.be("hangs");
  const waited = [];
  for (const asked = site.kv.asked; site.kv.asked < asked + 3; ) {
    const session = await people.start({ via: "mint", edge: "edge-1" });
    const { status, sent, answered } = await people.check(session, { edge });
    assert.equal(status, 200);
    waited.push(answered - sent);
  }
  assert.ok(Math.max(...waited) >= 500, `${waited}: nobody has waited for KV, or nothing was tested`);
  assert.ok(Math.max(...waited) < 3_000, `${waited}: somebody has waited for KV for longer`);
});
