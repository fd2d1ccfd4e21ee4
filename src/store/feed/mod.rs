//! The feed: one ordered log of kills and refreshes for a site, which edges
//! poll. The object that holds it is the only one that numbers them.

mod map;
mod message;
mod schema;
mod site_kill;

use core::cell::Cell;
use core::time::Duration;

pub use self::message::{Append, Appended, EndSite, FeedCall, FeedReply, NewEntry, Poll};
pub use self::site_kill::Round;
use crate::mutants::{self, Mutant};
use crate::revocation::{Entry, EntryKey, Epoch, FeedAnswer, Position};
use crate::session::{SessionId, Subject};
use crate::store::awake::Awake;
use crate::store::{Row, Sql, SqlError};
use crate::time::{UnixMillis, millis};

/// The feed over its database.
pub struct Feed<S> {
    sql: S,
    /// Drawn by whoever wakes the object, once in its life.
    epoch: Epoch,
    /// The bound of the version that it runs with, in milliseconds: counted
    /// even if no edge has announced it yet.
    bound_ms: u64,
    is_open: Cell<bool>,
    awake: Awake,
}

impl<S: Sql> Feed<S> {
    pub fn new(sql: S, epoch: Epoch, bound_ms: u64) -> Self {
        Self { sql, epoch, bound_ms, is_open: Cell::new(false), awake: Awake::default() }
    }

    pub fn sql(&self) -> &S {
        &self.sql
    }

    /// Answers a call. A poll must be answered behind a confirmed write that
    /// was issued after it arrived: [`Feed::tick`] is that write, and whoever
    /// serves the object waits for it before calling this.
    pub fn answer(&self, call: &FeedCall, now: UnixMillis) -> FeedReply {
        self.awake.since(now);
        let answered = self.open().and_then(|()| match call {
            FeedCall::Poll(poll) => self.poll(poll, now).map(FeedReply::Polled),
            FeedCall::Append(append) => self.append(append, now),
            FeedCall::EndSite(call) => self.end_site(call, now).map(|kill| FeedReply::Receipt { kill }),
            FeedCall::Receipt { kill } => self.site_kill(*kill, now).map(|kill| FeedReply::Receipt { kill }),
        });
        answered.unwrap_or_else(|error| FeedReply::Failed { reason: error.0 })
    }

    /// The write that an object which has been replaced cannot confirm.
    pub fn tick(&self) -> Result<(), SqlError> {
        self.open()?;
        self.sql.run("UPDATE meta SET value = value + 1 WHERE name = 'tick'", &[]).map(|_| ())
    }

    fn open(&self) -> Result<(), SqlError> {
        if !self.is_open.get() {
            schema::open(&self.sql)?;
            self.is_open.set(true);
        }
        Ok(())
    }

    fn poll(&self, poll: &Poll, now: UnixMillis) -> Result<FeedAnswer, SqlError> {
        self.sql.atomically(|| {
            self.announce(poll, now)?;
            map::hear(&self.sql, &poll.rows, now)?;
            let (mut low, high) = (self.number("low")?, self.number("high")?);
            let is_ours = |since: &Position| since.epoch == self.epoch || mutants::is(Mutant::EpochIgnored);
            let since = poll.since.filter(is_ours).map(|since| since.seq);
            // Who is very far behind begins anew too: an answer has to be short.
            let furthest = high.saturating_sub(ENTRIES_AT_ONCE_MAX);
            let goes_on = since.filter(|since| (low.max(furthest)..=high).contains(since));
            if goes_on.is_none() {
                low = low.max(furthest).max(self.last_before(now, poll.back_ms, high)?);
            }
            let entries = self.entries_after(goes_on.unwrap_or(low))?;
            Ok(FeedAnswer { epoch: self.epoch, low, high, age_ms: 0, entries })
        })
    }

    /// The newest entry that is older than that: the newest of all where no
    /// time is given.
    fn last_before(&self, now: UnixMillis, back_ms: u64, high: u64) -> Result<u64, SqlError> {
        if back_ms == 0 {
            return Ok(high);
        }
        let oldest = now.0.saturating_sub(back_ms);
        let rows = self.sql.run("SELECT max(seq) FROM entries WHERE at < ?", &[oldest.into()])?;
        Ok(rows.first().map_or(Ok(None), |row| row.optional_integer(0))?.unwrap_or(0))
    }

    fn entries_after(&self, since: u64) -> Result<Vec<Entry>, SqlError> {
        let rows = self.sql.run("SELECT seq, kind, target FROM entries WHERE seq > ? ORDER BY seq", &[since.into()])?;
        rows.iter().map(entry_of).collect()
    }

    /// Adds entries, each once: one that is there already keeps its place.
    fn append(&self, append: &Append, now: UnixMillis) -> Result<FeedReply, SqlError> {
        let appended = self.sql.atomically(|| {
            for entry in &append.entries {
                map::hear(&self.sql, &entry.rows, now)?;
            }
            self.forget_old(now)?;
            append.entries.iter().map(|entry| self.add(entry, now)).collect::<Result<Vec<_>, _>>()
        })?;
        let bound_ms = self.largest_bound(now)?;
        Ok(FeedReply::Appended { epoch: self.epoch, bound_ms, entries: appended })
    }

    fn add(&self, entry: &NewEntry, now: UnixMillis) -> Result<Appended, SqlError> {
        let is_whole = !matches!(entry.key, EntryKey::Subject(_)) || map::is_whole(&self.sql, &entry.rows, now)?;
        let there =
            self.sql.run("SELECT seq, at FROM entries WHERE id = ?", &[entry.id.as_bytes().as_slice().into()])?;
        if let Some(row) = there.first() {
            return Ok(Appended {
                id: entry.id,
                seq: row.integer(0)?,
                accepted: UnixMillis(row.integer(1)?),
                is_whole,
            });
        }
        let seq = self.number("high")? + 1 + u64::from(mutants::is(Mutant::NumberSkipped));
        self.sql.run("UPDATE meta SET value = ? WHERE name = 'high'", &[seq.into()])?;
        let (kind, target) = columns_of(&entry.key);
        self.sql.run(
            "INSERT INTO entries (seq, id, kind, target, min_generation, at) VALUES (?, ?, ?, ?, ?, ?)",
            &[
                seq.into(),
                entry.id.as_bytes().as_slice().into(),
                kind.into(),
                target.as_str().into(),
                entry.min_generation.into(),
                now.into(),
            ],
        )?;
        Ok(Appended { id: entry.id, seq, accepted: now, is_whole })
    }

    /// Forgets entries that no cached verdict can be older than.
    fn forget_old(&self, now: UnixMillis) -> Result<(), SqlError> {
        let Some(oldest) = now.minus(KEPT) else { return Ok(()) };
        let gone = self.sql.run("SELECT max(seq) FROM entries WHERE at < ?", &[oldest.into()])?;
        let Some(low) = gone.first().and_then(|row| row.optional_integer::<u64>(0).transpose()).transpose()? else {
            return Ok(());
        };
        self.sql.run("DELETE FROM entries WHERE seq <= ?", &[low.into()])?;
        self.sql.run("UPDATE meta SET value = max(value, ?) WHERE name = 'low'", &[low.into()]).map(|_| ())
    }

    /// Remembers the bounds that live versions of the Worker go by. Written
    /// when they are new, and now and then.
    fn announce(&self, poll: &Poll, now: UnixMillis) -> Result<(), SqlError> {
        let bound = poll.bound_ms.max(poll.continue_ms);
        let seen = self.sql.run("SELECT seen FROM bounds WHERE bound_ms = ?", &[bound.into()])?;
        let is_recent = match seen.first() {
            Some(row) => now.since(UnixMillis(row.integer(0)?)) < ANNOUNCED_EVERY,
            None => false,
        };
        if is_recent {
            return Ok(());
        }
        self.sql
            .run(
                "INSERT INTO bounds (bound_ms, seen) VALUES (?, ?) ON CONFLICT (bound_ms) DO UPDATE SET seen = excluded.seen",
                &[bound.into(), now.into()],
            )
            .map(|_| ())
    }

    /// The largest that was announced in the last day.
    fn largest_bound(&self, now: UnixMillis) -> Result<u64, SqlError> {
        let since = UnixMillis(now.0.saturating_sub(millis(ANNOUNCED_FOR)));
        let rows = self.sql.run("SELECT max(bound_ms) FROM bounds WHERE seen >= ?", &[since.into()])?;
        let announced = rows.first().map_or(Ok(None), |row| row.optional_integer(0))?.unwrap_or(0);
        Ok(self.bound_ms.max(announced))
    }

    fn number(&self, name: &str) -> Result<u64, SqlError> {
        let rows = self.sql.run("SELECT value FROM meta WHERE name = ?", &[name.into()])?;
        rows.first().ok_or_else(|| SqlError(format!("the feed has no {name}")))?.integer(0)
    }
}

fn columns_of(key: &EntryKey) -> (&'static str, String) {
    match key {
        EntryKey::Session(id) => ("session", id.to_text()),
        EntryKey::Subject(subject) => ("subject", subject.as_str().to_owned()),
        EntryKey::Site => ("site", String::new()),
        EntryKey::Refresh(id) => ("refresh", id.to_text()),
    }
}

fn entry_of(row: &Row) -> Result<Entry, SqlError> {
    let target = row.text(2)?;
    let malformed = || SqlError("an entry is malformed".to_owned());
    let id = || SessionId::parse(target).ok_or_else(malformed);
    let key = match row.text(1)? {
        "session" => EntryKey::Session(id()?),
        "refresh" => EntryKey::Refresh(id()?),
        "subject" => EntryKey::Subject(Subject::parse(target).ok_or_else(malformed)?),
        "site" => EntryKey::Site,
        _ => return Err(malformed()),
    };
    Ok(Entry { seq: row.integer(0)?, key })
}

/// Entries of one answer: about 1 MB.
const ENTRIES_AT_ONCE_MAX: u64 = 10_000;

/// Longer than any verdict is kept without asking, in memory or in KV.
const KEPT: Duration = Duration::from_mins(15);
const ANNOUNCED_EVERY: Duration = Duration::from_hours(1);
const ANNOUNCED_FOR: Duration = Duration::from_hours(24);
