//! Points in time and spans of it.
//!
//! The core never reads a clock: `now` is always a parameter of type
//! [`UnixMillis`].

use core::time::Duration;

use jiff::civil::Date;
use serde::Serialize;
use serde_json::Value;

use crate::read::{Read, Unread, deserialize_by_read};

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl Read for UnixMillis {
    fn read(value: Value) -> Result<Self, Unread> {
        u64::read(value).map(Self)
    }
}

deserialize_by_read!(UnixMillis);

impl UnixMillis {
    /// The point `span` after this one; the end of time if it lies beyond.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// The point `span` before this one; `None` if there was none.
    pub fn minus(self, span: Duration) -> Option<Self> {
        // A part of a millisecond counts as a whole one.
        let whole = millis(span).saturating_add(u64::from(!span.subsec_nanos().is_multiple_of(1_000_000)));
        self.0.checked_sub(whole).map(Self)
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// As RFC 3339 has it, in UTC with milliseconds: `2026-11-23T08:00:00.000Z`.
    pub fn to_rfc3339(self) -> String {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
        format!("{time:.3}")
    }

    /// Whole seconds, as headers and cookies carry them.
    pub fn as_unix_seconds(self) -> u64 {
        self.0 / 1_000
    }
}

/// A span in whole milliseconds; no configured span is longer than
/// [`SPAN_DAYS_MAX`], so nothing is cut off.
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Reads a configured span: a whole number and one unit of `ms`, `s`, `m`,
/// `h`, `d`, nothing between or around them. At most [`SPAN_DAYS_MAX`] days.
pub fn parse_span(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let unit_millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => DAY_MILLIS,
        _ => return None,
    };
    let span = number.parse::<u64>().ok()?.checked_mul(unit_millis)?;
    (span <= SPAN_DAYS_MAX * DAY_MILLIS).then(|| Duration::from_millis(span))
}

/// The beginning of a day in UTC, written as in RFC 3339: `2027-03-31`.
pub fn parse_day(text: &str) -> Option<UnixMillis> {
    // `Date::from_str` would read much more, and bring a tenth of the Worker's size.
    let number = |digits: &str, length| {
        let fits = digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<i16>().ok().filter(|_| fits)
    };
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let small = |digits| number(digits, 2).and_then(|number: i16| i8::try_from(number).ok());
    let day = Date::new(number(year, 4)?, small(month)?, small(day)?).ok()?;
    u64::try_from(day.duration_since(Date::constant(1970, 1, 1)).as_millis()).ok().map(UnixMillis)
}

/// Writes a span as [`parse_span`] reads it, in the largest unit that fits.
pub fn show_span(span: Duration) -> String {
    let span = millis(span);
    let units = [(DAY_MILLIS, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    units
        .into_iter()
        .find(|(unit, _)| span > 0 && span.is_multiple_of(*unit))
        .map_or_else(|| format!("{span}ms"), |(unit, name)| format!("{}{name}", span / unit))
}

const DAY_MILLIS: u64 = 86_400_000;

/// Ten years: longer sessions than this are a mistake.
pub const SPAN_DAYS_MAX: u64 = 3_650;

/// The same in seconds.
pub const SPAN_SECONDS_MAX: u64 = SPAN_DAYS_MAX * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_a_number_and_a_unit() {
        assert_eq!(parse_span("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_span("30d"), Some(Duration::from_hours(24 * 30)));
        for bad in ["", "2", "2 s", " 2s", "-1s", "1.5h", "1y", "s", "2S", "3651d", "99999999999999999999s"] {
            assert_eq!(parse_span(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_time_is_shown_in_utc() {
        assert_eq!(UnixMillis(0).to_rfc3339(), "1970-01-01T00:00:00.000Z");
        assert_eq!(UnixMillis(1_750_000_000_042).to_rfc3339(), "2025-06-15T15:06:40.042Z");
        assert!(UnixMillis(u64::MAX).to_rfc3339().starts_with("9999-12-30T"), "the end of time");
    }

    #[test]
    fn a_shown_span_reads_back() {
        for text in ["0ms", "500ms", "2s", "90s", "30m", "12h", "30d"] {
            assert_eq!(show_span(parse_span(text).expect("a span")), text);
        }
    }
}
