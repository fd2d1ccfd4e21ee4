//! What the documents name exists: files and headings, keys, codes, events,
//! calls, variables, targets of make.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use warifu::control::CALLS;

use crate::errors::codes;
use crate::keys::SECTIONS;
use crate::{read, rows};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder that ends so, but for what is built or installed.
fn files(folder: &Path, ends: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        if path.is_dir() {
            if !name.starts_with('.') && !["node_modules", "target", "build", "build-test"].contains(&name) {
                files(&path, ends, found);
            }
        } else if ends.iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
}

/// Every document, by its path from the root. The changelog tells of what was.
pub fn documents() -> Vec<(String, String)> {
    let mut found = Vec::new();
    files(root(), &[".md"], &mut found);
    let name = |path: &PathBuf| path.strip_prefix(root()).expect("below").to_str().expect("UTF-8").to_owned();
    let mut names: Vec<String> = found.iter().map(name).filter(|name| name != "CHANGELOG.md").collect();
    names.sort();
    assert!(names.len() >= 30, "{} documents", names.len());
    names.into_iter().map(|name| (read(&name), name)).map(|(text, name)| (name, text)).collect()
}

/// What stands in backquotes, outside of blocks.
fn spans(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let outside = text.split("\n```").step_by(2);
    outside.flat_map(|part| {
        part.split('\n').flat_map(|line| {
            let pieces: Vec<&str> = line.split('`').collect();
            (1..pieces.len()).step_by(2).map(|at| (pieces[at - 1], pieces[at])).collect::<Vec<_>>()
        })
    })
}

/// The blocks of a language.
pub fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let begin = format!("```{language}\n");
    text.split(&begin).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.split("\n```").step_by(2).flat_map(str::lines).filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    for (document, text) in documents() {
        let folder = Path::new(&document).parent().expect("a folder").to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { root().join(&document) } else { root().join(&folder).join(file) };
            assert!(target.exists(), "{document}: {link}");
            if !anchor.is_empty() {
                let target = fs::read_to_string(&target).unwrap_or_else(|e| panic!("{document}: {link}: {e}"));
                assert!(anchors(&target).contains(anchor), "{document}: {link}: no such heading");
            }
        }
    }
}

#[test]
fn every_document_can_be_reached_from_the_readme() {
    let mut seen = BTreeSet::from([root().join("README.md")]);
    let mut next = vec![root().join("README.md")];
    while let Some(path) = next.pop() {
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let folder = path.parent().expect("a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let is_document = Path::new(link).extension().is_some_and(|end| end == "md") && !link.starts_with("http");
            if let Some(target) = is_document.then(|| folder.join(link).canonicalize().ok()).flatten()
                && seen.insert(target.clone())
            {
                next.push(target);
            }
        }
    }
    for (document, _) in documents().into_iter().filter(|(name, _)| name.starts_with("docs/")) {
        let is_decision = document.starts_with("docs/adr/");
        assert!(is_decision || seen.contains(&root().join(&document)), "nothing leads to {document}");
    }
}

#[test]
fn codes_are_named_with_their_statuses() {
    let known: BTreeSet<(String, &str)> =
        codes().into_iter().map(|(status, code)| (status.to_string(), code)).collect();
    let mut count = 0;
    for (document, text) in documents() {
        for (before, code) in spans(&text) {
            let before = before.trim_end();
            let Some(status) = before.len().checked_sub(3).and_then(|at| before.get(at..)) else { continue };
            let is_status = matches!(status.as_bytes(), [b'4' | b'5', b'0'..=b'9', b'0'..=b'9']);
            let stands_alone = before.len() == 3 || !before.as_bytes()[before.len() - 4].is_ascii_alphanumeric();
            if is_status && stands_alone && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
                assert!(known.contains(&(status.to_owned(), code)), "{document}: {status} `{code}`");
                count += 1;
            }
        }
    }
    assert!(count >= 50, "{count} codes are named");
}

/// The keys of each table: `routes` has `path`.
fn keys_of(table: &str) -> Option<BTreeSet<&'static str>> {
    let plain = |name: &str| name.replace("[]", "");
    if table == "sites" {
        return Some(SECTIONS[0].keys.iter().map(|key| key.name).chain(tables()).collect());
    }
    let section = SECTIONS.iter().find(|section| plain(section.table) == table)?;
    Some(section.keys.iter().map(|key| key.name).chain(tables().filter(|_| table.is_empty())).collect())
}

fn tables() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().filter_map(|section| section.table.split(['[', '.']).next()).filter(|name| !name.is_empty())
}

#[test]
fn configurations_name_keys_that_exist() {
    let mut count = 0;
    for (document, text) in documents() {
        for block in blocks(&text, "toml") {
            let mut table: Option<String> = None;
            for line in block.lines().map(str::trim) {
                if line.starts_with('[') {
                    let inner = line.trim_start_matches('[').split(']').next().unwrap_or_default();
                    let inner = inner
                        .strip_prefix("env.")
                        .and_then(|rest| rest.split_once('.'))
                        .map_or(inner, |(_, rest)| rest);
                    table = inner.strip_prefix("vars.WARIFU").map(|rest| rest.trim_start_matches('.').to_owned());
                } else if let (Some(table), Some((key, _))) = (&table, line.split_once('=')) {
                    let key = key.trim().trim_start_matches("# ");
                    if key.contains(' ') {
                        continue;
                    }
                    let known = keys_of(table).unwrap_or_else(|| panic!("{document}: no table {table}"));
                    let first = key.split('.').next().unwrap_or(key);
                    assert!(known.contains(first), "{document}: [{table}] has no {key}");
                    count += 1;
                }
            }
        }
        // `custody.cookies`, `identity.sign`, and the first column of tables of keys.
        for (_, span) in spans(&text) {
            let name = span.split(" = ").next().unwrap_or(span);
            let Some((table, key)) = name.rsplit_once('.') else { continue };
            if ["mjs", "js", "rs", "ts", "md", "toml", "py"].contains(&key) {
                continue; // the name of a file
            }
            let table = table.replace("[]", "").replace("vars.WARIFU.", "");
            if let Some(known) = keys_of(&table).filter(|_| !table.is_empty()) {
                assert!(known.contains(key), "{document}: {table} has no {key}");
                count += 1;
            }
        }
    }
    assert!(count >= 80, "{count} keys are named");
}

#[test]
fn tables_of_keys_name_keys_that_exist() {
    let all: BTreeSet<&str> =
        SECTIONS.iter().flat_map(|section| section.keys).map(|key| key.name).chain(tables()).collect();
    for (document, text) in documents() {
        let mut is_of_keys = false;
        for row in rows(&text) {
            if row[0].starts_with("key") {
                is_of_keys = true;
                continue;
            }
            let quoted: Vec<&str> = row[0].split('`').skip(1).step_by(2).collect();
            if quoted.is_empty() {
                is_of_keys = false;
            }
            for name in quoted.iter().filter(|_| is_of_keys) {
                let last = name.split(" = ").next().and_then(|name| name.rsplit(['.', '[']).next()).unwrap_or(name);
                let last = last.trim_matches(']');
                if row.len() >= 3 && !last.starts_with("WARIFU_") {
                    assert!(all.contains(last), "{document}: no key {name}");
                }
            }
        }
    }
}

#[test]
fn events_that_are_named_exist() {
    let reference = read("docs/reference.md");
    let section = reference.split("## ").find(|s| s.starts_with("Events in the log")).expect("the section");
    let known: BTreeSet<&str> = rows(section).skip(1).filter_map(|row| row[0].split('`').nth(1)).collect();
    let mut count = 0;
    for (document, text) in documents() {
        for (before, name) in spans(&text) {
            let is_event = before.ends_with("event ") || before.ends_with("events ") || before.ends_with("look for ");
            if is_event && name.contains('_') && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
                assert!(known.contains(name), "{document}: no event {name}");
                count += 1;
            }
        }
    }
    assert!(count >= 5, "{count} events are named");
}

#[test]
fn calls_that_are_named_exist() {
    let fits = |pattern: &str, path: &str| {
        let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
        pattern.len() == path.len() && pattern.iter().zip(&path).all(|(known, found)| *known == "*" || known == found)
    };
    let mut count = 0;
    for (document, text) in documents().into_iter().filter(|(name, _)| !name.starts_with("examples/")) {
        for (_, span) in spans(&text) {
            let Some((method, path)) = span.split_once(' ') else { continue };
            if !["GET", "POST", "PATCH", "DELETE"].contains(&method) {
                continue;
            }
            let ours = path.strip_prefix("/_warifu/").or_else(|| (!path.starts_with('/')).then_some(path));
            let Some(path) = ours.and_then(|path| path.split(['?', ' ']).next()) else { continue };
            if path.ends_with('/') || path.starts_with('h') && path.contains(':') {
                continue;
            }
            let is_call = CALLS.iter().any(|(known, pattern, _, _)| *known == method && fits(pattern, path));
            assert!(is_call, "{document}: no call {span}");
            count += 1;
        }
    }
    assert!(count >= 30, "{count} calls are named");
}

#[test]
fn variables_and_targets_of_make_that_are_named_exist() {
    let mut sources = Vec::new();
    for folder in ["src", "scripts", "tests", "benches", "examples", "fuzz", ".ci"] {
        files(&root().join(folder), &[""], &mut sources);
    }
    let mut code = String::new();
    for path in sources.iter().filter(|path| path.extension().is_none_or(|end| end != "md")) {
        // What is no text names nothing.
        code.push_str(&fs::read_to_string(path).unwrap_or_default());
    }
    code.push_str(&read("wrangler.toml"));
    let makefile = read("Makefile");
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(_, rest)| rest.contains("## "))
        .map(|(name, _)| name)
        .collect();
    for (document, text) in documents() {
        for word in text.split(|c: char| !c.is_ascii_uppercase() && c != '_').filter(|word| word.starts_with("WARIFU_"))
        {
            assert!(code.contains(word), "{document}: nothing reads {word}");
        }
        let commands = spans(&text).map(|(_, span)| span).chain(blocks(&text, "sh").into_iter().flat_map(str::lines));
        for command in commands {
            let words: Vec<&str> = command.split_whitespace().collect();
            let Some(at) =
                words.iter().position(|word| *word == "make").filter(|at| words[..*at].iter().all(|w| w.contains('=')))
            else {
                continue;
            };
            let target = words[at + 1..].iter().find(|word| !word.contains('=') && !word.starts_with('-'));
            if let Some(target) = target.filter(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')) {
                assert!(targets.contains(target), "{document}: no target {target} of make");
            }
        }
    }
}
