//! Ends: of one session, of the others, of all. Each is a kill with a handle,
//! and committed with what it ends.

use crate::config::MapRow;
use crate::mutants::{self, Mutant};
use crate::session::{KillId, Session, SessionId, Subject};
use crate::store::message::{EndAllCall, EndCall, EndOthersCall, Kill, KillScope, Lead, Placed, ShardAnswer, Which};
use crate::store::rows::live;
use crate::store::turn::Turn;
use crate::store::{Sql, SqlError, adoption, audit, generations, outbox, rotation, rows, sweep};

/// Hands out the handles of what one call ends.
pub(super) struct Endings<'a> {
    kill: KillId,
    rows: &'a [MapRow],
    at_least: u64,
    ended: u32,
}

impl<'a> Endings<'a> {
    /// For what ends in this shard only.
    pub fn here(kill: KillId) -> Self {
        Self { kill, rows: &[], at_least: 0, ended: 0 }
    }

    /// For what has ended in others too.
    pub fn leading(lead: &'a Lead) -> Self {
        Self { kill: lead.kill, rows: &lead.rows, at_least: lead.at_least, ended: 0 }
    }

    fn next(&mut self) -> KillId {
        let id = self.kill.nth(self.ended);
        self.ended += 1;
        id
    }
}

/// Ends one session, which is there.
pub(super) fn one(turn: &Turn<'_, impl Sql>, id: SessionId, endings: &mut Endings<'_>) -> Result<Kill, SqlError> {
    rows::delete(turn.sql, id)?;
    note(turn, endings.next(), KillScope::Session, &id.to_text(), None, &[])
}

/// Ends all that a subject has here; returns how many lived.
pub(super) fn all_of(
    turn: &Turn<'_, impl Sql>,
    subject: &Subject,
    endings: &mut Endings<'_>,
) -> Result<(u32, Kill), SqlError> {
    let kill = endings.next();
    let (live, generation) = outnumber(turn, subject, kill)?;
    let generation = generation.max(endings.at_least);
    Ok((live, note(turn, kill, KillScope::Subject, subject.as_str(), Some(generation), endings.rows)?))
}

/// Ends by the shard's number all that a subject has here; returns how many
/// lived, and the number below which they are dead.
fn outnumber(turn: &Turn<'_, impl Sql>, subject: &Subject, kill: KillId) -> Result<(u32, u64), SqlError> {
    let live = count_live(turn, subject)?;
    let generation = generations::end_all_of(turn.sql, subject, kill, turn.now)?;
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
    let Some(stub) = found else {
        let earlier = if let Which::Id(id) = call.of { outbox::end_of(turn, id, call.only.as_ref())? } else { None };
        return Ok(ShardAnswer::Ended { session: None, earlier });
    };
    let kill = one(turn, stub.id, &mut Endings::here(call.kill))?;
    audit::note(turn, "session_ended", Some(stub.id), stub.subject.as_ref())?;
    Ok(ShardAnswer::Ended { session: Some(Placed { id: stub.id, subject: stub.subject, kill }), earlier: None })
}

/// Ends the lineage of a replayed secret.
pub(super) fn end_replayed(turn: &Turn<'_, impl Sql>, session: &Session, kill: KillId) -> Result<(), SqlError> {
    one(turn, session.id, &mut Endings::here(kill))?;
    audit::note_as(turn, ("replay", "on_replay"), "session_ended", Some(session.id), Some(&session.subject))
}

/// Ends the subject's other sessions and gives this one a fresh secret, as
/// strong as the presented one was served.
pub(super) fn end_others(turn: &Turn<'_, impl Sql>, call: &EndOthersCall) -> Result<ShardAnswer, SqlError> {
    let Some(served) = rotation::served(turn, &call.presented)? else {
        return Ok(ShardAnswer::EndedOthers { session: None, others: 0, kill: None });
    };
    let subject = served.session.subject.clone();
    let (live, generation) = outnumber(turn, &subject, call.lead.kill)?;
    let session = rotation::cut(turn, served, &call.successor, call.wrapped.as_ref(), call.grace_ms, generation)?;
    let kill = lead(turn, &subject, generation, &call.lead)?;
    let others = live.saturating_sub(1);
    note_ends(turn, others, Some(session.id), &subject)?;
    Ok(ShardAnswer::EndedOthers { session: Some(session), others, kill: Some(kill) })
}

pub(super) fn end_all(turn: &Turn<'_, impl Sql>, call: &EndAllCall) -> Result<ShardAnswer, SqlError> {
    let (live, generation) = outnumber(turn, &call.subject, call.kill)?;
    let earlier = if live == 0 { outbox::end_of_all(turn.sql, &call.subject)? } else { None };
    if live > 0 {
        outbox::note_ended(turn, &call.subject, call.kill)?;
    }
    let kill = call.lead.as_ref().map(|given| lead(turn, &call.subject, generation, given)).transpose()?;
    note_ends(turn, live, None, &call.subject)?;
    Ok(ShardAnswer::EndedAll { live, generation, kill, earlier })
}

/// Notes that a subject's were ended. Where there were none, anybody who has a
/// session can do it again and again.
fn note_ends(
    turn: &Turn<'_, impl Sql>,
    ended: u32,
    kept: Option<SessionId>,
    subject: &Subject,
) -> Result<(), SqlError> {
    if ended > 0 || audit::is_admins(turn) {
        return audit::note(turn, "sessions_ended", kept, Some(subject));
    }
    let reason = turn.by.map_or("", |by| &by.reason);
    audit::note_rarely(turn, "sessions_ended", reason, kept, Some(subject))
}

/// Keeps the kill of a subject that this shard leads.
fn lead(turn: &Turn<'_, impl Sql>, subject: &Subject, generation: u64, lead: &Lead) -> Result<Kill, SqlError> {
    let generation = if mutants::is(Mutant::NumberOfOneShard) { generation } else { generation.max(lead.at_least) };
    note(turn, lead.kill, KillScope::Subject, subject.as_str(), Some(generation), &lead.rows)
}

/// Ends everything in this shard. The dead rows leave as they expire. The feed
/// asks again and again while another shard of the round is out of reach; since
/// the first time nobody could log in here.
pub(super) fn end_site(turn: &Turn<'_, impl Sql>, kill: KillId) -> Result<ShardAnswer, SqlError> {
    if let Some(generation) = generations::ended_site(turn.sql, kill)? {
        return Ok(ShardAnswer::EndedSite { generation });
    }
    turn.wake_by(turn.now.plus(sweep::SOON))?;
    // What is not exchanged yet is a session of the site's too.
    adoption::close_site(turn.sql)?;
    audit::note(turn, "site_ended", None, None)?;
    generations::end_site(turn.sql, kill, turn.now).map(|generation| ShardAnswer::EndedSite { generation })
}

/// Leaves the subject to a later row of the map.
pub(super) fn leave(
    turn: &Turn<'_, impl Sql>,
    subject: &Subject,
    keep: Option<u32>,
    kill: KillId,
) -> Result<ShardAnswer, SqlError> {
    generations::move_away(turn.sql, subject)?;
    let live = count_live(turn, subject)?;
    let mut ended = Vec::new();
    if let Some(excess) = keep.and_then(|keep| live.checked_sub(keep)).filter(|excess| *excess > 0) {
        let mut endings = Endings::here(kill);
        ended = oldest(turn, subject, excess, None)?;
        for id in &ended {
            one(turn, *id, &mut endings)?;
            audit::note_as(turn, audit::LIMIT, "session_ended", Some(*id), Some(subject))?;
        }
    }
    let left = live.saturating_sub(u32::try_from(ended.len()).unwrap_or(u32::MAX));
    Ok(ShardAnswer::Left { live: left, ended: Some(ended).filter(|ended| !ended.is_empty()) })
}

/// Keeps the receipt; a call that is repeated keeps the first.
fn note(
    turn: &Turn<'_, impl Sql>,
    id: KillId,
    scope: KillScope,
    target: &str,
    min_generation: Option<u64>,
    map: &[MapRow],
) -> Result<Kill, SqlError> {
    turn.wake_by(turn.now.plus(sweep::SOON))?;
    let map = serde_json::to_string(map).map_err(|error| SqlError(error.to_string()))?;
    turn.sql.run(
        "INSERT INTO kills (id, scope, target, min_generation, committed, map) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO NOTHING",
        &[
            rows::blob(id),
            scope.as_str().into(),
            target.into(),
            min_generation.into(),
            turn.now.into(),
            map.as_str().into(),
        ],
    )?;
    Ok(Kill { id, scope, committed: turn.now, published: None, is_partial: false, progress: None })
}
