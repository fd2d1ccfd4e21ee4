//! Revocation with a bound: what an edge knows of the feed, and what a cached
//! yes is worth by it. Pure: no clock, no store.
//!
//! A cached yes is only as good as the proof of how fresh the feed is, and that
//! proof needs no clock but the one that reads it: see `docs/consistency.md`.

mod about;
mod cache;
mod feed;
mod marks;
mod memory;
mod under_way;
mod window;

pub use self::cache::Verdicts;
pub use self::feed::{Entry, EntryKey, Epoch, FeedAnswer, Position};
pub use self::memory::{Holdings, Known, Memory, Question, SentPoll};
pub use self::under_way::{AtOnce, Told, UnderWay};
pub use self::window::{Applied, Window};

use core::time::Duration;

/// ε: what the platform's clock may stand still during computation.
pub const CLOCK_STILL_MAX: Duration = Duration::from_millis(50);

/// ρ: how much the rates of two clocks differ at most, in parts of a million.
pub const CLOCK_RATE_PPM: u64 = 1_000;

/// A verdict is confirmed with its shard at least so often.
pub const CONFIRMED_MAX: Duration = Duration::from_secs(60);

/// A log-in that has been on its way for longer is not started: what its shard
/// knows of late ends reaches back only so far.
pub const START_MAX: Duration = Duration::from_mins(1);

/// A span as another clock may have measured it, at most.
pub fn stretched(span: Duration) -> Duration {
    let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    let more = micros.saturating_mul(CLOCK_RATE_PPM).div_ceil(1_000_000);
    Duration::from_micros(micros.saturating_add(more))
}
