//! What the policy asks of one path: the gateway's own code, asked.

use serde_json::{Value, json};
use warifu::config::{Access, Commands, Config, OnEnd};
use warifu::path::CanonicalPath;
use warifu::policy;
use warifu::time::show_span;

/// The answer, for people or as one line of JSON; with the site's name where
/// there are several.
pub fn explain(config: &Config, raw: &str, method: &str, as_json: bool, has_name: bool) -> String {
    let method = method.to_ascii_uppercase();
    // The query is no part of what is matched.
    let raw = raw.split(['?', '#']).next().unwrap_or_default();
    let name = has_name.then(|| ("site", json!(config.site)));
    let rows = name.into_iter().chain(rows(config, raw, &method));
    if as_json {
        let pairs = [("method", json!(method)), ("path", json!(raw))].into_iter().chain(rows);
        return format!("{}\n", pairs.map(|(name, value)| (name.to_owned(), value)).collect::<Value>());
    }
    let lines = rows.map(|(name, value)| {
        let value = match value {
            Value::String(text) => text,
            Value::Bool(true) => "yes".to_owned(),
            Value::Bool(false) => "no".to_owned(),
            Value::Null => "none".to_owned(),
            other => other.to_string(),
        };
        format!("  {name:<14}{value}\n")
    });
    [format!("{method} {raw}\n")].into_iter().chain(lines).collect()
}

fn rows(config: &Config, raw: &str, method: &str) -> Vec<(&'static str, Value)> {
    let path = match CanonicalPath::parse(raw) {
        Ok(path) => path,
        Err(refusal) => return vec![("refused", json!(format!("400 bad_request: {}", refusal.explain())))],
    };
    let canonical = ("canonical", json!(path.as_str()));
    if path.is_ours() {
        return vec![canonical, ("answered", json!("by the gateway itself; routes do not apply below /_warifu"))];
    }
    let demand = policy::demand(config, &path, method);
    let access = match demand.access {
        Access::Public => "public",
        Access::Optional => "optional",
        Access::Required => "required",
        Access::Strict => "strict",
    };
    let commands = match demand.commands {
        Commands::No => json!(false),
        Commands::Yes => json!(true),
        Commands::Nonce => json!("nonce"),
    };
    vec![
        canonical,
        ("access", json!(access)),
        ("level", json!(demand.level)),
        ("max_auth_age", json!(demand.max_auth_age.map(show_span))),
        ("commands", commands),
        ("activity", json!(demand.activity)),
        ("on_outage", json!(if demand.continues { "continue" } else { "closed" })),
        ("on_end", json!(if demand.on_end == OnEnd::Close { "close" } else { "keep" })),
    ]
}
