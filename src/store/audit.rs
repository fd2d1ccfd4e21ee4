//! The audit table: what happened in this shard, written in the transaction of
//! what it tells of. Rows are added and never changed.
//!
//! They are found by their number alone. An index would be a second row to
//! write for each event, and events are written far more often than read; so
//! whoever looks for one subject reads past the others, a bounded number at a
//! time.

use core::time::Duration;

use crate::session::{SessionId, Subject};
use crate::store::message::{AuditCall, Audited, By, ShardAnswer};
use crate::store::schema::{read_meta, write_meta};
use crate::store::turn::Turn;
use crate::store::{Row, Sql, SqlError, rows};
use crate::time::UnixMillis;

/// Notes what happened to a session or a subject, as the call's doing.
pub(super) fn note(
    turn: &Turn<'_, impl Sql>,
    event: &str,
    session: Option<SessionId>,
    subject: Option<&Subject>,
) -> Result<(), SqlError> {
    let Some(by) = turn.by else { return Ok(()) };
    note_as(turn, (&by.actor, &by.reason), event, session, subject)
}

/// The same, as somebody else's doing, for a reason of its own.
pub(super) fn note_as(
    turn: &Turn<'_, impl Sql>,
    (actor, reason): (&str, &str),
    event: &str,
    session: Option<SessionId>,
    subject: Option<&Subject>,
) -> Result<(), SqlError> {
    let Some(By { from, keep_ms, .. }) = turn.by.filter(|by| by.keep_ms > 0) else { return Ok(()) };
    let Turn { sql, now, .. } = *turn;
    let written = sql.run(
        "INSERT INTO audit (at, event, session, subject, actor, reason, came_from) VALUES (?, ?, ?, ?, ?, ?, ?)
         RETURNING seq",
        &[
            now.into(),
            event.into(),
            session.map(rows::blob).into(),
            subject.map(Subject::as_str).into(),
            actor.into(),
            reason.into(),
            from.as_deref().into(),
        ],
    )?;
    let seq: u64 = written.first().map_or(Ok(0), |row| row.integer(0))?;
    if let Some(last) = seq.checked_sub(ROWS_MAX) {
        sql.run("DELETE FROM audit WHERE seq <= ?", &[last.into()])?;
    }
    let keep = i64::try_from(*keep_ms).map_err(|_| SqlError(format!("{KEEP} is {keep_ms}")))?;
    if read_meta(sql, KEEP)? != Some(keep) {
        write_meta(sql, KEEP, keep)?;
    }
    turn.wake_by(now.plus(Duration::from_millis(*keep_ms)))
}

/// What can be caused as often as somebody likes, by who has a token or a
/// password, or by a page that looks again and again: noted once in a while
/// for whoever does it, and why; what an administrator does, also for where it
/// comes from, since others may have the key.
pub(super) fn note_rarely(
    turn: &Turn<'_, impl Sql>,
    event: &str,
    reason: &str,
    session: Option<SessionId>,
    subject: Option<&Subject>,
) -> Result<(), SqlError> {
    let Some(by) = turn.by else { return Ok(()) };
    let since = UnixMillis(turn.now.0.saturating_sub(crate::time::millis(RARELY)));
    let noted = turn.sql.run(
        "SELECT 1 FROM (SELECT at, event, session, subject, actor, reason, came_from FROM audit ORDER BY seq DESC LIMIT ?1)
         WHERE event = ?2 AND at > ?3 AND subject IS ?4 AND session IS ?5 AND actor = ?6 AND reason = ?7
         AND (came_from IS ?8 OR event <> 'admin_called') LIMIT 1",
        &[
            RARELY_ROWS.into(),
            event.into(),
            since.into(),
            subject.map(Subject::as_str).into(),
            session.map(rows::blob).into(),
            by.actor.as_str().into(),
            reason.into(),
            by.from.as_deref().into(),
        ],
    )?;
    if !noted.is_empty() {
        return Ok(());
    }
    note_as(turn, (&by.actor, reason), event, session, subject)
}

/// Whether an administrator wants it.
pub(super) fn is_admins<S>(turn: &Turn<'_, S>) -> bool {
    turn.by.is_some_and(|by| by.actor.starts_with("admin:"))
}

/// A page, newest first; what concerns everybody is on each. Reads past so many rows at most: it can be empty and
/// still not the last.
pub(super) fn page(turn: &Turn<'_, impl Sql>, call: &AuditCall) -> Result<ShardAnswer, SqlError> {
    let ends = turn.sql.run(
        "SELECT (SELECT seq FROM audit ORDER BY seq LIMIT 1), (SELECT seq FROM audit ORDER BY seq DESC LIMIT 1)",
        &[],
    )?;
    let Some((first, last)) = ends.first().map(ends_of).transpose()?.flatten() else {
        return Ok(ShardAnswer::Audit { events: Vec::new(), reached: 0 });
    };
    let limit = call.limit.clamp(1, PAGE_MAX);
    let before = call.before.unwrap_or(u64::MAX).min(last + 1);
    let from = before.saturating_sub(SCANNED_MAX).max(first);
    let found = turn.sql.run(
        "SELECT seq, at, event, session, subject, actor, reason, came_from FROM audit
         WHERE seq < ?1 AND seq >= ?2
               AND (subject IS NULL AND session IS NULL
                    OR (?3 IS NULL OR subject = ?3) AND (?4 IS NULL OR session = ?4))
         ORDER BY seq DESC LIMIT ?5",
        &[
            before.into(),
            from.into(),
            call.subject.as_ref().map(Subject::as_str).into(),
            call.session.map(rows::blob).into(),
            limit.into(),
        ],
    )?;
    let events = found.iter().map(audited).collect::<Result<Vec<_>, _>>()?;
    let reached = events.last().filter(|_| events.len() >= limit as usize).map_or(from, |last| last.seq);
    Ok(ShardAnswer::Audit { events, reached: if reached <= first { 0 } else { reached } })
}

fn ends_of(row: &Row) -> Result<Option<(u64, u64)>, SqlError> {
    Ok(row.optional_integer(0)?.zip(row.optional_integer(1)?))
}

fn audited(row: &Row) -> Result<Audited, SqlError> {
    let text = |index| row.optional_text(index).map(|text| text.map(str::to_owned));
    Ok(Audited {
        seq: row.integer(0)?,
        at: UnixMillis(row.integer(1)?),
        event: row.text(2)?.to_owned(),
        session: row.optional_bytes(3)?.map(SessionId::from_bytes),
        subject: text(4)?,
        actor: row.text(5)?.to_owned(),
        reason: row.text(6)?.to_owned(),
        from: text(7)?,
    })
}

/// Forgets the oldest rows that have been kept for long enough; whether there
/// are more.
pub(super) fn forget(sql: &impl Sql, now: UnixMillis, at_once: u32) -> Result<bool, SqlError> {
    let Some(keep) = kept(sql)? else { return Ok(false) };
    let Some(oldest) = now.minus(keep) else { return Ok(false) };
    let gone = sql.run(
        "DELETE FROM audit WHERE at <= ? AND seq IN (SELECT seq FROM audit ORDER BY seq LIMIT ?) RETURNING 1",
        &[oldest.into(), at_once.into()],
    )?;
    Ok(gone.len() >= at_once as usize)
}

/// When the next one can be forgotten.
pub(super) fn next(sql: &impl Sql) -> Result<Option<UnixMillis>, SqlError> {
    let Some(keep) = kept(sql)? else { return Ok(None) };
    let oldest = sql.run("SELECT at FROM audit ORDER BY seq LIMIT 1", &[])?;
    oldest.first().map(|row| row.integer(0).map(|at| UnixMillis(at).plus(keep))).transpose()
}

/// How long rows are kept, as the last call that wrote one has said.
fn kept(sql: &impl Sql) -> Result<Option<Duration>, SqlError> {
    Ok(read_meta(sql, KEEP)?.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0))))
}

/// Who ends a session to make room for another, and why.
pub(super) const LIMIT: (&str, &str) = ("limit", "max_sessions");

/// In `meta`.
const KEEP: &str = "audit_keep_ms";

/// Rows of one shard: some 15 MB. The oldest leave first.
const ROWS_MAX: u64 = 100_000;

/// Rows that one page reads at most.
const SCANNED_MAX: u64 = 20_000;

/// Rows of one page.
const PAGE_MAX: u32 = 100;

/// What [`note_rarely`] notes is noted once in so long, as far as the newest
/// rows tell.
const RARELY: Duration = Duration::from_hours(1);
const RARELY_ROWS: u32 = 1_000;
