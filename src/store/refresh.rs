//! Refreshes: entries of the feed that tell the edges to ask again about a
//! session, since it has a new secret or other claims.
//!
//! One row for each session, so that the many changes of one user's loop come
//! to one entry at a time, and no two entries of a session are closer than
//! [`SPACING`]. A change that comes while an entry is on its way to the feed
//! gets another one: an edge may have asked in between.

use core::time::Duration;

use crate::config::GRACE_MAX;
use crate::revocation::EntryKey;
use crate::session::{Handle, SessionId};
use crate::store::feed::NewEntry;
use crate::store::turn::Turn;
use crate::store::{Row, Sql, SqlError, rows, sweep};
use crate::time::UnixMillis;

/// Wants the edges to be told.
pub(super) fn want(turn: &Turn<'_, impl Sql>, session: SessionId, id: Handle) -> Result<(), SqlError> {
    turn.wake_by(turn.now.plus(sweep::SOON))?;
    turn.sql
        .run(
            "INSERT INTO refreshes (session, id, due) VALUES (?, ?, ?)
             ON CONFLICT (session) DO UPDATE SET id = excluded.id",
            &[rows::blob(session), rows::blob(id), turn.now.into()],
        )
        .map(|_| ())
}

/// Those that are due and not in the feed yet; one that is due far ahead was
/// planned by a clock that has stepped back since.
pub(super) fn waiting(sql: &impl Sql, now: UnixMillis, at_once: u32) -> Result<Vec<NewEntry>, SqlError> {
    let found = sql.run(
        "SELECT session, id FROM refreshes WHERE id IS NOT NULL AND (due <= ?1 OR due > ?2)
         ORDER BY due, session LIMIT ?3",
        &[now.into(), now.plus(SPACING).into(), at_once.into()],
    )?;
    found.iter().map(entry_of).collect()
}

fn entry_of(row: &Row) -> Result<NewEntry, SqlError> {
    Ok(NewEntry {
        id: Handle::from_bytes(row.bytes(1)?),
        key: EntryKey::Refresh(SessionId::from_bytes(row.bytes(0)?)),
        min_generation: None,
        rows: Vec::new(),
    })
}

/// How long that is from now, by the same rule.
pub(super) fn time_to(due: UnixMillis, now: UnixMillis) -> Duration {
    Some(due.since(now)).filter(|left| *left <= SPACING).unwrap_or_default()
}

/// When the session's refresh can go to the feed; `None`: it has none to send.
pub(super) fn due(sql: &impl Sql, session: SessionId) -> Result<Option<UnixMillis>, SqlError> {
    let found = sql.run("SELECT due FROM refreshes WHERE session = ? AND id IS NOT NULL", &[rows::blob(session)])?;
    found.first().map(|row| row.integer(0).map(UnixMillis)).transpose()
}

/// The feed has it: from now on the edges learn of the change, so the grace of
/// the secret that was left behind begins; unless there has been another one
/// since, which is told of next.
pub(super) fn published(sql: &impl Sql, session: SessionId, id: Handle, now: UnixMillis) -> Result<(), SqlError> {
    let found = sql.run(
        "UPDATE refreshes SET due = ?3, id = CASE WHEN id = ?2 THEN NULL ELSE id END
         WHERE session = ?1 RETURNING id IS NULL",
        &[rows::blob(session), rows::blob(id), now.plus(SPACING).into()],
    )?;
    if found.first().map_or(Ok(0), |row| row.integer::<u8>(0))? == 0 {
        return Ok(());
    }
    told(sql, session, u32::MAX, now)
}

/// The edges have been told of every change up to the one that left behind the
/// secret of this rank: the grace of all that wait so long begins.
pub(super) fn told(sql: &impl Sql, session: SessionId, rank: u32, now: UnixMillis) -> Result<(), SqlError> {
    sql.run(
        "UPDATE secrets SET waits = 0, serves_until = ?2, replay_from = ?2 WHERE session = ?1 AND waits = 1 AND rank <= ?3",
        &[rows::blob(session), now.plus(GRACE_MAX).into(), rank.into()],
    )
    .map(|_| ())
}

/// The rank of the newest secret that waits for that; `None`: none does.
pub(super) fn left_behind(sql: &impl Sql, session: SessionId) -> Result<Option<u32>, SqlError> {
    let found = sql.run("SELECT max(rank) FROM secrets WHERE session = ? AND waits = 1", &[rows::blob(session)])?;
    found.first().map_or(Ok(None), |row| row.optional_integer(0))
}

/// Forgets those that were sent; whether there are more.
pub(super) fn forget(sql: &impl Sql, now: UnixMillis, at_once: u32) -> Result<bool, SqlError> {
    let removed = sql.run(
        "DELETE FROM refreshes WHERE session IN
             (SELECT session FROM refreshes WHERE id IS NULL AND due <= ? ORDER BY due LIMIT ?)
         RETURNING 1",
        &[now.into(), at_once.into()],
    )?;
    Ok(removed.len() >= at_once as usize)
}

/// Between two entries of one session.
pub(super) const SPACING: Duration = Duration::from_millis(250);
