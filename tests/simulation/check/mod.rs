//! The invariants of the protocol, each a function over the history.

pub mod acceptance;
pub mod answer;
pub mod feed;
pub mod open;
pub mod receipt;
pub mod settled;

use super::executor::{MILLI, Micros};

/// What a bound comes to by another clock: rates differ by at most 1/1000 from
/// true time, and clocks show whole milliseconds.
pub fn allowed(span: Micros) -> Micros {
    span + span / 500 + 3 * MILLI
}
