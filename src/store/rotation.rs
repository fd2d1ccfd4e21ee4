//! New secrets for a session: the statements behind `session::lineage`.

use core::time::Duration;

use crate::config::GRACE_MAX;
use crate::mutants::{self, Mutant};
use crate::session::{Cap, OLD_SECRETS_MAX, Served, Session, Standing, Wrapped};
use crate::store::message::{Key, RotateCall, Rotated, ShardAnswer};
use crate::store::turn::Turn;
use crate::store::{Sql, SqlError, audit, refresh, rows};
use crate::time::UnixMillis;

/// A live session with the served secret that was presented for it.
pub(super) struct ServedSession {
    /// As strong as that secret makes it.
    pub session: Session,
    /// As strong as its newest secret makes it.
    whole: Cap,
    standing: Standing,
    /// The grace of the secrets before it, if it has never been used.
    grace_ms: Option<u64>,
}

impl ServedSession {
    /// As the gate is told.
    pub fn served(&self) -> Served {
        match self.standing {
            Standing::InGrace { successor } => Served::InGrace { salt: successor },
            Standing::Current | Standing::Retired { .. } => Served::Current,
        }
    }
}

/// The session that a served secret opens.
pub(super) fn served(turn: &Turn<'_, impl Sql>, key: &Key) -> Result<Option<ServedSession>, SqlError> {
    let Some((session, link)) = rows::find(turn.sql, &key.0, turn.now)? else { return Ok(None) };
    let standing = link.standing(turn.now);
    if matches!(standing, Standing::Retired { .. }) {
        return Ok(None);
    }
    let whole = Cap { level: session.level, auth_time: session.auth_time };
    let session = session.capped(link.cap);
    Ok(Some(ServedSession { session, whole, standing, grace_ms: link.grace_ms }))
}

pub(super) fn rotate(turn: &Turn<'_, impl Sql>, call: &RotateCall) -> Result<ShardAnswer, SqlError> {
    let Some(found) = served(turn, &call.presented)? else { return Ok(ShardAnswer::Rotated { rotated: None }) };
    let rotated = match (call.level, found.standing) {
        (Some(level), _) => raise(turn, found, call, level)?,
        (None, standing) if makes(call, &standing) => derive(turn, found, call)?,
        // It has been rotated meanwhile: all that race get the same successor,
        // and one that may have none is at least served.
        (None, standing) => {
            let salt = match standing {
                Standing::InGrace { successor } => successor,
                _ => None,
            };
            Rotated { session: found.session, is_new: false, salt }
        }
    };
    if rotated.is_new {
        audit::note(turn, "session_rotated", Some(rotated.session.id), Some(&rotated.session.subject))?;
    }
    Ok(ShardAnswer::Rotated { rotated: Some(rotated) })
}

/// Whether that would make a secret.
pub(super) fn makes_secret(sql: &impl Sql, call: &RotateCall, now: UnixMillis) -> Result<bool, SqlError> {
    let standing = rows::find(sql, &call.presented.0, now)?.map(|(_, link)| link.standing(now));
    Ok(standing.is_some_and(|standing| !matches!(standing, Standing::Retired { .. }) && makes(call, &standing)))
}

/// Whether a served secret that stands like this gets another one.
fn makes(call: &RotateCall, standing: &Standing) -> bool {
    call.level.is_some() || (call.salt.is_some() && matches!(standing, Standing::Current))
}

/// The next secret, derived from the presented one.
fn derive(turn: &Turn<'_, impl Sql>, found: ServedSession, call: &RotateCall) -> Result<Rotated, SqlError> {
    leave_behind(turn, &found.session, None)?;
    remember_successor(turn, call)?;
    tell(turn, &found.session, call)?;
    append(turn, &found.session, &call.successor, call.wrapped.as_ref(), Some(call.grace_ms))?;
    Ok(Rotated { session: found.session, is_new: true, salt: call.salt })
}

/// What leads from the presented secret to the next one.
fn remember_successor(turn: &Turn<'_, impl Sql>, call: &RotateCall) -> Result<(), SqlError> {
    let salt = call.salt.map(|salt| crate::store::SqlValue::from(salt.0.as_slice()));
    let parameters = [call.presented.0.as_bytes().as_slice().into(), salt.into()];
    turn.sql.run("UPDATE secrets SET salt = ?2 WHERE key = +?1", &parameters).map(|_| ())
}

/// The edges are to forget the secret that was the newest.
fn tell(turn: &Turn<'_, impl Sql>, session: &Session, call: &RotateCall) -> Result<(), SqlError> {
    if mutants::is(Mutant::SilentRotation) {
        return Ok(());
    }
    refresh::want(turn, session.id, call.refresh)
}

/// A fresh secret with a new level and authentication. What was served before
/// is served as it was, and leads nowhere.
fn raise(turn: &Turn<'_, impl Sql>, found: ServedSession, call: &RotateCall, level: u8) -> Result<Rotated, SqlError> {
    let Turn { sql, now, .. } = *turn;
    let mut session = found.session;
    leave_behind(turn, &session, Some(found.whole))?;
    if mutants::is(Mutant::SuccessorAfterRaise) {
        remember_successor(turn, call)?;
    }
    session.level = level;
    session.auth_time = now;
    sql.run(
        "UPDATE sessions SET level = ?2, auth_time = ?3 WHERE id = ?1",
        &[rows::blob(session.id), level.into(), now.into()],
    )?;
    tell(turn, &session, call)?;
    append(turn, &session, &call.successor, call.wrapped.as_ref(), Some(call.grace_ms))?;
    Ok(Rotated { session, is_new: true, salt: None })
}

/// A fresh secret without a grace for the old ones.
pub(super) fn cut(
    turn: &Turn<'_, impl Sql>,
    found: ServedSession,
    successor: &Key,
    wrapped: Option<&Wrapped>,
    grace_ms: u64,
    generation: u64,
) -> Result<Session, SqlError> {
    let Turn { sql, now, .. } = *turn;
    let mut session = found.session;
    let replay_from = now.plus(Duration::from_millis(grace_ms));
    // Not served from the beginning of time: a clock that is behind this one,
    // where the object moves to, must not serve them again.
    sql.run(
        "UPDATE secrets SET salt = NULL, wrapped = NULL, waits = 0, serves_until = 0,
                replay_from = CASE WHEN serves_until IS NULL OR serves_until > ?2 OR waits = 1 THEN ?3
                                   ELSE replay_from END
         WHERE session = ?1",
        &[rows::blob(session.id), now.into(), replay_from.into()],
    )?;
    session.generation = generation;
    sql.run(
        "UPDATE sessions SET level = ?2, auth_time = ?3, generation = ?4 WHERE id = ?1",
        &[rows::blob(session.id), session.level.into(), session.auth_time.into(), generation.into()],
    )?;
    append(turn, &session, successor, wrapped, None)?;
    Ok(session)
}

/// Notes a use of a served secret.
pub(super) fn note_use(turn: &Turn<'_, impl Sql>, served: &ServedSession, key: &Key) -> Result<(), SqlError> {
    match (served.standing, served.grace_ms) {
        (Standing::Current, Some(grace_ms)) => first_use(turn, &served.session, key, grace_ms),
        _ => Ok(()),
    }
}

/// The successor has been used: its predecessors' grace comes to its end.
pub(super) fn first_use(
    turn: &Turn<'_, impl Sql>,
    session: &Session,
    key: &Key,
    grace_ms: u64,
) -> Result<(), SqlError> {
    let Turn { sql, now, .. } = *turn;
    let until = now.plus(Duration::from_millis(grace_ms));
    sql.run(
        "UPDATE secrets SET serves_until = ?2, replay_from = ?2
         WHERE session = ?1 AND serves_until > ?2",
        &[rows::blob(session.id), until.into()],
    )?;
    sql.run("UPDATE secrets SET grace_ms = NULL WHERE key = +?", &[key.0.as_bytes().as_slice().into()])?;
    turn.wake_by(until)
}

/// Takes the successor from every earlier secret, and lets the newest wait for
/// the edges to be told, from when on it has its grace; with a cap, what is served stays as strong as it is, and no stronger
/// than it was when it had a cap before.
fn leave_behind(turn: &Turn<'_, impl Sql>, session: &Session, cap: Option<Cap>) -> Result<(), SqlError> {
    let until = turn.now.plus(GRACE_MAX);
    turn.sql.run(
        "UPDATE secrets SET salt = NULL, serves_until = coalesce(serves_until, ?2),
                replay_from = coalesce(replay_from, ?2),
                cap_level = coalesce(min(cap_level, ?3), cap_level, ?3),
                cap_auth_time = coalesce(min(cap_auth_time, ?4), cap_auth_time, ?4),
                waits = CASE WHEN serves_until IS NULL THEN 1 ELSE waits END
         WHERE session = ?1 AND (serves_until IS NULL OR serves_until > ?5 OR salt IS NOT NULL OR waits = 1)",
        &[
            rows::blob(session.id),
            until.into(),
            cap.map(|cap| cap.level).into(),
            cap.map(|cap| cap.auth_time).into(),
            turn.now.into(),
        ],
    )?;
    Ok(())
}

/// Adds the newest secret, and forgets the oldest ones.
fn append(
    turn: &Turn<'_, impl Sql>,
    session: &Session,
    key: &Key,
    wrapped: Option<&Wrapped>,
    grace_ms: Option<u64>,
) -> Result<(), SqlError> {
    // A live secret that could not open what is held would lose it.
    if session.held.is_some() && wrapped.is_none() {
        return Err(SqlError("a new secret for a session that holds something, without its key".to_owned()));
    }
    let id = rows::blob(session.id);
    let newest = turn.sql.run("SELECT max(rank) FROM secrets WHERE session = ?", core::slice::from_ref(&id))?;
    let rank = newest.first().map_or(Ok(0), |row| row.integer::<u32>(0))? + 1;
    rows::insert_secret(turn.sql, session.id, &key.0, wrapped, rank, grace_ms)?;
    turn.sql
        .run("DELETE FROM secrets WHERE session = ?1 AND rank < ?2", &[id, rank.saturating_sub(OLD_SECRETS_MAX).into()])
        .map(|_| ())
}
