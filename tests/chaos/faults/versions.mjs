// Two versions of the Worker are deployed side by side on the same objects: at each edge and
// around the objects now the one, now the other, switched to and fro under load. They differ
// in their code (two builds) and in their configuration.
import { setTimeout as pause } from "node:timers/promises";

import { EDGES, OBJECTS } from "../support/site.mjs";

export const name = "two versions";

// Another build can be given: that of the version before, say.
const ONE = { build: "build" };
const OTHER = { build: process.env.WARIFU_CHAOS_OTHER ?? "build-test", warifu: { bound: "500ms", fence: "read" } };
// Around the objects, at the first edge, at the second: never all alike.
const MIXES = ["oot", "oto", "too", "tto", "tot", "ott"];

export async function round(room, chance) {
  const { site } = room;
  for (let switches = 0; switches < 2; switches += 1) {
    const mix = [...chance.one(MIXES)].map((letter) => (letter === "o" ? ONE : OTHER));
    site.deploy(Object.fromEntries([OBJECTS, ...EDGES].map((name, n) => [name, mix[n]])));
    // In peace, or not.
    await site.machine.stop(chance.one(["SIGTERM", "SIGKILL"]));
    room.heal();
    await site.machine.start();
    await pause(chance.between(500, 900));
  }
}
