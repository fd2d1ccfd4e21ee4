// What people take for published, though no receipt says so.
import assert from "node:assert/strict";
import { test } from "node:test";

import { People } from "./support/people.mjs";

test("an end that began while the feed could not be told is not taken for published", () => {
  const people = new People();
  const now = () => ({ sent: performance.now() });
  const inTime = now();
  assert.ok(people.isFeedSoundFor(inTime));
  people.isFeedSound = false;
  const lost = now();
  assert.ok(!people.isFeedSoundFor(inTime), "its answer comes too late to tell");
  assert.ok(!people.isFeedSoundFor(lost));
  people.isFeedSound = true;
  assert.ok(!people.isFeedSoundFor(lost), "answered when all is well again");
  for (const late = now(); performance.now() === late.sent; );
  assert.ok(people.isFeedSoundFor(now()));
});
