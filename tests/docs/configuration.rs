//! `docs/configuration.md` is made from the reader of the configuration: which
//! keys there are, what is taken for an absent one, and what is allowed.
//!
//! `WARIFU_WRITE=1 cargo test --test docs` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};
use warifu::config::{Config, Mistake};
use warifu::site::{Secrets, Sites};

use crate::keys::{Default, Key, SECTIONS, SITES, Section};
use crate::written_or_compared;

/// With keys to sign with, so that what needs them is allowed.
fn config(table: &Value) -> (Config, Vec<Mistake>) {
    Config::read(table, true)
}

/// What the reader makes of a table in which it finds nothing wrong.
fn good(table: &Value, why: &str) -> String {
    let (config, mistakes) = config(table);
    assert!(mistakes.is_empty(), "{why}: {mistakes:?}");
    format!("{config:?}")
}

impl Section {
    fn whole(&self) -> Value {
        serde_json::from_str(self.base).expect("JSON")
    }

    /// The whole configuration, with a key of this table set or taken out.
    fn with(&self, key: &str, value: Option<&str>) -> Value {
        let mut whole = self.whole();
        let mut table = &mut whole;
        for part in self.table.split('.').filter(|part| !part.is_empty()) {
            table = match part.strip_suffix("[]") {
                Some(list) => &mut table[list][0],
                None => &mut table[part],
            };
        }
        let table = table.as_object_mut().expect("a table");
        match value {
            Some(value) => drop(table.insert(key.to_owned(), serde_json::from_str(value).expect("JSON"))),
            None => drop(table.remove(key)),
        }
        whole
    }

    /// The name of a key in messages: `routes[0].path`.
    fn place(&self, key: &str) -> String {
        let table = self.table.replace("[]", "[0]");
        if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
    }

    /// The keys that the reader knows here, by its own words on one that it does not.
    fn known(&self) -> BTreeSet<String> {
        let (_, mistakes) = config(&self.with("?", Some("1")));
        let place = self.place("?");
        let says = mistakes.iter().find(|mistake| mistake.key == place).map(|mistake| mistake.says.as_str());
        let keys = says.and_then(|says| says.strip_prefix("unknown key; allowed here: ")).expect("an unknown key");
        // What stands behind is `sites`, which has a section of its own.
        let keys = keys.split("; ").next().unwrap_or_default();
        keys.split(", ").map(str::to_owned).collect()
    }

    /// How the table is written in TOML.
    fn heading(&self) -> String {
        let path = format!("vars.WARIFU.{}", self.table.replace("[]", ""));
        let path = path.trim_end_matches('.');
        if self.table.ends_with("[]") { format!("[[{path}]]") } else { format!("[{path}]") }
    }
}

/// What the reader says to a wrong value of the key, without what it has found.
fn allowed(section: &Section, key: &Key) -> String {
    let mut texts: Vec<String> = Vec::new();
    for wrong in key.wrong {
        let (_, mistakes) = config(&section.with(key.name, Some(wrong)));
        let place = section.place(key.name);
        let says = mistakes.iter().find(|mistake| mistake.key == place).map(|mistake| mistake.says.clone());
        let says = says.unwrap_or_else(|| panic!("{place}: {wrong} is taken"));
        let (_, text) = says.split_once("; ").unwrap_or_else(|| panic!("{place}: {says}"));
        texts.push(text.trim_start_matches("it must be ").trim_start_matches("allowed: ").to_owned());
    }
    assert!(!texts.is_empty(), "{}: no wrong value", key.name);
    texts.join("; ")
}

#[test]
fn every_key_is_described_and_every_described_one_exists() {
    let mut tables = BTreeSet::new();
    for section in SECTIONS {
        good(&section.whole(), section.table);
        let prefix = if section.table.is_empty() { String::new() } else { format!("{}.", section.table) };
        let described: BTreeSet<String> = section.keys.iter().map(|key| key.name.to_owned()).collect();
        let inner: BTreeSet<String> = SECTIONS
            .iter()
            .filter_map(|other| other.table.strip_prefix(&prefix))
            .filter(|rest| !rest.is_empty() && !rest.contains('.'))
            .map(|rest| rest.trim_end_matches("[]").to_owned())
            .collect();
        assert!(described.is_disjoint(&inner));
        let all: BTreeSet<String> = described.union(&inner).cloned().collect();
        assert_eq!(all, section.known(), "left: tests/docs/keys.rs, right: the reader, of {}", section.heading());
        assert!(tables.insert(section.table), "{} twice", section.table);
    }
}

#[test]
fn an_absent_key_is_its_default() {
    for section in SECTIONS {
        for key in section.keys {
            let place = section.place(key.name);
            let absent = section.with(key.name, None);
            match key.default {
                Default::Is(value) => {
                    let with = section.with(key.name, Some(value));
                    assert_eq!(good(&absent, &place), good(&with, &place), "{place}");
                }
                Default::Nothing => drop(good(&absent, &place)),
                Default::Required => {
                    let (_, mistakes) = config(&absent);
                    assert!(mistakes.iter().any(|mistake| mistake.key == place), "{place}: {mistakes:?}");
                }
                Default::WithOriginKeys => {
                    for has_keys in [false, true] {
                        let with = section.with(key.name, Some(if has_keys { "true" } else { "false" }));
                        let read = |table| format!("{:?}", Config::read(table, has_keys));
                        assert_eq!(read(&absent), read(&with), "{place}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_examples_are_taken_and_change_something() {
    for section in SECTIONS {
        for key in section.keys {
            let place = section.place(key.name);
            let mut with = section.with(key.name, Some(key.example));
            if key.name == "ends" {
                // It excludes what the table has else.
                with["custody"]["bearer"][0].as_object_mut().expect("a table").remove("tokens");
            }
            assert_ne!(good(&with, &place), good(&section.whole(), &place), "{place}: the example changes nothing");
        }
    }
}

#[test]
fn a_header_for_the_subject_that_is_refused_is_named() {
    let read = json!({"identity": {"user_header": "X-Real-IP"}});
    let (_, mistakes) = config(&read);
    let says = &mistakes[0].says;
    for name in ["x-real-ip", "authorization", "what begins with accept", "warifu-"] {
        assert!(says.contains(name), "{name}: {says}");
    }
}

#[test]
fn several_sites_are_taken_apart_before() {
    let keys = r#"[{"kid":1,"key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]"#;
    let read = |binding: Value| {
        Sites::read(&binding.to_string(), Secrets { keys: Some(keys), ..Secrets::default() })
            .map_err(|mistakes| mistakes.into_iter().map(|mistake| mistake.key).collect::<Vec<_>>())
    };
    let two = json!({"bound": "5s", "sites": [
        {"site": "shop", "hosts": ["shop.example"]}, {"site": "news", "hosts": ["news.example"], "bound": "1s"}]});
    let sites = read(two).expect("two sites");
    let bounds: Vec<u64> = sites.as_slice().iter().map(|site| site.config.bound.as_secs()).collect();
    assert_eq!(bounds, [5, 1]);
    let unknown = Sites::read(r#"{"sties": []}"#, Secrets { keys: Some(keys), ..Secrets::default() });
    let says = &unknown.expect_err("a typing mistake")[0].says;
    assert!(says.contains("trusted_origins; and [[vars.WARIFU.sites]]"), "{says}");
    for common in ["site", "hosts", "admin_host"] {
        let value = if common == "hosts" { json!(["a.example"]) } else { json!("a.example") };
        let found = read(json!({common: value, "sites": [{"site": "shop", "hosts": ["shop.example"]}]}));
        assert_eq!(found.expect_err("it has no common default"), [common]);
    }
}

#[test]
fn the_page_of_the_configuration_is_what_the_reader_says() {
    let mut page = INTRODUCTION.to_owned();
    for section in SECTIONS {
        let _ = write!(page, "\n## `{}`\n\n{}\n\n", section.heading(), section.text);
        page.push_str("| key | default | allowed | meaning | example |\n|---|---|---|---|---|\n");
        for key in section.keys {
            let default = match key.default {
                Default::Is(value) => format!("`{value}`"),
                Default::Nothing => "none".to_owned(),
                Default::Required => "none; it is needed".to_owned(),
                Default::WithOriginKeys => "`true` with the secret `WARIFU_ORIGIN_KEYS`, else `false`".to_owned(),
            };
            let (name, means, example) = (key.name, key.means, key.example);
            let allowed = allowed(section, key).replace('|', "\\|");
            let _ = writeln!(page, "| `{name}` | {default} | {allowed} | {means} | `{name} = {example}` |");
        }
    }
    let _ = write!(page, "\n## `[[vars.WARIFU.sites]]`\n\n{SITES}\n");
    page.push_str(BESIDE);
    written_or_compared("docs/configuration.md", &page);
}

const INTRODUCTION: &str = "# The configuration

<!-- Made by `WARIFU_WRITE=1 cargo test --test docs`; the words are in tests/docs/keys.rs, the rest is asked of the code. -->

One table, `[vars.WARIFU]` in `wrangler.toml`, or `[env.NAME.vars.WARIFU]` for a wrangler environment, which inherits no variables. It is read once for each isolate, completely and strictly: an unknown key, a bad value or an impossible combination is a mistake, and with a mistake the Worker answers 500 `misconfigured` on every path, public ones too; the log names each key. Nothing falls back to a default. `warifu check` finds the same mistakes before you deploy, and `warifu check --explain /path` says what is asked of a path. Cloudflare takes at most 5 KB for a variable, and all of the table is one, with its sites, as JSON; `warifu check` measures it.

A default is what an absent key amounts to. *Allowed* is what the gateway says to a wrong value. Durations are a whole number and a unit: `500ms`, `2s`, `30m`, `12h`, `30d`.
";

const BESIDE: &str = "
## Secrets

Never in a file. `warifu setup` makes those that are missing and sets them; see [the command](cli.md#all-secrets-in-one-command).

| secret | needed | what it is |
|---|---|---|
| `WARIFU_KEYS` | yes | the keys of tokens' MACs, a JSON list, newest first: `[{\"kid\":2,\"key\":\"…\"},{\"kid\":1,\"key\":\"…\"}]`. `kid` is 0–255, `key` is base64url of 32 random bytes. The first signs, all verify |
| `WARIFU_ADMIN_KEYS` | for administrators' calls | who may call, a JSON list: `[{\"id\":\"ops\",\"sha256\":\"…\",\"scopes\":[\"revoke\"]}]`. It holds hashes; the keys are with the administrators |
| `WARIFU_ORIGIN_KEYS` | to sign forwarded requests, and to verify signed commands | of the form of `WARIFU_KEYS`; your application has the same list |

## Bindings

| binding | needed | what it is |
|---|---|---|
| `SESSIONS` | yes | Durable Objects of the class `SessionObject`: the sessions |
| `FEED` | yes | Durable Objects of the class `FeedObject`: the order of ends |
| `REPLICA` | with `replica = \"always\"` | a KV namespace: copies of sessions, for requests far from where their session lives |
| `ASSETS` | for the pages | the files of the [console and the account page](console.md), with `run_worker_first = true` |
| `EVENTS` | no | an Analytics Engine data set, which gets each [event](reference.md#events-in-the-log) |
| `LIMIT_STARTS`, `LIMIT_BAD_MACS`, `LIMIT_ADMIN_FAILURES` | no | Cloudflare's rate limiters, which count for a whole location: see [rate limits](reference.md#rate-limits) |
";
