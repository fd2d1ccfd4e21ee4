//! The documents name what exists, and all of it.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
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
fn every_error_code_is_documented_and_every_documented_one_exists() {
    let source = read("src/error.rs");
    let in_code: BTreeSet<&str> =
        source.lines().filter(|line| line.contains("=> (")).filter_map(|line| line.split('"').nth(1)).collect();
    let reference = read("docs/reference.md");
    let section = reference.split("## ").find(|s| s.starts_with("Answers that are")).expect("the section");
    let documented: BTreeSet<&str> = rows(section).filter_map(|row| quoted(row[1])).collect();
    assert_eq!(in_code, documented);
    assert!(in_code.len() >= 10);
}

#[test]
fn every_event_is_documented_and_every_documented_one_exists() {
    let source = read("src/audit.rs");
    let body = source.split("pub enum Event {").nth(1).expect("the enum").split("\n}").next().expect("its end");
    let snake = |name: &str| {
        let mut snake = String::new();
        for c in name.chars() {
            if c.is_ascii_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.push(c.to_ascii_lowercase());
        }
        snake
    };
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
fn links_between_documents_lead_somewhere() {
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/reference.md", "SECURITY.md"] {
        let folder = Path::new(document).parent().expect("a folder");
        for link in read(document).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || file.starts_with("http") {
                continue;
            }
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(file);
            assert!(path.exists(), "{document}: {link}");
        }
    }
}
