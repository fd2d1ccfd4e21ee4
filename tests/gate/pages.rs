//! The files of the console and of the account page: who gets which, and what
//! browsers are told about them.

use warifu::headers::HeaderBlock;
use warifu::request::Request;

use crate::support::world::Seen;
use crate::support::{World, request, site};

fn with_pages() -> World {
    let world = World::with_login();
    *world.assets.borrow_mut() = vec![
        ("/console/index.html", Some("\"c\""), "the console"),
        ("/account/index.html", None, "the account"),
        ("/shared/dom.js", Some("\"d\""), "export {}"),
        ("/shared/LICENSE", None, "a licence"),
        ("/account", None, "never asked for"),
    ];
    world
}

fn at(world: &World, method: &str, host: &str, path: &str, headers: &[(&str, &str)]) -> Seen {
    let headers = HeaderBlock::from_pairs(headers.iter().copied());
    world.serve(&site(), &Request::new(method, &format!("https://{host}{path}"), headers).expect("a request"))
}

#[test]
fn the_console_is_on_the_operators_host_only() {
    let world = with_pages();
    let seen = at(&world, "GET", "admin.test", "/_warifu/console/", &[]);
    assert_eq!((seen.status, seen.body.as_str()), (Some(200), "the console"));
    assert_eq!(at(&world, "GET", "app.test", "/_warifu/console/", &[]).status, Some(404));
    assert_eq!(at(&world, "GET", "admin.test", "/_warifu/account/", &[]).status, Some(404));
    let bare = at(&world, "GET", "admin.test", "/_warifu/console", &[]);
    assert_eq!((bare.status, bare.header("location")), (Some(308), Some("/_warifu/console/")));
    assert_eq!(at(&world, "GET", "app.test", "/_warifu/console", &[]).status, Some(404));
    for host in ["admin.test", "app.test"] {
        assert_eq!(at(&world, "GET", host, "/_warifu/shared/dom.js", &[]).status, Some(200));
    }
}

#[test]
fn the_account_page_is_for_who_is_logged_in() {
    let (world, site) = (with_pages(), site());
    let navigate = [("sec-fetch-mode", "navigate"), ("sec-fetch-site", "none")];
    let seen = at(&world, "GET", "app.test", "/_warifu/account/", &navigate);
    let to_login = Some("/login?return_to=/_warifu/account/");
    assert_eq!((seen.status, seen.header("location")), (Some(302), to_login));
    let cookie = world.log_in(&site);
    let seen = world.serve(&site, &request("GET", "/_warifu/account/", &[("cookie", &cookie)]));
    assert_eq!((seen.status, seen.body.as_str()), (Some(200), "the account"));
    world.shards.is_down.set(true);
    world.pass(std::time::Duration::from_secs(3));
    let seen = world.serve(&site, &request("GET", "/_warifu/account/", &[("cookie", &cookie)]));
    assert_eq!(seen.status, Some(503), "a store out of reach is not a missing session");
}

#[test]
fn a_page_runs_nothing_but_its_own_files() {
    let world = with_pages();
    let seen = at(&world, "GET", "admin.test", "/_warifu/console/", &[]);
    let policy = seen.header("content-security-policy").expect("a policy");
    for part in [
        "default-src 'none'",
        "script-src https://admin.test/_warifu/;",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ] {
        assert!(policy.contains(part), "{part}: {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("strict-transport-security", "max-age=31536000"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
}

#[test]
fn a_file_is_kept_by_browsers_while_it_is_the_same() {
    let world = with_pages();
    let at = |headers: &[(&str, &str)]| at(&world, "GET", "app.test", "/_warifu/shared/dom.js", headers);
    let seen = at(&[]);
    assert_eq!((seen.header("etag"), seen.header("cache-control")), (Some("\"d\""), Some("no-cache")));
    assert_eq!(seen.header("content-type"), Some("text/javascript; charset=utf-8"));
    let same = at(&[("if-none-match", "\"d\"")]);
    assert_eq!((same.status, same.body.as_str()), (Some(304), ""));
    // RFC 9110, section 13.1.2: a list, compared weakly.
    for (tags, status) in [
        ("W/\"d\"", 304),
        ("\"e\", W/\"d\"", 304),
        ("\"e\",\"d\" ,\"f\"", 304),
        ("*", 304),
        ("\"e\"", 200),
        ("W/\"e\", \"dd\"", 200),
        ("d", 200),
        ("", 200),
    ] {
        assert_eq!(at(&[("if-none-match", tags)]).status, Some(status), "{tags}");
    }
}

#[test]
fn nothing_else_is_served_from_the_files() {
    let world = with_pages();
    for path in
        ["/shared/LICENSE", "/shared/", "/shared", "/shared/none.js", "/shared/.x.js", "/console/%61.js/..%2fx.js"]
    {
        let seen = at(&world, "GET", "app.test", &format!("/_warifu{path}"), &[]);
        assert!(matches!(seen.status, Some(404 | 400)), "{path}: {:?}", seen.status);
    }
    let seen = at(&world, "POST", "admin.test", "/_warifu/console/", &[("sec-fetch-site", "same-origin")]);
    assert_eq!((seen.status, seen.header("allow")), (Some(405), Some("GET, HEAD")));
    assert_eq!(at(&world, "GET", "app.test", "/console/", &[]).status, Some(401), "the application's own path");
}

#[test]
fn a_deployment_may_do_without_the_pages() {
    let world = World::with_login();
    for path in ["/console/", "/console", "/shared/dom.js"] {
        assert_eq!(at(&world, "GET", "admin.test", &format!("/_warifu{path}"), &[]).status, Some(404), "{path}");
    }
    assert_eq!(at(&world, "GET", "app.test", "/_warifu/account/", &[]).status, Some(404));
}
