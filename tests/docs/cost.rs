//! The tables of `docs/cost.md` are what its formula gives.
//!
//! `WARIFU_WRITE=1 cargo test --test docs` writes them anew.

use std::fmt::Write as _;

use crate::{read, written_or_compared};

/// Symbols as on the page.
struct Site {
    name: &'static str,
    requests: f64,
    isolates: f64,
    sessions: f64,
}

const SITES: [Site; 3] = [
    Site { name: "small: 1 request a second, 200 people", requests: 1.0, isolates: 10.0, sessions: 200.0 },
    Site { name: "middle: 500 a second, 10,000 people, 60 isolates", requests: 500.0, isolates: 60.0, sessions: 1e4 },
    Site {
        name: "large: 100,000 a second, 1,000,000 people, 10,000 isolates",
        requests: 1e5,
        isolates: 1e4,
        sessions: 1e6,
    },
];
const IDLE: f64 = 1_800.0;
const ISOLATES_OF_A_SESSION: f64 = 2.0;
const SECONDS_OF_A_MONTH: f64 = 2_592_000.0;

/// Dollars for a million requests.
fn cost(site: &Site, bound: f64, strict: f64, write: f64) -> f64 {
    let polls_at_all = bound > 0.0 && site.requests / site.isolates >= 2.0 / bound;
    let polls = if polls_at_all { 2.0 * site.isolates / (bound * site.requests) } else { 0.0 };
    let confirmed_for = (IDLE / 10.0).min(60.0);
    let missed = (ISOLATES_OF_A_SESSION * site.sessions / (confirmed_for * site.requests)).min(1.0);
    let questions = if polls_at_all { strict + (1.0 - strict) * missed } else { 1.0 };
    let renewals = (10.0 * site.sessions / (IDLE * site.requests)).min(1.0);
    0.30 + 0.15 * polls + (0.15 + write) * questions + (2.15 + write) * renewals
}

fn examples() -> String {
    let mut table =
        "| | `fence` | nothing strict | 5 % strict | all strict | a month, 5 % strict |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for site in &SITES {
        for (fence, write) in [("write", 1.0), ("read", 0.0)] {
            let [none, some, all] = [0.0, 0.05, 1.0].map(|strict| cost(site, 2.0, strict, write));
            let month = some * site.requests * SECONDS_OF_A_MONTH / 1e6;
            let month = thousands(month);
            let _ = writeln!(table, "| {} | `\"{fence}\"` | {none:.2} | {some:.2} | {all:.2} | {month} |", site.name);
        }
    }
    table
}

/// To the dollar, or to the hundred where there are many: 126900 is 126,900.
fn thousands(dollars: f64) -> String {
    let text = if dollars < 1e4 { format!("{dollars:.0}") } else { format!("{:.0}00", dollars / 100.0) };
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = text.as_str();
    while rest.len() > 3 {
        let (before, last) = rest.split_at(rest.len() - 3);
        parts.insert(0, last);
        rest = before;
    }
    parts.insert(0, rest);
    parts.join(",")
}

fn bounds() -> String {
    let mut table = "| `bound` | polls a second | `\"write\"` | `\"read\"` |\n|---|---|---|---|\n".to_owned();
    for (name, bound) in [("1s", 1.0), ("2s", 2.0), ("5s", 5.0), ("0s", 0.0)] {
        let site = &SITES[2];
        let polls = if bound > 0.0 { 2.0 * site.isolates / bound } else { 0.0 };
        let [write, read] = [1.0, 0.0].map(|write| cost(site, bound, 0.0, write));
        let _ = writeln!(table, "| `\"{name}\"` | {} | {write:.2} | {read:.2} |", thousands(polls));
    }
    table
}

#[test]
fn the_tables_of_costs_are_what_the_formula_gives() {
    let mut page = read("docs/cost.md");
    for (name, table) in [("examples", examples()), ("bounds", bounds())] {
        let begin = format!("<!-- made: {name} -->\n");
        let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
        let (_, after) = rest.split_once("<!-- end -->").expect("its end");
        page = format!("{before}{begin}{table}<!-- end -->{after}");
    }
    written_or_compared("docs/cost.md", &page);
    // The sums of the other page.
    let other = read("docs/consistency.md");
    for (bound, sums) in [(1.0, [0.89, 0.50]), (2.0, [0.87, 0.48]), (5.0, [0.86, 0.48]), (0.0, [1.63, 0.57])] {
        for (write, sum) in [1.0, 0.0].into_iter().zip(sums) {
            let cost = cost(&SITES[2], bound, 0.0, write);
            assert!((cost - sum).abs() <= 0.0051, "{bound} s: {cost}, and not {sum}");
        }
        let [write, read] = sums;
        assert!(other.contains(&format!("${write:.2} | ${read:.2} |")), "docs/consistency.md lacks {sums:?}");
    }
}
