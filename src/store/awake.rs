//! Since when an object has been awake.

use core::cell::Cell;

use crate::time::UnixMillis;

/// By the clock that the object reads, as it first was. What the object has
/// noted before may be another machine's time: of two clocks nobody knows how far
/// they are apart, so a span that has to be over is counted from here.
#[derive(Default)]
pub(super) struct Awake(Cell<Option<UnixMillis>>);

impl Awake {
    /// Asked with the present whenever the object does something.
    pub fn since(&self, now: UnixMillis) -> UnixMillis {
        let since = self.0.get().unwrap_or(now);
        self.0.set(Some(since));
        since
    }
}
