//! What is over leaves the store: by the object's alarm, in bounded batches.
//!
//! Expired sessions, sessions of subjects that were ended as a whole, the
//! salts of rotations whose grace is over, receipts that are no longer kept.

use core::time::Duration;

use crate::store::schema::{read_meta, write_meta};
use crate::store::{Sql, SqlError, SqlValue, adoption, audit, ended, held, refresh};
use crate::time::UnixMillis;

/// Sees to it that a sweep is planned no later than `wanted`; the time for
/// which the alarm has to be set, if it has to. An alarm that is long overdue
/// was lost, and is set anew.
pub(super) fn plan(sql: &impl Sql, wanted: UnixMillis, now: UnixMillis) -> Result<Option<UnixMillis>, SqlError> {
    let planned = planned(sql)?;
    let is_lost = planned.is_some_and(|at| now.since(at) >= OVERDUE);
    if !is_lost && planned.is_some_and(|at| at <= wanted) {
        return Ok(None);
    }
    // What a lost alarm was for is over already; and one that is only late must not
    // become later.
    let wanted = if is_lost { wanted.min(now) } else { wanted };
    write_at(sql, wanted)?;
    Ok(Some(wanted))
}

/// Whether what is planned was lost: a shard that has been asleep may be asked for
/// nothing that plans.
pub(super) fn is_lost(sql: &impl Sql, now: UnixMillis) -> Result<bool, SqlError> {
    Ok(planned(sql)?.is_some_and(|at| now.since(at) >= OVERDUE))
}

fn planned(sql: &impl Sql) -> Result<Option<UnixMillis>, SqlError> {
    let at = read_meta(sql, AT)?;
    at.map(|at| u64::try_from(at).map(UnixMillis).map_err(|_| SqlError(format!("{AT} is {at}")))).transpose()
}

/// Removes a batch of each kind. Returns when to go on: soon, if there is more
/// of it; else when the next thing is over; never, if the shard is empty.
pub(super) fn run(sql: &impl Sql, now: UnixMillis) -> Result<Option<UnixMillis>, SqlError> {
    sql.atomically(|| {
        let is_full = expired(sql, now)?
            | killed(sql)?
            | receipts(sql, now)?
            | ended::forget(sql, now, AT_ONCE_MAX)?
            | refresh::forget(sql, now, AT_ONCE_MAX)?
            | adoption::forget(sql, now, AT_ONCE_MAX)?
            | audit::forget(sql, now, AT_ONCE_MAX)?;
        // A salt must not outlive the grace: it goes at the very time.
        sql.run(
            "UPDATE secrets SET salt = NULL WHERE salt IS NOT NULL AND waits = 0 AND serves_until <= ?",
            &[now.into()],
        )?;
        held::forget_old(sql, now)?;
        // A salt does not wait for the rest of a full batch.
        let next = next(sql, now)?.into_iter().chain(is_full.then(|| now.plus(SOON))).min();
        match next {
            Some(at) => write_at(sql, at)?,
            None => sql.run("DELETE FROM meta WHERE name = ?", &[AT.into()]).map(|_| ())?,
        }
        Ok(next)
    })
}

/// Sessions whose time is over; whether there are more.
fn expired(sql: &impl Sql, now: UnixMillis) -> Result<bool, SqlError> {
    let batch = "SELECT id FROM sessions WHERE idle_expires <= ?1 ORDER BY idle_expires, id LIMIT ?2";
    remove(sql, batch, &[now.into(), AT_ONCE_MAX.into()])
}

/// Sessions that were ended by the generations of their subjects; whether there
/// are more.
fn killed(sql: &impl Sql) -> Result<bool, SqlError> {
    let first = sql.run(
        "SELECT max(subject), count(*) FROM (SELECT subject FROM subjects WHERE unswept = 1 ORDER BY subject LIMIT ?)",
        &[AT_ONCE_MAX.into()],
    )?;
    let Some(row) = first.first() else { return Ok(false) };
    let Some(last) = row.optional_text(0)?.map(SqlValue::from) else { return Ok(false) };
    // Ordered, since each of several statements takes the same batch.
    let batch =
        "SELECT s.id FROM subjects u CROSS JOIN sessions s ON s.subject = u.subject AND s.generation < u.generation
                 WHERE u.unswept = 1 AND u.subject <= ?1 ORDER BY u.subject LIMIT ?2";
    if remove(sql, batch, &[last.clone(), AT_ONCE_MAX.into()])? {
        return Ok(true);
    }
    // No session is left that these rows still kill, and none will start with so
    // low a number: the shard's only grows.
    sql.run("DELETE FROM subjects WHERE unswept = 1 AND moved = 0 AND subject <= ?", core::slice::from_ref(&last))?;
    sql.run("UPDATE subjects SET unswept = 0 WHERE unswept = 1 AND subject <= ?", &[last])?;
    Ok(row.integer::<u32>(1)? >= AT_ONCE_MAX)
}

/// Receipts that are kept no longer; whether there are more.
fn receipts(sql: &impl Sql, now: UnixMillis) -> Result<bool, SqlError> {
    let oldest = now.0.saturating_sub(crate::time::millis(RECEIPTS_KEPT));
    let removed = sql.run(
        "DELETE FROM kills WHERE id IN
             (SELECT id FROM kills WHERE committed <= ?1 AND (seq IS NOT NULL OR partial = 1) ORDER BY committed LIMIT ?2)
         RETURNING 1",
        &[oldest.into(), AT_ONCE_MAX.into()],
    )?;
    Ok(removed.len() >= AT_ONCE_MAX as usize)
}

/// Removes the sessions of a batch; whether it was a full one.
fn remove(sql: &impl Sql, batch: &str, parameters: &[SqlValue]) -> Result<bool, SqlError> {
    sql.run(&format!("DELETE FROM secrets WHERE session IN ({batch})"), parameters)?;
    sql.run(&format!("DELETE FROM refreshes WHERE session IN ({batch})"), parameters)?;
    sql.run(&format!("DELETE FROM held WHERE session IN ({batch})"), parameters)?;
    let removed = sql.run(&format!("DELETE FROM sessions WHERE id IN ({batch}) RETURNING 1"), parameters)?;
    Ok(removed.len() >= AT_ONCE_MAX as usize)
}

/// When the next thing is over: a salt at its time, the rest not for each one.
fn next(sql: &impl Sql, now: UnixMillis) -> Result<Option<UnixMillis>, SqlError> {
    let first = |statement: &str| -> Result<Option<UnixMillis>, SqlError> {
        let rows = sql.run(statement, &[])?;
        rows.first().map(|row| row.integer(0).map(UnixMillis)).transpose()
    };
    let salt =
        first("SELECT serves_until FROM secrets WHERE salt IS NOT NULL AND waits = 0 ORDER BY serves_until LIMIT 1")?;
    let session = first("SELECT idle_expires FROM sessions ORDER BY idle_expires LIMIT 1")?;
    let receipt = first("SELECT committed FROM kills ORDER BY committed LIMIT 1")?.map(|at| at.plus(RECEIPTS_KEPT));
    // What the feed does not have yet is tried again and again.
    let unpublished = first("SELECT committed FROM kills WHERE seq IS NULL AND partial = 0 LIMIT 1")?
        .or(first("SELECT due FROM refreshes WHERE id IS NOT NULL LIMIT 1")?)
        .map(|_| now.plus(SOON));
    let refresh = first("SELECT due FROM refreshes ORDER BY due LIMIT 1")?;
    let pausing = session
        .into_iter()
        .chain(receipt)
        .chain(refresh)
        .chain(ended::next(sql)?)
        .chain(adoption::next(sql)?)
        .chain(audit::next(sql)?)
        .min()
        .map(|at| at.max(now.plus(PAUSE_MIN)));
    Ok(salt.into_iter().chain(held::next(sql)?).chain(unpublished).chain(pausing).min())
}

fn write_at(sql: &impl Sql, at: UnixMillis) -> Result<(), SqlError> {
    write_meta(sql, AT, i64::try_from(at.0).unwrap_or(i64::MAX))
}

/// In `meta`: when the next sweep is planned.
const AT: &str = "sweep_at";

/// Things of a kind that one sweep removes at most, so that it stays short.
const AT_ONCE_MAX: u32 = 500;

/// Until the next sweep where one was not enough, or failed.
pub const SOON: Duration = Duration::from_secs(2);

/// How long a kill's receipt can be asked for.
pub(super) const RECEIPTS_KEPT: Duration = Duration::from_hours(24);

/// Sweeps of a shard are at least so far apart where little is to be done.
const PAUSE_MIN: Duration = Duration::from_secs(60);

/// The platform gives an alarm up after six failures. One that is only late is set
/// once more, which does no harm.
const OVERDUE: Duration = Duration::from_secs(10);
