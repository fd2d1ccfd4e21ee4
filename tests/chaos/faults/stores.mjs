// KV, the feed, the session objects and both together fail, are slow, or say what is long over.
// What the gateway does then is in docs/consistency.md, "What happens when"; the bound holds all
// the same, and an edge that hears nothing of the feed asks, or refuses.
import { setTimeout as pause } from "node:timers/promises";

import { BOUND_MS, EDGES } from "../support/site.mjs";

export const name = "stores out of reach";

const lost = (to, more) => ({ to, lose: "message", ...more });
export const WAYS = {
  "KV fails": { kv: "fails" },
  "KV hangs": { kv: "hangs" },
  "KV is stale": { kv: "stale" },
  "KV forgets": { kv: "forgets" },
  "KV lies": { kv: "lies" },
  "the feed hears no polls": { edges: [lost("FEED", { kinds: ["poll"] })] },
  "the feed is slow": { edges: [{ to: "FEED", beforeMs: [0, 400], afterMs: [0, 900] }] },
  "the feed answers some": { edges: [lost("FEED", { share: 0.4 }), { to: "FEED", lose: "answer", share: 0.3 }] },
  "the feed takes nothing": { objects: [lost("FEED")], isFeedDeaf: true },
  "answers of the feed are lost": { objects: [{ to: "FEED", lose: "answer", share: 0.5 }], isFeedDeaf: true },
  "the feed is gone": { edges: [lost("FEED")], objects: [lost("FEED")], isFeedDeaf: true },
  "the shards are gone": { edges: [lost("SESSIONS")], areShardsGone: true },
  "the shards answer some": { edges: [lost("SESSIONS", { share: 0.3 }), { to: "SESSIONS", lose: "answer", share: 0.2 }] },
  "the shards are slow": { edges: [{ to: "SESSIONS", afterMs: [0, 800] }] },
  "feed and shards are gone": { edges: [lost("FEED"), lost("SESSIONS")], objects: [lost("FEED")], isFeedDeaf: true, areShardsGone: true },
};

// What the run says of this room besides.
export const tells = ({ continued = 0 }) => `on_outage = "continue": ${continued} requests let in by edges that were cut off for longer than the bound`;

export async function round(room, chance) {
  const { site, people } = room;
  const [way] = room.turn(Object.keys(WAYS));
  const { kv, edges, objects, isFeedDeaf = false, areShardsGone = false } = WAYS[way];
  people.isFeedSound = !isFeedDeaf;
  if (kv !== undefined) site.kv.be(kv);
  await site.suffer({ edges, objects });
  if (areShardsGone) await withoutShards(room, chance, isFeedDeaf);
  else await pause(chance.between(BOUND_MS, 1.6 * BOUND_MS));
  await site.suffer();
  site.kv.be("well");
  room.heal();
  people.isFeedSound = true;
}

// Who knows a session goes by that for the bound, and longer only on routes that continue; then
// one cannot know, which is 503 and never "no session". Public pages, and optional ones without
// an identity, go on; health says that something is wrong.
async function withoutShards(room, chance, isFeedDeaf) {
  const { people } = room;
  const session = people.sessions.find(({ isEnded }) => !isEnded);
  session.busy += 1;
  for (const edge of EDGES) {
    await people.other("GET", "/public", { edge });
    const optional = await people.other("GET", "/optional", { edge, headers: { cookie: session.cookie } });
    if (optional.result !== "done") refuse(optional, "an optional route goes on");
    const health = await people.other("GET", "/_warifu/health", { edge, expected: [503] });
    if (health.status !== 503) refuse(health, "health is to say so");
    const strict = await people.check(session, { route: "strict", edge });
    if (strict.status !== 503) refuse(strict, "a strict route cannot know");
  }
  // By memory at most for the bound; what is remembered longer is so for routes that continue.
  const closes = isFeedDeaf ? performance.now() + BOUND_MS + CLOCK_STILL_MS : Infinity;
  for (const end = performance.now() + chance.between(1.3, 1.8) * BOUND_MS; performance.now() < end; await pause(50)) {
    for (const edge of EDGES) {
      const page = await people.check(session, { edge });
      if (page.sent > closes && page.status !== 503) refuse(page, "an edge that is cut off is to refuse");
      const { sent, result } = await people.check(session, { route: "continue", edge });
      if (sent > closes && result === "done") room.continued = (room.continued ?? 0) + 1;
    }
  }
  session.busy -= 1;
}
const CLOCK_STILL_MS = 50;

function refuse(noted, why) {
  Object.assign(noted, { result: "refused", code: undefined, expected: undefined, why });
}
