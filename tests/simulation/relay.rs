//! A relay between edges and the feed: what one edge was answered is answered
//! to others that ask for the same, for a while, with its age.

use std::cell::RefCell;

use warifu::revocation::{FeedAnswer, Position};
use warifu::store::feed::Poll;

use super::executor::{MILLI, Micros};

#[derive(Default)]
pub struct Relay(RefCell<Option<Held>>);

struct Held {
    since: Option<Position>,
    answer: FeedAnswer,
    /// When the feed was asked for it.
    polled: Micros,
}

impl Relay {
    pub fn keep(&self, poll: &Poll, answer: &FeedAnswer, polled: Micros) {
        self.0.replace(Some(Held { since: poll.since, answer: answer.clone(), polled }));
    }

    /// What it holds, if that is not too old, and since when.
    pub fn answer(&self, poll: &Poll, now: Micros) -> Option<(FeedAnswer, Micros)> {
        let held = self.0.borrow();
        let held = held.as_ref().filter(|held| held.since == poll.since && now - held.polled < KEPT)?;
        // On its way it grows older by no more than this.
        let age_ms = (now - held.polled).div_ceil(MILLI) + 1;
        Some((FeedAnswer { age_ms, ..held.answer.clone() }, held.polled))
    }
}

const KEPT: Micros = 600 * MILLI;
