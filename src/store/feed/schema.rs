//! Tables of the feed, by version.

use crate::config::MapRow;
use crate::store::{Sql, SqlError, SqlValue};

/// Statements that lead from each version to the next.
const STEPS: [&[&str]; 2] = [ONE, TWO];

const ONE: &[&str] = &[
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO meta (name, value) VALUES ('tick', 0), ('low', 0), ('high', 0)",
    "CREATE TABLE entries (
        seq INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        target TEXT NOT NULL,
        min_generation INTEGER,
        at INTEGER NOT NULL
    )",
    "CREATE INDEX entries_by_time ON entries (at)",
    "CREATE TABLE bounds (bound_ms INTEGER PRIMARY KEY, seen INTEGER NOT NULL)",
    "CREATE TABLE site_kills (
        id BLOB PRIMARY KEY,
        map TEXT NOT NULL,
        done INTEGER NOT NULL,
        total INTEGER NOT NULL,
        told INTEGER NOT NULL,
        min_generation INTEGER NOT NULL,
        asked INTEGER NOT NULL,
        epoch TEXT,
        seq INTEGER,
        accepted INTEGER,
        bound_ms INTEGER
    ) WITHOUT ROWID",
    "CREATE TABLE map (generation INTEGER PRIMARY KEY, shards INTEGER NOT NULL, region INTEGER NOT NULL)",
];

/// Who has asked for a kill of the site, for the audit tables of the shards.
const TWO: &[&str] = &["ALTER TABLE site_kills ADD COLUMN asked_by TEXT"];

/// Brings the database to this version; one of a later version is not touched.
pub(super) fn open(sql: &impl Sql) -> Result<(), SqlError> {
    crate::store::schema::bring_to(sql, &STEPS)
}

/// The rows of the shard map that shards have published under.
pub(super) fn rows(sql: &impl Sql) -> Result<Vec<MapRow>, SqlError> {
    let rows = sql.run("SELECT generation, shards, region FROM map ORDER BY generation", &[])?;
    rows.iter()
        .map(|row| Ok(MapRow { generation: row.integer(0)?, shards: row.integer(1)?, region: row.integer(2)? }))
        .collect()
}

pub(super) fn add_row(sql: &impl Sql, row: MapRow) -> Result<(), SqlError> {
    sql.run(
        "INSERT INTO map (generation, shards, region) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        &[row.generation.into(), row.shards.into(), SqlValue::from(row.region)],
    )
    .map(|_| ())
}
