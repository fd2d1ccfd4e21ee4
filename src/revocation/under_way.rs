//! How many questions an isolate has under way.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::VecDeque;

use super::Position;
use crate::time::UnixMillis;
use crate::token::SessionKey;

/// The questions under way, each with when it began, and about what.
#[derive(Default)]
pub struct UnderWay {
    /// In the order of their numbers.
    begun: RefCell<VecDeque<Begun>>,
    last: Cell<u64>,
    /// What is to be told when the question of this number is over.
    waiting: RefCell<Vec<(u64, Told)>>,
}

struct Begun {
    number: u64,
    at: UnixMillis,
    about: About,
    /// Where the window was when it was asked, if others can go by what comes of it.
    shared: Option<Position>,
}

/// What is told that a question is over.
pub type Told = Box<dyn FnOnce()>;

/// A part of a session key: who shares it with somebody shares the places.
type About = [u8; 8];

/// How many there may be at a time.
#[derive(Clone, Copy)]
pub struct AtOnce {
    pub all: usize,
    /// About one key: whoever has it must not take all places.
    pub of_one: usize,
    /// Longer than any of them takes.
    pub takes: Duration,
}

impl UnderWay {
    /// Counts a question for as long as the result lives, but no longer than one can
    /// take: where the platform gives a request up, it never goes on, and whatever it
    /// holds is dropped when the platform comes to it, which may be late. `None` where
    /// too many are under way: the objects of a site must survive that all of its
    /// requests are asked for.
    pub fn begin(&self, key: &SessionKey, most: AtOnce, now: UnixMillis) -> Option<Asking<'_>> {
        let mut begun = self.begun.borrow_mut();
        let about = about(key);
        let is_full = |begun: &VecDeque<Begun>| {
            begun.len() >= most.all
                || (begun.len() >= most.of_one && begun.iter().filter(|it| it.about == about).count() >= most.of_one)
        };
        if is_full(&begun) {
            begun.retain(|it| now.since(it.at) <= most.takes);
            self.waiting.borrow_mut().retain(|(number, _)| place(&begun, *number).is_some());
            if is_full(&begun) {
                return None;
            }
        }
        let number = self.last.get() + 1;
        self.last.set(number);
        begun.push_back(Begun { number, at: now, about, shared: None });
        Some(Asking { under_way: self, number })
    }

    /// The first question about the same key that [goes on](Self::goes_on), if it is another.
    pub fn before(&self, asking: &Asking<'_>, now: UnixMillis, at_most: Duration) -> Option<u64> {
        let begun = self.begun.borrow();
        let place = place(&begun, asking.number)?;
        let is_first = |it: &&Begun| it.about == begun[place].about && now.since(it.at) <= at_most;
        begun.iter().take(place).find(is_first).map(|it| it.number)
    }

    /// Whether it has not come to its end, and had less than `at_most` for that.
    pub fn goes_on(&self, number: u64, now: UnixMillis, at_most: Duration) -> bool {
        let begun = self.begun.borrow();
        place(&begun, number).is_some_and(|place| now.since(begun[place].at) <= at_most)
    }

    /// The first question about this key that others can wait for, since it was asked at a
    /// place that `counts`, less than `at_most` ago.
    pub fn shared(
        &self,
        key: &SessionKey,
        counts: impl Fn(Position) -> bool,
        now: UnixMillis,
        at_most: Duration,
    ) -> Option<u64> {
        let about = about(key);
        let is_one = |it: &&Begun| it.about == about && now.since(it.at) < at_most && it.shared.is_some_and(&counts);
        self.begun.borrow().iter().find(is_one).map(|it| it.number)
    }

    /// Tells when that question is over; at once where it is, or where too many wait: they
    /// hold what a request holds.
    pub fn when_over(&self, number: u64, told: Told) {
        let is_full = self.waiting.borrow().len() >= WAITING_MAX;
        if is_full || place(&self.begun.borrow(), number).is_none() {
            return told();
        }
        self.waiting.borrow_mut().push((number, told));
    }

    fn tell(&self, number: u64) {
        let next = || {
            let mut waiting = self.waiting.borrow_mut();
            let place = waiting.iter().position(|(of, _)| *of == number)?;
            Some(waiting.swap_remove(place).1)
        };
        // Who is told may ask at once.
        while let Some(told) = next() {
            told();
        }
    }

    /// When the clock has stepped back, nobody knows how old they are. Who waits for one of
    /// them does so until it has enough.
    pub fn clear(&self) {
        self.begun.borrow_mut().clear();
        self.waiting.borrow_mut().clear();
    }
}

fn place(begun: &VecDeque<Begun>, number: u64) -> Option<usize> {
    begun.binary_search_by_key(&number, |it| it.number).ok()
}

fn about(key: &SessionKey) -> About {
    let mut about = About::default();
    about.copy_from_slice(&key.as_bytes()[..8]);
    about
}

/// A question under way.
pub struct Asking<'a> {
    under_way: &'a UnderWay,
    number: u64,
}

impl Asking<'_> {
    /// Others who would ask the same can wait for it, if it was asked with a window, which was
    /// here: its answer is kept.
    pub fn share(&self, position: Option<Position>) {
        let mut begun = self.under_way.begun.borrow_mut();
        if let Some(place) = place(&begun, self.number) {
            begun[place].shared = position;
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut begun = self.under_way.begun.borrow_mut();
        if let Some(place) = place(&begun, self.number) {
            begun.remove(place);
        }
        drop(begun);
        self.under_way.tell(self.number);
    }
}

/// About as many requests as an isolate has room for.
const WAITING_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::Epoch;

    const TAKES_MAX: Duration = Duration::from_secs(30);
    const MOST: AtOnce = AtOnce { all: 50, of_one: 10, takes: TAKES_MAX };

    fn key(of: u8) -> SessionKey {
        SessionKey::from_bytes([of; 32])
    }

    fn ask(under_way: &UnderWay, of: u8, now: UnixMillis) -> Option<Asking<'_>> {
        under_way.begin(&key(of), MOST, now)
    }

    /// Takes all places, in the name of many.
    fn fill(under_way: &UnderWay, now: UnixMillis) -> Vec<Asking<'_>> {
        let mut of = 0..=u8::MAX;
        core::iter::from_fn(|| of.next().and_then(|of| ask(under_way, of, now))).collect()
    }

    #[test]
    fn each_place_is_free_again_when_its_question_is_over() {
        let (under_way, now) = (UnderWay::default(), UnixMillis(1_000_000));
        let mut asking = fill(&under_way, now);
        assert_eq!(asking.len(), MOST.all);
        asking.pop();
        let another = ask(&under_way, 200, now);
        assert!(another.is_some() && ask(&under_way, 201, now).is_none());
    }

    #[test]
    fn one_key_has_its_share_and_others_have_theirs() {
        let (under_way, now) = (UnderWay::default(), UnixMillis(1_000_000));
        let mut mine: Vec<Asking<'_>> = core::iter::from_fn(|| ask(&under_way, 1, now)).collect();
        assert_eq!(mine.len(), MOST.of_one);
        let theirs: Vec<Asking<'_>> = core::iter::from_fn(|| ask(&under_way, 2, now)).collect();
        assert_eq!(theirs.len(), MOST.of_one);
        mine.pop();
        assert!(ask(&under_way, 1, now).is_some() && ask(&under_way, 2, now).is_none());
        mine.push(ask(&under_way, 1, now).expect("a place"));
        assert!(ask(&under_way, 1, now.plus(TAKES_MAX)).is_none());
        assert!(ask(&under_way, 1, now.plus(TAKES_MAX + Duration::from_millis(1))).is_some());
    }

    #[test]
    fn who_asks_the_same_knows_who_was_first() {
        let (under_way, now) = (UnderWay::default(), UnixMillis(1_000_000));
        let asking = [1, 2, 1, 1].map(|of| ask(&under_way, of, now).expect("a place"));
        let [first, other, second, third] = &asking;
        let before = |asking: &Asking<'_>| under_way.before(asking, now, TAKES_MAX);
        assert_eq!([first, other].map(before), [None, None]);
        assert_eq!([second, third].map(before), [Some(first.number); 2]);
        let number = first.number;
        assert!(under_way.goes_on(number, now.plus(TAKES_MAX), TAKES_MAX));
        assert!(!under_way.goes_on(number, now.plus(TAKES_MAX), TAKES_MAX / 2));
        let [first, _, second, third] = asking;
        drop(first);
        assert!(!under_way.goes_on(number, now, TAKES_MAX));
        assert_eq!([&second, &third].map(before), [None, Some(second.number)]);
        // One that nobody ends is not waited for, once it is too old.
        let late = now.plus(TAKES_MAX);
        let fourth = ask(&under_way, 1, late).expect("a place");
        let fifth = ask(&under_way, 1, late).expect("a place");
        assert_eq!(under_way.before(&fifth, late, TAKES_MAX / 2), Some(fourth.number));
    }

    fn at(seq: u64) -> Position {
        Position { epoch: Epoch([1; 8]), seq }
    }

    #[test]
    fn who_waits_for_a_question_is_told_when_it_is_over() {
        let (under_way, now) = (UnderWay::default(), UnixMillis(1_000_000));
        let told = std::rc::Rc::new(Cell::new(0));
        let wait = |number| {
            let told = std::rc::Rc::clone(&told);
            under_way.when_over(number, Box::new(move || told.set(told.get() + 1)));
        };
        let shared = |now| under_way.shared(&key(1), |at| at.seq > 5, now, TAKES_MAX);
        let asking = [1, 1, 1, 2].map(|of| ask(&under_way, of, now).expect("a place"));
        let [unshared, early, first, other] = asking;
        early.share(Some(at(5)));
        other.share(Some(at(6)));
        assert_eq!(shared(now), None);
        first.share(Some(at(6)));
        assert_eq!(shared(now), Some(first.number));
        assert_eq!(shared(now.plus(TAKES_MAX)), None, "that is too old");
        [first.number, first.number, other.number].into_iter().for_each(wait);
        drop((unshared, early));
        assert_eq!(told.get(), 0);
        let number = first.number;
        drop(first);
        assert_eq!((told.get(), shared(now)), (2, None));
        wait(number);
        assert_eq!(told.get(), 3, "it is over already");
        under_way.clear();
        drop(other);
        assert_eq!((told.get(), under_way.waiting.borrow().len()), (3, 0), "nobody knows how old it was");
    }

    #[test]
    fn no_more_wait_than_there_is_room_for_and_none_for_what_is_lost() {
        let (under_way, now) = (UnderWay::default(), UnixMillis(1_000_000));
        let lost = ask(&under_way, 1, now).expect("a place").number;
        core::mem::forget(ask(&under_way, 1, now));
        let told = std::rc::Rc::new(Cell::new(0));
        for _ in 0..=WAITING_MAX {
            let told = std::rc::Rc::clone(&told);
            under_way.when_over(lost + 1, Box::new(move || told.set(told.get() + 1)));
        }
        assert_eq!((told.get(), under_way.waiting.borrow().len()), (1, WAITING_MAX));
        fill(&under_way, now).into_iter().for_each(core::mem::forget);
        let _anew = ask(&under_way, 1, now.plus(TAKES_MAX + Duration::from_millis(1))).expect("a place");
        assert_eq!(under_way.waiting.borrow().len(), 0);
    }

    #[test]
    fn a_question_that_nobody_ends_does_not_hold_its_place() {
        let (under_way, now) = (UnderWay::default(), UnixMillis(1_000_000));
        fill(&under_way, now).into_iter().for_each(core::mem::forget);
        assert!(ask(&under_way, 200, now.plus(TAKES_MAX)).is_none());
        let after = now.plus(TAKES_MAX + Duration::from_millis(1));
        let mut anew = fill(&under_way, after);
        assert_eq!(anew.len(), MOST.all);
        // Whoever ends after all ends nobody else's.
        drop(Asking { under_way: &under_way, number: 1 });
        assert!(ask(&under_way, 200, after).is_none());
        under_way.clear();
        anew.clear();
        assert!(ask(&under_way, 200, now).is_some());
    }
}
