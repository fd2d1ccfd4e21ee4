//! Tables of a session shard, by version. `docs/storage-schema.md` says why
//! each column is there.

use crate::store::{Sql, SqlError, SqlValue};

/// Statements that lead from each version to the next: the first from an empty
/// database to version 1. They are never changed once released; a new version
/// adds an entry.
const STEPS: [&[&str]; 6] = [ONE, TWO, THREE, FOUR, FIVE, SIX];

const ONE: &[&str] = &[
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE sessions (
        id BLOB PRIMARY KEY,
        subject TEXT NOT NULL,
        level INTEGER NOT NULL,
        auth_time INTEGER NOT NULL,
        created INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        idle_expires INTEGER NOT NULL,
        absolute_expires INTEGER NOT NULL,
        claims TEXT
    ) WITHOUT ROWID",
    "CREATE INDEX sessions_by_subject ON sessions (subject, created)",
    "CREATE INDEX sessions_by_expiry ON sessions (idle_expires)",
    "CREATE TABLE secrets (key BLOB PRIMARY KEY, session BLOB NOT NULL) WITHOUT ROWID",
    "CREATE INDEX secrets_by_session ON secrets (session)",
];

/// Rotation, kills by generation, devices, receipts.
const TWO: &[&str] = &[
    "ALTER TABLE sessions ADD COLUMN generation INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE sessions ADD COLUMN user_agent TEXT",
    "ALTER TABLE sessions ADD COLUMN country TEXT",
    "ALTER TABLE sessions ADD COLUMN city TEXT",
    "ALTER TABLE sessions ADD COLUMN first_prefix TEXT",
    "ALTER TABLE sessions ADD COLUMN last_prefix TEXT",
    "ALTER TABLE secrets ADD COLUMN rank INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE secrets ADD COLUMN serves_until INTEGER",
    "ALTER TABLE secrets ADD COLUMN replay_from INTEGER",
    "ALTER TABLE secrets ADD COLUMN salt BLOB",
    "ALTER TABLE secrets ADD COLUMN cap_level INTEGER",
    "ALTER TABLE secrets ADD COLUMN cap_auth_time INTEGER",
    "ALTER TABLE secrets ADD COLUMN grace_ms INTEGER",
    "CREATE INDEX secrets_with_salt ON secrets (serves_until) WHERE salt IS NOT NULL",
    "CREATE TABLE subjects (
        subject TEXT PRIMARY KEY,
        generation INTEGER NOT NULL,
        unswept INTEGER NOT NULL,
        moved INTEGER NOT NULL
    ) WITHOUT ROWID",
    "CREATE INDEX subjects_unswept ON subjects (unswept) WHERE unswept = 1",
    "CREATE TABLE kills (
        id BLOB PRIMARY KEY,
        scope TEXT NOT NULL,
        target TEXT NOT NULL,
        min_generation INTEGER,
        committed INTEGER NOT NULL
    ) WITHOUT ROWID",
    "CREATE INDEX kills_by_time ON kills (committed)",
];

/// Where kills stand in the feed; what the edges are to be told; what ended of
/// late; the write that proves an object current.
const THREE: &[&str] = &[
    "ALTER TABLE kills ADD COLUMN map TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE kills ADD COLUMN epoch TEXT",
    "ALTER TABLE kills ADD COLUMN seq INTEGER",
    "ALTER TABLE kills ADD COLUMN accepted INTEGER",
    "ALTER TABLE kills ADD COLUMN bound_ms INTEGER",
    "ALTER TABLE kills ADD COLUMN published INTEGER",
    // There was no feed, and no edge that served from memory: they were told of
    // all that had ended before it was answered.
    "UPDATE kills SET epoch = '0000000000000000', seq = 0, accepted = committed, bound_ms = 0, published = committed",
    "ALTER TABLE kills ADD COLUMN partial INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX kills_unpublished ON kills (committed) WHERE seq IS NULL AND partial = 0",
    "ALTER TABLE secrets ADD COLUMN waits INTEGER NOT NULL DEFAULT 0",
    "CREATE TABLE refreshes (session BLOB PRIMARY KEY, id BLOB, due INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX refreshes_by_time ON refreshes (due)",
    "CREATE INDEX refreshes_waiting ON refreshes (due) WHERE id IS NOT NULL",
    "CREATE TABLE ended (
        subject TEXT PRIMARY KEY,
        kill BLOB NOT NULL,
        learnt INTEGER NOT NULL,
        epoch TEXT,
        seq INTEGER
    ) WITHOUT ROWID",
    "CREATE INDEX ended_by_time ON ended (learnt)",
    "CREATE INDEX ended_by_kill ON ended (kill)",
    "INSERT INTO meta (name, value) VALUES ('tick', 0)",
];

/// What sessions hold for their users.
const FOUR: &[&str] = &[
    "ALTER TABLE secrets ADD COLUMN wrapped BLOB",
    "CREATE INDEX secrets_with_wrap ON secrets (serves_until)
         WHERE wrapped IS NOT NULL AND waits = 0 AND serves_until IS NOT NULL",
    "CREATE TABLE held (session BLOB PRIMARY KEY, version INTEGER NOT NULL, sealed BLOB NOT NULL)",
];

/// What is exchanged for sessions of ours, and whose may be no longer.
const FIVE: &[&str] = &[
    "CREATE TABLE adopted (key BLOB PRIMARY KEY, asked_until INTEGER, place BLOB, forget INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX adopted_by_time ON adopted (forget)",
    "CREATE TABLE closed (subject TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX closed_by_time ON closed (until)",
];

/// What happened. By number alone: each index would be one more row to write
/// for each event.
const SIX: &[&str] = &["CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        event TEXT NOT NULL,
        session BLOB,
        subject TEXT,
        actor TEXT NOT NULL,
        reason TEXT NOT NULL,
        came_from TEXT
    )"];

/// The version that this code writes.
pub const VERSION: usize = STEPS.len();

/// Brings the database to this version. Does nothing where it is there.
///
/// # Errors
/// The database failed, or a later version wrote it: then nothing is touched,
/// since this code cannot know what its rows mean.
pub fn open(sql: &impl Sql) -> Result<(), SqlError> {
    bring_to(sql, &STEPS)
}

/// The same, with the steps of another kind of object.
pub(super) fn bring_to(sql: &impl Sql, steps: &[&[&str]]) -> Result<(), SqlError> {
    let (found, wanted) = (version(sql)?, steps.len());
    if found > wanted {
        return Err(SqlError(format!("the database has schema {found}, this code knows {wanted}")));
    }
    if found == wanted {
        return Ok(());
    }
    sql.transaction(&mut || {
        for statement in steps[found..].iter().copied().flatten() {
            sql.run(statement, &[])?;
        }
        write_meta(sql, "schema", i64::try_from(wanted).unwrap_or(i64::MAX))
    })
}

fn version(sql: &impl Sql) -> Result<usize, SqlError> {
    let tables = sql.run("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meta'", &[])?;
    if tables.is_empty() {
        return Ok(0);
    }
    let found = read_meta(sql, "schema")?.ok_or_else(|| SqlError("the database has no schema version".to_owned()))?;
    usize::try_from(found).map_err(|_| SqlError(format!("the schema version is {found}")))
}

/// A number of the shard itself; `None` if it was never written.
pub(super) fn read_meta(sql: &impl Sql, name: &str) -> Result<Option<i64>, SqlError> {
    let rows = sql.run("SELECT value FROM meta WHERE name = ?", &[name.into()])?;
    rows.first().map(|row| row.integer(0)).transpose()
}

pub(super) fn write_meta(sql: &impl Sql, name: &str, value: i64) -> Result<(), SqlError> {
    sql.run(
        "INSERT INTO meta (name, value) VALUES (?, ?)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        &[name.into(), SqlValue::Integer(value)],
    )?;
    Ok(())
}
