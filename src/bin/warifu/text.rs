//! What others wrote, as it may reach a terminal; times, rows and tables.

use std::fmt::Write as _;
use std::time::SystemTime;

use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, presets};
use jiff::Timestamp;
use serde::Serialize;

use crate::failure::Failure;

/// The text with everything escaped that a terminal could obey, or that would
/// make it look like another text.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unseen(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// One line of JSON, in which the same characters are escaped.
pub fn json_line(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(value)
        .map_err(|error| Failure::Unusable(format!("the answer cannot be written: {error}")))?;
    let mut line = String::with_capacity(text.len() + 1);
    // JSON has them in strings only, so that an escape is right everywhere.
    for c in text.chars() {
        if is_unseen(c) {
            line.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    Ok(line)
}

/// Control characters, those that change the direction of a text or take no
/// room, odd spaces, and what has no meaning. The pages have the same list, but
/// for what is not assigned yet (`www/shared/names.js`); the vectors hold both
/// to it. Terminals do not agree on emoji of several characters, so what joins
/// these is escaped too.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || u32::from(c) & 0xfffe == 0xfffe
        || matches!(c,
            '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}'
            | '\u{205f}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}'
            | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
            | '\u{f0000}'..)
}

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or_default()
}

/// How far from now: `3 min ago`, `in 11 h`.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.as_second() - now.as_second();
    let amount = match seconds.unsigned_abs() {
        0..5 => return "now".to_owned(),
        n @ 5..60 => format!("{n} s"),
        n @ 60..3_600 => format!("{} min", n / 60),
        n @ 3_600..172_800 => format!("{} h", n / 3_600),
        n => format!("{} days", n / 86_400),
    };
    if seconds < 0 { format!("{amount} ago") } else { format!("in {amount}") }
}

/// `2026-11-23 08:00:00 UTC`.
pub fn time(at: Timestamp) -> String {
    format!("{} UTC", at.strftime("%Y-%m-%d %H:%M:%S"))
}

/// `2026-11-23 08:00:00 UTC (3 min ago)`.
pub fn absolute(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", time(at), relative(at, now))
}

/// Names and values, one pair on a line; those without a value are left out.
pub fn pairs<const N: usize>(rows: [(&str, Option<String>); N]) -> String {
    let shown: Vec<_> = rows.into_iter().filter_map(|(name, value)| Some((name, visible(&value?)))).collect();
    let width = shown.iter().map(|(name, _)| name.len()).max().unwrap_or_default() + 2;
    shown.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "  {name:<width$}{value}");
        text
    })
}

/// A table without lines, one row on a line. So that it fits a terminal, what
/// is in the columns that may be narrowed is cut.
pub fn table<const N: usize>(header: [(&str, Width); N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.map(|(name, _)| name)).set_truncation_indicator("…");
    for row in rows {
        table.add_row(Row::from(row.map(|cell| visible(&cell))).max_height(1).clone());
    }
    if let Some((terminal_size::Width(columns), _)) = terminal_size::terminal_size_of(std::io::stdout()) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns);
    }
    for (column, (_, width)) in table.column_iter_mut().zip(header) {
        column.set_padding((0, 2)).set_constraint(match width {
            Width::OfContent => ColumnConstraint::ContentWidth,
            Width::AtLeast(columns) => ColumnConstraint::LowerBoundary(comfy_table::Width::Fixed(columns)),
        });
    }
    table.trim_fmt() + "\n"
}

/// How wide a column of a table is.
#[derive(Clone, Copy)]
pub enum Width {
    OfContent,
    /// It may be narrowed, to not less than this.
    AtLeast(u16),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_a_terminal_that_it_could_obey() {
        let hostile = "割符 é\u{1b}[2J\u{9b}31m\r\n\u{202e}\u{e0041}";
        assert_eq!(visible(hostile), "割符 é\\u{1b}[2J\\u{9b}31m\\u{d}\\u{a}\\u{202e}\\u{e0041}");
        let Ok(line) = json_line(&hostile) else { panic!("it can be written") };
        assert_eq!(line, "\"割符 é\\u001b[2J\\u009b31m\\r\\n\\u202e\\udb40\\udc41\"\n");
        assert_eq!(serde_json::from_str::<String>(&line).expect("JSON"), hostile);
    }

    /// The vectors hold the pages' list too.
    #[test]
    fn what_nobody_sees_is_escaped() {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/vectors/unseen.json")).expect("JSON");
        let cases = file["cases"].as_array().expect("cases");
        assert!(cases.len() >= 30);
        for case in cases {
            let text = case["text"].as_str().expect("a text");
            let unseen: Vec<String> =
                text.chars().filter(|c| is_unseen(*c)).map(|c| format!("{:04X}", u32::from(c))).collect();
            assert_eq!(serde_json::json!(unseen), case["unseen"], "{text:?}");
        }
        for emoji in file["emoji"].as_array().expect("emoji") {
            let shown = visible(emoji.as_str().expect("a text"));
            assert!(!shown.contains(['\u{200d}', '\u{fe0f}', '\u{e007f}']), "{shown}");
        }
    }

    #[test]
    fn times_are_told_from_now() {
        let now = Timestamp::from_second(2_000_000_000).expect("a time");
        let cases = [
            (0, "now"),
            (-4, "now"),
            (4, "now"),
            (-5, "5 s ago"),
            (59, "in 59 s"),
            (-200, "3 min ago"),
            (3_599, "in 59 min"),
            (-3_600, "1 h ago"),
            (172_799, "in 47 h"),
            (-172_800, "2 days ago"),
        ];
        for (seconds, expected) in cases {
            let at = Timestamp::from_second(now.as_second() + seconds).expect("a time");
            assert_eq!(relative(at, now), expected, "{seconds}");
        }
        assert_eq!(absolute(now, now), "2033-05-18 03:33:20 UTC (now)");
    }
}
