//! The documents name what exists, and all of it.
#![cfg(not(target_arch = "wasm32"))]

mod configuration;
mod cost;
mod errors;
mod keys;
mod named;

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
        let source = read(quoted(test_file).expect("a test file"));
        let is_there = [format!("fn {name}("), format!("test(\"{name}\""), format!("[\"{name}\"")];
        assert!(is_there.iter().any(|form| source.contains(form)), "{step}: no test {name:?} in {test_file}");
        count += 1;
    }
    assert!(count >= 15, "{count} steps");
}

#[test]
fn the_tests_of_the_requirements_exist() {
    let document = read("docs/asvs.md");
    let mut count = 0;
    for row in rows(&document).filter(|row| row.first().is_some_and(|cell| cell.starts_with(char::is_numeric))) {
        let [requirement, _, test] = row[..] else { panic!("{row:?}") };
        count += 1;
        if test == "none: not built" {
            continue;
        }
        let (file, name) = test.split_once(": ").unwrap_or_else(|| panic!("{requirement}: no test"));
        let source = read(quoted(file).expect("a test file"));
        let is_there = [format!("fn {name}("), format!("test(\"{name}\"")];
        assert!(is_there.iter().any(|form| source.contains(form)), "{requirement}: no test {name:?} in {file}");
    }
    assert_eq!(count, 24, "19 of V7 and 5 of V3.3");
}

/// The files and names of the tests in a cell: "`file`: name", separated by `<br>`.
fn tests_of(cell: &str) -> impl Iterator<Item = (&str, &str)> {
    cell.split("<br>").filter(|test| *test != "none: not built yet").map(|test| {
        let (file, name) = test.split_once("`: ").unwrap_or_else(|| panic!("{test}: no test"));
        (file.strip_prefix('`').expect("a test file"), name)
    })
}

#[test]
fn the_tests_of_the_breaks_exist_and_all_of_those_are_named() {
    let document = read("docs/attacks.md");
    let mut named = BTreeSet::new();
    for row in rows(&document).filter(|row| row[0] != "break") {
        let [of, _, tests] = row[..] else { panic!("{row:?}") };
        for (file, name) in tests_of(tests) {
            let source = read(file);
            let is_there = [format!("fn {name}("), format!("test(\"{name}\"")];
            assert!(is_there.iter().any(|form| source.contains(form)), "{of}: no test {name:?} in {file}");
            named.insert((file.to_owned(), name.to_owned()));
        }
    }
    for part in ["paths", "people", "sites"] {
        let file = format!("tests/workerd/attacks-{part}.test.mjs");
        let source = read(&file);
        let mut count = 0;
        for name in source.lines().filter_map(|line| line.strip_prefix("test(\"")?.split('"').next()) {
            assert!(named.contains(&(file.clone(), name.to_owned())), "{name:?} is not in docs/attacks.md");
            count += 1;
        }
        assert!(count >= 5, "{file}: {count}");
    }
}

#[test]
fn the_requirements_are_all_of_their_chapters() {
    let document = read("docs/asvs.md");
    let found: Vec<&str> = rows(&document)
        .filter_map(|row| row[0].split(' ').next())
        .filter(|id| id.starts_with(char::is_numeric))
        .collect();
    let sections = [("7.1", 3), ("7.2", 4), ("7.3", 2), ("7.4", 5), ("7.5", 3), ("7.6", 2), ("3.3", 5)];
    let all: Vec<String> =
        sections.iter().flat_map(|(section, count)| (1..=*count).map(move |n| format!("{section}.{n}"))).collect();
    assert_eq!(found, all);
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
        } else if let Some((member, _)) = line.strip_prefix("        ").and_then(|rest| rest.split_once(": ")) {
            if member.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
                assert!(row.contains(&format!("`{member}`")), "{member} is not in the row {row}");
                count += 1;
            }
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
