//! A session shard: the truth about the sessions of the subjects that live in it.

use core::cell::Cell;
use core::time::Duration;

use crate::config::MapRow;
use crate::session::{Session, SessionId, idle_expiry};
use crate::store::message::{Handle, Key, Record, ShardAnswer, ShardCall, StartCall};
use crate::store::schema::{self, write_meta};
use crate::store::{Sql, SqlError, rows, sweep};
use crate::time::UnixMillis;
use crate::token::SessionKey;

/// One shard over its database.
pub struct SessionShard<S> {
    sql: S,
    /// Whether the schema has been brought up to date in this object's life.
    is_open: Cell<bool>,
    /// When the object wants to be woken; taken by [`SessionShard::take_alarm`].
    alarm: Cell<Option<UnixMillis>>,
}

impl<S: Sql> SessionShard<S> {
    pub fn new(sql: S) -> Self {
        Self { sql, is_open: Cell::new(false), alarm: Cell::new(None) }
    }

    /// The database itself.
    pub fn sql(&self) -> &S {
        &self.sql
    }

    /// Answers one call. `now` is the object's clock. Every answer touches the
    /// storage: an object that has been replaced and does not know it could
    /// otherwise answer from memory.
    pub fn answer(&self, call: &ShardCall, now: UnixMillis) -> ShardAnswer {
        self.try_answer(call, now).unwrap_or_else(|error| ShardAnswer::Failed { reason: error.0 })
    }

    /// What the object's alarm does: removes sessions that have expired, a
    /// batch at a time. Plans the next time also where it fails; the error is
    /// for the log.
    pub fn wake(&self, now: UnixMillis) -> Result<(), SqlError> {
        let next = self.open().and_then(|()| sweep::run(&self.sql, now));
        // The alarm that is ringing is gone: without a new one nobody comes back.
        self.alarm.set(next.as_ref().map_or_else(|_| Some(now.plus(sweep::SOON)), |next| *next));
        next.map(|_| ())
    }

    /// The time for which an alarm is to be set now, in the same turn, so that
    /// it is committed with what made it necessary.
    pub fn take_alarm(&self) -> Option<UnixMillis> {
        self.alarm.take()
    }

    fn open(&self) -> Result<(), SqlError> {
        if !self.is_open.get() {
            schema::open(&self.sql)?;
            self.is_open.set(true);
        }
        Ok(())
    }

    fn try_answer(&self, call: &ShardCall, now: UnixMillis) -> Result<ShardAnswer, SqlError> {
        let sql = &self.sql;
        self.open()?;
        match call {
            ShardCall::Probe => sql.run("SELECT count(*) FROM meta", &[]).map(|_| ShardAnswer::Alive),
            ShardCall::Check { key } => Ok(ShardAnswer::Session { session: live(sql, &key.0, now)?.map(Record::from) }),
            ShardCall::Start(start) => begin(sql, start, now, &self.alarm),
            ShardCall::End { key } => end(sql, &key.0),
            ShardCall::Renew { key, idle_ms } => renew(sql, &key.0, *idle_ms, now),
        }
    }
}

/// The session under a key, if it lives.
fn live(sql: &impl Sql, key: &SessionKey, now: UnixMillis) -> Result<Option<Session>, SqlError> {
    Ok(rows::find(sql, key)?.filter(|session| session.is_live(now)))
}

fn begin(
    sql: &impl Sql,
    start: &StartCall,
    now: UnixMillis,
    alarm: &Cell<Option<UnixMillis>>,
) -> Result<ShardAnswer, SqlError> {
    let absolute_expires = now.plus(Duration::from_millis(start.lifetime_ms));
    let session = Session {
        id: start.id.0,
        subject: start.subject.clone(),
        level: start.level,
        auth_time: now,
        created: now,
        last_seen: now,
        idle_expires: idle_expiry(now, Duration::from_millis(start.idle_ms)).min(absolute_expires),
        absolute_expires,
        claims: start.claims.clone(),
    };
    let mut replaced = None;
    let mut wake_at = None;
    let mut is_our_row = true;
    sql.transaction(&mut || {
        is_our_row = remember_row(sql, start.row, start.shard)?;
        if !is_our_row {
            return Ok(());
        }
        replaced = match &start.presented {
            Some(Key(key)) => rows::live_of_subject(sql, key, &session.subject, now)?,
            None => None,
        };
        if let Some(id) = replaced {
            rows::delete(sql, id)?;
        }
        wake_at = sweep::plan(sql, session.idle_expires, now)?;
        rows::insert(sql, &session, &start.key.0)
    })?;
    if !is_our_row {
        return Ok(ShardAnswer::WrongRow);
    }
    if wake_at.is_some() {
        alarm.set(wake_at);
    }
    Ok(ShardAnswer::Started { session: session.into(), replaced: replaced.map(Handle) })
}

fn end(sql: &impl Sql, key: &SessionKey) -> Result<ShardAnswer, SqlError> {
    let mut ended = None;
    sql.transaction(&mut || {
        // The rest of the row is not read: what cannot be read can be ended.
        let rows = sql.run("SELECT session FROM secrets WHERE key = ?", &[key.as_bytes().as_slice().into()])?;
        ended = rows.first().map(|row| row.bytes(0).map(SessionId::from_bytes)).transpose()?;
        ended.map_or(Ok(()), |id| rows::delete(sql, id))
    })?;
    Ok(ShardAnswer::Ended { session: ended.map(Handle) })
}

/// A use of the session. Never makes it expire earlier, and never wakes a dead one.
fn renew(sql: &impl Sql, key: &SessionKey, idle_ms: u64, now: UnixMillis) -> Result<ShardAnswer, SqlError> {
    // Many requests of one page ask for it at once; one of them is written.
    let due = live(sql, key, now)?.filter(|session| session.wants_renewal(now, Duration::from_millis(idle_ms)));
    if let Some(session) = due {
        let idle_expires =
            idle_expiry(now, Duration::from_millis(idle_ms)).min(session.absolute_expires).max(session.idle_expires);
        sql.run(
            "UPDATE sessions SET last_seen = max(last_seen, ?), idle_expires = ? WHERE id = ?",
            &[now.into(), idle_expires.into(), session.id.as_bytes().as_slice().into()],
        )?;
    }
    Ok(ShardAnswer::Renewed)
}

/// Notes the row of the map that the shard belongs to, the first time; later
/// says whether this is the row. A row that was changed would send a subject
/// to two homes, and what is ended in one would live on in the other.
fn remember_row(sql: &impl Sql, row: MapRow, shard: u16) -> Result<bool, SqlError> {
    let facts = [
        ("map_generation", i64::from(row.generation)),
        ("map_region", i64::from(row.region)),
        ("map_shard", i64::from(shard)),
        ("map_shards", i64::from(row.shards)),
    ];
    let known = sql.run("SELECT name, value FROM meta WHERE name LIKE 'map\\_%' ESCAPE '\\' ORDER BY name", &[])?;
    if known.is_empty() {
        for (name, value) in facts {
            write_meta(sql, name, value)?;
        }
        return Ok(true);
    }
    if known.len() != facts.len() {
        return Err(SqlError("the shard knows only a part of its row".to_owned()));
    }
    for (found, (name, value)) in known.iter().zip(facts) {
        if found.text(0)? != name || found.integer::<i64>(1)? != value {
            return Ok(false);
        }
    }
    Ok(true)
}
