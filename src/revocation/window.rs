//! The part of the feed that an isolate holds, and how fresh it is.

use core::time::Duration;
use std::collections::VecDeque;

use super::about::{About, Hashed, Hashing, Table};
use super::marks::Marks;
use super::{CLOCK_STILL_MAX, EntryKey, Epoch, FeedAnswer, Position, stretched};
use crate::mutants::{self, Mutant};
use crate::session::Session;
use crate::time::UnixMillis;

/// The entries in `(low, high]` of one epoch, and the time of sending of the
/// poll that proved them complete.
///
/// Fails towards asking: an entry that only seems to match (two keys of one
/// hash) costs a question to the store; one that was missed would be a killed
/// session that lives on, so whatever is not as it should be empties the
/// window.
#[derive(Default)]
pub struct Window {
    view: Option<View>,
    /// When the newest poll whose answer was applied was sent.
    applied: Option<UnixMillis>,
    /// What this isolate itself has changed; of more than this view.
    marks: Marks,
    hashing: Hashing,
}

struct View {
    epoch: Epoch,
    low: u64,
    high: u64,
    fresh: UnixMillis,
    /// Hashes of the entries in `(low, high]`, in their order.
    order: VecDeque<Hashed>,
    /// The newest entry about a key, as its distance from `base`.
    newest: Table<u32>,
    base: u64,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Applied {
    /// The window has moved on.
    Advanced,
    /// It was sent before one that has been applied: dropped.
    Late,
    /// It begins anew, with nothing in it: whatever is cached is worthless.
    Restarted,
    /// It was not what the feed says: the window is gone until the next one.
    Refused,
}

impl Window {
    /// What to ask for: the entries after this position.
    pub fn position(&self) -> Option<Position> {
        self.view.as_ref().map(|view| Position { epoch: view.epoch, seq: view.high })
    }

    /// Applies an answer to a poll that was sent at `sent`, when the window was
    /// at `since`.
    pub fn apply(&mut self, sent: UnixMillis, since: Option<Position>, answer: FeedAnswer) -> Applied {
        if self.applied.is_some_and(|applied| sent <= applied) && !mutants::is(Mutant::OutOfOrder) {
            return Applied::Late;
        }
        let age = if mutants::is(Mutant::AgeIgnored) { 0 } else { answer.age_ms };
        let Some(fresh) = sent.minus(stretched(Duration::from_millis(age))) else {
            self.forget();
            return Applied::Refused;
        };
        if !is_sound(&answer, since) {
            self.forget();
            return Applied::Refused;
        }
        self.applied = Some(sent);
        let continues = self.view.as_ref().is_some_and(|view| {
            since.is_some_and(|since| since.epoch == view.epoch && since.seq <= view.high)
                && (answer.epoch == view.epoch || mutants::is(Mutant::EpochIgnored))
                && (since.is_some_and(|since| answer.low <= since.seq) || mutants::is(Mutant::GapIgnored))
                && answer.high >= view.high
        });
        let high = answer.high;
        if !continues {
            let earlier = self.view.as_ref().filter(|_| mutants::is(Mutant::OutOfOrder)).map(|view| view.fresh);
            let mut view = View::empty(&answer, since, fresh.max(earlier.unwrap_or(fresh)));
            let entries = if mutants::is(Mutant::WindowWithoutEntries) { Vec::new() } else { answer.entries };
            view.advance(FeedAnswer { entries, ..answer }, fresh, &self.hashing);
            self.view = Some(view);
            self.marks.begin_anew();
            self.marks.settle(fresh, high);
            return Applied::Restarted;
        }
        if let Some(view) = &mut self.view {
            view.advance(answer, fresh, &self.hashing);
        }
        self.marks.settle(fresh, high);
        Applied::Advanced
    }

    /// Something was not as it should be: nothing counts until the next answer.
    fn forget(&mut self) {
        self.view = None;
    }

    /// The clock has stepped back: nothing counts until the next answer.
    pub fn clock_stepped(&mut self, now: UnixMillis) {
        self.forget();
        self.applied = None;
        self.marks.clock_stepped(now, self.hashing.hash(&About::Site));
    }

    /// Goes by a change that this isolate has caused before the feed tells of
    /// it: no verdict that was asked for by now stands.
    pub fn mark(&mut self, key: &EntryKey, now: UnixMillis) {
        self.marks.note(self.hashing.hash(&key.into()), now, self.hashing.hash(&About::Site));
    }

    /// How many changes of its own it goes by.
    pub fn marks(&self) -> usize {
        self.marks.len()
    }

    /// How old the proof is that no entry is missing; `None`: there is none.
    pub fn age(&self, now: UnixMillis) -> Option<Duration> {
        self.view.as_ref().map(|view| now.since(view.fresh))
    }

    /// Whether cached verdicts count at all: within B − ε of the proof.
    pub fn is_fresh(&self, now: UnixMillis, bound: Duration) -> bool {
        self.proof(None, now, bound).is_some()
    }

    /// When it was last known that no entry was missing which concerns a verdict: when the
    /// newest poll was sent, or this isolate's own question about it, `asked`, if that was
    /// later. `None`: longer than B − ε ago.
    pub fn proof(&self, asked: Option<UnixMillis>, now: UnixMillis, bound: Duration) -> Option<UnixMillis> {
        let limit = bound.checked_sub(CLOCK_STILL_MAX)?;
        let fresh = self.view.as_ref()?.fresh;
        // The feed has to have been told of the bound, which polls do, so that a kill which
        // waits for all edges waits for this one.
        let asked = asked.filter(|_| now.since(fresh) <= ANNOUNCED_FOR);
        let never_old = mutants::is(Mutant::WindowNeverOld) || asked.is_some() && mutants::is(Mutant::AnswerNeverOld);
        Some(asked.map_or(fresh, |asked| asked.max(fresh))).filter(|at| now.since(*at) <= limit || never_old)
    }

    /// Whether all is known that was said after this place.
    pub fn reaches(&self, position: Position) -> bool {
        let Some(view) = &self.view else { return false };
        let is_of_another = position.epoch != view.epoch && !mutants::is(Mutant::EpochIgnored);
        let is_too_old = position.seq < view.low && !mutants::is(Mutant::GapIgnored);
        !(is_of_another || is_too_old || position.seq > view.high)
    }

    /// Whether a verdict that somebody has asked for at `position` still stands:
    /// nothing has been said of its session since.
    pub fn lets_stand(&self, position: Position, session: &Session) -> bool {
        self.knows_nothing_against(position, None, session)
    }

    /// The same of a verdict that this isolate has asked for itself, then: who
    /// answered knew of what the isolate had changed before, whether or not the
    /// feed has anything more to tell of it.
    pub fn lets_answer_stand(&self, position: Position, asked: UnixMillis, session: &Session) -> bool {
        self.knows_nothing_against(position, Some(asked), session)
    }

    fn knows_nothing_against(&self, position: Position, asked: Option<UnixMillis>, session: &Session) -> bool {
        let Some(view) = self.view.as_ref().filter(|_| self.reaches(position)) else { return false };
        // The common case, without hashing anything.
        let are_silent = self.marks.are_silent(position.seq, asked);
        if position.seq == view.high && are_silent {
            return true;
        }
        ![About::Session(session.id), About::Subject(session.subject.as_str()), About::Site].iter().any(|about| {
            let hash = self.hashing.hash(about);
            view.speaks_of(hash, position.seq) || (!are_silent && self.marks.speak_of(hash, position.seq, asked))
        })
    }

    /// How many entries are held.
    pub fn len(&self) -> usize {
        self.view.as_ref().map_or(0, |view| view.order.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl View {
    fn empty(answer: &FeedAnswer, since: Option<Position>, fresh: UnixMillis) -> Self {
        let low = begins_after(answer, since);
        Self { epoch: answer.epoch, low, high: low, fresh, order: VecDeque::new(), newest: Table::default(), base: low }
    }

    fn advance(&mut self, answer: FeedAnswer, fresh: UnixMillis, hashing: &Hashing) {
        for entry in answer.entries {
            if entry.seq <= self.high {
                continue; // asked for twice, by polls that crossed
            }
            let hash = hashing.hash(&(&entry.key).into());
            self.newest.insert(hash, self.distance(entry.seq));
            self.order.push_back(hash);
            self.high = entry.seq;
        }
        self.fresh = self.fresh.max(fresh);
        while self.order.len() > ENTRIES_MAX || self.low < answer.low {
            let Some(hash) = self.order.pop_front() else { break };
            self.low += 1;
            if self.newest.get(&hash) == Some(&self.distance(self.low)) {
                self.newest.remove(&hash);
            }
        }
    }

    /// Whether an entry after `seq` is about this.
    fn speaks_of(&self, hash: Hashed, seq: u64) -> bool {
        self.newest.get(&hash).is_some_and(|newest| *newest > self.distance(seq))
    }

    /// More than four thousand million entries of one epoch are not held, and
    /// the last one speaks against everything.
    fn distance(&self, seq: u64) -> u32 {
        u32::try_from(seq.saturating_sub(self.base)).unwrap_or(u32::MAX)
    }
}

/// The entry after which an answer has all: the one that was asked for, or
/// `low`, where the feed cannot go on from there.
fn begins_after(answer: &FeedAnswer, since: Option<Position>) -> u64 {
    let asked = since.filter(|since| since.epoch == answer.epoch || mutants::is(Mutant::EpochIgnored));
    asked.map(|since| since.seq).filter(|asked| (answer.low..=answer.high).contains(asked)).unwrap_or(answer.low)
}

/// Whether an answer is one that the feed can give: dense, in order, and
/// complete from where it was asked for, or from where its memory begins.
fn is_sound(answer: &FeedAnswer, since: Option<Position>) -> bool {
    // Nothing could come after the last number, nor a change of this isolate's own.
    if answer.low > answer.high || answer.high == u64::MAX {
        return false;
    }
    let asked = begins_after(answer, since);
    let expected = (asked + 1..=answer.high).map(Some).chain(core::iter::repeat(None));
    answer.entries.len() as u64 == answer.high - asked
        && answer.entries.iter().zip(expected).all(|(entry, seq)| Some(entry.seq) == seq)
}

/// Far less than the day for which the feed remembers what bounds there are.
const ANNOUNCED_FOR: Duration = Duration::from_hours(1);

/// More than the feed holds for a minute at its highest rate; about 2.5 MB.
const ENTRIES_MAX: usize = 120_000;
