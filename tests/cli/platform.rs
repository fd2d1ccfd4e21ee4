//! `warifu check`: what Cloudflare would refuse, cut short or never read.

use crate::check::{FINE, at, places};
use crate::{Run, file, warifu};

fn check(name: &str, content: &str, more: &[&str]) -> Run {
    warifu(&[&["check", &file(name, content)], more].concat())
}

/// [`FINE`] whose table has this many bytes as JSON.
fn sized(bytes: usize) -> String {
    let table = |login: &str| format!("{FINE}login = \"/{login}\"\n");
    let empty = r#"{"login":"/","origin":"http://origin.test"}"#.len();
    table(&"a".repeat(bytes - empty))
}

#[test]
fn a_table_that_is_too_large_for_a_variable_is_a_mistake() {
    let note = "note: vars.WARIFU is 4501 bytes as JSON; Cloudflare takes at most 5 KB for a variable, 5120 bytes";
    for (bytes, is_told) in [(4_500, false), (4_501, true), (5_120, true)] {
        let run = check(&format!("size-{bytes}.toml"), &sized(bytes), &[]);
        assert_eq!(run.code, 0, "{}", run.stdout);
        assert_eq!(run.stderr.contains(&note.replace("4501", &bytes.to_string())), is_told, "{}", run.stderr);
    }
    assert_eq!(places("size-5121.toml", &sized(5_121), &[]), [at(16, 7, "vars.WARIFU")]);
    let run = check("size-people.toml", &sized(5_121), &[]);
    assert!(run.stdout.contains("found 5121 bytes as JSON; it must be at most 5120"), "{}", run.stdout);
    // What an environment has is its own.
    let environment = sized(5_121).replace("[vars.WARIFU]", "[env.b.vars.WARIFU]").replace("[[dur", "[[env.b.dur");
    assert_eq!(places("size-env.toml", &environment, &["--env", "b"]), [at(16, 13, "env.b.vars.WARIFU")]);
    // A mistake of the gateway's own is told of beside it.
    let both = format!("{}nonsense = 1\n", sized(5_200));
    let found = [at(16, 7, "vars.WARIFU"), at(19, 1, "vars.WARIFU.nonsense")];
    assert_eq!(places("size-both.toml", &both, &[]), found);
}

#[test]
fn a_secret_that_is_too_large_is_a_mistake() {
    let fine = format!("{FINE}[[vars.WARIFU.routes]]\npath = \"/login\"\naccess = \"optional\"\n");
    let key = warifu(&["keys", "new"]).stdout;
    let keys = |name: &str, bytes: usize| {
        // White space belongs to the value, and is nothing to the gateway.
        let list = key.trim().replace(']', &format!("{}]", " ".repeat(bytes - key.trim().len())));
        format!("WARIFU_KEYS='{}'\n{name}='{list}'\n", key.trim())
    };
    for name in ["WARIFU_KEYS", "WARIFU_ORIGIN_KEYS"] {
        for (bytes, code, says) in [(4_500, 0, None), (4_501, 0, Some("note: ")), (5_121, 1, Some("error: "))] {
            let vars = file(&format!("size-{name}-{bytes}.vars"), &keys(name, bytes));
            let run = check("size-secrets.toml", &fine, &["--keys-file", &vars]);
            let told = format!("{}{}", run.stdout, run.stderr);
            assert_eq!((run.code, told.contains(&format!("{bytes} bytes"))), (code, says.is_some()), "{told}");
            assert!(says.is_none_or(|says| told.contains(&format!("{says}{name}"))), "{told}");
        }
    }
    let admins = format!("WARIFU_KEYS='{}'\nWARIFU_ADMIN_KEYS='[{}]'\n", key.trim(), " ".repeat(5_200));
    let vars = file("size-admins.vars", &admins);
    assert_eq!(places("size-admins.toml", &fine, &["--keys-file", &vars]), [at(2, 1, "WARIFU_ADMIN_KEYS")]);
}

#[test]
fn a_timeout_that_cloudflare_does_not_wait_for_is_told_of() {
    let is_told = |name: &str, timeout: &str| {
        let run = check(name, &format!("{FINE}origin_timeout = \"{timeout}\"\n"), &[]);
        assert_eq!(run.code, 0, "{}", run.stdout);
        let note = format!("note: origin_timeout is \"{timeout}\"; where the origin's host is proxied by Cloudflare");
        run.stderr.contains(&note)
    };
    assert!(!is_told("timeout-1.toml", "2m"));
    assert!(is_told("timeout-2.toml", "121s"));
    assert!(is_told("timeout-3.toml", "10m"));
    assert!(!is_told("timeout-4.toml", "1m"));
}

/// Where each way to write it too late leads.
#[test]
fn what_belongs_to_the_top_of_the_file_is_found_in_other_tables() {
    let routes = "routes = [{ pattern = \"app.test\", custom_domain = true }]\n";
    let placement = "[placement]\nmode = \"smart\"\n";
    let late = |lines: &str, table: &str| FINE.replace("[vars.WARIFU]", &format!("{table}{lines}[vars.WARIFU]"));
    assert_eq!(places("late-1.toml", &late(routes, placement), &[]), [at(18, 1, "placement.routes")]);
    let run = check("late-people.toml", &late(routes, placement), &[]);
    let says = "error: placement.routes: found in [placement], where wrangler does not look for it; it must be at \
                the top of the file, before the first [";
    assert!(run.stdout.contains(says), "{}", run.stdout);
    for name in ["route = \"app.test/*\"", "workers_dev = false", "preview_urls = false", "account_id = \"a\""] {
        let key = name.split(' ').next().expect("a key");
        let content = late(&format!("{name}\n"), placement);
        assert_eq!(places("late-2.toml", &content, &[]), [at(18, 1, &format!("placement.{key}"))]);
        let content = format!("{FINE}{name}\n");
        assert_eq!(places("late-3.toml", &content, &[]), [at(18, 1, &format!("vars.WARIFU.{key}"))]);
    }
    // Among the gateway's own keys, of which one has the same name.
    assert_eq!(places("late-4.toml", &format!("{FINE}{routes}"), &[]), [at(18, 1, "vars.WARIFU.routes")]);
    let plain = "routes = [\"app.test/*\"]\n";
    assert_eq!(places("late-5.toml", &format!("{FINE}{plain}"), &[]), [at(18, 1, "vars.WARIFU.routes")]);
    // A rule of the gateway's with a wrong key is one, and its mistakes are told.
    let rules = "[[vars.WARIFU.routes]]\npattern = \"/\"\naccess = \"public\"\n[[vars.WARIFU.routes]]\npath = \"/a\"\npatern = 1\n";
    let run = check("late-rules.toml", &format!("{FINE}{rules}"), &[]);
    assert!(!run.stdout.contains("top of the file"), "{}", run.stdout);
    assert!(run.stdout.contains("routes[0].pattern") && run.stdout.contains("routes[1].patern"), "{}", run.stdout);
    let paths = "routes = [\"/login\"]\n";
    assert_eq!(places("late-paths.toml", &format!("{FINE}{paths}"), &[]), [at(18, 11, "vars.WARIFU.routes[0]")]);
    let run = check("late-paths-people.toml", &format!("{FINE}{paths}"), &[]);
    assert!(!run.stdout.contains("top of the file"), "meant for the gateway: {}", run.stdout);
    let route = "[[vars.WARIFU.routes]]\npath = \"/login\"\naccess = \"optional\"\n";
    let end = format!("{FINE}{route}workers_dev = false\n{routes}");
    let found = ["workers_dev", "routes"].map(|key| format!("vars.WARIFU.routes[0].{key}"));
    assert_eq!(places("late-6.toml", &end, &[]), [at(21, 1, &found[0]), at(22, 1, &found[1])]);
    let run = check("late-6-people.toml", &end, &[]);
    assert!(run.stdout.contains("found in [[vars.WARIFU.routes]], where"), "{}", run.stdout);
    // Which is no TOML any more where a list of tables follows.
    let found = places("late-7.toml", &format!("{FINE}{routes}{route}"), &[]);
    assert_eq!(found[0], at(18, 1, "vars.WARIFU.routes"));
    // An environment has some of its own.
    let environment = |lines: &str| format!("{FINE}[env.b]\n{routes}[env.b.placement]\nmode = \"smart\"\n{lines}");
    assert_eq!(places("late-8.toml", &environment(""), &[]), []);
    assert_eq!(places("late-9.toml", &environment(routes), &[]), [at(22, 1, "env.b.placement.routes")]);
    let run = check("late-9-people.toml", &environment(routes), &[]);
    assert!(run.stdout.contains("before the first [, or directly below [env.b]"), "{}", run.stdout);
    // And what stands in its place is fine.
    assert_eq!(places("late-10.toml", &format!("{routes}workers_dev = false\n{FINE}{route}"), &[]), []);
}
