use warifu::site::{Secrets, Sites};

use crate::support::{KEYS, World, request, site, site_of};

#[test]
fn a_start_sets_the_cookie_and_the_header_is_removed() {
    let (world, site) = (World::with_login(), site());
    let reply = world.serve(&site, &request("POST", "/login", &[("sec-fetch-site", "same-origin")]));
    assert_eq!(reply.status, None);
    assert_eq!(reply.removed, ["warifu-command"]);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let set_cookie = reply.header("set-cookie").expect("a cookie");
    let (pair, attributes) = set_cookie.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=43200");
    assert_eq!(pair.strip_prefix("__Host-Http-warifu=").expect("the name").len(), 72);
    assert_eq!(world.serve(&site, &request("GET", "/account", &[("cookie", pair)])).status, None);
    assert_eq!(world.event_names(), ["session_started"]);
}

#[test]
fn fixation_nothing_of_a_presented_token_goes_into_the_new_one() {
    let (world, site) = (World::with_login(), site());
    let old = world.log_in(&site);
    let login = request("POST", "/login", &[("cookie", &old), ("sec-fetch-site", "same-origin")]);
    let new = world.serve(&site, &login).cookie().expect("a cookie").to_owned();
    assert_ne!(old, new);
    let status = |cookie: &str| world.serve(&site, &request("GET", "/account", &[("cookie", cookie)])).status;
    assert_eq!(status(&old), Some(401), "the same subject's presented session is ended");
    assert_eq!(status(&new), None);
    let names = world.event_names();
    assert_eq!(names, ["session_started", "session_replaced", "session_started"]);
}

#[test]
fn do_end_ends_the_session_and_clears_the_cookie() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    let reply = world.serve(&site, &request("POST", "/signout", &[("cookie", &cookie)]));
    assert_eq!(reply.set_cookie(), Some("__Host-Http-warifu=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"));
    assert_eq!(world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)])).status, Some(401));
}

#[test]
fn a_start_carries_level_ttl_and_claims() {
    let site = site();
    // {"plan":"gold"}
    let command = "do=start, sub=%\"b%c3%b6b 100%25\", level=7, ttl=60, claims=:eyJwbGFuIjoiZ29sZCJ9:";
    let world = World::new(move |outgoing| {
        Some(if outgoing.url.contains("/login") { vec![("Warifu-Command", command)] } else { vec![] })
    });
    let reply = world.serve(&site, &request("POST", "/login", &[]));
    assert!(reply.header("set-cookie").expect("a cookie").ends_with("; Max-Age=60"));
    let account = request("GET", "/account", &[("cookie", reply.cookie().expect("a cookie"))]);
    world.serve(&site, &account);
    let seen = world.origin.seen.borrow();
    let set = &seen.last().expect("forwarded").edits.set;
    let one = |name: &str| set.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    assert_eq!(one("warifu-subject"), Some("b%C3%B6b%20100%25"));
    assert_eq!(one("warifu-level"), Some("7"));
    assert_eq!(one("warifu-claims"), Some("eyJwbGFuIjoiZ29sZCJ9"));
    drop(seen);
    world.pass(std::time::Duration::from_secs(61));
    assert_eq!(world.serve(&site, &account).status, Some(401), "the ttl is over");
}

#[test]
fn without_randomness_there_is_no_session() {
    let (world, site) = (World::with_login(), site());
    world.random.is_broken.set(true);
    let reply = world.serve(&site, &request("POST", "/login", &[]));
    assert_eq!((reply.status, reply.header("set-cookie")), (Some(500), None));
    assert_eq!(world.shards.calls.get(), 0);
}

#[test]
fn the_cookie_is_written_as_configured() {
    for (cookie, attributes) in [
        (r#"{"persistent": false}"#, "Path=/; Secure; HttpOnly; SameSite=Lax"),
        (r#"{"partitioned": true, "persistent": false}"#, "Path=/; Secure; HttpOnly; SameSite=Lax; Partitioned"),
        (r#"{"same_site": "none", "persistent": false}"#, "Path=/; Secure; HttpOnly; SameSite=None"),
        (r#"{"same_site": "strict"}"#, "Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200"),
    ] {
        let routes = r#"[{"path": "/login", "access": "optional", "commands": true}]"#;
        let site = site_of(&format!(r#"{{"origin": "http://o", "cookie": {cookie}, "routes": {routes}}}"#));
        let reply = World::with_login().serve(&site, &request("POST", "/login", &[]));
        let set_cookie = reply.header("set-cookie").expect("a cookie");
        assert_eq!(set_cookie.split_once("; ").expect("attributes").1, attributes);
    }
}

/// RFC 6265bis, section 5.4: browsers ignore a cookie whose name and value are
/// longer than 4,096 bytes.
#[test]
fn the_longest_name_makes_a_cookie_that_browsers_take() {
    let config = |bytes: usize| {
        let name = format!("__Host-{}", "a".repeat(bytes - 7));
        let routes = r#"[{"path": "/login", "access": "optional", "commands": true}]"#;
        format!(r#"{{"origin": "http://o", "cookie": {{"name": "{name}"}}, "routes": {routes}}}"#)
    };
    let reply = World::with_login().serve(&site_of(&config(64)), &request("POST", "/login", &[]));
    assert_eq!(reply.cookie().map(str::len), Some(64 + 1 + 72), "of 4,096");
    let longer = Sites::read(&config(65), Secrets { keys: Some(KEYS), ..Secrets::default() });
    assert!(longer.is_err_and(|mistakes| mistakes.iter().any(|mistake| mistake.key == "cookie.name")));
}

#[test]
fn the_origin_cannot_write_the_session_cookie_itself() {
    let site = site();
    let world = World::new(|_| {
        Some(vec![
            ("Set-Cookie", "theirs=1"),
            ("Set-Cookie", "__Host-Http-warifu=evil; Path=/; Secure"),
            ("Set-Cookie", " __host-http-WARIFU =evil"),
            ("Set-Cookie", "= __Host-Http-warifu=evil; Path=/; Secure"),
            ("Set-Cookie", "more=2; Path=/"),
        ])
    });
    for path in ["/", "/echo/x", "/login"] {
        let reply = world.serve(&site, &request("GET", path, &[]));
        assert_eq!(reply.removed, ["set-cookie"], "{path}");
        let kept: Vec<&str> =
            reply.headers.iter().filter(|(n, _)| n == "set-cookie").map(|(_, v)| v.as_str()).collect();
        assert_eq!(kept, ["theirs=1", "more=2; Path=/"], "{path}");
    }
    assert_eq!(world.event_names(), ["cookie_refused"; 3]);
}

#[test]
fn commands_count_only_where_the_route_allows_them() {
    let site = site();
    let world = World::new(|_| Some(vec![("Warifu-Command", "do=start, sub=\"mallory\"")]));
    for path in ["/", "/echo/x"] {
        let reply = world.serve(&site, &request("GET", path, &[]));
        assert_eq!((reply.status, reply.header("set-cookie")), (None, None), "{path}");
        assert_eq!(reply.removed, ["warifu-command"]);
    }
    assert_eq!(world.event_names(), ["command_ignored", "command_ignored"]);
    assert_eq!(world.shards.calls.get(), 0);
}

#[test]
fn path_parameters_do_not_reach_a_route_with_commands() {
    let site = site_of(
        r#"{"origin": "http://o", "routes": [
            {"path": "/login", "access": "optional", "commands": true},
            {"path": "/*", "access": "optional"}
        ]}"#,
    );
    let world = World::new(|_| Some(vec![("Warifu-Command", "do=start, sub=\"mallory\"")]));
    let reply = world.serve(&site, &request("POST", "/login;x", &[]));
    assert_eq!((reply.status, reply.header("set-cookie")), (None, None));
    assert_eq!(world.event_names(), ["command_ignored"]);
}

#[test]
fn login_csrf_a_start_that_another_site_caused_does_not_count() {
    let (world, site) = (World::with_login(), site());
    let get = |headers: &[(&str, &str)]| {
        world.serve(&site, &request("GET", "/login", headers)).header("set-cookie").map(str::to_owned)
    };
    assert_eq!(get(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]), None);
    assert_eq!(get(&[("origin", "https://evil.test")]), None);
    let framed = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
    assert_eq!(get(&framed), None);
    let top = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    assert!(get(&top).is_some(), "the return from an identity provider");
    assert_eq!(get(&[("sec-fetch-site", "same-site")]), None, "another host of the site");
    assert!(get(&[("sec-fetch-site", "same-site"), ("origin", "https://friend.test")]).is_some(), "a trusted one");
    assert_eq!(get(&[("origin", "https://app.test.evil.test")]), None);
}

#[test]
fn a_login_is_never_half_done() {
    let (world, site) = (World::with_login(), site());
    let login = request("POST", "/login", &[("sec-fetch-site", "same-origin")]);
    world.shards.is_down.set(true);
    let reply = world.serve(&site, &login);
    assert_eq!((reply.status, reply.header("set-cookie")), (Some(503), None));
    world.shards.is_down.set(false);
    for fails_after in 0..40 {
        let cookie = world.log_in(&site);
        let signout = request("POST", "/signout", &[("cookie", &cookie)]);
        // The storage fails at each statement in turn.
        for shard in world.shards.databases.borrow().values() {
            shard.shard().sql().fails_after.set(Some(fails_after));
        }
        let reply = world.serve(&site, &signout);
        for shard in world.shards.databases.borrow().values() {
            shard.shard().sql().fails_after.set(None);
        }
        // What was committed and not published is, by the alarm.
        world.ring();
        let lives = world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)])).status.is_none();
        match reply.status {
            // What failed may have been the proof that the end was kept.
            Some(503) => assert!(reply.header("set-cookie").is_none(), "the cookie stays, after {fails_after}"),
            None => {
                assert!(!lives, "answered and ended, after {fails_after}");
                return;
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("the sign-out never succeeded");
}

#[test]
fn a_command_that_cannot_be_obeyed_hides_the_answer() {
    let site = site();
    for command in
        ["do=start", "do=stop", "garbage=", "do=start, sub=\" x\"", "do=rotate, x", "do=start, sub=\"a\", x=1"]
    {
        let world = World::new(move |_| Some(vec![("Warifu-Command", command), ("Set-Cookie", "theirs=1")]));
        let reply = world.serve(&site, &request("POST", "/login", &[]));
        assert_eq!(reply.status, Some(502), "{command}");
        assert!(reply.body.contains("bad_command") && reply.header("set-cookie").is_none());
        assert_eq!(world.event_names(), ["command_refused"]);
        assert_eq!(world.shards.calls.get(), 0);
    }
}

#[test]
fn a_command_that_changes_a_session_needs_one() {
    let site = site();
    for command in ["do=rotate", "do=rotate, level=2", "do=update, claims=:e30=:", "do=end-others", "do=end-all"] {
        let world = World::commanding(command);
        let reply = world.serve(&site, &request("POST", "/login", &[]));
        assert_eq!(reply.status, Some(409), "{command}");
        assert!(reply.body.contains("no_live_session") && reply.header("set-cookie").is_none());
        assert_eq!(world.shards.calls.get(), 0);
    }
}

#[test]
fn new_claims_are_seen_by_the_next_request() {
    let (world, site) = (World::commanding("do=start, sub=\"alice\""), site());
    let cookie = world.log_in(&site);
    // {"a":1}
    world.command.set("do=update, claims=:eyJhIjoxfQ==:");
    let reply = world.serve(&site, &request("POST", "/login", &[("cookie", &cookie)]));
    assert_eq!((reply.status, reply.header("set-cookie")), (None, None), "the secret stays");
    world.command.set("");
    world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)]));
    let seen = world.origin.seen.borrow();
    let set = &seen.last().expect("forwarded").edits.set;
    assert!(set.contains(&("warifu-claims".into(), "eyJhIjoxfQ".to_owned())));
    assert_eq!(world.event_names(), ["session_started", "session_updated"]);
}

#[test]
fn end_all_ends_every_session_of_the_subject_and_touches_no_cookie() {
    let (world, site) = (World::commanding("do=start, sub=\"alice\""), site());
    let cookies = [world.log_in(&site), world.log_in(&site)];
    world.command.set("do=end-all");
    let reply = world.serve(&site, &request("POST", "/login", &[("cookie", &cookies[0])]));
    assert_eq!((reply.status, reply.header("set-cookie")), (None, None));
    world.command.set("");
    for cookie in cookies {
        assert_eq!(world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)])).status, Some(401));
    }
    assert_eq!(world.event_names().last().map(String::as_str), Some("sessions_ended"));
}

#[test]
fn end_others_renews_this_session_and_ends_the_others() {
    let (world, site) = (World::commanding("do=start, sub=\"alice\""), site());
    let (mine, other) = (world.log_in(&site), world.log_in(&site));
    world.command.set("do=end-others");
    let reply = world.serve(&site, &request("POST", "/login", &[("cookie", &mine)]));
    let renewed = reply.cookie().expect("a fresh secret").to_owned();
    world.command.set("");
    let status = |cookie: &str| world.serve(&site, &request("GET", "/account", &[("cookie", cookie)])).status;
    assert_eq!((status(&renewed), status(&mine), status(&other)), (None, Some(401), Some(401)));
    assert!(!world.event_names().contains(&"token_replayed".to_owned()), "it may still be on its way");
    world.pass(std::time::Duration::from_secs(16));
    assert_eq!(status(&mine), Some(401));
    assert_eq!(world.event_names().last().map(String::as_str), Some("token_replayed"));
}

#[test]
fn a_password_reset_ends_the_others_with_the_new_start() {
    let (world, site) = (World::commanding("do=start, sub=\"alice\""), site());
    let others = [world.log_in(&site), world.log_in(&site)];
    world.command.set("do=start, sub=\"bob\"");
    let bob = world.log_in(&site);
    world.command.set("do=start, sub=\"alice\", end-others");
    let new = world.log_in(&site);
    world.command.set("");
    let status = |cookie: &str| world.serve(&site, &request("GET", "/account", &[("cookie", cookie)])).status;
    assert_eq!((status(&new), status(&bob)), (None, None));
    assert_eq!((status(&others[0]), status(&others[1])), (Some(401), Some(401)));
}
