// Sessions in the store before the load begins.
//
// The gateway's own call starts one session in each shard. The others are rows beside it,
// made of that very row with an id, a subject and a secret of their own, since a million
// calls would take longer than the load. What is wrong with a row shows: the load asks for
// these sessions all the time, and each has to be let in as whom it says.
import { createHash, createHmac, randomBytes } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";

import { COOKIE, SHARDS } from "./site.mjs";

const SITE = "default";

// The shard that has a subject's sessions: docs/storage-schema.md.
export function shardOf(subject, shards = SHARDS) {
  return Number(createHash("sha256").update(subject).digest().readBigUInt64BE(0) % BigInt(shards));
}

// A cookie with a good MAC: src/token.rs has the format.
export function cookieOf(mac, shard, secret) {
  const head = Buffer.from([1, 1, 1, 0, shard >> 8, shard & 255, ...secret]);
  const tag = createHmac("sha256", mac).update(`warifu/1 token\0${SITE}\0`).update(head).digest().subarray(0, 16);
  return `${COOKIE}=${Buffer.concat([head, tag]).toString("base64url")}`;
}

// A million sessions in few bytes: cookies and ids are made when they are asked for.
export class Stock {
  constructor(mac, size) {
    this.mac = mac;
    this.size = size;
    this.secrets = randomBytes(32 * size);
    this.ids = randomBytes(16 * size);
  }

  subject(at) {
    return `stock-${at}`;
  }

  secret(at) {
    return this.secrets.subarray(32 * at, 32 * (at + 1));
  }

  id(at) {
    const id = this.ids.subarray(16 * at, 16 * (at + 1));
    id.set([1, 0, 0, shardOf(this.subject(at))]); // the locator
    return id;
  }

  session(at) {
    const subject = this.subject(at);
    return { subject, id: this.id(at).toString("base64url"), cookie: cookieOf(this.mac, shardOf(subject), this.secret(at)), level: 1, claims: "" };
  }
}

// A subject of each shard, for the call that makes its first row.
export function firstSubjects() {
  const found = new Map();
  for (let serial = 0; found.size < SHARDS; serial += 1) {
    const subject = `first-${serial}`;
    if (!found.has(shardOf(subject))) found.set(shardOf(subject), subject);
  }
  return [...found.values()];
}

// The files of all shards, by the number that each says it has.
export function shardFiles(objects) {
  const folder = path.join(objects, "SessionObject");
  return readdirSync(folder)
    .filter((name) => /^[0-9a-f]+\.sqlite$/.test(name))
    .flatMap((name) => {
      const file = path.join(folder, name);
      const database = new DatabaseSync(file);
      try {
        const has = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'meta'").get();
        const shard = has && database.prepare("SELECT value FROM meta WHERE name = 'map_shard'").get();
        return shard ? [{ file, shard: shard.value }] : [];
      } finally {
        database.close();
      }
    })
    .sort((one, other) => one.shard - other.shard);
}

// Writes the stock's rows. The site must not run meanwhile.
export function write(objects, stock, progress = () => {}) {
  const byShard = Array.from({ length: SHARDS }, () => []);
  for (let at = 0; at < stock.size; at += 1) byShard[shardOf(stock.subject(at))].push(at);
  const files = shardFiles(objects);
  if (files.length !== SHARDS) throw new Error(`${files.length} shards of ${SHARDS} have a row to copy`);
  let written = 0;
  for (const { file, shard } of files) {
    const database = new DatabaseSync(file);
    database.exec("PRAGMA synchronous = OFF; BEGIN");
    const session = copier(database, "sessions", { id: "?", subject: "?" });
    const secret = copier(database, "secrets", { key: "?", session: "?" });
    const audit = copier(database, "audit", { seq: "(SELECT max(seq) + 1 FROM audit)", session: "?", subject: "?" }, "WHERE event = 'session_started'");
    for (const at of byShard[shard]) {
      const [id, subject] = [stock.id(at), stock.subject(at)];
      session.run(id, subject);
      secret.run(createHash("sha256").update(stock.secret(at)).digest(), id);
      audit.run(id, subject);
    }
    database.exec("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
    progress((written += byShard[shard].length));
  }
}

// A statement that adds a row like the first one, but for these columns.
function copier(database, table, own, where = "") {
  const columns = database.prepare(`SELECT name FROM pragma_table_info('${table}')`).all().map(({ name }) => name);
  const row = database.prepare(`SELECT * FROM ${table} ${where} LIMIT 1`).get();
  if (row === undefined) throw new Error(`${table} has no row to copy`);
  const named = columns.map((name) => own[name] ?? `:${name}`);
  const statement = database.prepare(`INSERT INTO ${table} (${columns.join(", ")}) VALUES (${named.join(", ")})`);
  const fixed = Object.fromEntries(columns.filter((name) => own[name] === undefined).map((name) => [name, row[name]]));
  return { run: (...values) => statement.run(fixed, ...values) };
}

// Bytes of the store's files: databases, and logs that are not in them yet.
export function bytesOf(objects) {
  let [databases, logs] = [0, 0];
  for (const of of readdirSync(objects)) {
    for (const name of readdirSync(path.join(objects, of))) {
      const { size } = statSync(path.join(objects, of, name), { throwIfNoEntry: false }) ?? { size: 0 };
      if (name.endsWith(".sqlite")) databases += size;
      else if (name.endsWith("-wal")) logs += size;
    }
  }
  return { databases, logs };
}
