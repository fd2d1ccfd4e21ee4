//! `warifu check` remarks on rules that cannot do what somebody meant by them.

use crate::check::FINE;
use crate::{file, warifu};

fn notes(name: &str, more: &str) -> Vec<String> {
    let run = warifu(&["check", &file(name, &format!("{FINE}{more}"))]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    run.stderr
        .lines()
        .filter(|line| line.starts_with("note: the rule") || line.contains("rule for") || line.contains("partitioned"))
        .map(str::to_owned)
        .collect()
}

fn rule(path: &str, more: &str) -> String {
    format!("[[vars.WARIFU.routes]]\npath = \"{path}\"\n{more}\n")
}

#[test]
fn a_rule_behind_one_that_has_all_of_its_requests_is_told_of() {
    let (public, required) = ("access = \"public\"", "access = \"required\"");
    let get = "access = \"public\"\nmethods = [\"GET\"]";
    let post = "access = \"required\"\nmethods = [\"POST\"]";
    for (first, second, is_told) in [
        (rule("/*", public), rule("/members/*", required), true),
        (rule("/members/*", required), rule("/*", public), false),
        (rule("/api/*", required), rule("/api/login", public), true),
        (rule("/api/*", required), rule("/api", public), true),
        (rule("/api/*", required), rule("/apis", public), false),
        (rule("/a", required), rule("/a", public), true),
        (rule("/a", required), rule("/a/", public), false),
        (rule("/a", required), rule("/a/*", public), false),
        (rule("/api/*", get), rule("/api/x", post), false),
        (rule("/api/*", get), rule("/api/x", required), false),
        (rule("/api/*", required), rule("/api/x", post), true),
    ] {
        let told = notes("rules-order.toml", &format!("{first}{second}"));
        assert_eq!(told.iter().any(|note| note.contains("never counts")), is_told, "{first}{second}{told:?}");
    }
    let told = notes("rules-names.toml", &format!("{}{}", rule("/*", public), rule("/members/*", required)));
    assert!(
        told[0].starts_with("note: the rule for \"/members/*\" never counts: the one for \"/*\" comes before it"),
        "{told:?}"
    );
}

#[test]
fn what_has_no_effect_or_can_never_be_met_is_told_of() {
    let told = |name: &str, more: &str| notes(name, more).len();
    assert_eq!(told("rules-age.toml", &rule("/pay", "access = \"strict\"\nmax_auth_age = \"0s\"")), 1);
    assert_eq!(told("rules-age-fine.toml", &rule("/pay", "access = \"strict\"\nmax_auth_age = \"5m\"")), 0);
    let goes_on = "access = \"required\"\non_outage = \"continue\"";
    assert_eq!(told("rules-outage.toml", &format!("bound = \"0s\"\n{}", rule("/a", goes_on))), 1);
    assert_eq!(told("rules-outage-fine.toml", &rule("/a", goes_on)), 0);
    assert_eq!(told("rules-outage-public.toml", &rule("/a", &goes_on.replace("required", "public"))), 1);
    assert_eq!(told("rules-frame.toml", "cookie.partitioned = true\n"), 1);
    assert_eq!(told("rules-frame-fine.toml", "cookie.partitioned = true\ncookie.same_site = \"none\"\n"), 0);
}
