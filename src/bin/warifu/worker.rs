//! What `wrangler.toml` needs for the Worker to run at all, beside the
//! gateway's own configuration.

use toml::Spanned;
use toml::de::DeValue;
use warifu::config::Mistake;

use crate::document::{Document, to_json};

/// What is missing or wrong, for the environment or the top level.
pub fn mistakes(document: &Document<'_>, env: Option<&str>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut add = |key: String, says: String| mistakes.push(Mistake { key, says });
    let file = File { document, env };

    let (key, main) = file.inherited("main");
    if main.and_then(DeValue::as_str).is_none_or(str::is_empty) {
        add(key, format!("{}; it must be the path of the built Worker: main = \"build/index.js\"", found(main)));
    }
    let (key, date) = file.inherited("compatibility_date");
    if !date.and_then(DeValue::as_str).is_some_and(is_date) {
        add(key, format!("{}; it must be a date in quotes: compatibility_date = \"2026-11-17\"", found(date)));
    }
    for object in &OBJECTS {
        file.wrong_binding(object)
            .into_iter()
            .chain(file.wrong_migration(object))
            .for_each(|(key, says)| add(key, says));
    }
    let (key, assets) = file.inherited("assets");
    let first = assets.map(|assets| member(assets, "run_worker_first"));
    if let Some(first) = first.filter(|first| first.and_then(DeValue::as_bool) != Some(true)) {
        let why = "else the files are served without asking the Worker, in the place of your application's own";
        add(format!("{key}.run_worker_first"), format!("{}; it must be true: {why}", found(first)));
    }
    for name in SECRETS {
        if file.own(&["vars", name]).is_some() {
            add(
                file.own_key(&format!("vars.{name}")),
                format!("a secret must not be in this file; take it out and set it: npx wrangler secret put {name}"),
            );
        }
    }
    mistakes
}

/// Whether a KV namespace is bound for the copy of sessions.
pub fn has_replica(document: &Document<'_>, env: Option<&str>) -> bool {
    let list = File { document, env }.own(&["kv_namespaces"]);
    tables(list).any(|(_, table)| text(table, "binding") == Some(REPLICA))
}

/// Remarks where Workers Logs write down each request: the platform has them on where
/// nothing is said.
pub fn remind_of_logs(document: &Document<'_>, env: Option<&str>) {
    let (_, table) = File { document, env }.inherited("observability");
    let logs = table.and_then(|table| member(table, "logs"));
    let says = |table: Option<&DeValue<'_>>, key| table.and_then(|table| member(table, key)).and_then(DeValue::as_bool);
    let is_on = says(logs, "enabled").or(says(table, "enabled")) != Some(false);
    if is_on && says(logs, "invocation_logs") != Some(false) {
        crate::remark(
            "note: observability.logs.invocation_logs is not false, so the platform writes down each request \
             with its query and its headers, and bills each line",
        );
    }
    if is_on && says(table, "redact_query_string") != Some(true) {
        crate::remark(
            "note: observability.redact_query_string is not true, so each line of the log comes with the query of its \
             request",
        );
    }
}

/// How to bind one.
pub fn replica_form(env: Option<&str>) -> String {
    let (table, why) = match env {
        Some(env) => (format!("env.{env}.kv_namespaces"), "; an environment does not inherit it"),
        None => ("kv_namespaces".to_owned(), ""),
    };
    format!("no KV namespace is bound as {REPLICA}{why}: add [[{table}]] with binding = \"{REPLICA}\"")
}

/// A class of Durable Objects that the Worker needs.
struct Object {
    /// What it is for.
    what: &'static str,
    binding: &'static str,
    class: &'static str,
}

/// Names that never stand in the file; what follows them is never shown.
pub const SECRETS: [&str; 3] = ["WARIFU_KEYS", "WARIFU_ORIGIN_KEYS", "WARIFU_ADMIN_KEYS"];

/// What the file has for the environment, or at the top level.
pub struct File<'d, 't> {
    pub document: &'d Document<'t>,
    pub env: Option<&'d str>,
}

impl<'d, 't> File<'d, 't> {
    /// What environments do not inherit: `vars` and bindings.
    fn own(&self, keys: &[&str]) -> Option<&'d DeValue<'t>> {
        match self.env {
            Some(env) => self.document.get(&[&["env", env], keys].concat()),
            None => self.document.get(keys),
        }
    }

    fn own_key(&self, key: &str) -> String {
        self.env.map_or_else(|| key.to_owned(), |env| format!("env.{env}.{key}"))
    }

    /// What an environment has from the top level, unless it has its own.
    pub fn inherited(&self, key: &str) -> (String, Option<&'d DeValue<'t>>) {
        match self.own(&[key]) {
            Some(value) => (self.own_key(key), Some(value)),
            None => (key.to_owned(), self.document.get(&[key])),
        }
    }

    fn wrong_binding(&self, object: &Object) -> Option<(String, String)> {
        let Object { what, binding: name, class } = object;
        let key = self.own_key("durable_objects.bindings");
        let form = format!("[[{key}]] with name = \"{name}\" and class_name = \"{class}\"");
        let list = self.own(&["durable_objects", "bindings"]);
        let bindings: Vec<_> = tables(list).collect();
        let Some((index, binding)) = bindings.iter().find(|(_, table)| text(table, "name") == Some(*name)) else {
            let why = if self.env.is_some() { "; an environment does not inherit it" } else { "" };
            return Some((key, format!("the {what} binding {name} is missing{why}: add {form}")));
        };
        if text(binding, "class_name") == Some(*class) {
            return None;
        }
        let found = found(member(binding, "class_name"));
        Some((format!("{key}[{index}].class_name"), format!("{found}; the class of {name} must be \"{class}\"")))
    }

    fn wrong_migration(&self, object: &Object) -> Option<(String, String)> {
        let Object { class, .. } = object;
        // The other way of declaring classes, which excludes migrations.
        if self.inherited("exports").1.is_some_and(|exports| member(exports, class).is_some()) {
            return None;
        }
        let (key, list) = self.inherited("migrations");
        let holds = |kind: &str| {
            let is_class = |name: &Spanned<DeValue<'_>>| name.get_ref().as_str() == Some(*class);
            let names = |table| member(table, kind).and_then(DeValue::as_array);
            tables(list).find(|(_, table)| names(table).is_some_and(|names| names.iter().any(is_class)))
        };
        if holds("new_sqlite_classes").is_some() {
            return None;
        }
        if let Some((index, _)) = holds("new_classes") {
            return Some((
                format!("{key}[{index}].new_classes"),
                format!("found \"{class}\" here; it must be in new_sqlite_classes, since it is kept in SQLite"),
            ));
        }
        Some((
            key,
            format!(
                "none makes the class {class}: add [[migrations]] with a tag and new_sqlite_classes = [\"{class}\"]"
            ),
        ))
    }
}

pub fn tables<'a, 't>(list: Option<&'a DeValue<'t>>) -> impl Iterator<Item = (usize, &'a DeValue<'t>)> {
    let items = list.and_then(DeValue::as_array).into_iter().flat_map(|items| items.iter());
    items.map(Spanned::get_ref).enumerate().filter(|(_, item)| item.is_table())
}

pub fn member<'a, 't>(table: &'a DeValue<'t>, key: &str) -> Option<&'a DeValue<'t>> {
    table.as_table()?.get(key).map(Spanned::get_ref)
}

pub fn text<'a>(table: &'a DeValue<'_>, key: &str) -> Option<&'a str> {
    member(table, key)?.as_str()
}

fn found(value: Option<&DeValue<'_>>) -> String {
    value.map_or_else(|| "missing".to_owned(), |value| format!("found {}", to_json(value)))
}

/// `2026-11-17`.
fn is_date(text: &str) -> bool {
    let is_shape = |(at, byte): (usize, u8)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == 10 && text.bytes().enumerate().all(is_shape)
}

const OBJECTS: [Object; 2] = [
    Object { what: "sessions'", binding: "SESSIONS", class: "SessionObject" },
    Object { what: "feed's", binding: "FEED", class: "FeedObject" },
];
const REPLICA: &str = "REPLICA";
