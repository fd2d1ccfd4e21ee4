// The sessions that the soak writes into the store are sessions to the gateway, and what is
// in the store afterwards is counted as it is. With workerd, and the application in nginx.
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";

import { Client } from "../../benches/soak/client.mjs";
import { counted } from "../../benches/soak/count.mjs";
import { logIn } from "../../benches/soak/deeds.mjs";
import { Stock, firstSubjects, shardFiles, shardOf, write as fill } from "../../benches/soak/fill.mjs";
import { People } from "../../benches/soak/people.mjs";
import { SHARDS, Site, newFolder } from "../../benches/soak/site.mjs";

const STOCK = 128;
let site, stock, people, client;
before(async () => {
  site = new Site(newFolder(STOCK));
  await site.begin();
  const first = new Client(site);
  for (const subject of firstSubjects()) await first.call(first.anyEdge(), "start", "POST", "sessions", { body: { subject }, wants: [201] });
  assert.deepEqual(first.findings.kept, []);
  await first.close();
  await site.stop();
  stock = new Stock(site.mac, STOCK);
  fill(site.objects, stock);
  await site.start();
  client = new Client(site);
  people = new People(stock, { busy: 5 });
});
after(async () => {
  await client?.close();
  site?.close();
});

const rows = (at, table) => {
  const { file } = shardFiles(site.objects).find(({ shard }) => shard === shardOf(stock.subject(at)));
  const database = new DatabaseSync(file);
  try {
    return database.prepare(`SELECT * FROM ${table}`).all();
  } finally {
    database.close();
  }
};

test("every one of them is let in at both edges, as whom it says", async () => {
  const all = Array.from({ length: STOCK }, (_, at) => stock.session(at));
  const look = (edge) => all.map((session) => client.ask(edge, "check", { path: "/page", cookie: session.cookie, as: session }));
  await Promise.all(client.edges.flatMap(look));
  assert.deepEqual(client.findings.kept, []);
  assert.equal(client.requests, 2 * STOCK);
});

test("a row of theirs is what the gateway has written beside it, but for what each has of its own", () => {
  const own = { sessions: ["id", "subject"], secrets: ["key", "session"], audit: ["seq", "session", "subject"] };
  for (const [table, columns] of Object.entries(own)) {
    const here = rows(0, table).filter(({ event = "session_started" }) => event === "session_started");
    const bare = here.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !columns.includes(name))));
    assert.ok(bare.length >= 2, table);
    for (const row of bare) assert.deepEqual(row, bare[0], table);
    for (const column of columns) assert.equal(new Set(here.map((row) => Buffer.from(String(row[column])).toString("hex"))).size, here.length, `${table}.${column}`);
  }
});

test("what lives is counted, and what is lost or should not be there is found", async () => {
  const world = { client, people };
  const begun = await logIn(world);
  assert.deepEqual(client.findings.kept, []);
  const dead = stock.session(STOCK - 1);
  await client.call(client.anyEdge(), "kill", "DELETE", `sessions?subject=${dead.subject}`);
  people.end(dead);
  await client.close();
  await site.stop();
  const right = { living: SHARDS + STOCK, missing: 0, extra: 0, perhaps: 0 };
  assert.deepEqual(counted(site.objects, people), right);

  people.ended.delete(dead.id);
  assert.deepEqual(counted(site.objects, people), { ...right, missing: 1 }, "one that must live and does not");
  people.end(dead);
  people.end(begun);
  assert.deepEqual(counted(site.objects, people), { ...right, extra: 1 }, "one that has ended and lives");
  people.ended.delete(begun.id);
  people.unknown.add(begun.id);
  assert.deepEqual(counted(site.objects, people), right, "one of which nobody can know");
});
