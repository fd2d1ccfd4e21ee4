// Secrets are replaced while people work, are missing, or cannot be read: docs/operations/keys.md
// and docs/configuration.md say what shall happen. Between the two steps of a replacement the
// edges have different keys.
import { setTimeout as pause } from "node:timers/promises";

import { newAdminKey, newKeys } from "../../workerd/support/gateway.mjs";
import { EDGES } from "../support/site.mjs";

export const name = "secrets";

const WAYS = {
  "keys are replaced": replace,
  "keys are missing": (room, work, edge) => without(room, work, edge, null),
  "an admin key is replaced": replaceAdmin,
  "admin keys are missing": missingAdmin,
  "keys cannot be read": (room, work, edge) => without(room, work, edge, '[{"kid":1,"key":"too short"}]'),
};

export async function round(room, chance) {
  const [way] = room.turn(Object.keys(WAYS));
  await WAYS[way](room, () => pause(chance.between(300, 600)), chance.one(EDGES));
}

// As `warifu keys rotate --stage` and `promote` do it, with each step at one edge first.
async function replace(room, work, first) {
  const { site } = room;
  const [newest, ...older] = JSON.parse(site.keys);
  const [next] = JSON.parse(newKeys());
  next.kid = (newest.kid % 250) + 1;
  const staged = JSON.stringify([newest, next, ...older].slice(0, 3));
  const promoted = JSON.stringify([next, newest, ...older].slice(0, 3));
  for (const keys of [staged, promoted]) {
    await site.redeploy({ [first]: { keys } });
    await work();
    site.keys = keys;
  }
  room.heal();
  await site.redeploy();
  await work();
}

// One that is not configured serves nothing at all, public pages neither, and falls back to
// nothing. Sessions are not harmed, and the others go on.
async function without(room, work, edge, keys) {
  const { site, people } = room;
  await site.redeploy({ [edge]: { keys } });
  people.expects = (noted) => (noted.edge === edge ? [500] : undefined);
  const asked = [];
  for (const path of ["/public", "/optional", "/page", "/_warifu/health"]) asked.push(await people.other("GET", path, { edge }));
  for (const noted of asked) if (noted.status !== 500 || noted.code !== "misconfigured") Object.assign(noted, { result: "refused", expected: undefined, code: undefined, why: "it is to say that it is misconfigured" });
  await work();
  room.heal();
  await site.redeploy();
  await work();
  people.expects = undefined;
}

// The new one beside the old one; the new one alone.
async function replaceAdmin(room, work, first) {
  const { site, people } = room;
  const [old, next] = [site.ops, newAdminKey(`ops-${room.history.round}`)];
  await site.redeploy({ all: { adminKeys: [old, next] }, [first]: { adminKeys: [next, old] } });
  await work();
  site.ops = next;
  await work();
  room.heal();
  await site.redeploy();
  const refused = await people.other("GET", "/_warifu/key", { headers: { authorization: `Bearer ${old.key}` } });
  if (refused.code !== "bad_admin_key") Object.assign(refused, { result: "refused", code: undefined, why: "the old key is to be refused" });
}

// Nobody administers; people go on.
async function missingAdmin(room, work) {
  const { site, people } = room;
  await site.redeploy({ all: { adminKeys: null } });
  const refused = await people.other("GET", "/_warifu/key", { headers: { authorization: `Bearer ${site.ops.key}` } });
  if (refused.code !== "bad_admin_key") Object.assign(refused, { result: "refused", code: undefined, why: "without keys nobody is let in" });
  await work();
  room.heal();
  await site.redeploy();
}
