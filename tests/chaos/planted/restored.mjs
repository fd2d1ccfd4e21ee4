// A mistake on purpose: the machine comes back with a copy of its disk from before the last
// writes, as after a restore from a backup. What was acknowledged since is lost, and who was
// ended since is back.
import { cpSync, rmSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

export const name = "restored from a backup";

export async function round(room) {
  const { site, people } = room;
  const { machine } = site;
  const backup = `${machine.state}-backup`;
  const [doomed, changed] = [await people.start({ via: "mint" }), await people.start({ via: "command" })];
  for (const session of [doomed, changed]) session.busy += 1;
  await machine.stop("SIGKILL");
  cpSync(machine.state, backup, { recursive: true });
  await machine.start();
  const isDone = async (write) => {
    while ((await write())?.result !== "done") await pause(25);
  };
  await isDone(() => people.end(doomed, "session"));
  await isDone(() => people.update(changed));
  while ((await people.start({ via: "mint" })) === undefined) await pause(25);
  await machine.stop("SIGKILL");
  rmSync(machine.state, { recursive: true });
  cpSync(backup, machine.state, { recursive: true });
  rmSync(backup, { recursive: true });
  await machine.start();
  for (const session of [doomed, changed]) session.busy -= 1;
}
