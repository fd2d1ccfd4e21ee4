//! The documents name what exists, and all of it.
#![cfg(not(target_arch = "wasm32"))]

mod commands;
mod configuration;
mod cost;
mod errors;
mod kept;
mod keys;
mod named;
mod security;
mod signatures;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use warifu::control::{CALLS, Call, Who};

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// Writes a page that is made, where `WARIFU_WRITE` is set; else it has to be there as it is made.
fn written_or_compared(file: &str, page: &str) {
    if std::env::var_os("WARIFU_WRITE").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(file), page).expect("the page can be written");
    }
    assert!(read(file) == page, "{file} is not what the code says; make it: WARIFU_WRITE=1 cargo test --test docs");
}

/// The cells of the table rows of a document.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .filter(|line| line.starts_with('|') && !line.contains("---"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

/// The first text in backquotes.
fn quoted(cell: &str) -> Option<&str> {
    cell.split('`').nth(1)
}

#[test]
fn the_steps_of_the_path_name_files_and_tests_that_exist() {
    let document = read("ARCHITECTURE.md");
    let steps = document.split("## The path, step by step").nth(1).expect("the section");
    let mut count = 0;
    for row in rows(steps).skip(1) {
        let [step, file, test] = row[..] else { panic!("{row:?}") };
        read(quoted(file).unwrap_or_else(|| panic!("{step}: no file")));
        let (test_file, name) = test.split_once(": ").unwrap_or_else(|| panic!("{step}: no test"));
        security::assert_test(step, quoted(test_file).expect("a test file"), name);
        count += 1;
    }
    assert!(count >= 15, "{count} steps");
}

#[test]
fn every_file_of_the_core_is_on_the_map() {
    let map = read("ARCHITECTURE.md");
    let lib = read("src/lib.rs");
    for module in lib.lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        let name = module.trim_end_matches(';');
        let is_there = map.contains(&format!("  {name}.rs ")) || map.contains(&format!("  {name}/ "));
        assert!(is_there, "{name} is not on the map of ARCHITECTURE.md");
    }
}

#[test]
fn every_call_is_documented_with_its_scope_and_every_documented_one_exists() {
    let in_code: BTreeSet<(String, String)> = CALLS
        .iter()
        .map(|(method, pattern, who, call)| {
            let name = if *call == Call::Receipt { "{kill_id}" } else { "{id}" };
            let who = match who {
                Who::Anyone => "anyone",
                Who::User => "the cookie",
                Who::AnyAdmin => "any key",
                Who::Admin(scope) => scope.name(),
            };
            (format!("{method} {}", pattern.replace('*', name)), who.to_owned())
        })
        .collect();
    let reference = read("docs/reference.md");
    let section = reference.split("## ").find(|s| s.starts_with("Calls under")).expect("the section");
    let table = section.split("\n\n").find(|part| part.starts_with("| call")).expect("the table");
    let documented: BTreeSet<(String, String)> = rows(table)
        .skip(1)
        .map(|row| (quoted(row[0]).expect("a call").to_owned(), quoted(row[1]).unwrap_or(row[1]).to_owned()))
        .collect();
    assert_eq!(in_code, documented);
}

#[test]
fn the_lines_for_nginx_are_those_that_are_tested() {
    let tested = read("examples/forward-auth/nginx.conf");
    let tested: BTreeSet<String> = tested.lines().map(without_remark).collect();
    for document in ["README.md", "docs/forward-auth.md"] {
        let text = read(document);
        let blocks: Vec<&str> = text.split("```nginx\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(!blocks.is_empty(), "{document} shows no lines for nginx");
        for line in blocks.iter().flat_map(|block| block.lines()).map(without_remark) {
            assert!(tested.contains(&line), "{document}: {line}");
        }
    }
}

/// A line of a configuration: its words, without the remark behind them.
fn without_remark(line: &str) -> String {
    let words = line.split(" # ").next().unwrap_or_default();
    words.split_whitespace().filter(|_| !words.trim_start().starts_with('#')).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_event_is_documented_and_every_documented_one_exists() {
    let source = read("src/audit.rs");
    let body = source.split("pub enum Event {").nth(1).expect("the enum").split("\n}").next().expect("its end");
    let in_code: BTreeSet<String> = body
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| snake(line.split([' ', '{']).next().expect("a name")))
        .collect();
    let reference = read("docs/reference.md");
    let section = reference.split("## ").find(|s| s.starts_with("Events in the log")).expect("the section");
    let documented: BTreeSet<String> =
        rows(section).skip(1).filter_map(|row| quoted(row[0])).map(str::to_owned).collect();
    assert_eq!(in_code, documented);
    let untold = ["alarm_failed", "connection_cut", "replica_failed", "sweep_failed"].map(str::to_owned);
    let counted: BTreeSet<String> = warifu::audit::COUNTED.split(' ').map(str::to_owned).chain(untold).collect();
    assert_eq!(in_code, counted, "what metrics tell of from the beginning");
}

#[test]
fn every_member_of_an_event_is_documented() {
    let source = read("src/audit.rs");
    let body = source.split("pub enum Event {").nth(1).expect("the enum").split("\n}").next().expect("its end");
    let reference = read("docs/reference.md");
    let section = reference.split("## ").find(|s| s.starts_with("Events in the log")).expect("the section");
    let mut row = String::new();
    let mut count = 0;
    for line in body.lines() {
        if let Some(name) = line.strip_prefix("    ").filter(|rest| rest.starts_with(char::is_uppercase)) {
            let name = snake(name.split([' ', '{']).next().expect("a name"));
            let found = section.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            row = found.unwrap_or_else(|| panic!("{name} is not documented")).to_owned();
        } else if let Some((member, _)) = line.strip_prefix("        ").and_then(|rest| rest.split_once(": "))
            && member.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        {
            assert!(row.contains(&format!("`{member}`")), "{member} is not in the row {row}");
            count += 1;
        }
    }
    assert!(count >= 50, "{count} members");
}

/// `SiteEnded` as the log has it: `site_ended`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// Every word that begins as our metrics do.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("warifu_")).map(str::to_owned).collect()
}

#[test]
fn the_dashboard_and_the_alerts_name_metrics_that_exist_and_all_are_documented() {
    let source = read("src/control/metrics.rs");
    let in_code = metrics_in(&source);
    assert!(in_code.len() >= 17, "{in_code:?}");
    let exists = |name: &str| {
        let of_histogram = ["_bucket", "_sum", "_count"].into_iter().find_map(|end| name.strip_suffix(end));
        in_code.contains(name)
            || of_histogram.is_some_and(|name| {
                source.contains(&format!("histogram(\n        \"{name}\""))
                    || source.contains(&format!("histogram(\"{name}\""))
            })
    };
    for file in ["alerts.yaml", "alerts.md", "grafana.json", "metrics.md"] {
        for name in metrics_in(&read(&format!("docs/operations/{file}"))) {
            assert!(exists(&name), "{file}: there is no {name}");
        }
    }
    let documented = metrics_in(&read("docs/operations/metrics.md"));
    let shown = metrics_in(&read("docs/operations/grafana.json"));
    for name in &in_code {
        assert!(documented.contains(name), "{name} is not documented");
        assert!(shown.iter().any(|one| one.starts_with(name.as_str())), "{name} is on no panel");
    }
}

/// Labels that a rule asks for must be those that are written.
#[test]
fn the_alerts_name_events_that_exist_and_have_reasons() {
    let rules = read("docs/operations/alerts.yaml");
    let reference = read("docs/reference.md");
    for part in rules.split("event").skip(1) {
        let Some(quoted) = part.strip_prefix("=~").or_else(|| part.strip_prefix('=')) else { continue };
        for event in quoted.split('"').nth(1).expect("a value").split('|') {
            assert!(reference.contains(&format!("| `{event}` |")), "there is no event {event}");
        }
    }
    let named: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let reasons = read("docs/operations/alerts.md");
    let explained: Vec<&str> = rows(&reasons).skip(1).filter_map(|row| quoted(row[0])).collect();
    assert_eq!(named, explained);
    assert!(named.len() >= 10);
}

/// One isolate among many that is late is no hundredth of them.
#[test]
fn the_alert_of_late_kills_rings_for_a_single_one() {
    let rules = read("docs/operations/alerts.yaml");
    let rule = rules.split("- alert: ").find(|rule| rule.starts_with("WarifuKillLate")).expect("the rule");
    assert!(!rule.contains("quantile") && !rule.contains("increase"), "{rule}");
    let edges = warifu::tally::EDGES_MS.map(|ms| format!("{}.{:03}", ms / 1_000, ms % 1_000));
    let buckets: Vec<&str> =
        rule.split("le=~\"").skip(1).map(|rest| rest.split('"').next().expect("its end")).collect();
    assert!(buckets.len() == 2 && buckets.iter().all(|bucket| *bucket == "2[.]50*"), "{buckets:?}");
    assert!(edges.contains(&"2.500".to_owned()), "that is one of {edges:?}");
    assert_eq!(rule.matches("warifu_kill_delay_seconds_count[").count(), 3, "from the first on");
}

#[test]
fn the_dashboard_is_json_with_a_reason_for_each_panel() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("docs/operations/grafana.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    assert!(panels.len() >= 10);
    for panel in panels {
        assert!(panel["description"].as_str().is_some_and(|why| why.len() > 10), "{}", panel["title"]);
        assert!(panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()));
    }
}
