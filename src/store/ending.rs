//! Ends: of one session, of the others, of all. Each is a kill with a handle,
//! and committed with what it ends.

use crate::session::{KillId, SessionId, Subject};
use crate::store::message::{EndCall, EndOthersCall, Kill, KillScope, Placed, ShardAnswer, Which};
use crate::store::rows::live;
use crate::store::turn::Turn;
use crate::store::{Sql, SqlError, generations, rotation, rows, sweep};
use crate::time::UnixMillis;

/// Hands out the handles of what one call ends.
pub(super) struct Endings {
    kill: KillId,
    ended: u32,
}

impl Endings {
    pub fn of(kill: KillId) -> Self {
        Self { kill, ended: 0 }
    }

    fn next(&mut self) -> KillId {
        let id = self.kill.nth(self.ended);
        self.ended += 1;
        id
    }
}

/// Ends one session, which is there.
pub(super) fn one(turn: &Turn<'_, impl Sql>, id: SessionId, endings: &mut Endings) -> Result<(), SqlError> {
    rows::delete(turn.sql, id)?;
    note(turn, endings.next(), KillScope::Session, &id.to_text(), None)
}

/// Ends all that a subject has here; returns how many lived.
pub(super) fn all_of(turn: &Turn<'_, impl Sql>, subject: &Subject, endings: &mut Endings) -> Result<u32, SqlError> {
    let (live, generation) = outnumber(turn, subject)?;
    note(turn, endings.next(), KillScope::Subject, subject.as_str(), Some(generation))?;
    Ok(live)
}

/// Ends by the shard's number all that a subject has here; returns how many
/// lived, and the number below which they are dead.
fn outnumber(turn: &Turn<'_, impl Sql>, subject: &Subject) -> Result<(u32, u64), SqlError> {
    let live = count_live(turn, subject)?;
    let generation = generations::end_all_of(turn.sql, subject)?;
    turn.wake_by(turn.now.plus(sweep::SOON))?;
    Ok((live, generation))
}

pub(super) fn count_live(turn: &Turn<'_, impl Sql>, subject: &Subject) -> Result<u32, SqlError> {
    let rows = turn.sql.run(
        concat!("SELECT count(*) FROM sessions s WHERE s.subject = ?2 AND ", live!()),
        &[turn.now.into(), subject.as_str().into()],
    )?;
    rows.first().map_or(Ok(0), |row| row.integer(0))
}

/// The oldest that live of a subject's sessions, but for one.
pub(super) fn oldest(
    turn: &Turn<'_, impl Sql>,
    subject: &Subject,
    count: u32,
    but: Option<SessionId>,
) -> Result<Vec<SessionId>, SqlError> {
    let rows = turn.sql.run(
        concat!(
            "SELECT s.id FROM sessions s WHERE s.subject = ?2 AND s.id IS NOT ?3 AND ",
            live!(),
            " ORDER BY s.created, s.id LIMIT ?4"
        ),
        &[turn.now.into(), subject.as_str().into(), but.map(rows::blob).into(), count.into()],
    )?;
    rows.iter().map(|row| row.bytes(0).map(SessionId::from_bytes)).collect()
}

/// `None`: there was none that lived, or it is somebody else's.
pub(super) fn end(turn: &Turn<'_, impl Sql>, call: &EndCall) -> Result<ShardAnswer, SqlError> {
    let found = match &call.of {
        Which::Key(key) => rows::stub_by_key(turn.sql, &key.0, turn.now)?,
        Which::Id(id) => rows::stub_by_id(turn.sql, *id, turn.now)?,
    };
    let found = found.filter(|stub| stub.is_live && (call.only.is_none() || stub.subject == call.only));
    let Some(stub) = found else { return Ok(ShardAnswer::Ended { session: None }) };
    one(turn, stub.id, &mut Endings::of(call.kill))?;
    Ok(ShardAnswer::Ended { session: Some(Placed { id: stub.id, subject: stub.subject }) })
}

/// Ends the lineage of a replayed secret.
pub(super) fn end_replayed(turn: &Turn<'_, impl Sql>, id: SessionId, kill: KillId) -> Result<(), SqlError> {
    one(turn, id, &mut Endings::of(kill))
}

/// Ends the subject's other sessions and gives this one a fresh secret, as
/// strong as the presented one was served.
pub(super) fn end_others(turn: &Turn<'_, impl Sql>, call: &EndOthersCall) -> Result<ShardAnswer, SqlError> {
    let Some(served) = rotation::served(turn, &call.presented)? else {
        return Ok(ShardAnswer::EndedOthers { session: None, others: 0 });
    };
    let subject = served.session.subject.clone();
    let (live, generation) = outnumber(turn, &subject)?;
    let session = rotation::cut(turn, served, &call.successor, call.grace_ms, generation)?;
    note(turn, call.kill, KillScope::Subject, subject.as_str(), Some(generation.max(call.at_least)))?;
    Ok(ShardAnswer::EndedOthers { session: Some(session), others: live.saturating_sub(1) })
}

pub(super) fn end_all(
    turn: &Turn<'_, impl Sql>,
    subject: &Subject,
    kill: Option<KillId>,
    at_least: u64,
) -> Result<ShardAnswer, SqlError> {
    let (live, generation) = outnumber(turn, subject)?;
    if let Some(kill) = kill {
        note(turn, kill, KillScope::Subject, subject.as_str(), Some(generation.max(at_least)))?;
    }
    Ok(ShardAnswer::EndedAll { live, generation })
}

/// Leaves the subject to a later row of the map.
pub(super) fn leave(
    turn: &Turn<'_, impl Sql>,
    subject: &Subject,
    keep: Option<u32>,
    kill: KillId,
) -> Result<ShardAnswer, SqlError> {
    generations::move_away(turn.sql, subject)?;
    let mut live = count_live(turn, subject)?;
    if let Some(excess) = keep.and_then(|keep| live.checked_sub(keep)).filter(|excess| *excess > 0) {
        let mut endings = Endings::of(kill);
        for id in oldest(turn, subject, excess, None)? {
            one(turn, id, &mut endings)?;
            live -= 1;
        }
    }
    Ok(ShardAnswer::Left { live })
}

/// The kill of this handle, as long as its receipt is kept.
pub(super) fn receipt(sql: &impl Sql, kill: KillId) -> Result<ShardAnswer, SqlError> {
    let rows = sql.run("SELECT scope, committed FROM kills WHERE id = ?", &[rows::blob(kill)])?;
    let read = |row: &crate::store::Row| {
        let scope = match row.text(0)? {
            "session" => KillScope::Session,
            "subject" => KillScope::Subject,
            "site" => KillScope::Site,
            other => return Err(SqlError(format!("a kill of scope {other}"))),
        };
        Ok(Kill { id: kill, scope, committed: UnixMillis(row.integer(1)?) })
    };
    Ok(ShardAnswer::Receipt { kill: rows.first().map(read).transpose()? })
}

/// Keeps the receipt; a call that is repeated keeps the first.
fn note(
    turn: &Turn<'_, impl Sql>,
    kill: KillId,
    scope: KillScope,
    target: &str,
    min_generation: Option<u64>,
) -> Result<(), SqlError> {
    let scope = match scope {
        KillScope::Session => "session",
        KillScope::Subject => "subject",
        KillScope::Site => "site",
    };
    turn.wake_by(turn.now.plus(sweep::RECEIPTS_KEPT))?;
    turn.sql
        .run(
            "INSERT INTO kills (id, scope, target, min_generation, committed) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (id) DO NOTHING",
            &[rows::blob(kill), scope.into(), target.into(), min_generation.into(), turn.now.into()],
        )
        .map(|_| ())
}
