use std::time::Duration;

use serde_json::json;

use super::{App, COOKIES, HOUR, jwt, jwt_of};

#[test]
fn the_browser_never_sees_the_token_and_the_application_always_does() {
    let app = App::new(COOKIES);
    let token = jwt("alice", HOUR);
    let visit = app.ask(
        "POST /login",
        &[("cookie", "theme=dark")],
        &[("Set-Cookie", &format!("token={token}; Path=/; HttpOnly")), ("Set-Cookie", "theme=light")],
    );
    let set = visit.set_cookies();
    assert_eq!(set.len(), 2, "{set:?}");
    assert_eq!(set[0], "theme=light");
    assert!(set[1].starts_with("__Host-Http-warifu="), "{set:?}");
    assert!(set[1].contains("; Max-Age=43200"), "it may be replaced by one that lasts: {set:?}");
    assert!(visit.seen.removed.contains(&"set-cookie".to_owned()));
    assert_eq!(visit.seen.header("cache-control"), Some("no-store"));

    let cookie = format!("theme=dark; {}", set[1].split(';').next().expect("a pair"));
    let visit = app.ask("GET /account", &[("cookie", &cookie)], &[]);
    assert_eq!(visit.got("cookie"), Some(&*format!("token={token}; theme=dark")));
    assert_eq!(visit.got("warifu-subject"), Some("alice"));
    assert_eq!(app.events(), ["session_started"]);
}

#[test]
fn a_log_in_may_come_back_from_elsewhere_by_a_get() {
    // Nobody has been here before: neither this edge nor the shard has heard of the feed.
    let app = App::new(COOKIES);
    let visit = app.ask("GET /login?code=1", &[], &[("Set-Cookie", &format!("token={}", jwt("alice", HOUR)))]);
    assert_eq!(visit.seen.status, None, "{}", visit.seen.body);
    assert_eq!(app.ask("GET /account", &[("cookie", visit.seen.cookie().expect("a session"))], &[]).seen.status, None);
}

/// An edge that nothing has told of the end: it goes by what it knew of the feed before.
#[test]
fn a_log_in_by_a_get_that_is_refused_after_an_end_succeeds_when_it_is_tried_again() {
    let mut app = App::new(&COOKIES.replacen('{', r#"{"bound": "0s", "#, 1));
    let log_in = |app: &App, who: &str| {
        app.ask("GET /login?code=1", &[], &[("Set-Cookie", &format!("token={}", jwt(who, HOUR)))]).seen
    };
    assert!(log_in(&app, "bob").cookie().is_some());
    let here = app.others.len();
    app.elsewhere(&COOKIES.replacen('{', r#"{"bound": "0s", "#, 1));
    let session = log_in(&app, "alice").cookie().expect("a session").to_owned();
    app.ask(
        "POST /both",
        &[("cookie", &session), ("sec-fetch-site", "same-origin")],
        &[("Warifu-Command", "do=end-all")],
    );
    std::mem::swap(&mut app.site, &mut app.others[here]);
    app.world.pass(Duration::from_secs(1));
    let refused = log_in(&app, "alice");
    assert_eq!((refused.status, refused.body.contains("killed_meanwhile")), (Some(409), true), "{}", refused.body);
    let again = log_in(&app, "alice");
    assert!(again.cookie().is_some(), "{} {:?}", again.body, app.events());
}

#[test]
fn a_copy_of_the_token_opens_nothing_on_any_route() {
    let app = App::new(COOKIES);
    let token = jwt("alice", HOUR);
    let session = app.log_in(&format!("token={token}"));
    for path in ["/open/page", "/maybe/page", "/login"] {
        for copy in [
            format!("token={token}"),
            format!("a=1; token={token}; b=2"),
            format!("TOKEN={token}"),
            format!("a=1, token={token}"),
            format!("a=1 token={token}"),
            format!("%74oken={token}"),
            format!("token ={token}"),
            format!("b=\"; token={token}; c=\""),
            format!("refresh={token}; token={token}; token={token}"),
        ] {
            let visit = app.ask(&format!("GET {path}"), &[("cookie", &copy)], &[]);
            assert!(!visit.got("cookie").unwrap_or_default().contains(&token), "{path}: {copy}");
        }
        let visit = app.ask(&format!("GET {path}"), &[("cookie", "csrf_token=x; tokens=y; mytoken=z")], &[]);
        assert_eq!(visit.got("cookie"), Some("csrf_token=x; tokens=y; mytoken=z"), "others' names are others'");
    }
    // Beside the session, what it holds counts.
    let visit = app.ask("GET /account", &[("cookie", &format!("token=forged; {session}"))], &[]);
    assert_eq!(visit.got("cookie"), Some(&*format!("token={token}")));
    // And without one there is no way in.
    assert_eq!(app.ask("GET /account", &[("cookie", &format!("token={token}"))], &[]).seen.status, Some(401));
}

#[test]
fn the_application_clears_it_and_the_session_ends() {
    for clearing in ["token=; Max-Age=0", "token=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "token="] {
        let app = App::new(COOKIES);
        let session = app.log_in(&format!("token={}", jwt("alice", HOUR)));
        let visit = app.ask("POST /logout", &[("cookie", &session)], &[("Set-Cookie", clearing)]);
        let gone = ["; Partitioned", ""]
            .map(|jar| format!("__Host-Http-warifu=; Path=/; Secure; HttpOnly; SameSite=Lax{jar}; Max-Age=0"));
        assert_eq!(visit.set_cookies(), gone, "and so is what another configuration has set");
        assert_eq!(app.ask("GET /account", &[("cookie", &session)], &[]).seen.status, Some(401), "{clearing}");
        assert_eq!(app.events(), ["session_started", "session_ended"]);
    }
}

#[test]
fn the_last_word_on_a_name_counts() {
    let app = App::new(COOKIES);
    let (first, second) = (jwt("alice", HOUR), jwt("alice", 2 * HOUR));
    let set_twice = [("Set-Cookie", &*format!("token={first}")), ("Set-Cookie", &format!("token={second}"))];
    let visit = app.ask("POST /login", &[], &set_twice);
    let session = visit.seen.cookie().expect("a session").to_owned();
    assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).got("cookie"), Some(&*format!("token={second}")));
    // Cleared, and set anew: as when a log-in rotates its token.
    let renewed = [("Set-Cookie", "token=; Max-Age=0"), ("Set-Cookie", &*format!("token={first}"))];
    app.ask("GET /a", &[("cookie", &session)], &renewed);
    assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).got("cookie"), Some(&*format!("token={first}")));
    let gone = [("Set-Cookie", &*format!("token={second}")), ("Set-Cookie", "token=; Max-Age=0")];
    app.ask("GET /a", &[("cookie", &session)], &gone);
    assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).seen.status, Some(401));
}

#[test]
fn another_value_of_the_same_person_takes_the_place_of_the_first() {
    let mut app = App::new(COOKIES);
    let session = app.log_in(&format!("token={}", jwt("alice", HOUR)));
    let newer = jwt("alice", 3 * HOUR);
    let visit = app.ask("GET /a", &[("cookie", &session)], &[("Set-Cookie", &format!("token={newer}"))]);
    assert!(visit.set_cookies().is_empty(), "the same secret: an earlier JWT is as good");
    app.world.pass(2 * HOUR / 4);
    for _ in 0..2 {
        let visit = app.ask("GET /a", &[("cookie", &session)], &[]);
        assert_eq!(visit.got("cookie"), Some(&*format!("token={newer}")));
        app.elsewhere(COOKIES);
    }
    assert_eq!(app.events(), ["session_started"]);
}

#[test]
fn what_may_be_used_up_comes_with_a_new_secret_of_the_session() {
    let mut app = App::new(COOKIES);
    let token = jwt("alice", HOUR);
    let set = [("Set-Cookie", &*format!("token={token}")), ("Set-Cookie", "refresh=one; Path=/auth")];
    let visit = app.ask("POST /login", &[], &set);
    let session = visit.seen.cookie().expect("a session").to_owned();
    let of = |cookie: &str, path: &str, app: &App| {
        app.ask(&format!("GET {path}"), &[("cookie", cookie)], &[]).got("cookie").map(str::to_owned)
    };
    assert_eq!(of(&session, "/auth/renew", &app), Some(format!("refresh=one; token={token}")), "its Path");
    assert_eq!(of(&session, "/authors", &app), Some(format!("token={token}")));
    let visit = app.ask("POST /auth/renew", &[("cookie", &session)], &[("Set-Cookie", "refresh=two; Path=/auth")]);
    let next = visit.seen.cookie().expect("a new secret").to_owned();
    assert_ne!(next, session);
    for _ in 0..2 {
        for cookie in [&next, &session] {
            assert_eq!(
                of(cookie, "/auth/renew", &app),
                Some(format!("refresh=two; token={token}")),
                "also in the grace"
            );
        }
        app.elsewhere(COOKIES);
    }
    app.world.pass(Duration::from_secs(20));
    app.world.ring();
    assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).seen.status, Some(401), "the grace is over");
    assert_eq!(of(&next, "/auth/renew", &app), Some(format!("refresh=two; token={token}")));
}

#[test]
fn another_person_is_a_new_start() {
    let app = App::new(COOKIES);
    let alices = app.log_in(&format!("token={}", jwt("alice", HOUR)));
    let visit =
        app.ask("POST /login", &[("cookie", &alices)], &[("Set-Cookie", &format!("token={}", jwt("bob", HOUR)))]);
    let bobs = visit.seen.cookie().expect("a session").to_owned();
    assert_eq!(app.ask("GET /a", &[("cookie", &bobs)], &[]).got("warifu-subject"), Some("bob"));
    assert_eq!(app.ask("GET /a", &[("cookie", &alices)], &[]).got("warifu-subject"), Some("alice"));
}

#[test]
fn a_new_log_in_of_the_same_person_without_a_session_is_a_new_start() {
    let app = App::new(COOKIES);
    let one = app.log_in(&format!("token={}", jwt("alice", HOUR)));
    let two = app.log_in(&format!("token={}", jwt("alice", HOUR)));
    assert_ne!(one, two);
    for session in [one, two] {
        assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).seen.status, None);
    }
}

#[test]
fn the_end_of_the_last_value_is_the_end_of_the_session() {
    let app = App::new(COOKIES);
    let session = app.log_in(&format!("token={}", jwt("alice", Duration::from_secs(60))));
    app.world.pass(Duration::from_secs(59));
    assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).seen.status, None);
    app.world.pass(Duration::from_secs(1));
    assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).seen.status, Some(401));
    // A refresh token of which nobody knows the end bounds nothing, and what has
    // expired is not sent.
    let set = [
        ("Set-Cookie", &*format!("token={}", jwt("bob", 2 * 60 * Duration::from_secs(1)))),
        ("Set-Cookie", "refresh=r"),
    ];
    let visit = app.ask("POST /login", &[], &set);
    let session = visit.seen.cookie().expect("a session").to_owned();
    app.world.pass(Duration::from_secs(180));
    assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).got("cookie"), Some("refresh=r"));
}

#[test]
fn a_subject_may_stand_elsewhere_in_the_claims() {
    let app = App::new(&COOKIES.replace(r#""custody": {"#, r#""custody": {"subject": "/user/id", "#));
    let token = jwt_of(&json!({"user": {"id": 4_711}, "sub": "somebody else"}));
    let session = app.log_in(&format!("token={token}"));
    assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).got("warifu-subject"), Some("4711"));
}

#[test]
fn a_start_by_command_takes_the_value_along() {
    let app = App::new(COOKIES);
    let token = jwt("alice", HOUR);
    let says = [("Set-Cookie", &*format!("token={token}")), ("Warifu-Command", "do=start, sub=\"anna\", level=3")];
    let visit = app.ask("POST /both", &[], &says);
    let session = visit.seen.cookie().expect("a session").to_owned();
    let visit = app.ask("GET /a", &[("cookie", &session)], &[]);
    assert_eq!((visit.got("warifu-subject"), visit.got("warifu-level")), (Some("anna"), Some("3")));
    assert_eq!(visit.got("cookie"), Some(&*format!("token={token}")));
}

#[test]
fn all_ways_to_a_new_secret_keep_what_is_held() {
    for command in ["do=rotate", "do=rotate, level=4", "do=end-others"] {
        let app = App::new(COOKIES);
        let token = jwt("alice", HOUR);
        let session = app.log_in(&format!("token={token}"));
        let visit = app.ask("POST /both", &[("cookie", &session)], &[("Warifu-Command", command)]);
        let next = visit.seen.cookie().expect("a new secret").to_owned();
        assert_ne!(next, session);
        let visit = app.ask("GET /a", &[("cookie", &next)], &[]);
        assert_eq!(visit.got("cookie"), Some(&*format!("token={token}")), "{command}");
    }
}
