//! Keys of the Worker that stand in a table of their own: in TOML what stands
//! behind a `[table]` is in it, however far down, and wrangler does not look
//! for them there.

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use warifu::config::Mistake;

use crate::document::Document;
use crate::worker::member;

/// Each of them, in every table of the file.
pub fn mistakes(document: &Document<'_>) -> Vec<Mistake> {
    let mut found = Vec::new();
    for (name, value) in document.root() {
        let name = name.get_ref();
        match value.get_ref().as_table().filter(|_| name == "env") {
            Some(environments) => environments.iter().for_each(|(env, table)| {
                let env = format!("env.{}", env.get_ref());
                let tables = table.get_ref().as_table().into_iter().flatten();
                tables.for_each(|(name, value)| {
                    search(value.get_ref(), &format!("{env}.{}", name.get_ref()), Some(&env), &mut found);
                });
            }),
            None => search(value.get_ref(), name, None, &mut found),
        }
    }
    found
}

/// Whether a mistake is only one because of these.
pub fn explains(misplaced: &[Mistake], key: &str) -> bool {
    misplaced.iter().any(|Mistake { key: found, .. }| {
        key.strip_prefix(found.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

fn search(value: &DeValue<'_>, path: &str, env: Option<&str>, found: &mut Vec<Mistake>) {
    match value {
        DeValue::Table(table) => search_table(table, path, env, found),
        DeValue::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| search(item.get_ref(), &format!("{path}[{index}]"), env, found)),
        _ => {}
    }
}

fn search_table(table: &DeTable<'_>, path: &str, env: Option<&str>, found: &mut Vec<Mistake>) {
    for (key, value) in table {
        let (key, value) = (key.get_ref(), value.get_ref());
        let path_of_key = format!("{path}.{key}");
        if !is_of_the_worker(key, value) {
            search(value, &path_of_key, env, found);
            continue;
        }
        let below = env.map_or_else(String::new, |env| format!(", or directly below [{env}]"));
        found.push(Mistake {
            key: path_of_key,
            says: format!(
                "found in {}, where wrangler does not look for it; it must be at the top of the file, before the first \
                 [{below}",
                heading(path)
            ),
        });
    }
}

/// The gateway has `routes` too: with a path, where the Worker's have a pattern, which begins with a host.
fn is_of_the_worker(key: &str, value: &DeValue<'_>) -> bool {
    match (key, value) {
        ("route" | "workers_dev" | "preview_urls" | "account_id", _) => true,
        ("routes", DeValue::Array(items)) => items.iter().map(Spanned::get_ref).any(|item| {
            let pattern = item.as_str().or_else(|| member(item, "pattern").and_then(DeValue::as_str));
            let is_rule = ["path", "access", "commands", "methods"].iter().any(|name| member(item, name).is_some());
            pattern.is_some_and(|pattern| !pattern.starts_with('/')) && !is_rule
        }),
        _ => false,
    }
}

/// `[observability]`, or `[[vars.WARIFU.routes]]` for an item of a list.
fn heading(path: &str) -> String {
    let names: String = path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect();
    if path.ends_with(']') { format!("[[{names}]]") } else { format!("[{names}]") }
}
