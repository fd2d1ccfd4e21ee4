//! The WARIFU binding: valid as a whole and within its limits, or mistakes,
//! each with its key.
#![no_main]

use core::time::Duration;
use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use warifu::config::{Access, Commands, Config, OnOutage};
use warifu::path::CanonicalPath;
use warifu::site::{Secrets, Sites};
use warifu_fuzz::{KEYS, reached};

fuzz_target!(|text: &str| {
    let binding = if text.trim_start().starts_with(['{', '[', '"']) { text.to_owned() } else { of_lines(text) };
    for origin_keys in [None, Some(KEYS)] {
        let secrets = Secrets { keys: Some(KEYS), admin_keys: None, origin_keys };
        match Sites::read(&binding, secrets) {
            Ok(sites) => {
                reached!("a configuration");
                sites_hold(&sites);
                sites.as_slice().iter().for_each(|site| config_holds(&site.config, origin_keys.is_some()));
                // However it is spaced and ordered.
                let value: Value = serde_json::from_str(&binding).expect("it was read");
                assert!(Sites::read(&value.to_string(), secrets).is_ok());
            }
            Err(mistakes) => {
                assert!(!mistakes.is_empty(), "refused without a reason");
                let mut seen = BTreeSet::new();
                for mistake in &mistakes {
                    assert!(!mistake.key.is_empty() && !mistake.says.is_empty(), "{mistake:?}");
                    assert!(seen.insert(mistake.to_string()), "said twice: {mistake}");
                    assert!(!mistake.says.contains("_cTXNanGb421YN1C"), "a key is shown");
                }
            }
        }
    }
});

/// Lines such as `cookie.name=x` and `routes.0.access=strict`: nearly every
/// change of such a text is a binding again, which is not so of JSON.
fn of_lines(text: &str) -> String {
    let mut root = Value::Object(Map::new());
    for line in text.lines().take(40) {
        let Some((path, value)) = line.split_once('=') else { continue };
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        let mut place = &mut root;
        for step in path.split('.').take(6) {
            place = match step.parse::<usize>() {
                Ok(index) if index < 8 => {
                    if !place.is_array() {
                        *place = Value::Array(Vec::new());
                    }
                    let items = place.as_array_mut().expect("a list");
                    while items.len() <= index {
                        items.push(Value::Object(Map::new()));
                    }
                    &mut items[index]
                }
                _ => {
                    if !place.is_object() {
                        *place = Value::Object(Map::new());
                    }
                    place.as_object_mut().expect("a table").entry(step).or_insert(Value::Null)
                }
            };
        }
        *place = value;
    }
    root.to_string()
}

/// Each host leads to its own site, and each site has its own sessions.
fn sites_hold(sites: &Sites) {
    let all = sites.as_slice();
    assert!(!all.is_empty());
    if all.len() > 1 {
        reached!("several sites");
    }
    let names: BTreeSet<&str> = all.iter().map(|site| site.config.site.as_str()).collect();
    assert_eq!(names.len(), all.len(), "two sites of one name");
    for (index, site) in all.iter().enumerate() {
        assert!(all.len() == 1 || !site.config.hosts.is_empty(), "a site that nothing leads to");
        for host in site.config.hosts.iter().chain(&site.config.admin_host) {
            assert_eq!(sites.index_of(host), Some(index), "{host:?}");
        }
    }
    assert_eq!(sites.index_of("nobody.example\n").is_some(), all.len() == 1);
}

fn config_holds(config: &Config, has_origin_keys: bool) {
    let within = |span: Duration, min_ms: u64, max_ms: u64| {
        (Duration::from_millis(min_ms)..=Duration::from_millis(max_ms)).contains(&span)
    };
    const TEN_YEARS: u64 = 3_650 * 86_400_000;
    let plain = |text: &str, other: &[u8]| text.bytes().all(|b| b.is_ascii_alphanumeric() || other.contains(&b));
    assert!((1..=64).contains(&config.site.len()) && plain(&config.site, b"._-"));
    assert!(config.bound.is_zero() || within(config.bound, 250, 60_000));
    assert!(within(config.idle_timeout, 1, TEN_YEARS));
    assert!(config.absolute_timeout >= config.idle_timeout && within(config.absolute_timeout, 1, TEN_YEARS));
    assert!(within(config.rotation_grace, 1_000, 300_000));
    assert!(within(config.continue_for, 1_000, 600_000));
    assert!(within(config.replica_horizon, 60_000, 600_000));
    assert!(within(config.origin_timeout, 100, 600_000));
    assert!(config.max_sessions <= 100_000);
    assert!(has_origin_keys || !config.sign);

    let name = &config.cookie.name;
    assert!(name.starts_with("__Host-") && name.len() <= 64 && plain(name, b"!#$%&'*+-.^_`|~"), "{name:?}");
    assert!(config.user_header.as_ref().is_none_or(|header| !header.is_empty() && plain(header, b"-")));
    let forbidden = ["cookie", "set-cookie", "authorization", "host"];
    assert!(config.user_header.as_ref().is_none_or(|header| {
        let lower = header.to_ascii_lowercase();
        !forbidden.contains(&lower.as_str()) && !lower.starts_with("warifu-") && !lower.starts_with("x-forwarded-")
    }));
    let origins = config.origin.iter().chain(&config.trusted_origins);
    for host in config.hosts.iter().chain(&config.admin_host) {
        assert!(!host.is_empty() && plain(host, b".-_:[]") && *host == host.to_ascii_lowercase(), "{host:?}");
        assert!(!host.ends_with(":443") && !host.ends_with(":80"));
    }
    for origin in origins {
        let url = url::Url::parse(origin.as_str());
        // `url` knows more of names than a Host header has to: IDNA, numbers in a last label.
        if let Ok(url) = url {
            assert!(matches!(url.scheme(), "http" | "https") && url.path() == "/" && url.query().is_none());
            assert!(url.username().is_empty() && url.password().is_none());
        }
    }
    assert!(config.admin_host.as_ref().is_none_or(|host| !config.hosts.contains(host)));

    let login = CanonicalPath::parse(config.login.split('?').next().unwrap_or_default()).expect("a path");
    assert!(!login.is_ours() && config.login.bytes().all(|b| b.is_ascii_graphic()));
    assert!(!config.map.is_empty() && config.map.is_sorted_by(|a, b| a.generation < b.generation));
    for row in &config.map {
        assert!(row.generation >= 1 && (1..=65_536).contains(&row.shards) && row.region < 10);
    }
    for route in &config.routes {
        reached!("a route");
        assert!(route.decoded.starts_with(b"/") && !route.decoded.starts_with(b"//"));
        assert!(!route.decoded.to_ascii_lowercase().starts_with(b"/_warifu/"));
        assert!(!(route.commands != Commands::No && route.access == Access::Public));
        assert!(!(route.on_outage == OnOutage::Continue && route.access == Access::Strict));
        assert!(route.access >= Access::Required || (route.level == 0 && route.max_auth_age.is_none()));
        assert!(route.methods.as_ref().is_none_or(|methods| !methods.is_empty()));
    }
}
