//! `warifu check`: every mistake with its place, and no secret shown.

use serde_json::{Value, json};

use crate::{Run, file, warifu};

/// A file that is fine but for what is put into it.
pub const FINE: &str = r#"main = "build/index.js"
compatibility_date = "2026-11-17"
observability = { redact_query_string = true, logs = { invocation_logs = false } }
[[durable_objects.bindings]]
name = "SESSIONS"
class_name = "SessionObject"

[[durable_objects.bindings]]
name = "FEED"
class_name = "FeedObject"

[[migrations]]
tag = "v1"
new_sqlite_classes = ["SessionObject", "FeedObject"]

[vars.WARIFU]
origin = "http://origin.test"
"#;

const KEYS: &str = r#"[{"kid":1,"key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]"#;

/// `(line, column, key)` of everything that is found, in its order.
fn found(run: &Run) -> Vec<(u64, u64, String)> {
    let list: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {}", run.stdout));
    let place = |found: &Value| {
        assert!(found["says"].as_str().is_some_and(|says| !says.is_empty()) && found["file"].is_string(), "{found}");
        let number = |name| found[name].as_u64().expect("a number");
        (number("line"), number("column"), found["key"].as_str().expect("a key").to_owned())
    };
    list.as_array().expect("a list").iter().map(place).collect()
}

pub fn places(name: &str, content: &str, more: &[&str]) -> Vec<(u64, u64, String)> {
    let run = warifu(&[&["check", &file(name, content), "--json"], more].concat());
    let found = found(&run);
    assert_eq!(run.code, i32::from(!found.is_empty()), "{}", run.stderr);
    found
}

pub fn at(line: u64, column: u64, key: &str) -> (u64, u64, String) {
    (line, column, key.to_owned())
}

#[test]
fn the_repositorys_own_file_is_fine() {
    let run = warifu(&["check"]);
    assert_eq!(run.code, 0);
    assert!(run.stdout.starts_with("wrangler.toml: no mistakes ("), "{}", run.stdout);
    assert!(
        run.stderr.contains("WARIFU_KEYS, WARIFU_ADMIN_KEYS and WARIFU_ORIGIN_KEYS were not checked"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("invocation_logs"), "{}", run.stderr);
    let run = warifu(&["check", "wrangler.toml", "--json"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "[]\n"));
}

#[test]
fn every_mistake_has_the_place_of_its_key() {
    let bad = "idle_timeout = \"30\"
\"é\" = 1";
    let content = format!(
        "{FINE}{bad}\ncookie.name = \"x\"   # dotted\nhosts = [\n  \"a b\",\n]\nidentity = {{ \"é\" = 1, sign = 2 }}\n\"custody.x\" = 1\n\
         \n[[vars.WARIFU.routes]]\npath = \"/a\"\naccess = \"public\"\n\n  [[vars.WARIFU.routes]]\n  path = \"/b\"\n  acces = \"public\"\n\
         \n[vars.WARIFU.custody]\ncookies = [\"\"]\n"
    );
    let expected = [
        at(18, 1, "vars.WARIFU.idle_timeout"),
        at(19, 1, "vars.WARIFU.é"),
        at(20, 8, "vars.WARIFU.cookie.name"),
        at(21, 1, "vars.WARIFU.hosts"),
        at(24, 14, "vars.WARIFU.identity.é"),
        // In characters, not in bytes.
        at(24, 23, "vars.WARIFU.identity.sign"),
        // One key with a dot, not a key of the table below.
        at(25, 1, "vars.WARIFU.custody.x"),
        // Missing: where its table begins.
        at(31, 3, "vars.WARIFU.routes[1].access"),
        at(33, 3, "vars.WARIFU.routes[1].acces"),
        at(36, 1, "vars.WARIFU.custody.cookies"),
    ];
    assert_eq!(places("places.toml", &content, &[]), expected);
    assert_eq!(places("places-crlf.toml", &content.replace('\n', "\r\n"), &[]), expected);
}

#[test]
fn people_see_the_line_with_its_key_underlined() {
    let path = file("people.toml", &format!("{FINE}  login = \"nowhere\"\n"));
    let run = warifu(&["check", &path]);
    assert_eq!(run.code, 1);
    let expected = format!(
        "error: vars.WARIFU.login: found \"nowhere\"; it must be a path of this site in canonical form, such as \"/login\"
  --> {path}:18:3
   |
18 |   login = \"nowhere\"
   |   ^^^^^

1 mistake
"
    );
    assert_eq!(run.stdout, expected);
}

#[test]
fn the_worker_needs_more_than_the_table() {
    let without = |name: &str, gone: &str, with: &str| {
        assert!(FINE.contains(gone), "{gone}");
        places(name, &FINE.replace(gone, with), &[])
    };
    assert_eq!(places("worker-fine.toml", FINE, &[]), []);
    assert_eq!(without("worker-1.toml", "main = \"build/index.js\"", ""), [at(1, 1, "main")]);
    assert_eq!(without("worker-2.toml", "\"2026-11-17\"", "2026-11-17"), [at(2, 1, "compatibility_date")]);
    assert_eq!(without("worker-3.toml", "\"2026-11-17\"", "\"soon\""), [at(2, 1, "compatibility_date")]);
    assert_eq!(without("worker-4.toml", "compatibility_date = \"2026-11-17\"\n", ""), [at(1, 1, "compatibility_date")]);
    let binding = "durable_objects.bindings";
    assert_eq!(without("worker-5.toml", "\"SESSIONS\"", "\"OTHER\""), [at(4, 19, binding)]);
    let class = "durable_objects.bindings[0].class_name";
    assert_eq!(without("worker-6.toml", "class_name = \"S", "class_name = \"X"), [at(6, 1, class)]);
    assert_eq!(without("worker-7.toml", "class_name = \"SessionObject\"", ""), [at(4, 1, class)]);
    let classes = "migrations[0].new_classes";
    assert_eq!(without("worker-8.toml", "new_sqlite_classes", "new_classes"), [at(14, 1, classes), at(14, 1, classes)]);
    for (name, gone) in [("worker-9.toml", "[\"SessionObject\", "), ("worker-11.toml", ", \"FeedObject\"]")] {
        let rest = if gone.starts_with('[') { "[" } else { "]" };
        assert_eq!(without(name, gone, rest), [at(12, 3, "migrations")]);
    }
    assert_eq!(without("worker-12.toml", "\"FEED\"", "\"OTHER\""), [at(4, 19, binding)]);
    let class = "durable_objects.bindings[1].class_name";
    assert_eq!(without("worker-13.toml", "class_name = \"F", "class_name = \"X"), [at(10, 1, class)]);
    let run = warifu(&["check", &file("worker-14.toml", &FINE.replace("\"FEED\"", "\"OTHER\""))]);
    assert!(
        run.stdout.contains("the feed's binding FEED is missing: add [[durable_objects.bindings]]"),
        "{}",
        run.stdout
    );
    assert_eq!(without("worker-10.toml", "[vars.WARIFU]\norigin", "[other]\norigin"), [at(1, 1, "vars.WARIFU")]);
    let empty = places("worker-empty.toml", "", &[]);
    assert_eq!(empty.len(), 7);
    assert!(empty.iter().all(|(line, column, _)| (*line, *column) == (1, 1)));
    assert_eq!(warifu(&["check", &file("worker-empty-too.toml", "")]).code, 1);
}

#[test]
fn an_environment_has_its_own_table_and_bindings() {
    let staging = "\n[env.staging.vars.WARIFU]\norigin = \"http://staging.test\"\nbound = 3\n";
    let content = format!("{FINE}{staging}");
    assert_eq!(places("env-none.toml", &content, &[]), []);
    let found = places("env-bare.toml", &content, &["--env", "staging"]);
    let missing = || at(19, 6, "env.staging.durable_objects.bindings");
    let expected = [missing(), missing(), at(21, 1, "env.staging.vars.WARIFU.bound")];
    assert_eq!(found, expected);
    let whole = content.replace("bound = 3\n", "")
        + "[[env.staging.durable_objects.bindings]]\nname = \"SESSIONS\"\nclass_name = \"SessionObject\"\n\
           [[env.staging.durable_objects.bindings]]\nname = \"FEED\"\nclass_name = \"FeedObject\"\n";
    assert_eq!(places("env-whole.toml", &whole, &["--env", "staging"]), []);

    let run = warifu(&["check", &file("env-unknown.toml", &whole), "--env", "production"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("found \"production\"; it must be one of staging"), "{}", run.stderr);
}

#[test]
fn who_moves_sessions_in_is_reminded_of_the_first_row() {
    let adopt = "[vars.WARIFU.adopt]\ncookie = \"sid\"\nprobe = \"/me\"\nsubject = \"/id\"\nuntil = \"2030-01-01\"\n";
    let row = |generation: u8| format!("[[vars.WARIFU.map]]\ngeneration = {generation}\n");
    let is_reminded = |name: &str, more: &str| {
        let run = warifu(&["check", &file(name, &format!("{FINE}{more}"))]);
        assert_eq!(run.code, 0, "{}", run.stdout);
        run.stderr.contains("note: adopt is there, and the map has no row of generation 1")
    };
    assert!(is_reminded("row-1.toml", &format!("{adopt}{}", row(2))));
    assert!(!is_reminded("row-2.toml", &row(2)), "nobody moves in");
    assert!(!is_reminded("row-3.toml", &format!("{adopt}{}{}", row(1), row(2))));
    assert!(!is_reminded("row-4.toml", adopt));
}

#[test]
fn a_login_that_needs_a_session_is_told_of() {
    let told = |name: &str, more: &str| -> Vec<String> {
        let run = warifu(&["check", &file(name, &format!("{FINE}{more}"))]);
        assert_eq!(run.code, 0, "{}", run.stdout);
        run.stderr.lines().filter(|line| line.starts_with("note: login")).map(str::to_owned).collect()
    };
    let route = |path: &str, access: &str| format!("[[vars.WARIFU.routes]]\npath = {path:?}\naccess = {access:?}\n");
    let note = "note: login is \"/login\", and a session is needed there, so nobody can log in; give it a route with \
                access = \"optional\" and commands = true";
    assert_eq!(told("login-1.toml", ""), [note], "what no route names");
    assert_eq!(told("login-2.toml", &route("/login", "required")), [note]);
    assert_eq!(told("login-3.toml", &route("/*", "strict")), [note]);
    assert!(told("login-4.toml", &route("/login", "optional")).is_empty());
    assert!(told("login-5.toml", &route("/login", "public")).is_empty(), "the form may be sent elsewhere");
    let asked = format!("login = \"/auth?x=1\"\n{}", route("/auth", "optional"));
    assert!(told("login-6.toml", &asked).is_empty());
    // Custody takes the log-in without commands.
    let custody = "[vars.WARIFU.custody]\ncookies = [\"token\"]\n";
    assert_eq!(told("login-7.toml", custody), [note.trim_end_matches(" and commands = true")]);
    let of = |site: &str| note.replacen("login", &format!("login of the site \"{site}\""), 1);
    assert_eq!(told("login-8.toml", SITES), [of("shop"), of("news")]);
}

#[test]
fn what_the_platform_writes_of_each_request_is_told_of() {
    let fine = FINE.replace("observability = { redact_query_string = true, logs = { invocation_logs = false } }", "");
    let is_told = |name: &str, more: &str, options: &[&str]| {
        let run = warifu(&[&["check", &file(name, &format!("{fine}{more}"))], options].concat());
        assert_eq!(run.code, 0, "{}", run.stdout);
        let queries = run.stderr.contains("note: observability.redact_query_string is not true");
        let is_off = more.contains("enabled = false");
        assert_eq!(queries, !is_off && !more.contains("redact"), "{name}: {}", run.stderr);
        run.stderr.contains("note: observability.logs.invocation_logs is not false")
    };
    let enabled = "[observability]\nenabled = true\n";
    let off = "[observability.logs]\nenabled = true\ninvocation_logs = false\n";
    assert!(is_told("logs-1.toml", "", &[]), "the platform has it on for new Workers");
    assert!(is_told("logs-2.toml", enabled, &[]));
    assert!(is_told("logs-3.toml", &off.replace("false", "true"), &[]));
    assert!(!is_told("logs-4.toml", &format!("{enabled}redact_query_string = true\n{off}"), &[]));
    assert!(!is_told("logs-5.toml", &enabled.replace("true", "false"), &[]), "no log at all");
    let bindings = "[[env.staging.durable_objects.bindings]]\nname = \"SESSIONS\"\nclass_name = \"SessionObject\"\n\
                    [[env.staging.durable_objects.bindings]]\nname = \"FEED\"\nclass_name = \"FeedObject\"\n";
    let origin = "[env.staging.vars.WARIFU]\norigin = \"http://origin.test\"\n";
    let staging = ["--env", "staging"];
    assert!(!is_told("logs-6.toml", &format!("{off}{bindings}{origin}"), &staging), "inherited");
    let own = format!("{off}{bindings}{origin}[env.staging.observability]\nenabled = true\n");
    assert!(is_told("logs-7.toml", &own, &staging), "its own takes the place of the whole table");
}

#[test]
fn a_copy_that_is_wanted_needs_a_kv_namespace() {
    let namespace = "\n[[kv_namespaces]]\nbinding = \"REPLICA\"\n";
    let row = |region: &str| format!("[[vars.WARIFU.map]]\ngeneration = 1\nregion = \"{region}\"\n");
    let check = |name: &str, more: &str| {
        let run = warifu(&["check", &file(name, &format!("{FINE}{more}")), "--json"]);
        let says_so = run.stderr.contains("note: replica is \"away\", and no KV namespace is bound as REPLICA");
        (found(&run), says_so)
    };
    let always = "replica = \"always\"\n";
    assert_eq!(check("kv-1.toml", always), (vec![at(18, 1, "vars.WARIFU.replica")], false));
    assert_eq!(check("kv-2.toml", &format!("{always}{namespace}")), (vec![], false));
    assert_eq!(check("kv-3.toml", &row("weur")), (vec![], true));
    assert_eq!(check("kv-4.toml", &format!("{}{namespace}", row("weur"))), (vec![], false));
    assert_eq!(check("kv-5.toml", "replica = \"away\"\n"), (vec![], true));
    assert_eq!(check("kv-6.toml", &row("auto")), (vec![], false), "it would never be used");
    assert_eq!(check("kv-7.toml", &format!("replica = \"off\"\n{}", row("weur"))), (vec![], false));

    let env = "\n[env.b.vars.WARIFU]\norigin = \"http://b.test\"\nreplica = \"always\"\n\
               [[env.b.durable_objects.bindings]]\nname = \"SESSIONS\"\nclass_name = \"SessionObject\"\n\
               [[env.b.durable_objects.bindings]]\nname = \"FEED\"\nclass_name = \"FeedObject\"\n";
    let path = file("kv-env.toml", &format!("{FINE}{namespace}{env}"));
    let run = warifu(&["check", &path, "--env", "b"]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("an environment does not inherit it: add [[env.b.kv_namespaces]]"), "{}", run.stdout);
}

#[test]
fn the_pages_must_not_be_served_without_asking_the_worker() {
    let check = |name: &str, more: &str| {
        let table = format!("\n[assets]\ndirectory = \"www\"\nbinding = \"ASSETS\"\n{more}\n");
        places(name, &format!("{FINE}{table}"), &[])
    };
    assert_eq!(check("assets-1.toml", "run_worker_first = true"), []);
    assert_eq!(check("assets-2.toml", "").len(), 1);
    for (name, value) in [("assets-3.toml", "false"), ("assets-4.toml", "[\"/_warifu/*\"]")] {
        let found = check(name, &format!("run_worker_first = {value}"));
        assert_eq!(found, [at(22, 1, "assets.run_worker_first")], "{value}");
    }
}

#[test]
fn the_keys_of_revocation_are_known() {
    let fine = "bound = \"250ms\"\nfence = \"read\"\nreplica = \"off\"\nreplica_horizon = \"1m\"\ncontinue_for = \"10m\"\n\
                [[vars.WARIFU.routes]]\npath = \"/news/*\"\naccess = \"required\"\non_outage = \"continue\"\n";
    let path = file("revocation.toml", &format!("{FINE}{fine}"));
    let run = warifu(&["check", &path, "--explain", "/news/1"]);
    assert!(run.code == 0 && run.stdout.contains("  on_outage     continue\n"), "{}", run.stdout);
    let bad = "bound = \"100ms\"\nfence = \"none\"\nreplica = \"never\"\nreplica_horizon = \"11m\"\ncontinue_for = \"0s\"\n\
               [[vars.WARIFU.routes]]\npath = \"/pay\"\naccess = \"strict\"\non_outage = \"continue\"\n";
    let expected = ["bound", "fence", "replica", "replica_horizon", "continue_for"]
        .into_iter()
        .zip(18..)
        .map(|(key, line)| at(line, 1, &format!("vars.WARIFU.{key}")))
        .chain([at(26, 1, "vars.WARIFU.routes[0].on_outage")]);
    assert_eq!(places("revocation-bad.toml", &format!("{FINE}{bad}"), &[]), expected.collect::<Vec<_>>());
}

#[test]
fn what_is_no_toml_has_a_place_too() {
    assert_eq!(places("syntax.toml", "main = \"x\"\nlogin = /login\n", &[]), [at(2, 9, "")]);
    let run = warifu(&["check", &file("syntax-people.toml", "main = \"x\"\nlogin = /login\n")]);
    assert!(run.stdout.contains("2 | login = /login\n"), "{}", run.stdout);
}

#[test]
fn what_cannot_be_read_is_2() {
    for path in ["nowhere.toml", "src", "package.json"] {
        let run = warifu(&["check", path]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{path}");
        assert!(run.stderr.contains(path), "{}", run.stderr);
    }
    assert_eq!(warifu(&["check", "--keys-file", "nowhere.vars"]).code, 2);
}

#[test]
fn keys_are_checked_as_wrangler_would_hand_them_over() {
    let open = "[[vars.WARIFU.routes]]\npath = \"/login\"\naccess = \"optional\"\n";
    let fine = file("keys-fine.toml", &format!("{FINE}{open}"));
    let check = |name: &str, vars: &str| {
        let vars = file(name, vars);
        let run = warifu(&["check", &fine, "--json", "--keys-file", &vars]);
        assert_eq!(run.stderr, "", "{name}");
        (run.code, found(&run))
    };
    let good = [
        format!("WARIFU_KEYS='{KEYS}'\n"),
        format!("# a remark\n\nOTHER=1\nWARIFU_KEYS={KEYS}"),
        format!("export WARIFU_KEYS = `{KEYS}` # the key\r\n"),
        format!("WARIFU_KEYS='{}'\n", KEYS.replace(',', ",\n")),
        format!("WARIFU_KEYS=nothing\nWARIFU_KEYS={KEYS}\n"),
    ];
    for (index, vars) in good.iter().enumerate() {
        assert_eq!(check(&format!("good-{index}.vars"), vars), (0, vec![]), "{vars}");
    }
    assert_eq!(check("none.vars", "WARIFU_KEYS_OLD=1\n"), (1, vec![at(1, 1, "WARIFU_KEYS")]));
    assert_eq!(check("bad.vars", "A=1\nWARIFU_KEYS=[]\n"), (1, vec![at(2, 1, "WARIFU_KEYS")]));
    let twice = format!("WARIFU_KEYS='{}'", KEYS.replace(']', &format!(",{}", &KEYS[1..])));
    let both = vec![at(1, 1, "WARIFU_KEYS[1].kid"), at(1, 1, "WARIFU_KEYS[1].key")];
    assert_eq!(check("twice.vars", &twice), (1, both));
    let admins = |list: &str| format!("WARIFU_KEYS='{KEYS}'\nWARIFU_ADMIN_KEYS='{list}'\n");
    let made = warifu(&["admin-key", "new", "--id", "ops"]).stdout;
    assert_eq!(check("admins.vars", &admins(&format!("[{}]", made.trim()))), (0, vec![]));
    assert_eq!(check("admins-none.vars", &admins("[]")), (0, vec![]));
    assert_eq!(check("admins-form.vars", &admins(made.trim())), (1, vec![at(2, 1, "WARIFU_ADMIN_KEYS")]));
    let bad = r#"[{"id":"a b","sha256":"00","scopes":["all"]}]"#;
    let mistakes = ["id", "sha256", "scopes"].map(|member| at(2, 1, &format!("WARIFU_ADMIN_KEYS[0].{member}")));
    assert_eq!(check("admins-bad.vars", &admins(bad)), (1, mistakes.to_vec()));
    let signs = format!("WARIFU_KEYS='{KEYS}'\nWARIFU_ORIGIN_KEYS='{KEYS}'\n");
    assert_eq!(check("signs.vars", &signs), (0, vec![]));
    let signs = format!("WARIFU_KEYS='{KEYS}'\nWARIFU_ORIGIN_KEYS='[{{\"kid\":1,\"key\":\"AA\"}}]'\n");
    assert_eq!(check("signs-bad.vars", &signs), (1, vec![at(2, 1, "WARIFU_ORIGIN_KEYS[0].key")]));
}

#[test]
fn what_needs_the_origins_keys_is_fine_where_they_cannot_be_seen_and_that_is_said() {
    let signs = format!("{FINE}require_signed_commands = true\nidentity = {{ sign = true }}\n");
    let path = file("origin-keys.toml", &signs);
    let run = warifu(&["check", &path]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    for key in ["vars.WARIFU.require_signed_commands", "vars.WARIFU.identity.sign"] {
        assert!(run.stderr.contains(&format!("note: {key} needs the secret WARIFU_ORIGIN_KEYS")), "{}", run.stderr);
    }
    assert!(!warifu(&["check", &file("no-origin-keys.toml", FINE)]).stderr.contains("needs the secret"));
    // A file with the secrets that lacks it says that it is not there.
    let lacks = file("origin-keys.vars", &format!("WARIFU_KEYS='{KEYS}'\n"));
    let run = warifu(&["check", &path, "--json", "--keys-file", &lacks]);
    let keys = ["require_signed_commands", "identity.sign"].map(|key| format!("vars.WARIFU.{key}"));
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
    assert_eq!(found(&run), [at(18, 1, &keys[0]), at(19, 14, &keys[1])]);
}

#[test]
fn no_secret_is_ever_shown() {
    let key = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I";
    let wrong_places = [
        format!("{FINE}origin2 = \"https://user:hunter2@h.test/\" # {key}\n"),
        FINE.replace("http://origin.test", "https://user:hunter2/@h.test/x"),
        FINE.replace("[vars.WARIFU]", &format!("[vars]\nWARIFU_KEYS = \"{key}\"\n[vars.WARIFU]")),
        FINE.replace("[vars.WARIFU]", "[vars]\nWARIFU_KEYS = \"hunter2\"\n[vars.WARIFU]"),
        format!(
            "vars = {{ WARIFU_ADMIN_KEYS = \"hunter2\", WARIFU = {{ x = 1 }} }}\n{}",
            FINE.split("[vars").next().expect("a start")
        ),
        format!("{FINE}nonsense = [\"{key}\"]\n"),
        format!("WARIFU_KEYS = \"hunter2\n{FINE}"),
        format!("x = [\"{key}\"\n"),
    ];
    for (index, content) in wrong_places.iter().enumerate() {
        let path = file(&format!("secret-{index}.toml"), content);
        for more in [&[][..], &["--json"]] {
            let run = warifu(&[&["check", &path], more].concat());
            assert_eq!(run.code, 1, "{content}");
            let all = format!("{}{}", run.stdout, run.stderr);
            assert!(!all.contains("hunter2") && !all.contains(&key[..6]), "{all}");
        }
    }
    let fine = file("secret-fine.toml", FINE);
    for vars in [
        "PASSWORD=c2VjcmV0".to_owned(),
        key.to_owned(),
        format!("WARIFU_KEYS={key}"),
        format!("WARIFU_KEYS='[{{\"kid\":1,\"key\":\"{key}x\"}}]'"),
        format!("WARIFU_ADMIN_KEYS={key}"),
        format!("WARIFU_ADMIN_KEYS='[{{\"id\":\"ops\",\"sha256\":\"{key}\",\"scopes\":[]}}]'"),
    ] {
        let run = warifu(&["check", &fine, "--keys-file", &file("secret.vars", &vars)]);
        assert_eq!(run.code, 1);
        assert!(!format!("{}{}", run.stdout, run.stderr).contains(&key[..6]), "{}", run.stdout);
    }
}

#[test]
fn a_secret_in_the_file_is_a_mistake() {
    let content = FINE.replace("[vars.WARIFU]", "[vars]\nWARIFU_KEYS = \"x\"\n[vars.WARIFU]");
    assert_eq!(places("secret-in-file.toml", &content, &[]), [at(17, 1, "vars.WARIFU_KEYS")]);
}

#[test]
fn a_table_may_be_given_as_json_as_well() {
    let text = |json: &str| {
        FINE.replace("[vars.WARIFU]\norigin = \"http://origin.test\"", &format!("[vars]\nWARIFU = '{json}'"))
    };
    assert_eq!(places("text-fine.toml", &text(r#"{"login":"/in"}"#), &[]), []);
    assert_eq!(places("text-bad.toml", &text(r#"{"logn":"/in"}"#), &[]), [at(17, 1, "vars.WARIFU.logn")]);
    assert_eq!(places("text-broken.toml", &text("{"), &[]), [at(17, 1, "vars.WARIFU")]);
}

#[test]
fn the_policy_is_explained_by_the_gateways_own_code() {
    let routes = "[[vars.WARIFU.routes]]\npath = \"/login\"\nmethods = [\"POST\"]\naccess = \"optional\"\ncommands = true\n\
                  [[vars.WARIFU.routes]]\npath = \"/relay\"\naccess = \"optional\"\ncommands = \"nonce\"\n\
                  [[vars.WARIFU.routes]]\npath = \"/news/*\"\naccess = \"public\"\nactivity = false\n\
                  [[vars.WARIFU.routes]]\npath = \"/pay\"\naccess = \"strict\"\nlevel = 2\nmax_auth_age = \"5m\"\n";
    let path = file("explain.toml", &format!("{FINE}{routes}"));
    let explain = |more: &[&str]| {
        let run = warifu(&[&["check", &path, "--json", "--explain"], more].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        serde_json::from_str::<Value>(&run.stdout).expect("JSON")
    };
    let demand = |method, path, canonical, access, commands, activity| {
        json!({"method": method, "path": path, "canonical": canonical, "level": 0, "max_auth_age": null,
               "access": access, "commands": commands, "activity": activity, "on_outage": "closed", "on_end": "close"})
    };
    assert_eq!(explain(&["/login"]), demand("GET", "/login", "/login", "required", false, true));
    assert_eq!(
        explain(&["/login?x=1", "--method", "post"]),
        demand("POST", "/login", "/login", "optional", true, true)
    );
    assert_eq!(explain(&["/relay"])["commands"], "nonce");
    assert_eq!(explain(&["/news/%61/"]), demand("GET", "/news/%61/", "/news/a/", "public", false, false));
    // The stricter of both readings.
    assert_eq!(explain(&["/news;x/a"]), demand("GET", "/news;x/a", "/news;x/a", "required", false, false));
    assert_eq!(
        explain(&["/a%2fb"]),
        json!({"method": "GET", "path": "/a%2fb", "refused": "400 bad_request: the path has an encoded / or \\"})
    );
    assert!(explain(&["/_warifu/health"])["answered"].is_string());

    let run = warifu(&["check", &path, "--explain", "/news/1"]);
    assert_eq!(
        run.stdout,
        "GET /news/1\n  canonical     /news/1\n  access        public\n  level         0\n  max_auth_age  none\n  commands      no\n  \
         activity      no\n  on_outage     closed\n  on_end        close\n"
    );
    let run = warifu(&["check", &path, "--explain", "/pay"]);
    assert!(run.stdout.contains("  level         2\n  max_auth_age  5m\n"), "{}", run.stdout);
    assert_eq!((&explain(&["/pay"])["level"], &explain(&["/pay"])["max_auth_age"]), (&json!(2), &json!("5m")));
    assert_eq!(warifu(&["check", &path, "--method", "POST"]).code, 2);

    let bad = file("explain-bad.toml", "");
    assert_eq!(warifu(&["check", &bad, "--explain", "/"]).code, 1);
}

/// Two sites behind the defaults of [`FINE`].
pub const SITES: &str = r#"routes = [{ path = "/open", access = "public" }]

[[vars.WARIFU.sites]]
site = "shop"
hosts = ["shop.test", "www.shop.test"]

[[vars.WARIFU.sites]]
site = "news"
hosts = ["news.test"]
origin = "http://news.origin.test"
routes = []
"#;

#[test]
fn each_site_is_explained_or_the_one_of_a_host() {
    let path = file("sites.toml", &format!("{FINE}{SITES}"));
    let run = warifu(&["check", &path]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.ends_with(": no mistakes (1 route of 2 sites)\n"), "{}", run.stdout);
    let explained = |more: &[&str]| {
        let run = warifu(&[&["check", &path, "--json", "--explain", "/open"], more].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        let read = |line: &str| -> Value { serde_json::from_str(line).expect("a line of JSON") };
        let pair = |found: Value| (found["site"].clone(), found["access"].clone());
        run.stdout.lines().map(read).map(pair).collect::<Vec<_>>()
    };
    assert_eq!(explained(&[]), [(json!("shop"), json!("public")), (json!("news"), json!("required"))]);
    assert_eq!(explained(&["--host", "www.shop.test"]), [(json!("shop"), json!("public"))]);
    assert_eq!(explained(&["--host", "news.test"]), [(json!("news"), json!("required"))]);
    let run = warifu(&["check", &path, "--explain", "/open", "--host", "else.test"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    for host in ["shop.test", "www.shop.test", "news.test"] {
        assert!(run.stderr.contains(host), "{}", run.stderr);
    }
}

#[test]
fn a_mistake_of_a_site_is_found_where_it_stands() {
    let broken = SITES.replace("routes = []", "routes = [{ path = \"/x\", access = \"open\" }]");
    assert_eq!(
        places("site.toml", &format!("{FINE}{broken}"), &[]),
        [at(28, 26, "vars.WARIFU.sites[1].routes[0].access")]
    );
    let twins = SITES.replace("[\"news.test\"]", "[\"shop.test\"]");
    assert_eq!(places("twins.toml", &format!("{FINE}{twins}"), &[]), [at(26, 1, "vars.WARIFU.sites[1].hosts")]);
}
