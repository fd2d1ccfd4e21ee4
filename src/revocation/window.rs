//! The part of the feed that an isolate holds, and how fresh it is.

use core::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::hash::RandomState;

use super::{CLOCK_STILL_MAX, EntryKey, Epoch, FeedAnswer, Position, stretched};
use crate::mutants::{self, Mutant};
use crate::session::{Session, SessionId};
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
}

struct View {
    epoch: Epoch,
    low: u64,
    high: u64,
    fresh: UnixMillis,
    /// Hashes of the entries in `(low, high]`, in their order.
    order: VecDeque<Hashed>,
    /// The newest entry about a key, as its distance from `base`.
    newest: HashMap<Hashed, u32, BuildHasherDefault<Spread>>,
    base: u64,
    /// What this isolate itself has changed stands above all positions until the
    /// feed tells of it.
    marks: HashMap<Hashed, Mark, BuildHasherDefault<Spread>>,
    /// The highest of them.
    marked: u64,
    hashing: RandomState,
}

/// A key's hash, keyed at random: two keys of one hash come together once in
/// four thousand million, and then one is asked for in vain.
type Hashed = u32;

struct Mark {
    seq: u64,
    at: UnixMillis,
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
        if !continues {
            let earlier = self.view.as_ref().filter(|_| mutants::is(Mutant::OutOfOrder)).map(|view| view.fresh);
            let mut view = View::empty(&answer, since, fresh.max(earlier.unwrap_or(fresh)));
            let entries = if mutants::is(Mutant::WindowWithoutEntries) { Vec::new() } else { answer.entries };
            view.advance(FeedAnswer { entries, ..answer }, fresh);
            self.view = Some(view);
            return Applied::Restarted;
        }
        if let Some(view) = &mut self.view {
            view.advance(answer, fresh);
        }
        Applied::Advanced
    }

    /// Something was not as it should be: nothing counts until the next answer.
    fn forget(&mut self) {
        self.view = None;
    }

    /// Goes by a change that this isolate has caused before the feed tells of
    /// it: no verdict that was asked for by now stands. Returns whether there
    /// was room to note it; if not, no verdict may be kept.
    pub fn mark(&mut self, key: &EntryKey, now: UnixMillis) -> bool {
        let Some(view) = &mut self.view else { return false };
        let hash = view.hash_of_entry(key);
        view.mark(hash, now);
        view.marks.len() <= MARKS_MAX
    }

    /// How old the proof is that no entry is missing; `None`: there is none.
    pub fn age(&self, now: UnixMillis) -> Option<Duration> {
        self.view.as_ref().map(|view| now.since(view.fresh))
    }

    /// Whether cached verdicts count at all: within B − ε of the proof.
    pub fn is_fresh(&self, now: UnixMillis, bound: Duration) -> bool {
        let Some(limit) = bound.checked_sub(CLOCK_STILL_MAX) else { return false };
        self.age(now).is_some_and(|age| age <= limit || mutants::is(Mutant::WindowNeverOld))
    }

    /// Whether a verdict that was asked for at `position` still stands: nothing
    /// has been said of its session since.
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
        let Some(view) = &self.view else { return false };
        let is_of_another = position.epoch != view.epoch && !mutants::is(Mutant::EpochIgnored);
        let is_too_old = position.seq < view.low && !mutants::is(Mutant::GapIgnored);
        if is_of_another || is_too_old || position.seq > view.high {
            return false;
        }
        // The common case, without hashing anything.
        if position.seq == view.high && view.marked <= view.high {
            return true;
        }
        ![About::Session(session.id), About::Subject(session.subject.as_str()), About::Site]
            .iter()
            .any(|about| view.speaks_of(about, position.seq, asked))
    }

    /// How many entries are held.
    pub fn len(&self) -> usize {
        self.view.as_ref().map_or(0, |view| view.order.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Kinds of keys; a kill and a refresh of a lineage come to the same.
#[derive(Hash)]
enum About<'a> {
    Session(SessionId),
    Subject(&'a str),
    Site,
}

impl View {
    fn empty(answer: &FeedAnswer, since: Option<Position>, fresh: UnixMillis) -> Self {
        let low = begins_after(answer, since);
        Self {
            epoch: answer.epoch,
            low,
            high: low,
            fresh,
            order: VecDeque::new(),
            newest: HashMap::default(),
            base: low,
            marks: HashMap::default(),
            marked: 0,
            hashing: RandomState::new(),
        }
    }

    fn advance(&mut self, answer: FeedAnswer, fresh: UnixMillis) {
        for entry in answer.entries {
            if entry.seq <= self.high {
                continue; // asked for twice, by polls that crossed
            }
            let hash = self.hash_of_entry(&entry.key);
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

    /// Whether an entry after `seq` is about this, or a change of this isolate's
    /// own that is not known to have come before `asked`.
    fn speaks_of(&self, about: &About<'_>, seq: u64, asked: Option<UnixMillis>) -> bool {
        let hash = self.hash_of(about);
        let is_before = |mark: &Mark| asked.is_some_and(|asked| asked > mark.at);
        self.newest.get(&hash).is_some_and(|newest| *newest > self.distance(seq))
            || self.marks.get(&hash).is_some_and(|mark| mark.seq > seq && !is_before(mark))
    }

    fn mark(&mut self, hash: Hashed, now: UnixMillis) {
        if self.marks.len() >= MARKS_MAX {
            self.marks.retain(|_, mark| now.since(mark.at) <= MARKED_FOR);
        }
        self.marked = self.high + 1;
        self.marks.insert(hash, Mark { seq: self.marked, at: now });
    }

    /// More than four thousand million entries of one epoch are not held, and
    /// the last one speaks against everything.
    fn distance(&self, seq: u64) -> u32 {
        u32::try_from(seq - self.base).unwrap_or(u32::MAX)
    }

    fn hash_of_entry(&self, key: &EntryKey) -> Hashed {
        self.hash_of(&match key {
            EntryKey::Session(id) | EntryKey::Refresh(id) => About::Session(*id),
            EntryKey::Subject(subject) => About::Subject(subject.as_str()),
            EntryKey::Site => About::Site,
        })
    }

    fn hash_of(&self, about: &About<'_>) -> Hashed {
        #[allow(clippy::cast_possible_truncation, reason = "a part of a hash is a hash")]
        return self.hashing.hash_one(about) as Hashed;
    }
}

/// Spreads a hash over the bits that a table looks at.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, hash: u32) {
        self.0 = (self.0 ^ u64::from(hash)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
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

/// How long, and how many, changes of its own an isolate goes by: the feed tells
/// of those that it has within the bound.
const MARKED_FOR: Duration = Duration::from_mins(2);
const MARKS_MAX: usize = 4_096;

/// More than the feed holds for a minute at its highest rate; about 2.5 MB.
const ENTRIES_MAX: usize = 120_000;
