//! `[vars.WARIFU.limits]`: how many of a kind may come from one network.

use core::time::Duration;

use super::reader::Table;
use crate::limit::Rate;
use crate::time::parse_span;

/// In the order of [`crate::limit::Limit`].
pub(super) fn limits(root: &Table<'_>) -> [Option<Rate>; 3] {
    let table = root.table("limits");
    let minute = Duration::from_mins(1);
    let limits = [("starts", 300), ("bad_macs", 300), ("admin_failures", 30)]
        .map(|(key, count)| rate(&table, key, Rate { count, span: minute }));
    table.finish();
    limits
}

/// `"300/1m"`, or `"off"`.
fn rate(table: &Table<'_>, key: &'static str, default: Rate) -> Option<Rate> {
    match table.text(key) {
        None => Some(default),
        Some("off") => None,
        Some(text) => {
            let read = parse(text);
            if read.is_none() {
                table.wrong_value(key, "such as \"300/1m\", with 1 to 1000000 in \"1s\" to \"1h\", or \"off\"");
            }
            read
        }
    }
}

fn parse(text: &str) -> Option<Rate> {
    let (count, span) = text.split_once('/')?;
    let is_digits = count.bytes().all(|b| b.is_ascii_digit());
    let count = count.parse().ok().filter(|count| is_digits && (1..=COUNT_MAX).contains(count))?;
    let span = parse_span(span).filter(|span| (SPAN_MIN..=SPAN_MAX).contains(span))?;
    Some(Rate { count, span })
}

const COUNT_MAX: u32 = 1_000_000;
const SPAN_MIN: Duration = Duration::from_secs(1);
const SPAN_MAX: Duration = Duration::from_hours(1);
