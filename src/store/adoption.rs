//! Sessions of the application's old kind, exchanged for sessions of ours: each
//! at most once, however many requests come with it at a time.
//!
//! The shard that the old cookie's hash leads to keeps who asks the application
//! about it, and where its session is in the end. The session itself lives where
//! its subject does, with the old cookie as the first of its secrets: so all
//! requests that race are served and led to the same new one, and a copy that
//! comes after the grace is a replay. That shard notes the exchange too, so that
//! none is repeated where the first shard did not hear of it.

use core::time::Duration;

use crate::session::{SessionId, Subject};
use crate::store::message::{Adopts, ClaimCall, Claimed, Key, SettleCall, Settled, ShardAnswer};
use crate::store::schema::{read_meta, write_meta};
use crate::store::turn::Turn;
use crate::store::{Sql, SqlError};
use crate::time::UnixMillis;
use crate::token::Locator;

/// Whose it is to ask the application, or what has come of it.
pub(super) fn claim(turn: &Turn<'_, impl Sql>, call: &ClaimCall) -> Result<ShardAnswer, SqlError> {
    let Turn { sql, now, .. } = *turn;
    let key = call.key.0.as_bytes().as_slice();
    let rows = sql.run("SELECT asked_until, place, forget FROM adopted WHERE key = ?", &[key.into()])?;
    let lease = now.plus(Duration::from_millis(call.lease_ms));
    let claimed = match rows.first() {
        // Refused a while ago: things may have changed.
        Some(row) if now >= UnixMillis(row.integer(2)?) => Claimed::Granted,
        Some(row) => match (row.optional_bytes(1)?, row.optional_integer(0)?.map(UnixMillis)) {
            (Some(place), _) => Claimed::Exchanged { at: Locator::from_bytes(place) },
            (None, Some(until)) if now < until => Claimed::Asked,
            // Who asked was never heard of again.
            (None, Some(_)) => Claimed::Granted,
            (None, None) => Claimed::Refused,
        },
        None => Claimed::Granted,
    };
    if claimed == Claimed::Granted {
        note_until(sql, call.until)?;
        // Any text can be sent as such a cookie. What nobody comes back for goes as
        // what is refused does; what is exchanged stays to the end.
        let forget = lease.plus(REFUSED_KEPT).min(call.until);
        sql.run(
            "INSERT INTO adopted (key, asked_until, place, forget) VALUES (?1, ?2, NULL, ?3)
             ON CONFLICT (key) DO UPDATE SET asked_until = excluded.asked_until, place = NULL, forget = excluded.forget",
            &[key.into(), lease.into(), forget.into()],
        )?;
        turn.wake_by(forget)?;
    }
    Ok(ShardAnswer::Claimed { claimed })
}

/// Remembers when the old kind is over for everybody: what settles a claim does
/// not say it, and it is the same for all.
fn note_until(sql: &impl Sql, until: UnixMillis) -> Result<(), SqlError> {
    let until = i64::try_from(until.0).unwrap_or(i64::MAX);
    if read_meta(sql, UNTIL)? == Some(until) { Ok(()) } else { write_meta(sql, UNTIL, until) }
}

/// Whether a session was begun here for this cookie: also where who began it
/// never heard of that, and where it has ended since.
pub(super) fn is_exchanged(sql: &impl Sql, key: &Key) -> Result<bool, SqlError> {
    let found =
        sql.run("SELECT 1 FROM adopted WHERE key = ? AND place IS NOT NULL", &[key.0.as_bytes().as_slice().into()])?;
    Ok(!found.is_empty())
}

/// Notes that, in the commit that begins the session.
pub(super) fn exchanged(turn: &Turn<'_, impl Sql>, adopts: &Adopts, id: SessionId) -> Result<(), SqlError> {
    turn.wake_by(adopts.until)?;
    turn.sql
        .run(
            "INSERT INTO adopted (key, asked_until, place, forget) VALUES (?1, NULL, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET asked_until = NULL, place = excluded.place, forget = excluded.forget",
            &[
                adopts.key.0.as_bytes().as_slice().into(),
                id.locator().to_bytes().as_slice().into(),
                adopts.until.into(),
            ],
        )
        .map(|_| ())
}

/// What the application has said, or that it has said nothing.
pub(super) fn settle(turn: &Turn<'_, impl Sql>, call: &SettleCall) -> Result<ShardAnswer, SqlError> {
    let key = call.key.0.as_bytes().as_slice();
    match call.settled {
        Settled::Exchanged { at } => turn.sql.run(
            "UPDATE adopted SET place = ?2, asked_until = NULL,
                 forget = max(forget, coalesce((SELECT value FROM meta WHERE name = ?3), 0)) WHERE key = ?1",
            &[key.into(), at.to_bytes().as_slice().into(), UNTIL.into()],
        ),
        Settled::Refused => turn.sql.run(
            "UPDATE adopted SET asked_until = NULL, forget = min(forget, ?2) WHERE key = ?1 AND place IS NULL",
            &[key.into(), turn.now.plus(REFUSED_KEPT).into()],
        ),
        Settled::Unknown => turn.sql.run("DELETE FROM adopted WHERE key = ? AND place IS NULL", &[key.into()]),
    }?;
    Ok(ShardAnswer::Noted)
}

/// From now on, what a subject has of the old kind opens nothing; `until` is
/// when the old kind is over for everybody.
pub(super) fn close(turn: &Turn<'_, impl Sql>, subject: &Subject, until: UnixMillis) -> Result<ShardAnswer, SqlError> {
    turn.wake_by(until)?;
    write_closed(turn.sql, subject.as_str(), until)?;
    Ok(ShardAnswer::Noted)
}

/// The same for what anybody has. The shard is not told for how long there will
/// be an old kind, and keeps the one row.
pub(super) fn close_site(sql: &impl Sql) -> Result<(), SqlError> {
    write_closed(sql, SITE, FOREVER)
}

fn write_closed(sql: &impl Sql, subject: &str, until: UnixMillis) -> Result<(), SqlError> {
    sql.run(
        "INSERT INTO closed (subject, until) VALUES (?, ?)
         ON CONFLICT (subject) DO UPDATE SET until = max(until, excluded.until)",
        &[subject.into(), until.into()],
    )
    .map(|_| ())
}

/// Whether all that the subject has of the old kind was ended here.
pub(super) fn is_closed(sql: &impl Sql, subject: &Subject) -> Result<bool, SqlError> {
    let found =
        sql.run("SELECT 1 FROM closed WHERE subject IN (?, ?) LIMIT 1", &[subject.as_str().into(), SITE.into()]);
    Ok(!found?.is_empty())
}

/// Forgets what nobody can come with any more; whether there is more.
pub(super) fn forget(sql: &impl Sql, now: UnixMillis, at_once: u32) -> Result<bool, SqlError> {
    let adopted = sql.run(
        "DELETE FROM adopted WHERE key IN (SELECT key FROM adopted WHERE forget <= ? ORDER BY forget LIMIT ?) RETURNING 1",
        &[now.into(), at_once.into()],
    )?;
    sql.run("DELETE FROM closed WHERE until <= ?", &[now.into()])?;
    Ok(adopted.len() >= at_once as usize)
}

/// When the next one can be forgotten.
pub(super) fn next(sql: &impl Sql) -> Result<Option<UnixMillis>, SqlError> {
    let rows =
        sql.run("SELECT min(forget), (SELECT min(until) FROM closed WHERE subject <> ?) FROM adopted", &[SITE.into()])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let times = [row.optional_integer(0)?, row.optional_integer(1)?];
    Ok(times.into_iter().flatten().min().map(UnixMillis))
}

/// In `meta`: `adopt.until`, as the last claim had it.
const UNTIL: &str = "adopt_until";

/// No subject's name: they have at least one byte.
const SITE: &str = "";

/// The largest integer that the platform carries exactly.
const FOREVER: UnixMillis = UnixMillis((1 << 53) - 1);

/// The application is not asked again so soon about what it does not know.
const REFUSED_KEPT: Duration = Duration::from_mins(10);
