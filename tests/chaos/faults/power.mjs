// The machine loses its power (SIGKILL) in the middle of a write, of every kind in turn, and
// comes back with what is on its disk.
import { setTimeout as pause } from "node:timers/promises";

export const name = "power lost";
// A round for each kind of write, twice over.
export const share = 2;

// How many calls of a kind are on their way when it happens.
const AT_ONCE = 4;

// Each: what has to be there before, and the write. `lasts`: milliseconds that it takes, roughly:
// the moment is drawn from the whole of it, and a bit more.
const start = (via) => ({ write: ({ people }) => people.start({ via }) });
const change = (write, via) => ({ prepare: ({ people }) => people.start({ via }), write });
const end = (how, sessions = 1) => ({
  prepare: async ({ people }) => {
    const first = await people.start({ via: "mint" });
    for (let more = 1; more < sessions && first !== undefined; more += 1) await people.start({ via: "mint", subject: first.subject });
    return first;
  },
  write: ({ people }, session) => people.end(session, how),
});
export const WRITES = {
  "start by a command": start("command"),
  "start by an administrator": start("mint"),
  "start by custody": start("custody"),
  "moving in": start("adopt"),
  rotation: change(({ people }, session) => people.rotate(session), "command"),
  raise: change(({ people }, session) => people.rotate(session, { raise: true }), "command"),
  "update of claims": change(({ people }, session) => people.update(session), "command"),
  "update of a held value": change(({ people }, session) => people.update(session), "custody"),
  "log-out": end("logout"),
  "end by a command": end("end"),
  "end by an administrator": end("session"),
  "end of the others": end("others", 2),
  "end of the others by a command": end("endOthers", 2),
  "end of a subject": end("subject", 2),
  "end of all by a command": end("endAll", 2),
  "not me": end("notMe", 2),
  "end of the site": { once: true, ...end("site") },
  renewal: { renews: true, write: ({ people }, session) => people.check(session) },
  publication: { publishes: true, ...end("session") },
};
const KINDS = Object.keys(WRITES);
// Renewals are written a tenth of the idle timeout after the last.
const RENEWABLE_MS = 3_200;
const LASTS_MS = 120;

export async function round(room, chance) {
  const { site, people } = room;
  const [kind] = room.turn(KINDS);
  const { prepare, write, once, renews, publishes } = WRITES[kind];
  const wanted = once ? 1 : AT_ONCE;
  let prepared = [];
  if (renews) {
    await pause(Math.max(0, RENEWABLE_MS - (performance.now() - people.sessions.at(-1).born)));
    prepared = people.sessions.filter(({ isEnded }) => !isEnded).slice(0, wanted);
  } else if (prepare !== undefined) {
    prepared = (await Promise.all(Array.from({ length: wanted }, () => prepare(room)))).filter(Boolean);
    // Nobody else is to change them.
    for (const session of prepared) session.busy += 1;
  }
  // The feed hears nothing of these ends until the machine is back.
  if (publishes) people.isFeedSound = false;
  if (publishes) await site.suffer({ objects: [{ to: "FEED", kinds: ["append"], lose: "message" }] });
  const lasts = (room.lasts ??= {});
  const underWay = (prepare === undefined && !renews ? Array.from({ length: wanted }) : prepared).map(async (session) => {
    const began = performance.now();
    const done = await write(room, session);
    // A call that was acknowledged, or the session that a start has given.
    if (done?.result === "done" || done?.secrets !== undefined) lasts[kind] = performance.now() - began;
  });
  // Those that the feed does not hear of are answered after two seconds, as committed.
  await pause(publishes ? chance.between(1_500, 2_600) : chance.between(0, 1.2 * (lasts[kind] ?? LASTS_MS)));
  await site.machine.stop("SIGKILL");
  await Promise.all(underWay);
  people.isFeedSound = true;
  room.heal();
  await site.machine.start();
  for (const session of prepared) session.busy -= 1;
}
