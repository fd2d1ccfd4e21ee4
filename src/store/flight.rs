//! One thing in flight at a time in an object, and the others waiting for it.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Poll, Waker};

#[derive(Default)]
pub(super) struct Flight {
    is_busy: Cell<bool>,
    /// How many have ended.
    ended: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl Flight {
    /// Begins one; `None` while another lasts.
    pub fn begin(&self) -> Option<InFlight<'_>> {
        // Not `then_some`: one that is made and dropped ends the flight.
        (!self.is_busy.replace(true)).then(|| InFlight(self))
    }

    /// Resolves when the one in flight has ended, well or not. Whoever polls for it
    /// last is woken.
    pub async fn ended(&self) {
        let before = self.ended.get();
        poll_fn(|context| {
            if !self.is_busy.get() || self.ended.get() != before {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Lasts as long as this lives. Whoever waits goes on when it ends, also if
/// the call behind it was given up.
pub(super) struct InFlight<'a>(&'a Flight);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.is_busy.set(false);
        self.0.ended.set(self.0.ended.get() + 1);
        for waker in self.0.waiting.take() {
            waker.wake();
        }
    }
}
