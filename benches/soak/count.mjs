// What lives in the store after a run, beside what must: every session by its id.
import { DatabaseSync } from "node:sqlite";

import { shardFiles, shardOf } from "./fill.mjs";
import { SHARDS } from "./site.mjs";

// `missing`: what must live and does not; `extra`: what lives and must not; `perhaps`: of how
// many nobody can know, since an answer was no good. The site must not run meanwhile.
export function counted(objects, people) {
  const must = Array.from({ length: SHARDS }, () => []);
  const { stock } = people;
  for (let at = 0; at < stock.size; at += 1) must[shardOf(stock.subject(at))].push(stock.id(at).toString("base64url"));
  for (const id of people.begun) must[Buffer.from(id, "base64url").readUInt16BE(2)].push(id);
  const result = { living: 0, missing: 0, extra: 0, perhaps: people.perhaps };
  for (const { file, shard } of shardFiles(objects)) {
    const ids = living(file);
    result.living += ids.size;
    // With one more each shard was begun.
    result.extra += ids.size - 1;
    for (const id of must[shard]) {
      if (people.unknown.has(id)) {
        result.extra -= ids.has(id) ? 1 : 0;
      } else if (!people.ended.has(id)) {
        if (ids.has(id)) result.extra -= 1;
        else result.missing += 1;
      }
    }
  }
  return result;
}

// The ids of all sessions of a shard that live: docs/storage-schema.md.
function living(file) {
  const database = new DatabaseSync(file);
  try {
    const rows = database
      .prepare(
        `SELECT id FROM sessions LEFT JOIN subjects USING (subject)
         WHERE sessions.generation >= coalesce(subjects.generation, 0) AND idle_expires > ?`,
      )
      .all(Date.now());
    return new Set(rows.map(({ id }) => Buffer.from(id).toString("base64url")));
  } finally {
    database.close();
  }
}
