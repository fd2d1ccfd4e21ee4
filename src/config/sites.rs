//! Several sites in one Worker: `[[vars.WARIFU.sites]]`, for which the rest of
//! the table gives the defaults.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Mistake;
use super::reader::{Mistakes, show};

/// One site's table, whole, and where in the binding its keys stand.
#[derive(Debug)]
pub struct Part {
    pub table: Value,
    /// Its place in `sites`, with the keys that stand there; `None`: there are
    /// no `sites`, and the whole binding is the one site.
    own: Option<(usize, Vec<String>)>,
}

impl Part {
    /// A mistake in the site, by its key in the binding.
    pub fn place(&self, mistake: Mistake) -> Mistake {
        let Some((index, own)) = &self.own else { return mistake };
        let first = mistake.key.split(['.', '[']).next().unwrap_or_default();
        if own.iter().any(|key| key == first) {
            return Mistake { key: format!("sites[{index}].{}", mistake.key), ..mistake };
        }
        mistake
    }
}

/// Splits the binding into its sites.
///
/// # Errors
/// Sites that are no tables, or cannot be told apart.
pub fn split(binding: &Value) -> Result<Vec<Part>, Vec<Mistake>> {
    let entries = match binding.get("sites") {
        None => return Ok(vec![Part { table: binding.clone(), own: None }]),
        Some(Value::Array(entries)) => entries,
        Some(other) => {
            let says = format!("found {}; it must be a list of tables", show(other));
            return Err(vec![Mistake { key: "sites".to_owned(), says }]);
        }
    };
    let mut defaults = binding.as_object().cloned().unwrap_or_default();
    defaults.remove("sites");
    if entries.is_empty() {
        return Ok(vec![Part { table: Value::Object(defaults), own: None }]);
    }
    let mistakes = Mistakes::default();
    for key in NAMED_BY_EACH.iter().filter(|key| defaults.contains_key(**key)) {
        mistakes.add(*key, "where there are sites, each names its own; write it there");
    }
    let parts =
        entries.iter().enumerate().filter_map(|(index, entry)| part(index, entry, &defaults, &mistakes)).collect();
    let mistakes = mistakes.into_vec();
    if mistakes.is_empty() { Ok(parts) } else { Err(mistakes) }
}

fn part(index: usize, entry: &Value, defaults: &Map<String, Value>, mistakes: &Mistakes) -> Option<Part> {
    let Some(own) = entry.as_object() else {
        mistakes.add(format!("sites[{index}]"), "it must be a table with site, hosts, origin and what else differs");
        return None;
    };
    for key in ["site", "hosts"] {
        if !own.contains_key(key) || own[key].as_array().is_some_and(Vec::is_empty) {
            mistakes
                .add(format!("sites[{index}].{key}"), "is missing; where there are several sites, each has its own");
        }
    }
    let mut table = defaults.clone();
    merge(&mut table, own);
    Some(Part { table: Value::Object(table), own: Some((index, own.keys().cloned().collect())) })
}

/// Tables are merged key by key; all else, lists too, is replaced.
fn merge(table: &mut Map<String, Value>, own: &Map<String, Value>) {
    for (key, value) in own {
        match (table.get_mut(key), value) {
            (Some(Value::Object(table)), Value::Object(own)) => merge(table, own),
            _ => drop(table.insert(key.clone(), value.clone())),
        }
    }
}

/// Two sites of one name would share their sessions; of two with one host, one
/// would never be reached.
pub fn refuse_twins<'a>(sites: impl Iterator<Item = (&'a str, Vec<&'a str>)>) -> Vec<Mistake> {
    let mistakes = Mistakes::default();
    let (mut names, mut hosts) = (BTreeMap::new(), BTreeMap::new());
    for (index, (name, of_site)) in sites.enumerate() {
        if let Some(earlier) = names.insert(name, index) {
            mistakes.add(
                format!("sites[{index}].site"),
                format!("found {name:?}, which sites[{earlier}] is called already"),
            );
        }
        for host in of_site {
            if let Some(earlier) = hosts.insert(host, index).filter(|earlier| *earlier != index) {
                let says = format!("found {host:?}, which sites[{earlier}] has already");
                mistakes.add(format!("sites[{index}].hosts"), says);
            }
        }
    }
    mistakes.into_vec()
}

/// A default of these would be two sites' own.
const NAMED_BY_EACH: [&str; 3] = ["site", "hosts", "admin_host"];
