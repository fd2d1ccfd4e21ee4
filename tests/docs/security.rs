//! What the documents promise about security: each promise has its tests, the
//! tests exist, and no requirement of the standard is left out.

use std::collections::BTreeSet;

use crate::{read, rows};

/// The version of the OWASP Application Security Verification Standard.
const ASVS: &str = "5.0.0";

/// Its requirements that `docs/asvs.md` goes through, with their levels: the
/// chapters V3 and V7 whole, and of others what a gateway meets or breaks.
const REQUIREMENTS: [(&str, u8); 60] = [
    ("3.1.1", 3),
    ("3.2.1", 1),
    ("3.2.2", 1),
    ("3.2.3", 3),
    ("3.3.1", 1),
    ("3.3.2", 2),
    ("3.3.3", 2),
    ("3.3.4", 2),
    ("3.3.5", 3),
    ("3.4.1", 1),
    ("3.4.2", 1),
    ("3.4.3", 2),
    ("3.4.4", 2),
    ("3.4.5", 2),
    ("3.4.6", 2),
    ("3.4.7", 3),
    ("3.4.8", 3),
    ("3.5.1", 1),
    ("3.5.2", 1),
    ("3.5.3", 1),
    ("3.5.4", 2),
    ("3.5.5", 2),
    ("3.5.6", 3),
    ("3.5.7", 3),
    ("3.5.8", 3),
    ("3.6.1", 3),
    ("3.7.1", 2),
    ("3.7.2", 2),
    ("3.7.3", 3),
    ("3.7.4", 3),
    ("3.7.5", 3),
    ("7.1.1", 2),
    ("7.1.2", 2),
    ("7.1.3", 2),
    ("7.2.1", 1),
    ("7.2.2", 1),
    ("7.2.3", 1),
    ("7.2.4", 1),
    ("7.3.1", 2),
    ("7.3.2", 2),
    ("7.4.1", 1),
    ("7.4.2", 1),
    ("7.4.3", 2),
    ("7.4.4", 2),
    ("7.4.5", 2),
    ("7.5.1", 2),
    ("7.5.2", 2),
    ("7.5.3", 3),
    ("7.6.1", 2),
    ("7.6.2", 2),
    ("4.1.3", 2),
    ("4.1.4", 3),
    ("4.1.5", 3),
    ("4.4.2", 2),
    ("11.2.4", 3),
    ("11.5.1", 2),
    ("14.3.1", 1),
    ("14.3.2", 2),
    ("16.2.5", 2),
    ("16.5.3", 2),
];

/// Verdicts that say that something is done, and so have a test of it.
const DONE: [&str; 4] = ["met", "own answers", "with the application", "in part"];
const NOT_DONE: [&str; 2] = ["not met", "not ours"];

/// Panics unless the file has a test of this name.
pub fn assert_test(of: &str, file: &str, name: &str) {
    let source = read(file);
    let is_there = [format!("fn {name}("), format!("test(\"{name}\""), format!("[\"{name}\"")];
    assert!(is_there.iter().any(|form| source.contains(form)), "{of}: no test {name:?} in {file}");
}

/// The files and names of the tests in a cell: "`file`: name", separated by `<br>`.
fn tests_of(cell: &str) -> impl Iterator<Item = (&str, &str)> {
    cell.split("<br>").map(|test| {
        let (file, name) = test.split_once("`: ").unwrap_or_else(|| panic!("{test}: no test"));
        (file.strip_prefix('`').expect("a test file"), name)
    })
}

#[test]
fn the_exceptions_of_the_policy_for_crates_are_named() {
    let policy = read("deny.toml");
    let excepted: Vec<&str> = policy.split("crate = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let says = read("SECURITY.md");
    let line = says.lines().find(|line| line.contains("an exception needs its reason")).expect("the policy");
    for name in &excepted {
        assert!(line.contains(&format!("`{name}`")), "{name}");
    }
    assert_eq!(excepted.len(), 1, "how many there are is said");
}

#[test]
fn every_requirement_has_its_row_and_its_tests() {
    let document = read("docs/asvs.md");
    assert!(document.contains(&format!("Application Security Verification Standard, version {ASVS}")));
    let mut found = Vec::new();
    for row in rows(&document).filter(|row| row[0].starts_with(|c: char| c.is_ascii_digit())) {
        let [requirement, own, others, verdict, tests] = row[..] else { panic!("{row:?}") };
        let mut words = requirement.splitn(3, ' ');
        let (id, level, says) = (words.next(), words.next(), words.next());
        let level = level.and_then(|level| level.strip_prefix('L')?.parse::<u8>().ok()).expect("a level");
        found.push((id.expect("an id"), level));
        assert!(says.is_some_and(|says| says.len() > 10), "{requirement}: what it asks for");
        assert!(own.len() + others.len() > 20, "{requirement}: why");
        if NOT_DONE.contains(&verdict) {
            assert_eq!(tests, "none", "{requirement} is {verdict}");
            continue;
        }
        assert!(DONE.contains(&verdict), "{requirement}: no verdict {verdict:?}");
        for (file, name) in tests_of(tests) {
            assert_test(requirement, file, name);
        }
    }
    assert_eq!(found, REQUIREMENTS, "left: docs/asvs.md, right: the standard");
    for verdict in DONE.iter().chain(&NOT_DONE) {
        assert!(document.contains(&format!("- **{verdict}**")), "{verdict} is not explained");
    }
}

#[test]
fn the_tests_of_the_breaks_exist_and_all_of_those_are_named() {
    let document = read("docs/attacks.md");
    let mut named = BTreeSet::new();
    for row in rows(&document).filter(|row| row[0] != "break") {
        let [of, _, tests] = row[..] else { panic!("{row:?}") };
        for (file, name) in tests_of(tests) {
            assert_test(of, file, name);
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

/// Tables whose last column is `tests`, with their headings and how many rows
/// they have, so that no row vanishes unseen.
const PROMISES: [(&str, &str, usize); 6] = [
    ("SECURITY.md", "What is promised", 12),
    ("SECURITY.md", "What fails closed", 22),
    ("SECURITY.md", "What does not", 5),
    ("docs/threat-model.md", "Borders, and what is checked at each", 9),
    ("docs/threat-model.md", "Who attacks, and what they get", 15),
    ("docs/threat-model.md", "What is expected of browsers", 11),
];

/// The part of a document under a heading.
fn section<'t>(document: &'t str, heading: &str) -> &'t str {
    let (_, rest) = document.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    rest.split("\n## ").next().expect("a part")
}

#[test]
fn every_promise_has_its_tests() {
    for (file, heading, expected) in PROMISES {
        let document = read(file);
        let mut table = rows(section(&document, heading)).collect::<Vec<_>>().into_iter();
        let head = table.next().expect("a table");
        assert_eq!(head.last(), Some(&"tests"), "{file}: {heading}");
        let mut count = 0;
        for row in table {
            assert_eq!(row.len(), head.len(), "{row:?}");
            assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
            count += 1;
            let tests = row[row.len() - 1];
            if let Some(why) = tests.strip_prefix("none: ") {
                assert!(why.len() > 20, "{row:?}: why is there none?");
                continue;
            }
            for (file, name) in tests_of(tests) {
                assert_test(row[0], file, name);
            }
        }
        assert_eq!(count, expected, "{file}: {heading}");
    }
}

/// ASVS 3.1.1: which features of browsers are counted on.
#[test]
fn the_features_expected_of_browsers_are_listed() {
    let document = read("docs/threat-model.md");
    let listed: Vec<&str> =
        rows(section(&document, "What is expected of browsers")).skip(1).map(|row| row[0]).collect();
    for feature in [
        "HTTPS",
        "`Strict-Transport-Security`",
        "`Secure`, `HttpOnly`",
        "`SameSite`",
        "`__Host-`",
        "`Sec-Fetch-Site`",
        "`Origin`",
        "`Content-Security-Policy`",
        "`X-Content-Type-Options`",
        "`Clear-Site-Data`",
        "JavaScript",
    ] {
        assert!(listed.iter().any(|row| row.contains(feature)), "{feature} is not listed: {listed:?}");
    }
}

#[test]
fn dependencies_come_from_registries_and_are_pinned() {
    for lock in ["Cargo.lock", "fuzz/Cargo.lock", "examples/verify/axum/Cargo.lock"] {
        let text = read(lock);
        let sources: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("source = ")).collect();
        assert!(sources.len() > 20, "{lock}: {} packages", sources.len());
        for source in &sources {
            assert_eq!(*source, "\"registry+https://github.com/rust-lang/crates.io-index\"", "{lock}");
        }
        assert_eq!(text.matches("\nchecksum = ").count(), sources.len(), "{lock}: each with its hash");
    }
    let package: serde_json::Value = serde_json::from_str(&read("package.json")).expect("JSON");
    assert!(package.get("dependencies").is_none(), "nothing of npm is in the Worker");
    for (name, version) in package["devDependencies"].as_object().expect("packages") {
        let exact = version.as_str().is_some_and(|version| {
            let version = version.rsplit('@').next().unwrap_or_default();
            version.starts_with(|c: char| c.is_ascii_digit())
        });
        assert!(exact, "{name}: {version}");
    }
    let lock: serde_json::Value = serde_json::from_str(&read("package-lock.json")).expect("JSON");
    for (path, package) in lock["packages"].as_object().expect("packages").iter().filter(|(path, _)| !path.is_empty()) {
        assert!(package["integrity"].is_string() || package["link"] == true, "{path}: without its hash");
    }
    let policy = read("deny.toml");
    for rule in [
        "yanked = \"deny\"",
        "ignore = []",
        "wildcards = \"deny\"",
        "unknown-registry = \"deny\"",
        "unknown-git = \"deny\"",
    ] {
        assert!(policy.contains(rule), "deny.toml: {rule}");
    }
}
