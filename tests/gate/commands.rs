use crate::support::{World, request, site};

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
    assert_eq!(
        reply.header("set-cookie"),
        Some("__Host-Http-warifu=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
    );
    assert_eq!(world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)])).status, Some(401));
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
}

#[test]
fn a_login_is_never_half_done() {
    let (world, site) = (World::with_login(), site());
    let login = request("POST", "/login", &[("sec-fetch-site", "same-origin")]);
    world.shards.is_down.set(true);
    let reply = world.serve(&site, &login);
    assert_eq!((reply.status, reply.header("set-cookie")), (Some(503), None));
    world.shards.is_down.set(false);
    let cookie = world.log_in(&site);
    let signout = request("POST", "/signout", &[("cookie", &cookie)]);
    for fails_after in 0..20 {
        // The storage fails at each statement in turn.
        for shard in world.shards.databases.borrow().values() {
            shard.sql().fails_after.set(Some(fails_after));
        }
        let reply = world.serve(&site, &signout);
        for shard in world.shards.databases.borrow().values() {
            shard.sql().fails_after.set(None);
        }
        let lives = world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)])).status.is_none();
        match reply.status {
            Some(503) => assert!(lives, "refused with 503 and nothing changed, after {fails_after}"),
            None => assert!(!lives, "answered and ended, after {fails_after}"),
            other => panic!("{other:?}"),
        }
        if !lives {
            return;
        }
    }
    panic!("the sign-out never succeeded");
}

#[test]
fn a_command_that_cannot_be_obeyed_hides_the_answer() {
    let site = site();
    for command in ["do=start", "do=stop", "garbage=", "do=start, sub=\" x\"", "do=rotate", "do=start, sub=\"a\", x=1"]
    {
        let world = World::new(move |_| Some(vec![("Warifu-Command", command), ("Set-Cookie", "theirs=1")]));
        let reply = world.serve(&site, &request("POST", "/login", &[]));
        assert_eq!(reply.status, Some(502), "{command}");
        assert!(reply.body.contains("bad_command") && reply.header("set-cookie").is_none());
        assert_eq!(world.event_names(), ["command_refused"]);
        assert_eq!(world.shards.calls.get(), 0);
    }
}
