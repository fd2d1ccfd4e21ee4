// A mistake on purpose: an edge whose clock stands still, and that hears nothing of the feed. Its
// memory never grows old, so it lets in who was ended long ago.
import { fileURLToPath } from "node:url";
import { setTimeout as pause } from "node:timers/promises";

import { BOUND_MS, EDGES, Site } from "../support/site.mjs";

export const name = "a clock that stands still";
// When something was let through is not told by such a clock.
export const distrustsClock = true;

const TRIES = 5;

export const open = async () => ({ site: await Site.open({ edge: fileURLToPath(new URL("still/edge.mjs", import.meta.url)) }) });

// A poll that was on its way when the clock stopped may still tell it of the end: then once more.
export async function round(room) {
  for (let tries = 0; tries < TRIES; tries += 1) if (await isOutlived(room)) return;
  throw new Error("the mistake shows nowhere");
}

async function isOutlived({ site, people }) {
  const [sound, still] = EDGES;
  const session = await people.start({ via: "mint" });
  if (session === undefined) return false;
  session.busy += 1;
  await people.id(session);
  // It lets the session in by what it remembers.
  const asked = async () => (await site.edges[still].send("GET", "/hand")).json.check;
  for (let isAsked = true; isAsked; ) {
    const before = await asked();
    isAsked = (await people.check(session, { edge: still })).result !== "done" || (await asked()) !== before;
  }
  await site.edges[still].send("POST", "/stand");
  await site.edges[still].hand([{ to: "FEED", lose: "message" }]);
  let kill;
  while (!(kill = await people.end(session, "session", { edge: sound }))?.published) await pause(25);
  let last = 0;
  while (performance.now() < kill.answered + 1.5 * BOUND_MS) {
    const { result, admitted } = await people.check(session, { edge: still });
    if (result === "done") last = admitted - kill.answered;
    await pause(50);
  }
  await site.edges[still].hand([]);
  await site.edges[still].send("POST", "/go");
  session.busy -= 1;
  return last > 1.2 * BOUND_MS;
}
