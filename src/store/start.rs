//! The start of a session: what it ends and what it writes, in one commit.

use core::time::Duration;

use crate::mutants::{self, Mutant};
use crate::session::{Session, SessionId, idle_expiry};
use crate::store::ending::{self, Endings};
use crate::store::message::{Key, Limit, ShardAnswer, StartCall};
use crate::store::turn::Turn;
use crate::store::{Sql, SqlError, adoption, audit, ended, generations, held, home, rows};

/// Decides first and writes then, so that a refused start changes nothing but
/// what is written down of it.
pub(super) fn begin(turn: &Turn<'_, impl Sql>, start: &StartCall) -> Result<ShardAnswer, SqlError> {
    let Turn { sql, now, .. } = *turn;
    if generations::has_moved(sql, &start.subject)? && !mutants::is(Mutant::OldRowStart) {
        return Ok(ShardAnswer::Moved);
    }
    if !home::is_announced(sql, start.since.is_some())? {
        return Ok(ShardAnswer::Unannounced);
    }
    if let Some(adopts) = &start.adopts {
        if adoption::is_exchanged(sql, &adopts.key)? && !mutants::is(Mutant::AdoptedTwice) {
            return Ok(ShardAnswer::AdoptedBefore);
        }
        if adoption::is_closed(sql, &start.subject)? {
            return Ok(ShardAnswer::Closed { closed: true });
        }
    }
    if ended::is_after(sql, &start.subject, start.since, now)? {
        audit::note_rarely(turn, "start_refused", "killed_meanwhile", None, Some(&start.subject))?;
        return Ok(ShardAnswer::KilledMeanwhile);
    }
    let replaced = if start.end_others { None } else { presented(turn, start)? };
    let evicted = match start.limit {
        None => Vec::new(),
        Some(limit) => match make_room(turn, start, limit, replaced)? {
            Ok(oldest) => oldest,
            Err(refusal) => {
                if matches!(refusal, ShardAnswer::LimitReached) {
                    audit::note_rarely(turn, "start_refused", "max_sessions", None, Some(&start.subject))?;
                }
                return Ok(refusal);
            }
        },
    };
    let mut endings = Endings::leading(&start.lead);
    let (ended_others, kill) = if start.end_others {
        let (live, kill) = ending::all_of(turn, &start.subject, &mut endings)?;
        (live, Some(kill))
    } else {
        (0, None)
    };
    let subject = Some(&start.subject);
    if start.end_others {
        audit::note(turn, "sessions_ended", Some(start.id), subject)?;
    }
    if let Some(id) = replaced {
        ending::one(turn, id, &mut endings)?;
        audit::note(turn, "session_replaced", Some(id), subject)?;
    }
    for id in &evicted {
        ending::one(turn, *id, &mut endings)?;
        audit::note_as(turn, audit::LIMIT, "session_ended", Some(*id), subject)?;
    }
    let absolute_expires = now.plus(Duration::from_millis(start.lifetime_ms));
    let session = Session {
        id: start.id,
        subject: start.subject.clone(),
        level: start.level,
        auth_time: now,
        created: now,
        last_seen: now,
        idle_expires: idle_expiry(now, Duration::from_millis(start.idle_ms)).min(absolute_expires),
        absolute_expires,
        claims: start.claims.clone(),
        device: start.device.clone().bounded(),
        generation: generations::current(sql)?,
        held: None,
    };
    turn.wake_by(session.idle_expires)?;
    rows::insert(sql, &session)?;
    let wrapped = start.hold.as_ref().map(|hold| &hold.wrapped);
    match &start.adopts {
        None => rows::insert_secret(sql, session.id, &start.key.0, wrapped, 0, None)?,
        Some(adopts) => {
            // Until the new secret is used. Not for GRACE_MAX, as in a rotation:
            // whose answer was lost has nothing but the old cookie.
            rows::insert_old_secret(sql, session.id, adopts, session.absolute_expires)?;
            adoption::exchanged(turn, adopts, session.id)?;
            rows::insert_secret(sql, session.id, &start.key.0, wrapped, 1, Some(adopts.grace_ms))?;
        }
    }
    if let Some(hold) = &start.hold {
        held::insert(sql, session.id, &hold.sealed)?;
    }
    audit::note(turn, "session_started", Some(session.id), subject)?;
    Ok(ShardAnswer::Started { session, replaced, evicted, ended_others, kill })
}

/// The presented session, if it lives and is the same subject's.
fn presented(turn: &Turn<'_, impl Sql>, start: &StartCall) -> Result<Option<SessionId>, SqlError> {
    let Some(Key(key)) = &start.presented else { return Ok(None) };
    let found = rows::stub_by_key(turn.sql, key, turn.now)?;
    Ok(found.filter(|stub| stub.is_live && stub.subject.as_ref() == Some(&start.subject)).map(|stub| stub.id))
}

/// The oldest sessions that have to end so that there are never more than the
/// limit; or why that cannot be done here.
fn make_room(
    turn: &Turn<'_, impl Sql>,
    start: &StartCall,
    limit: Limit,
    replaced: Option<SessionId>,
) -> Result<Result<Vec<SessionId>, ShardAnswer>, SqlError> {
    let here = if start.end_others {
        0
    } else {
        ending::count_live(turn, &start.subject)?.saturating_sub(u32::from(replaced.is_some()))
    };
    let excess = here.saturating_add(limit.elsewhere).saturating_add(1).saturating_sub(limit.max);
    if excess == 0 || mutants::is(Mutant::LimitIgnored) {
        return Ok(Ok(Vec::new()));
    }
    if !limit.end_oldest {
        return Ok(Err(ShardAnswer::LimitReached));
    }
    // What lives under earlier rows of the map is older than what lives here.
    if limit.elsewhere > 0 {
        return Ok(Err(ShardAnswer::MakeRoom { excess: excess.min(limit.elsewhere) }));
    }
    ending::oldest(turn, &start.subject, excess, replaced).map(Ok)
}
