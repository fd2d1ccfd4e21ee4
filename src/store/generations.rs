//! Kills by generation: a number of the shard that only grows.
//!
//! A session carries the number at its start. To end all sessions of a subject
//! is to raise the number and to write it into the subject's row: one write,
//! whatever the number of sessions. The number is the shard's and not the
//! subject's, so that a subject's row can be removed once its dead sessions
//! are gone, without any number ever coming back.

use crate::session::{KillId, Subject};
use crate::store::schema::{read_meta, write_meta};
use crate::store::{Sql, SqlError, ended, rows};
use crate::time::UnixMillis;

/// The number that a session which starts now carries.
pub(super) fn current(sql: &impl Sql) -> Result<u64, SqlError> {
    let found = read_meta(sql, NAME)?.unwrap_or(0);
    u64::try_from(found).map_err(|_| SqlError(format!("{NAME} is {found}")))
}

/// Ends all that the subject has; returns the number below which they are dead.
pub(super) fn end_all_of(sql: &impl Sql, subject: &Subject, kill: KillId, now: UnixMillis) -> Result<u64, SqlError> {
    let next = current(sql)? + 1;
    ended::note(sql, Some(subject), kill, now)?;
    write_meta(sql, NAME, i64::try_from(next).map_err(|_| SqlError(format!("{NAME} is {next}")))?)?;
    sql.run(
        "INSERT INTO subjects (subject, generation, unswept, moved) VALUES (?, ?, 1, 0)
         ON CONFLICT (subject) DO UPDATE SET generation = excluded.generation, unswept = 1",
        &[subject.as_str().into(), next.into()],
    )?;
    Ok(next)
}

/// Ends all that the shard has; returns the number below which they are dead.
pub(super) fn end_site(sql: &impl Sql, kill: KillId, now: UnixMillis) -> Result<u64, SqlError> {
    let next = current(sql)? + 1;
    ended::note(sql, None, kill, now)?;
    let value = i64::try_from(next).map_err(|_| SqlError(format!("{NAME} is {next}")))?;
    write_meta(sql, NAME, value)?;
    write_meta(sql, SITE, value)?;
    Ok(next)
}

/// The number that this kill of the site has raised, where it is the last one.
pub(super) fn ended_site(sql: &impl Sql, kill: KillId) -> Result<Option<u64>, SqlError> {
    let rows = sql.run(
        "SELECT value FROM meta WHERE name = ? AND EXISTS (SELECT 1 FROM ended WHERE kill = ?)",
        &[SITE.into(), rows::blob(kill)],
    )?;
    rows.first().map(|row| row.integer(0)).transpose()
}

/// Whether a later row of the map has taken the subject over.
pub(super) fn has_moved(sql: &impl Sql, subject: &Subject) -> Result<bool, SqlError> {
    let rows = sql.run("SELECT moved FROM subjects WHERE subject = ?", &[subject.as_str().into()])?;
    rows.first().map_or(Ok(false), |row| row.integer::<u8>(0).map(|moved| moved == 1))
}

/// Notes that it has; never taken back.
pub(super) fn move_away(sql: &impl Sql, subject: &Subject) -> Result<(), SqlError> {
    sql.run(
        "INSERT INTO subjects (subject, generation, unswept, moved) VALUES (?, 0, 0, 1)
         ON CONFLICT (subject) DO UPDATE SET moved = 1",
        &[subject.as_str().into()],
    )
    .map(|_| ())
}

/// In `meta`.
const NAME: &str = "generation";

/// In `meta`: sessions of a lower number are dead, whoever's they are.
const SITE: &str = "site_generation";
