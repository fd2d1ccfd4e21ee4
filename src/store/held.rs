//! What sessions hold for their users, sealed. The shard cannot open it: it
//! keeps the content key wrapped under each live secret, and has none of them.

use core::time::Duration;

use crate::session::{Held, Sealed, Session, SessionId, Wrapped, idle_expiry};
use crate::store::message::{HoldCall, ShardAnswer};
use crate::store::turn::Turn;
use crate::store::{Sql, SqlError, SqlValue, refresh, rotation, rows};
use crate::time::UnixMillis;

/// What a session holds, with the content key as this secret wraps it.
pub(super) fn read(sql: &impl Sql, id: SessionId, wrapped: Wrapped) -> Result<Option<Held>, SqlError> {
    let rows = sql.run("SELECT version, sealed FROM held WHERE session = ?", &[rows::blob(id)])?;
    let held =
        |row: &crate::store::Row| Ok(Held { version: row.integer(0)?, wrapped, sealed: Sealed(row.blob(1)?.to_vec()) });
    rows.first().map(held).transpose()
}

/// Writes the first of it.
pub(super) fn insert(sql: &impl Sql, id: SessionId, sealed: &Sealed) -> Result<(), SqlError> {
    sql.run(
        "INSERT INTO held (session, version, sealed) VALUES (?, 1, ?)",
        &[rows::blob(id), sealed.0.as_slice().into()],
    )
    .map(|_| ())
}

/// Puts other values in its place, if nobody else has since they were read.
pub(super) fn hold(turn: &Turn<'_, impl Sql>, call: &HoldCall) -> Result<ShardAnswer, SqlError> {
    let Some(found) = rotation::served(turn, &call.presented)? else {
        return Ok(ShardAnswer::Holding { session: None });
    };
    let mut session = found.session;
    let Some(held) = &mut session.held else { return Ok(ShardAnswer::Holding { session: None }) };
    if held.version != call.base {
        return Ok(ShardAnswer::HeldMeanwhile { session });
    }
    held.version += 1;
    held.sealed = call.sealed.clone();
    turn.sql.run(
        "UPDATE held SET version = ?2, sealed = ?3 WHERE session = ?1",
        &[rows::blob(session.id), held.version.into(), call.sealed.0.as_slice().into()],
    )?;
    expire(turn, &mut session, call)?;
    refresh::want(turn, session.id, call.refresh)?;
    Ok(ShardAnswer::Holding { session: Some(session) })
}

/// What is held says how long the session can be of use. It is no use of the
/// session, which may have been cut short by what was held before. A shorter idle
/// timeout takes nothing back here either.
fn expire(turn: &Turn<'_, impl Sql>, session: &mut Session, call: &HoldCall) -> Result<(), SqlError> {
    session.absolute_expires = turn.now.plus(Duration::from_millis(call.lifetime_ms));
    let idle = idle_expiry(session.last_seen, Duration::from_millis(call.idle_ms));
    session.idle_expires = idle.max(session.idle_expires).min(session.absolute_expires);
    turn.wake_by(session.idle_expires)?;
    turn.sql
        .run(
            "UPDATE sessions SET absolute_expires = ?2, idle_expires = ?3 WHERE id = ?1",
            &[rows::blob(session.id), session.absolute_expires.into(), session.idle_expires.into()],
        )
        .map(|_| ())
}

/// What an old secret wraps goes when its grace ends.
pub(super) fn forget_old(sql: &impl Sql, now: UnixMillis) -> Result<(), SqlError> {
    sql.run(
        "UPDATE secrets SET wrapped = NULL WHERE wrapped IS NOT NULL AND waits = 0 AND serves_until <= ?",
        &[now.into()],
    )
    .map(|_| ())
}

/// When the next of these ends.
pub(super) fn next(sql: &impl Sql) -> Result<Option<UnixMillis>, SqlError> {
    let rows = sql.run(
        "SELECT serves_until FROM secrets WHERE wrapped IS NOT NULL AND waits = 0 AND serves_until IS NOT NULL
         ORDER BY serves_until LIMIT 1",
        &[],
    )?;
    rows.first().map(|row| row.integer(0).map(UnixMillis)).transpose()
}

/// As a column.
pub(super) fn column(wrapped: Option<&Wrapped>) -> SqlValue {
    wrapped.map(|wrapped| SqlValue::from(wrapped.0.as_slice())).into()
}
