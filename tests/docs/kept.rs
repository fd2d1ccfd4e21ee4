//! What is kept of people, and by whom: the configuration says what the platform
//! writes down, and `docs/operations/residency.md` what is where.

use std::collections::BTreeSet;

use crate::{read, rows};

/// The keys of a table of `wrangler.toml`, with their values.
fn table(name: &str) -> BTreeSet<(String, String)> {
    let file = read("wrangler.toml");
    let (_, after) = file.split_once(&format!("\n[{name}]\n")).unwrap_or_else(|| panic!("no [{name}]"));
    let own = after.split("\n[").next().unwrap_or_default();
    let lines = own.lines().filter_map(|line| line.split('#').next()?.split_once('='));
    lines.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}

#[test]
fn the_platform_writes_nothing_of_its_own_about_a_request() {
    let pairs = |pairs: &[(&str, &str)]| -> BTreeSet<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(table("observability.logs"), pairs(&[("enabled", "true"), ("invocation_logs", "false")]));
    assert_eq!(table("observability"), pairs(&[("enabled", "true"), ("redact_query_string", "true")]));
    for document in ["docs/operations/residency.md", "docs/cost.md", "docs/platform.md"] {
        assert!(read(document).contains("`invocation_logs"), "{document}");
    }
}

/// The columns by which rows tell of somebody.
const OF_PEOPLE: [&str; 4] = ["subject", "target", "came_from", "asked_by"];

#[test]
fn each_table_that_tells_of_people_has_its_row_in_residency() {
    let mut tables = BTreeSet::new();
    for file in ["src/store/schema.rs", "src/store/feed/schema.rs"] {
        let source = read(file);
        for statement in source.split('"').skip(1).step_by(2) {
            let words: Vec<&str> = statement.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
            if let ["CREATE" | "ALTER", "TABLE", name, columns @ ..] = &words[..]
                && columns.iter().any(|column| OF_PEOPLE.contains(column))
            {
                tables.insert((*name).to_owned());
            }
        }
    }
    assert!(tables.len() >= 8, "{tables:?}");
    let page = read("docs/operations/residency.md");
    let told: BTreeSet<String> =
        rows(&page).flat_map(|row| row[0].split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    let missing: Vec<&String> = tables.difference(&told).collect();
    assert!(missing.is_empty(), "docs/operations/residency.md has no row of {missing:?}");
}
