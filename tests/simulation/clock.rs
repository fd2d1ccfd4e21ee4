//! The clock of one machine. No two agree, and none agrees with true time.

use std::cell::Cell;

use warifu::time::UnixMillis;

use super::executor::{MILLI, Micros};
use super::random::Dice;

pub struct Clock {
    /// What it shows at the beginning of the world.
    offset: Cell<u64>,
    /// Parts of a million that it is too fast, less 1,000.
    rate: u64,
    /// Behind, for this computation: clocks stand still during computation.
    still: Cell<Micros>,
    shown: Cell<u64>,
    /// By how much it steps back at its next reading: all steps are seen.
    steps: Cell<u64>,
}

impl Clock {
    /// Within a second of the others, and within the published rate.
    pub fn draw(dice: &Dice) -> Self {
        Self {
            offset: Cell::new(START - 1_000 + dice.below(2_000)),
            rate: dice.below(2_000),
            still: Cell::new(0),
            shown: Cell::new(0),
            steps: Cell::new(0),
        }
    }

    fn at(&self, now: Micros) -> u64 {
        self.offset.get() + (now - now / 1_000 + now * self.rate / 1_000_000) / MILLI
    }

    /// Never goes back by itself.
    pub fn read(&self, now: Micros) -> UnixMillis {
        let steps = self.steps.replace(0);
        if steps > 0 && self.shown.get() > 0 {
            let target = self.shown.replace(0).saturating_sub(steps);
            let ahead = self.at(now).saturating_sub(target);
            self.offset.set(self.offset.get() - ahead);
        }
        self.shown.set(self.at(now.saturating_sub(self.still.get())).max(self.shown.get()));
        UnixMillis(self.shown.get())
    }

    /// Computation that began so long ago has not ended yet.
    pub fn stand_still(&self, span: Micros) {
        self.still.set(span);
    }

    /// The true time at which it will show this.
    pub fn when(&self, shows: UnixMillis, now: Micros) -> Micros {
        now + shows.0.saturating_sub(self.at(now)) * MILLI
    }

    /// Steps back from what it has shown.
    pub fn step_back(&self, by_millis: u64) {
        self.steps.set(by_millis);
    }

    /// Is set right again, which is a step forward.
    pub fn step_forward(&self, by_millis: u64) {
        self.offset.set(self.offset.get() + by_millis);
    }
}

const START: u64 = 1_750_000_000_000;
