//! Proof that an object is current: a write that is confirmed.
//!
//! An object that has been replaced and does not know it can still read its
//! own copy, but its writes are never confirmed. So what must be current is
//! answered behind a confirmed write that was issued *after* the question
//! arrived. One write serves all questions that wait for it when it is issued;
//! a question that arrives while one is in flight waits for the next.

use core::cell::Cell;

use crate::mutants::{self, Mutant};
use crate::store::SqlError;
use crate::store::flight::Flight;

/// An object's storage, as far as a fence needs it.
// The futures never leave the object's one thread, so they need not be Send.
#[allow(async_fn_in_trait)]
pub trait Confirm {
    /// Resolves once all that has been written is durable.
    async fn confirmed(&self) -> Result<(), SqlError>;
}

/// Counts the writes of one object, in memory.
#[derive(Default)]
pub struct Fence {
    issued: Cell<u64>,
    confirmed: Cell<u64>,
    flight: Flight,
}

impl Fence {
    /// Resolves once a write that was issued from now on is confirmed.
    ///
    /// # Errors
    /// It could not be written: nothing may be answered.
    pub async fn pass(&self, write: impl Fn() -> Result<(), SqlError>, storage: &impl Confirm) -> Result<(), SqlError> {
        let shares = mutants::is(Mutant::TickShared) && self.issued.get() > self.confirmed.get();
        let needed = self.issued.get() + u64::from(!shares);
        while self.confirmed.get() < needed {
            let Some(in_flight) = self.flight.begin() else {
                self.flight.ended().await;
                continue;
            };
            let number = self.issued.get() + 1;
            self.issued.set(number);
            write()?;
            storage.confirmed().await?;
            self.confirmed.set(number);
            drop(in_flight);
        }
        Ok(())
    }
}
