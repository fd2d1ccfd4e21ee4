//! A slash at the end of a path leads to no weaker demand, and neither does that rule itself.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use warifu::config::OnEnd;
use warifu::path::CanonicalPath;
use warifu::policy::{Demand, demand};
use warifu::site::{Secrets, Site, Sites};

use crate::KEYS;

/// Rules of routes, each with its path.
fn rules(paths: Vec<&'static str>) -> impl Strategy<Value = Vec<Value>> {
    let kind = select(vec![
        json!({"access": "public"}),
        json!({"access": "optional", "commands": true}),
        json!({"access": "optional", "commands": "nonce"}),
        json!({"access": "required"}),
        json!({"access": "required", "activity": false, "on_outage": "continue"}),
        json!({"access": "required", "level": 2, "on_end": "keep"}),
        json!({"access": "strict", "level": 1, "max_auth_age": "5m"}),
        json!({"access": "strict", "max_auth_age": "1h", "commands": true}),
    ]);
    let methods = select(vec![Value::Null, json!(["GET"]), json!(["POST"])]);
    let rule = (select(paths), kind, methods).prop_map(|(path, mut rule, methods)| {
        rule["path"] = path.into();
        if methods.is_array() {
            rule["methods"] = methods;
        }
        rule
    });
    prop::collection::vec(rule, 0..6)
}

fn site(rules: &[Value]) -> Site {
    let config = json!({"origin": "http://o", "routes": rules}).to_string();
    let sites = Sites::read(&config, Secrets { keys: Some(KEYS), ..Secrets::default() }).expect("a configuration");
    sites.into_first().expect("a site")
}

fn of(site: &Site, path: &str, method: &str) -> Demand {
    demand(&site.config, &CanonicalPath::parse(path).expect("a path"), method)
}

/// Whether what meets the one meets the other.
fn is_no_weaker(one: Demand, other: Demand) -> bool {
    let age = |demand: Demand| demand.max_auth_age.unwrap_or(std::time::Duration::MAX);
    one.access >= other.access
        && one.level >= other.level
        && age(one) <= age(other)
        && one.commands >= other.commands
        && one.activity <= other.activity
        && one.continues <= other.continues
        && (one.on_end == OnEnd::Close || other.on_end == OnEnd::Keep)
}

const PATHS: [&str; 6] = ["/a", "/a/b", "/b", "/a;x", "/a%3Fy", "/a;x/b"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn with_a_slash_it_is_no_weaker(rules in rules(vec!["/a", "/a/b", "/b", "/a/*", "/a/b/*", "/*", "/"])) {
        let site = site(&rules);
        for (path, method) in PATHS.into_iter().flat_map(|path| [(path, "GET"), (path, "POST")]) {
            let (without, with) = (of(&site, path, method), of(&site, &format!("{path}/"), method));
            prop_assert!(is_no_weaker(with, without), "{} {}/: {:?}", method, path, with);
        }
    }

    /// The rule that names the path as it is holds in any case; so do its ways.
    #[test]
    fn the_first_rule_holds_whatever_else_is_read(
        rules in rules(vec!["/a", "/a/", "/a/b", "/a/b/", "/b", "/a/*", "/a/b/*", "/*", "/"]),
    ) {
        let whole = site(&rules);
        let paths = ["/", "/a", "/a/", "/a/b", "/a/b/", "/a/c", "/b", "/b/"];
        for (path, method) in paths.into_iter().flat_map(|path| [(path, "GET"), (path, "POST")]) {
            let is_first = |rule: &&Value| {
                let pattern = rule["path"].as_str().expect("a path");
                let is_method = rule["methods"].as_array().is_none_or(|methods| methods.contains(&method.into()));
                is_method && match pattern.strip_suffix("/*") {
                    Some(parent) => path == parent || path.starts_with(&format!("{parent}/")),
                    None => path == pattern,
                }
            };
            let first = rules.iter().find(is_first);
            let alone = first.map_or(Demand::UNMATCHED, |rule| of(&site(std::slice::from_ref(rule)), path, method));
            let found = of(&whole, path, method);
            prop_assert!(is_no_weaker(found, alone), "{} {}: {:?}", method, path, found);
            if first.is_some_and(|rule| rule["path"] == path) {
                prop_assert_eq!(found.commands, alone.commands, "{} {}", method, path);
            }
            if first.is_some() && !rules.iter().any(|rule| rule["path"] == format!("{path}/") || format!("{}/", rule["path"].as_str().unwrap_or("")) == path) {
                prop_assert_eq!(found, alone, "{} {}", method, path);
            }
        }
    }
}
