//! How many questions to session objects an isolate has under way.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::BTreeMap;

use crate::time::UnixMillis;

/// The questions under way, by when they began.
#[derive(Default)]
pub struct UnderWay {
    begun: RefCell<BTreeMap<u32, UnixMillis>>,
    last: Cell<u32>,
}

impl UnderWay {
    /// Counts a question for as long as the result lives, but no longer than one can
    /// take: a request whose client goes away never goes on, and whatever it holds is
    /// dropped when the platform comes to it, which may be late. `None` where too many
    /// are under way: the objects of a site must survive that all of its requests are
    /// asked for.
    pub fn begin(&self, now: UnixMillis) -> Option<Asking<'_>> {
        let mut begun = self.begun.borrow_mut();
        if begun.len() >= AT_ONCE_MAX {
            begun.retain(|_, at| now.since(*at) <= TAKES_MAX);
        }
        if begun.len() >= AT_ONCE_MAX {
            return None;
        }
        let number = self.last.get().wrapping_add(1);
        self.last.set(number);
        begun.insert(number, now);
        Some(Asking { under_way: self, number })
    }

    /// When the clock has stepped back, nobody knows how old they are.
    pub fn clear(&self) {
        self.begun.borrow_mut().clear();
    }
}

/// A question under way.
pub struct Asking<'a> {
    under_way: &'a UnderWay,
    number: u32,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.under_way.begun.borrow_mut().remove(&self.number);
    }
}

/// Far more than the platform carries at once.
const AT_ONCE_MAX: usize = 500;

/// Longer than any question: two answers, each of which has ten seconds.
const TAKES_MAX: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(under_way: &UnderWay, now: UnixMillis) -> Vec<Asking<'_>> {
        core::iter::from_fn(|| under_way.begin(now)).collect()
    }

    #[test]
    fn each_place_is_free_again_when_its_question_is_over() {
        let (under_way, now) = (UnderWay::default(), UnixMillis(1_000_000));
        let mut asking = fill(&under_way, now);
        assert_eq!(asking.len(), AT_ONCE_MAX);
        asking.pop();
        let another = under_way.begin(now);
        assert!(another.is_some() && under_way.begin(now).is_none());
    }

    #[test]
    fn a_question_that_nobody_ends_does_not_hold_its_place() {
        let (under_way, now) = (UnderWay::default(), UnixMillis(1_000_000));
        fill(&under_way, now).into_iter().for_each(core::mem::forget);
        assert!(under_way.begin(now.plus(TAKES_MAX)).is_none());
        let after = now.plus(TAKES_MAX + Duration::from_millis(1));
        let mut anew = fill(&under_way, after);
        assert_eq!(anew.len(), AT_ONCE_MAX);
        // Whoever ends after all ends nobody else's.
        drop(Asking { under_way: &under_way, number: 1 });
        assert!(under_way.begin(after).is_none());
        under_way.clear();
        anew.clear();
        assert!(under_way.begin(now).is_some());
    }
}
