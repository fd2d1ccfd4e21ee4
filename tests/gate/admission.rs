use std::time::Duration;

use crate::support::{World, request, site, site_of, site_plus};

#[test]
fn without_a_session_a_browser_is_sent_to_the_login_and_others_get_a_problem() {
    let (world, site) = (World::with_login(), site());
    let browser = world.serve(&site, &request("GET", "/account?tab=1&x=%2F", &[("sec-fetch-mode", "navigate")]));
    assert_eq!(browser.status, Some(302));
    assert_eq!(browser.header("location"), Some("/login?return_to=/account%3Ftab%3D1%26x%3D%252F"));
    assert_eq!(browser.header("set-cookie"), None);
    let program = world.serve(&site, &request("GET", "/account", &[("accept", "application/json")]));
    assert_eq!(program.status, Some(401));
    assert_eq!(program.header("content-type"), Some("application/problem+json"));
    assert_eq!(program.header("cache-control"), Some("no-store"));
    assert_eq!(program.header("www-authenticate"), Some("Cookie"), "RFC 9110 wants it with every 401");
    let body: serde_json::Value = serde_json::from_str(&program.body).expect("JSON");
    assert_eq!((&body["code"], &body["status"]), (&"no_session".into(), &401.into()));
    assert_eq!(world.shards.calls.get(), 0, "nobody was asked");
    assert!(world.origin.seen.borrow().is_empty(), "nothing was forwarded");
}

#[test]
fn from_a_form_that_was_sent_the_way_back_is_its_page() {
    let (world, site) = (World::with_login(), site());
    let location = |referer: Option<&str>| {
        let headers: Vec<_> = [("sec-fetch-mode", "navigate"), ("sec-fetch-site", "same-origin")]
            .into_iter()
            .chain(referer.map(|referer| ("referer", referer)))
            .collect();
        let seen = world.serve(&site, &request("POST", "/account/comments?x=1", &headers));
        assert_eq!(seen.status, Some(302));
        seen.header("location").expect("a location").to_owned()
    };
    let back = "/login?return_to=/account/7%3Ftab%3D1";
    assert_eq!(location(Some("https://app.test/account/7?tab=1")), back);
    for elsewhere in [
        "https://app.test",
        "https://app.test.evil/account",
        "https://app.test:8443/account",
        "https://app.test//evil.example/",
        "https://app.test/\\evil.example",
        "http://app.test/account",
        "https://evil.example/account",
        "about:blank",
    ] {
        assert_eq!(location(Some(elsewhere)), "/login", "{elsewhere}");
    }
    assert_eq!(location(None), "/login");
}

#[test]
fn a_login_page_that_wants_a_session_does_not_redirect_to_itself() {
    let world = World::with_login();
    let all_required = site_of("{}");
    let seen = world.serve(&all_required, &request("GET", "/login?return_to=/", &[("sec-fetch-mode", "navigate")]));
    assert_eq!(seen.status, Some(401));
    assert_eq!(world.event_names(), ["login_needs_session"], "the log says what is missing");
}

/// An application that leads from `/login` to `/login/` and back would never end.
#[test]
fn nor_does_its_twin_with_a_slash_at_the_end() {
    let asked = [("sec-fetch-mode", "navigate")];
    for (login, twin) in [("/login", "/login/"), ("/login/", "/login"), ("/login?a=b", "/login/?c=d")] {
        let path = login.split('?').next().expect("a path");
        let config = format!(r#"{{"login": "{login}", "routes": [{{"path": "{path}", "access": "optional"}}]}}"#);
        let (world, site) = (World::with_login(), site_of(&config));
        assert_eq!(world.serve(&site, &request("GET", twin, &asked)).status, Some(401), "{twin}");
        assert_eq!(world.event_names(), ["login_needs_session"]);
        assert_eq!(world.serve(&site, &request("GET", "/logins", &asked)).status, Some(302));
    }
}

#[test]
fn what_no_rule_names_is_protected() {
    let (world, site) = (World::with_login(), site());
    for path in ["/unknown", "/assetsx", "/accounts", "/Account", "/_warifux"] {
        assert_eq!(world.serve(&site, &request("GET", path, &[])).status, Some(401), "{path}");
    }
    for path in ["/assets", "/assets/", "/assets/a/b.css", "/"] {
        assert_eq!(world.serve(&site, &request("GET", path, &[])).status, None, "{path}");
    }
}

#[test]
fn a_rule_with_methods_is_for_those_only() {
    let site = site_of(
        r#"{"origin": "http://o", "routes": [{"path": "/*", "methods": ["GET", "HEAD"], "access": "public"}]}"#,
    );
    let world = World::with_login();
    for (method, status) in [("GET", None), ("HEAD", None), ("POST", Some(401)), ("OPTIONS", Some(401))] {
        assert_eq!(world.serve(&site, &request(method, "/x", &[])).status, status, "{method}");
    }
}

/// RFC 9110, section 9.3.2: what an application does for GET, it does for HEAD, and its
/// header fields say what came of it.
#[test]
fn a_rule_for_get_is_one_for_head() {
    let site = site_of(
        r#"{"origin": "http://o", "routes": [
            {"path": "/report", "methods": ["GET"], "access": "required"},
            {"path": "/probe", "methods": ["HEAD"], "access": "public"},
            {"path": "/probe", "methods": ["GET"], "access": "required"},
            {"path": "/*", "access": "public"}]}"#,
    );
    let world = World::with_login();
    for (method, path, status) in [
        ("GET", "/report", Some(401)),
        ("HEAD", "/report", Some(401)),
        ("POST", "/report", None),
        ("HEAD", "/probe", None),
        ("GET", "/probe", Some(401)),
    ] {
        assert_eq!(world.serve(&site, &request(method, path, &[])).status, status, "{method} {path}");
    }
}

#[test]
fn a_path_that_an_origin_may_decode_again_gets_the_strictest_reading() {
    let routes = r#""routes": [
        {"path": "/open/admin/*", "access": "required"}, {"path": "/open/a%20b", "access": "strict"},
        {"path": "/open/*", "access": "public"}]"#;
    let (world, site) = (World::with_login(), site_of(&format!(r#"{{"origin": "http://origin.test", {routes}}}"#)));
    let status = |path: &str| world.serve(&site, &request("GET", path, &[])).status;
    for path in ["/open/admin", "/open/admin%3Bx", "/open/admin%253Bx", "/open/admin%25253Bx/y", "/open/admin%3Fx"] {
        assert_eq!(status(path), Some(401), "{path}");
    }
    for path in ["/open/admin%23x", "/open/admin%253f", "/open/a%20b", "/open/a%2520b", "/open/a%2520b;x"] {
        assert_eq!(status(path), Some(401), "{path}");
    }
    for path in ["/open/x%3Bx", "/open/administrator%3Fx", "/open/x%2520b", "/open/what%3F"] {
        assert_eq!(status(path), None, "{path}");
    }
    // Our own API is never the application's, and the reverse.
    assert_eq!(status("/_warifu%3Fx"), Some(404));
}

#[test]
fn path_parameters_get_the_stricter_reading() {
    let site = site_of(
        r#"{"origin": "http://o", "routes": [
        {"path": "/a/secret", "access": "strict"},
        {"path": "/*", "access": "public"}
    ]}"#,
    );
    let world = World::with_login();
    for path in ["/a;x/secret", "/a/secret;jsessionid=1", "/a/secret;", "/a/secret%3bx"] {
        assert_eq!(world.serve(&site, &request("GET", path, &[])).status, Some(401), "{path}");
    }
    assert_eq!(world.serve(&site, &request("GET", "/a;x/other", &[])).status, None);
}

#[test]
fn case_is_folded_only_where_the_origin_folds_it() {
    let rules = r#""origin": "http://o", "routes": [{"path": "/transfer", "access": "required"}, {"path": "/*", "access": "public"}]"#;
    let world = World::with_login();
    let folding = site_of(&format!(r#"{{"case_insensitive": true, {rules}}}"#));
    assert_eq!(world.serve(&folding, &request("GET", "/TRANSFER", &[])).status, Some(401));
    let exact = site_of(&format!("{{{rules}}}"));
    assert_eq!(world.serve(&exact, &request("GET", "/TRANSFER", &[])).status, None);
}

#[test]
fn a_store_out_of_reach_is_not_a_missing_session() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    world.shards.is_down.set(true);
    let headers = [("cookie", cookie.as_str())];
    for (path, navigates) in [("/account", false), ("/account", true), ("/transfer/x", false)] {
        let mut headers = headers.to_vec();
        headers.extend(navigates.then_some(("sec-fetch-mode", "navigate")));
        let seen = world.serve(&site, &request("GET", path, &headers));
        assert_eq!(seen.status, Some(503), "{path}");
        assert!(seen.header("retry-after").is_some());
        assert_eq!(seen.header("set-cookie"), None, "the cookie is never touched");
        assert!(seen.body.contains(if navigates {
            "Nothing is wrong with your account."
        } else {
            "store_unavailable"
        }));
        assert!(!seen.body.contains("down"), "no internal text gets out");
    }
    let optional = world.serve(&site, &request("GET", "/echo/x", &headers));
    assert_eq!(optional.status, None, "an optional route goes on without identity");
    world.shards.is_down.set(false);
    assert_eq!(world.serve(&site, &request("GET", "/account", &headers)).status, None, "the session is still there");
}

#[test]
fn both_timeouts_apply_and_use_renews() {
    let (world, site) = (World::with_login(), site());
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let cookie = world.log_in(&site);
    let account = request("GET", "/account", &[("cookie", cookie.as_str())]);
    for _ in 0..35 {
        world.pass(minutes(20));
        assert_eq!(world.serve(&site, &account).status, None, "in use");
    }
    world.pass(minutes(20));
    assert_eq!(world.serve(&site, &account).status, Some(401), "12 h are over");

    let cookie = world.log_in(&site);
    let account = request("GET", "/account", &[("cookie", cookie.as_str())]);
    world.pass(minutes(34));
    assert_eq!(world.serve(&site, &account).status, Some(401), "idle for more than 30 min and a tenth");
}

#[test]
fn renewals_are_rare_and_polling_does_not_count() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    let calls = |path, n: u32| {
        let before = world.shards.calls.get();
        for _ in 0..n {
            world.pass(Duration::from_secs(6));
            assert_eq!(world.serve(&site, &request("GET", path, &[("cookie", cookie.as_str())])).status, None);
        }
        world.shards.calls.get() - before - n
    };
    assert_eq!(calls("/account", 300), 10, "30 min of use, a renewal each 3 min");
    assert_eq!(calls("/poll", 280), 0);
    world.pass(Duration::from_secs(400));
    assert_eq!(world.serve(&site, &request("GET", "/account", &[("cookie", cookie.as_str())])).status, Some(401));
}

#[test]
fn a_longer_idle_timeout_logs_nobody_out_who_is_in_use() {
    let (world, before) = (World::with_login(), site());
    let longer = site_plus(r#""idle_timeout": "10h""#);
    let cookie = world.log_in(&before);
    let calls = world.shards.calls.get();
    for minute in 1..=120 {
        world.pass(Duration::from_secs(60));
        let seen = world.serve(&longer, &request("GET", "/account", &[("cookie", cookie.as_str())]));
        assert_eq!(seen.status, None, "in minute {minute}");
    }
    // A confirmation a minute; and renewals, of the first use and of that in the second hour.
    assert_eq!(world.shards.calls.get() - calls, 120 + 2);
}

#[test]
fn a_shard_of_another_row_is_a_misconfiguration_and_no_missing_session() {
    let world = World::with_login();
    let rule = r#""origin": "http://o", "routes": [{"path": "/login", "access": "optional", "commands": true}]"#;
    world.log_in(&site_of(&format!(r#"{{{rule}, "map": [{{"generation": 1, "shards": 1}}]}}"#)));
    // A row that was changed so that alice's shard has the same number.
    let changed = site_of(&format!(r#"{{{rule}, "map": [{{"generation": 1, "shards": 17}}]}}"#));
    let reply = world.serve(&changed, &request("POST", "/login", &[]));
    assert_eq!(reply.status, Some(500));
    assert!(reply.body.contains("misconfigured") && reply.body.contains("the Worker's log says what is wrong"));
    assert!(!reply.body.contains("row"), "the client is not told what");
}

#[test]
fn hosts_and_the_operators_host() {
    let world = World::with_login();
    let site = site_of(
        r#"{"hosts": ["app.test"], "admin_host": "admin.test", "routes": [{"path": "/*", "access": "public"}]}"#,
    );
    let at = |host: &str, path: &str| {
        let url = format!("https://{host}{path}");
        let request =
            warifu::request::Request::new("GET", &url, warifu::headers::HeaderBlock::default()).expect("a request");
        let seen = world.serve(&site, &request);
        if seen.status == Some(421) {
            let says = if host == "admin.test" { "this host is admin_host" } else { "the host is in no list hosts" };
            assert!(seen.body.contains(says), "{}", seen.body);
        }
        seen.status
    };
    assert_eq!(at("app.test", "/"), None);
    assert_eq!(at("other.test", "/"), Some(421));
    assert_eq!(at("app.test:8443", "/"), Some(421));
    assert_eq!(at("admin.test", "/"), Some(421), "the application is not served there");
    assert_eq!(at("admin.test", "/_warifu/health"), Some(200));
    assert_eq!(at("other.test", "/_warifu/health"), Some(421));
}

/// A browser that has fetch metadata sends Sec-Fetch-Site with each request; the `fetch`
/// of Node sends Sec-Fetch-Mode alone, from backends.
#[test]
fn an_administrators_backend_is_no_browser_for_being_written_in_node() {
    let (world, site) = (World::with_login(), site());
    let ask = |header: (&str, &str)| {
        let headers = [("authorization", "Bearer hunter2"), header];
        world.serve(&site, &request("DELETE", "/_warifu/sessions?subject=nobody", &headers)).status
    };
    assert_eq!(ask(("sec-fetch-mode", "cors")), Some(404), "it was let through");
    for browser in
        [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none"), ("origin", "https://app.test"), ("origin", "")]
    {
        assert_eq!(ask(browser), Some(403), "{browser:?}");
    }
}

#[test]
fn who_asks_for_the_health_again_and_again_has_no_object_asked_each_time() {
    let (world, site) = (World::with_login(), site());
    let health = request("GET", "/_warifu/health", &[("cf-connecting-ip", "203.0.113.77")]);
    let ask = |status| (0..100).for_each(|_| assert_eq!(world.serve(&site, &health).status, Some(status)));
    ask(200);
    assert_eq!(world.shards.calls.get(), 1);
    world.shards.is_down.set(true);
    world.pass(Duration::from_secs(1));
    ask(503);
    assert_eq!(world.event_names(), ["store_unavailable"], "told once, and counted");
    let counted = world.memory(&site).tally().events();
    assert!(counted.contains(&("store_unavailable".to_owned(), 100)), "{counted:?}");
    world.shards.is_down.set(false);
    ask(200);
}

#[test]
fn health_says_whether_sessions_can_be_checked() {
    let (world, site) = (World::with_login(), site());
    let health = request("GET", "/_warifu/health", &[]);
    let seen = world.serve(&site, &health);
    assert_eq!((seen.status, seen.body.as_str()), (Some(200), r#"{"status":"ok"}"#));
    world.shards.is_down.set(true);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.serve(&site, &health).status, Some(503));
    assert_eq!(world.serve(&site, &request("POST", "/_warifu/health", &[])).header("allow"), Some("GET, HEAD"));
    assert_eq!(world.serve(&site, &request("GET", "/_warifu/nothing", &[])).status, Some(404));
    assert_eq!(world.serve(&site, &request("GET", "/_WARIFU/x", &[])).status, Some(404), "never the origin's");
    for call in ["health", "openapi.json"] {
        let seen = world.serve(&site, &request("GET", &format!("/_warifu/{call}?x=1"), &[]));
        assert!(seen.status == Some(400) && seen.body.contains("unknown parameter"), "{call}: {}", seen.body);
    }
}
