//! Answers of the feed, honest and not: the window is held against a list of
//! all that it was told, and memory against what would be a killed session that
//! lives on.
#![no_main]

use core::time::Duration;
use std::rc::Rc;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use warifu::revocation::{Applied, Entry, Epoch, FeedAnswer, Known, Memory, Position, SentPoll, Window};
use warifu::session::{Served, Session};
use warifu::time::UnixMillis;
use warifu::token::SessionKey;
use warifu_fuzz::feed::{Model, entry_key, session};
use warifu_fuzz::reached;

#[derive(Arbitrary, Debug)]
enum Op {
    /// Send a poll.
    Poll,
    /// The answer to one of those under way.
    Answer {
        which: u8,
        shape: Shape,
    },
    Tick(u16),
    StepBack(u8),
    /// This isolate has changed something itself.
    Mark(u8),
    /// Ask a session object, and keep what it says.
    Keep {
        which: u8,
        takes: u8,
    },
}

/// An answer, made of where the window stands.
#[derive(Arbitrary, Debug)]
struct Shape {
    epoch: u8,
    low: Number,
    more: u8,
    keys: [u8; 8],
    age: Option<u16>,
    lie: Option<Lie>,
}

/// What a feed that is not itself may say.
#[derive(Arbitrary, Debug)]
enum Lie {
    High(Number),
    Age(u64),
    Entry { which: u8, seq: Number, key: u8 },
    Drop(u8),
    Twice(u8),
}

#[derive(Arbitrary, Debug)]
enum Number {
    Near(i8),
    FromTop(u8),
    Any(u64),
}

impl Number {
    fn about(&self, seq: u64) -> u64 {
        match self {
            Self::Near(by) => seq.saturating_add_signed(i64::from(*by)),
            Self::FromTop(by) => u64::MAX - u64::from(*by),
            Self::Any(number) => *number,
        }
    }
}

const BOUND: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_mins(30);
const BEGIN: u64 = 1_750_000_000_000;

// A window may say that a verdict falls where nothing was said against it: two
// keys of one hash, once in four thousand million. Not twice in a row.
fuzz_target!(|ops: Vec<Op>| {
    let ops = &ops[..ops.len().min(60)];
    assert!(World::new().lives(ops) || World::new().lives(ops), "the window forgets what stands");
});

struct World {
    now: u64,
    window: Window,
    memory: Memory,
    model: Model,
    under_way: Vec<(Option<Position>, UnixMillis, Option<SentPoll>)>,
    /// Positions that the window has had.
    positions: Vec<Position>,
    kept: Vec<Kept>,
}

/// A verdict that memory was given.
struct Kept {
    key: SessionKey,
    session: Rc<Session>,
    position: Position,
    asked: UnixMillis,
}

impl World {
    fn new() -> Self {
        Self {
            now: BEGIN,
            window: Window::default(),
            memory: Memory::default(),
            model: Model::default(),
            under_way: Vec::new(),
            positions: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// Whether everything stands that may; what must not panics.
    fn lives(mut self, ops: &[Op]) -> bool {
        ops.iter().all(|op| {
            self.memory.observe(UnixMillis(self.now));
            self.step(op);
            self.holds()
        })
    }

    fn step(&mut self, op: &Op) {
        let now = UnixMillis(self.now);
        match op {
            Op::Poll if self.under_way.len() < 4 => {
                let poll = self.memory.poll(now);
                assert_eq!(poll.since, self.window.position());
                self.under_way.push((poll.since, now, Some(poll)));
            }
            Op::Poll => drop(self.under_way.remove(0)),
            Op::Answer { which, shape } => {
                if let Some(at) = usize::from(*which).checked_rem(self.under_way.len()) {
                    let (since, sent, poll) = self.under_way.remove(at);
                    self.answer(since, sent, poll.as_ref(), answer(shape, since));
                }
            }
            Op::Tick(by) => self.now += u64::from(*by),
            Op::StepBack(by) => {
                self.now -= u64::from(*by) + 1;
                self.memory.observe(UnixMillis(self.now));
                // As memory does: nothing from before counts.
                self.window.clock_stepped(UnixMillis(self.now));
                self.model.clock_stepped(UnixMillis(self.now));
                self.kept.clear();
                self.under_way.iter_mut().for_each(|(since, ..)| *since = None);
                self.late_answers();
            }
            Op::Mark(key) => {
                let key = entry_key(*key);
                self.window.mark(&key, now);
                self.model.mark(&key, now);
                self.memory.changed(&key);
            }
            Op::Keep { which, takes } => {
                let question = self.memory.question(now);
                let session = Rc::new(session(*which));
                let key = SessionKey::from_bytes([which % 4; 32]);
                self.memory.keep(&question, key, Rc::clone(&session), Served::Current);
                if let Some(position) = self.model.position() {
                    self.kept.retain(|kept| kept.key != key);
                    self.kept.push(Kept { key, session, position, asked: now });
                }
                self.now += u64::from(*takes);
            }
        }
    }

    /// What was sent before the clock stepped back changes nothing.
    fn late_answers(&mut self) {
        for (_, _, poll) in self.under_way.drain(..) {
            let nothing = FeedAnswer { epoch: Epoch([1; 8]), low: 7, high: 7, age_ms: 0, entries: Vec::new() };
            let before = (self.memory.position(), self.memory.holdings());
            assert!(poll.is_none_or(|poll| self.memory.polled(&poll, nothing)));
            assert_eq!((self.memory.position(), self.memory.holdings()), before);
        }
    }

    fn answer(&mut self, since: Option<Position>, sent: UnixMillis, poll: Option<&SentPoll>, answer: FeedAnswer) {
        let before = self.window.position();
        let refused = self.memory.tally().refused_answers.get();
        let expected = self.model.apply(sent, since, &answer);
        if expected == Applied::Restarted || expected == Applied::Refused {
            self.kept.clear();
        }
        let is_feeds = poll.is_none_or(|poll| self.memory.polled(poll, answer.clone()));
        let applied = self.window.apply(sent, since, answer);
        assert_eq!(applied, expected);
        assert_eq!(is_feeds, applied != Applied::Refused);
        assert_eq!(self.memory.tally().refused_answers.get(), refused + u64::from(!is_feeds));
        let after = self.window.position();
        match applied {
            Applied::Late => {
                reached!("late");
                assert_eq!(before, after);
            }
            Applied::Refused => {
                reached!("refused");
                let held = self.memory.holdings();
                assert_eq!((after, self.window.len(), held.entries, held.verdicts), (None, 0, 0, 0));
            }
            Applied::Restarted => {
                reached!("restarted");
                assert_eq!(self.memory.holdings().verdicts, 0, "verdicts of before");
            }
            Applied::Advanced => {
                reached!("advanced");
                let (before, after) = (before.expect("a window"), after.expect("a window"));
                assert!(before.epoch == after.epoch && before.seq <= after.seq, "{before:?} → {after:?}");
            }
        }
        self.positions.extend(after);
        if self.positions.len() > 6 {
            self.positions.remove(0);
        }
    }

    fn holds(&mut self) -> bool {
        let now = UnixMillis(self.now);
        assert_eq!(self.window.position(), self.model.position());
        assert_eq!(self.memory.position(), self.model.position());
        assert_eq!((self.window.len(), self.memory.holdings().entries), (self.model.len(), self.model.len()));
        assert_eq!(self.window.is_fresh(now, BOUND), self.model.is_fresh(now, BOUND));
        let mut all_stand = true;
        for which in 0..4 {
            let session = session(which);
            for position in &self.positions {
                let (says, may) =
                    (self.window.lets_stand(*position, &session), self.model.stands(*position, None, &session));
                assert!(may || !says, "{position:?} stands for {:?}", session.subject);
                all_stand &= says || !may;
                if may && !self.model.is_empty() {
                    reached!("something stands");
                }
            }
        }
        for kept in &self.kept {
            let Known::Live(live, _) = self.memory.look(&kept.key, now, BOUND, IDLE) else { continue };
            reached!("from memory");
            assert_eq!(live, kept.session);
            let is_new = now.since(kept.asked) <= BOUND - Duration::from_millis(50);
            assert!(is_new || self.model.is_fresh(now, BOUND) && now.since(kept.asked) <= Duration::from_mins(1));
            assert!(self.model.told_nothing_since(kept.position, kept.asked, &live), "a killed session lives on");
        }
        all_stand
    }
}

/// An answer as the feed gives it to a poll, but for its lie.
fn answer(shape: &Shape, since: Option<Position>) -> FeedAnswer {
    let asked = since.map_or(5, |since| since.seq);
    let epoch = match since {
        Some(since) if !shape.epoch.is_multiple_of(4) => since.epoch,
        _ => Epoch([shape.epoch / 4 % 2; 8]),
    };
    let low = shape.low.about(asked);
    let from = if since.is_some_and(|since| since.epoch == epoch) { asked.max(low) } else { low };
    let high = from.saturating_add(u64::from(shape.more % 9));
    let key = |seq: u64| entry_key(shape.keys[(seq % 8) as usize]);
    let entries = (from..high).map(|before| Entry { seq: before + 1, key: key(before) }).collect();
    let mut answer = FeedAnswer { epoch, low, high, age_ms: shape.age.map_or(0, u64::from), entries };
    let pick = |which: u8, entries: &Vec<Entry>| usize::from(which).checked_rem(entries.len());
    match &shape.lie {
        None => {}
        Some(Lie::High(number)) => answer.high = number.about(high),
        Some(Lie::Age(age)) => answer.age_ms = *age,
        Some(Lie::Entry { which, seq, key }) => {
            if let Some(at) = pick(*which, &answer.entries) {
                answer.entries[at] = Entry { seq: seq.about(high), key: entry_key(*key) };
            }
        }
        Some(Lie::Drop(which)) => {
            if let Some(at) = pick(*which, &answer.entries) {
                answer.entries.remove(at);
            }
        }
        Some(Lie::Twice(which)) => {
            if let Some(at) = pick(*which, &answer.entries) {
                let entry: Entry = answer.entries[at].clone();
                answer.entries.insert(at, entry);
            }
        }
    }
    answer
}
