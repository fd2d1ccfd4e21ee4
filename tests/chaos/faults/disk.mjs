// The disk is full: what cannot be written is refused, and says when to try again; an end is
// acknowledged and durable, or refused; and all goes on when there is room.
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { newDisk } from "../support/disk.mjs";
import { Site } from "../support/site.mjs";

export const name = "disk full";
// An end without a receipt may then be committed only.
export const hurtsFeed = true;

export const tells = ({ disk }) => disk.how;

export async function open() {
  const disk = newDisk();
  const site = await Site.open({ state: path.join(disk.folder, "state") });
  return { site, disk };
}

export async function round(room, chance) {
  const { site, disk } = room;
  await pause(chance.between(100, 300));
  disk.fill(site.machine.child.pid);
  await pause(chance.between(500, 1_200));
  // Now and then the machine is started anew while there is no room.
  if (chance.next() < 0.3) await site.crash();
  disk.free(site.machine.child.pid);
  room.heal();
}

export function close({ disk }) {
  disk.close();
}
