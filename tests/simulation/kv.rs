//! KV, as bad as it may be: each place sees a key as it was some time ago, also
//! that it was not there, and goes on seeing it so for a while.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use super::executor::{Micros, SECOND};
use super::random::Dice;

#[derive(Default)]
pub struct Kv {
    /// What was written when, in this order.
    writes: RefCell<HashMap<String, Vec<Timed>>>,
    /// What a place sees of a key, until when.
    views: RefCell<BTreeMap<(usize, String), Timed>>,
}

/// A record, or `None`: there is none, at some time.
type Timed = (Micros, Option<String>);

impl Kv {
    pub fn write(&self, name: String, value: Option<String>, now: Micros) {
        self.writes.borrow_mut().entry(name).or_default().push((now, value));
    }

    pub fn read(&self, seat: usize, name: &str, now: Micros, dice: &Dice) -> Option<String> {
        let place = (seat, name.to_owned());
        let mut views = self.views.borrow_mut();
        if let Some((_, value)) = views.get(&place).filter(|(until, _)| now < *until) {
            return value.clone();
        }
        let lag = if dice.chance(500) { 0 } else { dice.below(LAG_MAX) };
        let seen = now.saturating_sub(lag);
        let writes = self.writes.borrow();
        let value = writes.get(name).and_then(|writes| writes.iter().rev().find(|(at, _)| *at <= seen));
        let value = value.and_then(|(_, value)| value.clone());
        views.insert(place, (now + dice.below(KEPT_MAX), value.clone()));
        value
    }
}

/// Most of the length of a world.
const LAG_MAX: Micros = 20 * SECOND;
const KEPT_MAX: Micros = 5 * SECOND;
