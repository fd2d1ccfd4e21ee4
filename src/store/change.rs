//! Changes of a living session: its use, its claims, its level.

use core::time::Duration;

use crate::mutants::{self, Mutant};
use crate::session::{Claims, Session, idle_expiry};
use crate::store::message::{Found, RenewCall, ShardAnswer, UpdateCall, Which};
use crate::store::turn::Turn;
use crate::store::{Sql, SqlError, audit, refresh, rotation, rows};

/// A use of the session. Never makes it expire earlier, and never wakes a dead one.
pub(super) fn renew(turn: &Turn<'_, impl Sql>, call: &RenewCall) -> Result<ShardAnswer, SqlError> {
    let idle = Duration::from_millis(call.idle_ms);
    // Many requests of one page ask for it at once; one of them is written.
    let Some(served) = rotation::served(turn, &call.key)? else {
        return Ok(ShardAnswer::Renewed { found: None, is_written: false });
    };
    // Whoever renews by what KV has of a session may be the first whom the shard hears of.
    rotation::note_use(turn, &served, &call.key)?;
    let (served, mut session) = (served.served(), served.session);
    let is_written = session.wants_renewal(turn.now, idle);
    if is_written {
        let before = if mutants::is(Mutant::ExpiryMovesBack) { turn.now } else { session.idle_expires };
        session.idle_expires = idle_expiry(turn.now, idle).min(session.absolute_expires).max(before);
        session.last_seen = session.last_seen.max(turn.now);
        session.device.last_prefix = call.prefix.clone().or(session.device.last_prefix);
        turn.sql.run(
            "UPDATE sessions SET last_seen = ?2, idle_expires = ?3, last_prefix = coalesce(?4, last_prefix)
             WHERE id = ?1",
            &[
                rows::blob(session.id),
                session.last_seen.into(),
                session.idle_expires.into(),
                call.prefix.as_deref().into(),
            ],
        )?;
    }
    Ok(ShardAnswer::Renewed { found: Some(Found { session, served }), is_written })
}

pub(super) fn update(turn: &Turn<'_, impl Sql>, call: &UpdateCall) -> Result<ShardAnswer, SqlError> {
    let found = match &call.of {
        Which::Key(key) => rotation::served(turn, key)?.map(|served| served.session),
        Which::Id(id) => rows::find_by_id(turn.sql, *id, turn.now)?,
    };
    let Some(mut session) = found else { return Ok(ShardAnswer::Updated { session: None }) };
    if call.level.is_some_and(|level| level > session.level) {
        return Ok(ShardAnswer::NeedsRotation);
    }
    write(turn.sql, &session, call)?;
    audit::note(turn, "session_updated", Some(session.id), Some(&session.subject))?;
    if !mutants::is(Mutant::SilentUpdate) {
        refresh::want(turn, session.id, call.refresh)?;
    }
    if let Some(claims) = &call.claims {
        session.claims = Some(claims.clone());
    }
    session.level = call.level.unwrap_or(session.level);
    Ok(ShardAnswer::Updated { session: Some(session) })
}

fn write(sql: &impl Sql, session: &Session, call: &UpdateCall) -> Result<(), SqlError> {
    sql.run(
        "UPDATE sessions SET claims = coalesce(?2, claims), level = coalesce(?3, level) WHERE id = ?1",
        &[rows::blob(session.id), call.claims.as_ref().map(Claims::as_str).into(), call.level.into()],
    )
    .map(|_| ())
}
