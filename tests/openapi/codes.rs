//! The stable codes of problems, as `src/error.rs` has them.

use std::collections::BTreeMap;

/// One line of the map from failures to problems.
pub struct Code {
    pub status: u16,
    pub name: String,
    pub title: String,
}

/// All codes, read from the source: the one map there has a line for each.
pub fn all() -> Vec<Code> {
    let source = super::read("src/error.rs");
    let entries = source.split('(').filter_map(|rest| {
        let mut parts = rest.splitn(3, ", ");
        let status: u16 = parts.next()?.parse().ok()?;
        let name = parts.next()?.trim_matches('"').to_owned();
        let title = parts.next()?.strip_prefix('"')?.split('"').next()?.to_owned();
        Some(Code { status, name, title })
    });
    let all: Vec<Code> = entries.collect();
    assert!(all.len() >= 20, "src/error.rs is no longer read: {} codes", all.len());
    all
}

/// Their names, each once: two statuses can have one.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for code in all() {
        if !names.contains(&code.name) {
            names.push(code.name);
        }
    }
    names
}

/// The codes of each status.
pub fn by_status() -> BTreeMap<u16, Vec<Code>> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in all() {
        by_status.entry(code.status).or_default().push(code);
    }
    by_status
}
