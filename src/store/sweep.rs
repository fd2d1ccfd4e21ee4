//! Expired sessions leave the store: by the object's alarm, in bounded batches.

use core::time::Duration;

use crate::store::schema::{read_meta, write_meta};
use crate::store::{Sql, SqlError};
use crate::time::UnixMillis;

/// Sees to it that a sweep is planned no later than `wanted`; the time for
/// which the alarm has to be set, if it has to. An alarm that is long overdue
/// was lost, and is set anew.
pub(super) fn plan(sql: &impl Sql, wanted: UnixMillis, now: UnixMillis) -> Result<Option<UnixMillis>, SqlError> {
    let planned = read_meta(sql, AT)?
        .map(|at| u64::try_from(at).map(UnixMillis).map_err(|_| SqlError(format!("{AT} is {at}"))))
        .transpose()?;
    if planned.is_some_and(|at| at <= wanted && now.since(at) < OVERDUE) {
        return Ok(None);
    }
    write_at(sql, wanted)?;
    Ok(Some(wanted))
}

/// Removes a batch of the sessions that have expired. Returns when to go on:
/// soon, if there are more of them; else when the next one expires, but not
/// for every single one; never, if the shard is empty.
pub(super) fn run(sql: &impl Sql, now: UnixMillis) -> Result<Option<UnixMillis>, SqlError> {
    let mut next = None;
    sql.transaction(&mut || {
        let batch = [now.into(), AT_ONCE_MAX.into()];
        sql.run(&format!("DELETE FROM secrets WHERE session IN ({EXPIRED})"), &batch)?;
        let removed = sql.run(&format!("DELETE FROM sessions WHERE id IN ({EXPIRED}) RETURNING 1"), &batch)?.len();
        let first = sql.run("SELECT idle_expires FROM sessions ORDER BY idle_expires LIMIT 1", &[])?;
        next = match first.first() {
            None => None,
            Some(row) => Some(UnixMillis(row.integer(0)?).max(now.plus(PAUSE_MIN))),
        };
        if removed >= AT_ONCE_MAX as usize {
            next = next.map(|_| now.plus(SOON));
        }
        match next {
            Some(at) => write_at(sql, at),
            None => sql.run("DELETE FROM meta WHERE name = ?", &[AT.into()]).map(|_| ()),
        }
    })?;
    Ok(next)
}

fn write_at(sql: &impl Sql, at: UnixMillis) -> Result<(), SqlError> {
    write_meta(sql, AT, i64::try_from(at.0).unwrap_or(i64::MAX))
}

/// In `meta`: when the next sweep is planned.
const AT: &str = "sweep_at";

/// The ids of a batch.
const EXPIRED: &str = "SELECT id FROM sessions WHERE idle_expires <= ? ORDER BY idle_expires, id LIMIT ?";

/// Expired sessions that one sweep removes at most, so that it stays short.
const AT_ONCE_MAX: u32 = 500;

/// Until the next sweep where one was not enough, or failed.
pub(super) const SOON: Duration = Duration::from_secs(2);

/// Sweeps of a shard are at least so far apart where little is to be done.
const PAUSE_MIN: Duration = Duration::from_secs(60);

/// The platform gives an alarm up after six failures.
const OVERDUE: Duration = Duration::from_secs(3_600);
