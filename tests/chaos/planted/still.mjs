// A mistake on purpose: an edge whose clock stands still. Its memory never grows old, so it asks
// for no news of the feed, and lets in who was ended long ago.
import { fileURLToPath } from "node:url";
import { setTimeout as pause } from "node:timers/promises";

import { BOUND_MS, EDGES, Site } from "../support/site.mjs";

export const name = "a clock that stands still";
// When something was let through is not told by such a clock.
export const distrustsClock = true;

export const open = async () => ({ site: await Site.open({ edge: fileURLToPath(new URL("still/edge.mjs", import.meta.url)) }) });

export async function round({ site, people }) {
  const [sound, still] = EDGES;
  const session = await people.start({ via: "mint" });
  session.busy += 1;
  // It has heard of the feed, and lets the session in by what it remembers.
  const asked = async () => (await site.edges[still].send("GET", "/hand")).json.check;
  for (let isAsked = true; isAsked; ) {
    const before = await asked();
    isAsked = (await people.check(session, { edge: still })).result !== "done" || (await asked()) !== before;
  }
  await site.edges[still].send("POST", "/stand");
  while (!(await people.end(session, "session", { edge: sound }))?.published) await pause(25);
  for (const end = performance.now() + 1.5 * BOUND_MS; performance.now() < end; await pause(50)) await people.check(session, { edge: still });
  await site.edges[still].send("POST", "/go");
  session.busy -= 1;
}
