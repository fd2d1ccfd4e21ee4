// Nothing is broken: what the others are compared with.
import { setTimeout as pause } from "node:timers/promises";

export const name = "none";
export const share = 0.5;

export async function round(room, chance) {
  await pause(chance.between(600, 1_000));
}
