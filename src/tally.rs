//! What one isolate counts of one site: in memory, for whoever asks, and now
//! and then for Analytics Engine. To count is to add to a number that is
//! there: no allocation, and no crossing to JavaScript.

use core::cell::{Cell, RefCell};
use core::time::Duration;

use crate::audit::COUNTED;
use crate::limit::Limit;
use crate::revocation::Memory;
use crate::time::{UnixMillis, millis};

/// Where the verdict on a token came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    Memory,
    Kv,
    Object,
    /// The last verdict, while nobody answers.
    Outage,
}

/// What it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    Live,
    /// No session, or none any more.
    None,
    /// One cannot know.
    Unknown,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(Cell<u64>);

impl Counter {
    pub fn add(&self) {
        self.0.set(self.0.get() + 1);
    }

    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// How long things took.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Those that took at most as long as the edge of the same place, and not
    /// as short as the one before; the last: longer than all edges.
    counts: [Counter; EDGES_MS.len() + 1],
    sum_ms: Cell<u64>,
}

impl Histogram {
    pub fn note(&self, span: Duration) {
        let ms = millis(span);
        let place = EDGES_MS.iter().position(|edge| ms <= *edge).unwrap_or(EDGES_MS.len());
        self.counts[place].add();
        self.sum_ms.set(self.sum_ms.get().saturating_add(ms));
    }

    pub fn counts(&self) -> impl Iterator<Item = u64> {
        self.counts.iter().map(Counter::get)
    }

    pub fn count(&self) -> u64 {
        self.counts().sum()
    }

    pub fn sum_ms(&self) -> u64 {
        self.sum_ms.get()
    }
}

/// All that is counted.
#[derive(Debug, Default)]
pub struct Tally {
    /// By [`Source`], then by [`Outcome`].
    checks: [[Counter; 3]; 4],
    /// Messages to session objects.
    pub store_calls: Counter,
    /// Those without an answer that counts.
    pub store_failures: Counter,
    /// Polls of the feed.
    pub polls: Counter,
    /// Answers to them that were not what the feed says.
    pub refused_answers: Counter,
    /// From sending a poll of the feed to its answer.
    pub poll_time: Histogram,
    /// Polls without an answer.
    pub poll_failures: Counter,
    /// For each kill that the feed told of: how long this isolate can have
    /// gone by what it remembered, at most.
    pub kill_delay: Histogram,
    /// From sending a request on to the first byte of the answer: of one in
    /// [`ORIGIN_SAMPLED`].
    pub origin_time: Histogram,
    forwarded: Counter,
    /// Tokens whose MAC is wrong.
    pub bad_macs: Counter,
    /// Records of KV that cannot be read, or that no key has vouched for.
    pub records_refused: Counter,
    /// What limits have refused, by [`Limit`].
    limited: [Counter; 3],
    /// What sessions have been kept from, each by itself.
    pub own_limited: Counter,
    /// What happened, by the names of the events.
    events: RefCell<Vec<(String, u64)>>,
    reported: Cell<Option<UnixMillis>>,
    /// What was counted up to then.
    written: RefCell<Vec<u64>>,
    isolate: Cell<Option<[u8; 4]>>,
}

impl Tally {
    pub fn check(&self, source: Source, outcome: Outcome) {
        self.checks[source as usize][outcome as usize].add();
    }

    pub fn checks(&self, source: Source, outcome: Outcome) -> u64 {
        self.checks[source as usize][outcome as usize].get()
    }

    pub fn limited(&self, limit: Limit) {
        self.limited[limit as usize].add();
    }

    pub fn limited_so_far(&self, limit: Limit) -> u64 {
        self.limited[limit as usize].get()
    }

    /// Whether the time of this request to the origin is taken: to read the
    /// clock is a crossing.
    pub fn takes_origin_time(&self) -> bool {
        self.forwarded.add();
        self.forwarded.get() % ORIGIN_SAMPLED == 1
    }

    /// Polls without an answer that counts, whatever it was that came.
    pub fn failed_polls(&self) -> u64 {
        self.poll_failures.get() + self.refused_answers.get()
    }

    /// Counts an event by its name. There are as many names as there are kinds.
    pub fn event(&self, name: &str) {
        let mut events = self.events.borrow_mut();
        match events.iter_mut().find(|(known, _)| known == name) {
            Some((_, count)) => *count += 1,
            None => events.push((name.to_owned(), 1)),
        }
    }

    /// Those of which there was none are told of as well: a series that begins with
    /// its first event has not increased by it, as Prometheus counts.
    pub fn events(&self) -> Vec<(String, u64)> {
        let mut events = self.events.borrow().clone();
        for name in COUNTED.split(' ') {
            if !events.iter().any(|(known, _)| known == name) {
                events.push((name.to_owned(), 0));
            }
        }
        events.sort();
        events
    }

    /// Whether the figures are to be written now: the first time a minute after
    /// the isolate began, then once a minute.
    pub fn is_report_due(&self, now: UnixMillis) -> bool {
        let is_due = self.is_report_near(now);
        if is_due || self.reported.get().is_none() {
            self.reported.set(Some(now));
        }
        is_due
    }

    /// The same, for who does not write them.
    pub fn is_report_near(&self, now: UnixMillis) -> bool {
        // Also where the clock has stepped back.
        self.reported.get().is_some_and(|at| now < at || now.since(at) >= REPORTED_EVERY)
    }

    /// A name for this isolate, drawn when it is first wanted.
    pub fn isolate(&self, draw: impl FnOnce() -> [u8; 4]) -> String {
        let id = self.isolate.get().unwrap_or_else(draw);
        self.isolate.set(Some(id));
        base16ct::lower::encode_string(&id)
    }
}

/// What Analytics Engine is given, in this order, which docs/operations/metrics.md lists:
/// what was counted since the last time, then what is held now.
pub fn figures(memory: &Memory, now: UnixMillis) -> Vec<u64> {
    use Outcome::{Live, None as Nobody, Unknown};
    use Source::{Kv, Memory as Remembered, Object, Outage};
    let (tally, held) = (memory.tally(), memory.holdings());
    let counted = vec![
        tally.checks(Remembered, Live),
        tally.checks(Remembered, Nobody),
        tally.checks(Kv, Live),
        tally.checks(Object, Live),
        tally.checks(Object, Nobody),
        tally.checks(Object, Unknown),
        tally.checks(Outage, Live),
        tally.store_calls.get(),
        tally.store_failures.get(),
        tally.polls.get(),
        tally.poll_time.sum_ms(),
        tally.failed_polls(),
        tally.kill_delay.count(),
        tally.kill_delay.sum_ms(),
        held.evicted,
        tally.origin_time.count(),
        tally.origin_time.sum_ms(),
        tally.bad_macs.get(),
    ];
    let before = tally.written.replace(counted.clone());
    let before = before.iter().copied().chain(core::iter::repeat(0));
    let since = counted.iter().zip(before).map(|(now, before)| now.saturating_sub(before));
    let held = [memory.window_age(now).map_or(0, millis), held.verdicts as u64];
    since.chain(held).collect()
}

/// Edges of the histograms.
pub const EDGES_MS: [u64; 10] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000];

/// One in so many requests to the origin is timed.
pub const ORIGIN_SAMPLED: u64 = 16;

const REPORTED_EVERY: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_in_the_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for ms in [0, 5, 6, 10_000, 10_001, 90_000] {
            histogram.note(Duration::from_millis(ms));
        }
        assert_eq!(histogram.counts().collect::<Vec<_>>(), [2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!((histogram.count(), histogram.sum_ms()), (6, 110_012));
    }

    #[test]
    fn figures_are_due_once_a_minute() {
        let tally = Tally::default();
        let due = |seconds: u64| tally.is_report_due(UnixMillis(1_000_000 + seconds * 1_000));
        assert_eq!([0, 59, 60, 61, 119, 120].map(due), [false, false, true, false, false, true]);
        assert!(due(30) && !due(31), "a clock that has stepped back");
    }

    #[test]
    fn answers_that_were_refused_are_failures_of_polls() {
        let memory = Memory::default();
        memory.tally().poll_failures.add();
        memory.tally().refused_answers.add();
        assert_eq!(figures(&memory, UnixMillis(0))[11], 2, "double12");
    }

    #[test]
    fn one_in_so_many_is_timed() {
        let tally = Tally::default();
        assert_eq!((0..ORIGIN_SAMPLED * 3).filter(|_| tally.takes_origin_time()).count(), 3);
    }
}
