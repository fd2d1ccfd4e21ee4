//! What ended of late: a log-in that was on its way when all of its subject's
//! sessions, or the site's, were ended must not outlive that.
//!
//! A start brings how far its edge knew the feed when it let the log-in
//! through. That is compared with where the kill stands in the feed; while one
//! of the two is unknown, a start that comes too soon after the kill is refused.

use core::time::Duration;

use crate::mutants::{self, Mutant};
use crate::revocation::{Epoch, Position};
use crate::session::{KillId, Subject};
use crate::store::{Row, Sql, SqlError, rows};
use crate::time::UnixMillis;

/// Notes an end of all that a subject has, or the site. Where it stands in the
/// feed is not known yet.
pub(super) fn note(sql: &impl Sql, subject: Option<&Subject>, kill: KillId, now: UnixMillis) -> Result<(), SqlError> {
    sql.run(
        "INSERT INTO ended (subject, kill, learnt) VALUES (?, ?, ?)
         ON CONFLICT (subject) DO UPDATE SET kill = excluded.kill, learnt = excluded.learnt, epoch = NULL, seq = NULL",
        &[subject.map_or(SITE, Subject::as_str).into(), rows::blob(kill), now.into()],
    )
    .map(|_| ())
}

/// Notes where a kill stands, whoever has published it, if nothing has ended
/// since. A kill of the site may have taken long until here, and a log-in may
/// have begun just before it was published: it is remembered from now on, and
/// not anew each time that it is told.
pub(super) fn stands(sql: &impl Sql, kill: KillId, position: Position, now: UnixMillis) -> Result<(), SqlError> {
    sql.run(
        "UPDATE ended SET epoch = ?2, seq = ?3, learnt = iif(subject = ?5, ?4, learnt) WHERE kill = ?1 AND seq IS NULL",
        &[rows::blob(kill), position.epoch.to_text().as_str().into(), position.seq.into(), now.into(), SITE.into()],
    )
    .map(|_| ())
}

/// Whether the subject or the site was ended after the feed stood at `since`.
pub(super) fn is_after(
    sql: &impl Sql,
    subject: &Subject,
    since: Option<Position>,
    now: UnixMillis,
) -> Result<bool, SqlError> {
    let rows = sql.run(
        "SELECT subject, learnt, epoch, seq FROM ended WHERE subject IN (?, ?)",
        &[subject.as_str().into(), SITE.into()],
    )?;
    for row in &rows {
        if !mutants::is(Mutant::StartWithoutPosition) && is_later(row, since, now)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_later(row: &Row, since: Option<Position>, now: UnixMillis) -> Result<bool, SqlError> {
    let stands = match (row.optional_text(2)?, row.optional_integer(3)?) {
        (Some(epoch), Some(seq)) => {
            let epoch = Epoch::parse(epoch).ok_or_else(|| SqlError("an epoch is malformed".to_owned()))?;
            Some(Position { epoch, seq })
        }
        _ => None,
    };
    Ok(match (stands, since) {
        (Some(stands), Some(since)) if stands.epoch == since.epoch => stands.seq > since.seq,
        // A kill of the site takes long to reach all shards, and is in the feed
        // only then. Whether the feed still knows it, the object asks.
        (None, _) if row.text(0)? == SITE => true,
        _ => now.since(UnixMillis(row.integer(1)?)) < REMEMBERED,
    })
}

/// The ends of the subject or the site under another incarnation of the feed
/// than the one that a start's edge knew: which of the two is the earlier one
/// cannot be told from that.
pub(super) fn of_another_epoch(sql: &impl Sql, subject: &Subject, known: Epoch) -> Result<Vec<KillId>, SqlError> {
    let rows = sql.run(
        "SELECT kill FROM ended WHERE subject IN (?, ?) AND epoch <> ?",
        &[subject.as_str().into(), SITE.into(), known.to_text().as_str().into()],
    )?;
    rows.iter().map(|row| row.bytes(0).map(KillId::from_bytes)).collect()
}

/// The feed, asked after it had published these ends, is in this incarnation:
/// what stands in another one stands before all of this. Incarnations follow
/// one another, and each answers behind a write that no earlier one could make.
/// Of what ended while it was asked, that says nothing.
pub(super) fn precede(sql: &impl Sql, kills: &[KillId], current: Epoch) -> Result<(), SqlError> {
    let epoch = current.to_text();
    kills.iter().try_for_each(|kill| {
        let parameters = [rows::blob(*kill), epoch.as_str().into()];
        sql.run("UPDATE ended SET epoch = ?2, seq = 0 WHERE kill = ?1 AND epoch <> ?2", &parameters).map(|_| ())
    })
}

/// The kill of the site that is older than any start and whose place is not
/// known here.
pub(super) fn untold(sql: &impl Sql, now: UnixMillis) -> Result<Option<KillId>, SqlError> {
    let rows = sql.run("SELECT kill, learnt FROM ended WHERE subject = ? AND seq IS NULL", &[SITE.into()])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let is_old = now.since(UnixMillis(row.integer(1)?)) >= REMEMBERED;
    Ok(is_old.then_some(KillId::from_bytes(row.bytes(0)?)))
}

/// Forgets that kill, of which the feed knows nothing: as any other end after so
/// long. Not one that has come since.
pub(super) fn forget_untold(sql: &impl Sql, kill: KillId, now: UnixMillis) -> Result<(), SqlError> {
    if untold(sql, now)? != Some(kill) {
        return Ok(());
    }
    sql.run("DELETE FROM ended WHERE subject = ? AND kill = ?", &[SITE.into(), rows::blob(kill)]).map(|_| ())
}

/// Forgets what no start can be older than; whether there is more.
pub(super) fn forget(sql: &impl Sql, now: UnixMillis, at_once: u32) -> Result<bool, SqlError> {
    let oldest = now.0.saturating_sub(crate::time::millis(REMEMBERED));
    let removed = sql.run(
        "DELETE FROM ended WHERE subject IN
             (SELECT subject FROM ended WHERE learnt <= ? AND (subject <> ? OR seq IS NOT NULL) ORDER BY learnt LIMIT ?)
         RETURNING 1",
        &[oldest.into(), SITE.into(), at_once.into()],
    )?;
    Ok(removed.len() >= at_once as usize)
}

/// When the next one can be forgotten.
pub(super) fn next(sql: &impl Sql) -> Result<Option<UnixMillis>, SqlError> {
    let rows = sql.run("SELECT learnt FROM ended ORDER BY learnt LIMIT 1", &[])?;
    rows.first().map(|row| row.integer(0).map(|learnt| UnixMillis(learnt).plus(REMEMBERED))).transpose()
}

/// No subject's name: they have at least one byte.
const SITE: &str = "";

/// A start is given up by its edge after [`crate::revocation::START_MAX`], and
/// a kill is in the feed soon after its first shard; this is longer than both
/// and the way of a message together.
const REMEMBERED: Duration = Duration::from_mins(2);
