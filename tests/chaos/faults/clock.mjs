// The machine's clock is stepped by minutes, forward and back, under all that runs on it. Each
// step is kept for a while and not taken back: the next one goes from there.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as pause } from "node:timers/promises";

import { Site } from "../support/site.mjs";

export const name = "clock steps";
// Where a timer stands still, an end without a receipt may be committed only.
export const hurtsFeed = true;
// When something was let through is not told by a clock that steps.
export const distrustsClock = true;

const source = fileURLToPath(new URL("../support/clock.c", import.meta.url));
const STEPS_S = [90, -90, 600, -300, 1.5, -1.5, -600, 300, 240, -240];

export async function open() {
  const folder = mkdtempSync(path.join(tmpdir(), "warifu-clock-"));
  const [library, offset] = [path.join(folder, "clock.so"), path.join(folder, "offset")];
  execFileSync("cc", ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", library, source]);
  writeFileSync(offset, Buffer.alloc(8));
  // A step forward by minutes is for sessions as if nobody had used them for so long.
  const site = await Site.open({
    environment: { LD_PRELOAD: library, WARIFU_CLOCK: offset },
    warifu: { idle_timeout: "6h", absolute_timeout: "24h" },
  });
  return { site, folder, offset, stands: 0 };
}

export async function round(room, chance) {
  const steps = room.turn(STEPS_S, 2);
  for (const step of steps) {
    await pause(chance.between(150, 400));
    room.stands += step;
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(Math.round(room.stands * 1e9)));
    // In place: the file is in the machine's memory.
    writeFileSync(room.offset, bytes, { flag: "r+" });
  }
  await pause(chance.between(300, 600));
  room.heal();
}

export function close({ folder }) {
  rmSync(folder, { recursive: true });
}
