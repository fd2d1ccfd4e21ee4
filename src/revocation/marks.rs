//! What an isolate itself has ended or changed: it goes by that at once, whether
//! or not the feed tells of it.
//!
//! Who was asked after the change knew of it. A record of KV was asked for by
//! somebody else, with another clock, so what counts is its place. Where that is
//! after all that the feed had when this isolate polled it next, the record is of
//! after the change: so much was in the feed then, and the change was made before.

use core::time::Duration;

use super::about::{Hashed, Table};
use crate::time::UnixMillis;

#[derive(Default)]
pub struct Marks {
    of: Table<Mark>,
    /// When the last one was made.
    last: Option<UnixMillis>,
    /// The last place that any of them speaks against.
    up_to: u64,
}

struct Mark {
    at: UnixMillis,
    /// The last place that it speaks against.
    up_to: u64,
}

impl Marks {
    /// Notes a change. Where there is no room, one of everything takes the place
    /// of all: what they were about is not known any more.
    pub fn note(&mut self, what: Hashed, now: UnixMillis, everything: Hashed) {
        if self.of.len() >= MARKS_MAX && !self.of.contains_key(&what) {
            self.all_as_one(now, everything);
        }
        self.of.insert(what, Mark { at: now, up_to: ALL });
        self.last = self.last.max(Some(now));
        self.up_to = ALL;
    }

    /// How old they are is not known any more.
    pub fn clock_stepped(&mut self, now: UnixMillis, everything: Hashed) {
        if !self.of.is_empty() {
            self.all_as_one(now, everything);
        }
    }

    fn all_as_one(&mut self, now: UnixMillis, everything: Hashed) {
        self.of.clear();
        self.of.insert(everything, Mark { at: now, up_to: ALL });
        self.last = Some(now);
        self.up_to = ALL;
    }

    /// The window begins anew: no place of before means anything.
    pub fn begin_anew(&mut self) {
        self.of.values_mut().for_each(|mark| mark.up_to = ALL);
    }

    /// The feed has been asked at `sent`, and had `high` then.
    pub fn settle(&mut self, sent: UnixMillis, high: u64) {
        if self.of.is_empty() {
            return;
        }
        self.of.retain(|_, mark| sent.since(mark.at) <= KEPT_FOR);
        for mark in self.of.values_mut() {
            if mark.up_to == ALL && sent > mark.at {
                mark.up_to = high;
            }
        }
        self.up_to = self.of.values().map(|mark| mark.up_to).max().unwrap_or(0);
    }

    /// Whether none of them can speak against what was asked for at `seq` and,
    /// by this isolate, at `asked`.
    pub fn are_silent(&self, seq: u64, asked: Option<UnixMillis>) -> bool {
        self.of.is_empty() || seq > self.up_to || asked.is_some_and(|asked| Some(asked) > self.last)
    }

    /// Whether there is one of this that does.
    pub fn speak_of(&self, what: Hashed, seq: u64, asked: Option<UnixMillis>) -> bool {
        self.of.get(&what).is_some_and(|mark| seq <= mark.up_to && asked.is_none_or(|asked| asked <= mark.at))
    }

    pub fn len(&self) -> usize {
        self.of.len()
    }
}

/// Of each place. None is so high: nothing could come after it.
const ALL: u64 = u64::MAX;

/// Longer than any record or verdict counts, which is ten minutes, by clocks
/// that differ.
const KEPT_FOR: Duration = Duration::from_mins(11);

const MARKS_MAX: usize = 4_096;
