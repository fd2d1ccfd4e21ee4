//! What a shard has committed and the feed does not have yet.
//!
//! A kill is acknowledged only once the feed has it. Its receipt is written in
//! the transaction of the kill itself, so whatever happens in between, it is
//! published later: the object's alarm goes on until nothing is left.

use core::time::Duration;

use crate::config::MapRow;
use crate::mutants::{self, Mutant};
use crate::read;
use crate::revocation::{CLOCK_STILL_MAX, EntryKey, Epoch, Position, stretched};
use crate::session::{Handle, KillId, SessionId, Subject};
use crate::store::feed::{Append, Appended, NewEntry};
use crate::store::message::{Kill, KillScope, Published};
use crate::store::turn::Turn;
use crate::store::{Row, Sql, SqlError, ended, refresh, rows};
use crate::time::UnixMillis;

/// What waits, as one call to the feed, kills before refreshes; `None`: nothing
/// does, or nothing that is due.
pub(super) fn waiting(sql: &impl Sql, now: UnixMillis) -> Result<Option<Append>, SqlError> {
    let found = sql.run(
        "SELECT id, scope, target, min_generation, map FROM kills WHERE seq IS NULL AND partial = 0 ORDER BY committed, id LIMIT ?",
        &[AT_ONCE_MAX.into()],
    )?;
    let mut entries = found.iter().map(entry_of).collect::<Result<Vec<_>, _>>()?;
    let left = AT_ONCE_MAX.saturating_sub(u32::try_from(entries.len()).unwrap_or(AT_ONCE_MAX));
    entries.extend(refresh::waiting(sql, now, left)?);
    Ok((!entries.is_empty()).then_some(Append { entries }))
}

/// Whether a kill of one call waits: their handles differ at the end only, see
/// [`Handle::nth`].
pub(super) fn has_waiting(sql: &impl Sql, call: KillId) -> Result<bool, SqlError> {
    let found = sql.run(
        "SELECT 1 FROM kills WHERE seq IS NULL AND partial = 0 AND substr(id, 1, 12) = substr(?, 1, 12) LIMIT 1",
        &[rows::blob(call)],
    )?;
    Ok(!found.is_empty())
}

/// Notes that the feed has them, in the order in which they were sent.
pub(super) fn published(
    sql: &impl Sql,
    epoch: Epoch,
    bound_ms: u64,
    sent: &Append,
    entries: &[Appended],
    now: UnixMillis,
) -> Result<(), SqlError> {
    sql.atomically(|| {
        for (sent, entry) in sent.entries.iter().zip(entries) {
            if let EntryKey::Refresh(session) = sent.key {
                refresh::published(sql, session, sent.id, now)?;
                continue;
            }
            ended::stands(sql, entry.id, Position { epoch, seq: entry.seq }, now)?;
            if !entry.is_whole {
                // The edges go by what was done; but it is not acknowledged.
                sql.run("UPDATE kills SET partial = 1 WHERE id = ?", &[rows::blob(entry.id)])?;
                continue;
            }
            sql.run(
                "UPDATE kills SET epoch = ?2, seq = ?3, accepted = ?4, bound_ms = ?5, published = ?6
                 WHERE id = ?1 AND seq IS NULL",
                &[
                    rows::blob(entry.id),
                    epoch.to_text().as_str().into(),
                    entry.seq.into(),
                    entry.accepted.into(),
                    bound_ms.into(),
                    now.into(),
                ],
            )?;
        }
        Ok(())
    })
}

/// The kill of this handle, as long as its receipt is kept.
pub(super) fn kill(sql: &impl Sql, id: KillId, awake: UnixMillis, now: UnixMillis) -> Result<Option<Kill>, SqlError> {
    let found = sql.run(
        "SELECT scope, committed, epoch, seq, accepted, bound_ms, published, partial FROM kills WHERE id = ?",
        &[rows::blob(id)],
    )?;
    found.first().map(|row| kill_of(id, row, awake, now)).transpose()
}

/// The kill that has ended this session, with nothing else; where it has to have
/// been this subject's, as far as the audit table tells: there an administrator may
/// have asked for a session together with a subject whose it is not.
pub(super) fn end_of(
    turn: &Turn<'_, impl Sql>,
    session: SessionId,
    only: Option<&Subject>,
) -> Result<Option<Kill>, SqlError> {
    let found = turn.sql.run(
        "SELECT id FROM (SELECT id, scope, target FROM kills ORDER BY committed DESC LIMIT ?1)
         WHERE scope = 'session' AND target = ?2
         AND (?3 IS NULL OR EXISTS (SELECT 1 FROM (SELECT session, subject, event FROM audit ORDER BY seq DESC LIMIT ?1)
                                    WHERE session = ?4 AND subject = ?3 AND event <> 'admin_called')) LIMIT 1",
        &[
            LOOKED_AT_MAX.into(),
            session.to_text().as_str().into(),
            only.map(Subject::as_str).into(),
            rows::blob(session),
        ],
    )?;
    let Some(row) = found.first() else { return Ok(None) };
    kill(turn.sql, KillId::from_bytes(row.bytes(0)?), turn.now, turn.now)
}

/// Notes that sessions of the subject were ended here, for as long as receipts
/// are kept: its own receipt says that a kill was, and not whether there was any
/// session. It is never sent.
pub(super) fn note_ended(turn: &Turn<'_, impl Sql>, subject: &Subject, call: KillId) -> Result<(), SqlError> {
    turn.sql
        .run(
            "INSERT INTO kills (id, scope, target, committed, partial) VALUES (?, ?, ?, ?, 1) ON CONFLICT (id) DO NOTHING",
            &[
                rows::blob(call.nth(1)),
                KillScope::Subject.as_str().into(),
                subject.as_str().into(),
                turn.now.into(),
            ],
        )
        .map(|_| ())
}

/// When that was, or the end was not whole: somebody has been told to do it again.
pub(super) fn end_of_all(sql: &impl Sql, subject: &Subject) -> Result<Option<UnixMillis>, SqlError> {
    let found = sql.run(
        "SELECT committed FROM (SELECT scope, target, committed, partial FROM kills ORDER BY committed DESC LIMIT ?1)
         WHERE scope = 'subject' AND target = ?2 AND partial = 1 LIMIT 1",
        &[LOOKED_AT_MAX.into(), subject.as_str().into()],
    )?;
    found.first().map(|row| row.integer(0).map(UnixMillis)).transpose()
}

fn kill_of(id: KillId, row: &Row, awake: UnixMillis, now: UnixMillis) -> Result<Kill, SqlError> {
    let scope = KillScope::parse(row.text(0)?).ok_or_else(|| SqlError("a kill is malformed".to_owned()))?;
    let published = match (row.optional_text(2)?, row.optional_integer(3)?) {
        (Some(epoch), Some(seq)) => {
            let epoch = Epoch::parse(epoch).ok_or_else(|| SqlError("an epoch is malformed".to_owned()))?;
            let bound_ms = row.integer(5)?;
            // By this shard's own clock, from after the feed had committed it.
            let quiesced_in_ms = quiet_in(UnixMillis(row.integer(6)?), bound_ms, awake, now);
            Some(Published { epoch, seq, accepted: UnixMillis(row.integer(4)?), bound_ms, quiesced_in_ms })
        }
        _ if mutants::is(Mutant::AcknowledgedEarly) => {
            Some(Published { epoch: Epoch([0; 8]), seq: 0, accepted: now, bound_ms: 0, quiesced_in_ms: 0 })
        }
        _ => None,
    };
    Ok(Kill {
        id,
        scope,
        committed: UnixMillis(row.integer(1)?),
        published,
        is_partial: row.integer::<u8>(7)? == 1,
        progress: None,
    })
}

/// From the feed's commit until no edge can still accept.
pub fn time_to_quiet(bound: Duration) -> Duration {
    if mutants::is(Mutant::QuietTooSoon) {
        return Duration::ZERO;
    }
    stretched(bound) + CLOCK_STILL_MAX
}

/// What is left of that, in milliseconds, of a kill that was noted as published
/// at `published` by an object that has been awake since `awake`. Where another
/// incarnation has noted it, that was before; the clock was perhaps another one.
pub(super) fn quiet_in(published: UnixMillis, bound_ms: u64, awake: UnixMillis, now: UnixMillis) -> u64 {
    let quiet = published.max(awake).plus(time_to_quiet(Duration::from_millis(bound_ms)));
    crate::time::millis(quiet.since(now))
}

fn entry_of(row: &Row) -> Result<NewEntry, SqlError> {
    let target = row.text(2)?;
    let malformed = || SqlError("a kill is malformed".to_owned());
    let key = match row.text(1)? {
        "session" => EntryKey::Session(SessionId::parse(target).ok_or_else(malformed)?),
        "subject" => EntryKey::Subject(Subject::parse(target).ok_or_else(malformed)?),
        "site" => EntryKey::Site,
        _ => return Err(malformed()),
    };
    let map: Vec<MapRow> = read::text(row.text(4)?).map_err(|_| malformed())?;
    Ok(NewEntry { id: Handle::from_bytes(row.bytes(0)?), key, min_generation: row.optional_integer(3)?, rows: map })
}

/// The newest kills, and events, among which an earlier end is looked for: there is
/// no index of what was ended, which would be a row more for each end.
const LOOKED_AT_MAX: u32 = 1_000;

/// Kills and refreshes of one call to the feed.
const AT_ONCE_MAX: u32 = 200;
