// Objects are stopped under load, shards and the feed, one after the other: what is under way
// in them fails, and their memory is gone.
import { setTimeout as pause } from "node:timers/promises";

import { FEED, SHARDS } from "../support/site.mjs";

export const name = "objects stopped";
// An end without a receipt may then be committed only.
export const hurtsFeed = true;

export async function round(room, chance) {
  const { site } = room;
  const end = performance.now() + chance.between(700, 1_200);
  while (performance.now() < end) {
    await site.stopObject(chance.one([...SHARDS, FEED]));
    await pause(chance.between(10, 120));
  }
  room.heal();
}
