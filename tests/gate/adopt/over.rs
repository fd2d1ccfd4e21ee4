//! When the old kind is over: for one person, for all, and for good.

use std::time::Duration;

use warifu::audit::Event;

use super::{App, CONFIG};
use crate::support::{World, request};

/// [`CONFIG`], and a route where the application gives commands.
fn with_commands() -> String {
    let routes = r#""routes": [{"path": "/in", "access": "optional", "commands": true}, "#;
    CONFIG.replacen(r#""routes": ["#, routes, 1)
}

#[test]
fn after_its_day_the_old_kind_is_refused() {
    let app = App::new(CONFIG);
    // 2025-06-15 is the beginning of this world.
    app.world.pass(Duration::from_secs(16 * 86_400));
    let visit = app.get("/account", "sid=old");
    assert_eq!((visit.status, app.probes()), (Some(401), 0));
    for path in ["/open", "/maybe"] {
        assert_eq!(app.get(path, "sid=old").got("cookie"), None, "and goes to nobody");
    }
}

#[test]
fn who_ends_all_means_the_old_kind_too() {
    for (call, path) in [("POST", "/_warifu/me/not-me"), ("DELETE", "/_warifu/me/sessions")] {
        let app = App::new(CONFIG);
        let session = app.get("/account", "sid=one").session().to_owned();
        let headers = [("cookie", session.as_str()), ("sec-fetch-site", "same-origin")];
        assert!(app.world.serve(&app.site, &request(call, path, &headers)).status.is_some_and(|status| status < 300));
        let visit = app.get("/account", "sid=two");
        assert_eq!((visit.status, visit.set.len()), (Some(401), 0), "{path}");
    }
    // Others' move in as before.
    let app = App::new(CONFIG);
    app.says(200, r#"{"user": {"id": "bob"}}"#);
    assert_eq!(app.get("/account", "sid=three").got("warifu-subject"), Some("bob"));
}

#[test]
fn who_ends_all_means_it_under_every_row_of_the_map() {
    let rows = |rows: &str| CONFIG.replacen('{', &format!(r#"{{"map": [{rows}], "#), 1);
    let one = rows(r#"{"generation": 1, "shards": 64}"#);
    let two = rows(r#"{"generation": 1, "shards": 64}, {"generation": 2, "shards": 70}"#);
    let mut app = App::new(&one);
    let session = app.get("/account", "sid=one").session().to_owned();
    let headers = [("cookie", session.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(app.ask("POST", "/_warifu/me/not-me", &headers).status, Some(200));
    // A row is added after that, and an edge that was not there before knows of it.
    app.elsewhere(&two);
    let visit = app.get("/account", "sid=two");
    assert_eq!((visit.status, visit.set.len()), (Some(401), 0));
    app.says(200, r#"{"user": {"id": "bob"}}"#);
    assert_eq!(app.get("/account", "sid=three").got("warifu-subject"), Some("bob"));
}

#[test]
fn a_kill_of_the_site_ends_what_has_not_moved_in_yet() {
    let app = App::new(&CONFIG.replacen('{', r#"{"map": [{"generation": 1, "shards": 8}], "#, 1));
    app.get("/account", "sid=one");
    let kill = request("DELETE", "/_warifu/sessions", &[("authorization", "Bearer hunter2")]);
    let killed = app.world.serve_with_body(&app.site, &kill, br#"{"confirm":"default"}"#.to_vec());
    assert_eq!(killed.status, Some(202), "{}", killed.body);
    for _ in 0..6 {
        app.world.ring();
    }
    for (cookie, id) in [("sid=two", "alice"), ("sid=three", "bob")] {
        app.says(200, &format!(r#"{{"user": {{"id": "{id}"}}}}"#));
        let visit = app.get("/account", cookie);
        assert_eq!((visit.status, visit.set.len()), (Some(401), 0), "{id}");
    }
}

/// The shards are not told for how long there will be an old kind. So that
/// nobody wonders why everybody has to log in, the log has it, once for each
/// old cookie in ten minutes.
#[test]
fn a_kill_of_the_site_closes_it_for_good_and_the_log_says_so() {
    let map = r#""map": [{"generation": 1, "shards": 8}]"#;
    let rows = r#""map": [{"generation": 1, "shards": 8}, {"generation": 2, "shards": 8}]"#;
    let without: String = CONFIG.lines().filter(|line| !line.contains(r#""adopt""#)).collect();
    let mut app = App::new(&without.replacen('{', &format!("{{{map}, "), 1));
    let kill = request("DELETE", "/_warifu/sessions", &[("authorization", "Bearer hunter2")]);
    let killed = app.world.serve_with_body(&app.site, &kill, br#"{"confirm":"default"}"#.to_vec());
    assert_eq!(killed.status, Some(202), "{}", killed.body);
    for _ in 0..6 {
        app.world.ring();
    }
    app.world.pass(Duration::from_secs(86_400));
    app.world.ring();
    let refused = Event::StartRefused { subject: "alice".to_owned(), reason: "closed", actor: "adopt".to_owned() };
    for config in [map, rows] {
        app.elsewhere(&CONFIG.replacen('{', &format!("{{{config}, "), 1));
        app.world.events.borrow_mut().clear();
        for _ in 0..3 {
            assert_eq!(app.get("/account", "sid=old").status, Some(401));
        }
        assert_eq!(*app.world.events.borrow(), std::slice::from_ref(&refused), "{config}");
        app.world.pass(Duration::from_secs(601));
    }
}

#[test]
fn a_log_out_takes_an_old_cookie_that_has_not_moved_in() {
    let app = App::new(CONFIG);
    let headers = [("cookie", "sid=old"), ("sec-fetch-site", "same-origin")];
    let visit = app.ask("POST", "/_warifu/logout", &headers);
    assert_eq!(visit.status, Some(204));
    assert!(visit.set.contains(&"sid=; Path=/; Secure; Max-Age=0".to_owned()), "{:?}", visit.set);
}

#[test]
fn who_logs_out_is_not_let_in_by_the_old_cookie_again() {
    let app = App::new(CONFIG);
    let session = app.get("/account", "sid=old").session().to_owned();
    let headers = [("cookie", session.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(app.ask("POST", "/_warifu/logout", &headers).status, Some(204));
    for _ in 0..2 {
        assert_eq!(app.get("/account", "sid=old").status, Some(401));
        app.world.pass(Duration::from_secs(3600));
        app.world.ring();
    }
    assert_eq!(app.probes(), 1);
    // Nor does the end of a session keep another one from moving in.
    assert_eq!(app.get("/account", "sid=phone").got("warifu-subject"), Some("alice"));
}

const GONE: &str = "sid=; Path=/; Secure; Max-Age=0";

/// Whether the answer to a visit with an old cookie takes it from the browser.
fn takes_it(app: &App, path: &str, cookie: &str) -> bool {
    let visit = app.ask("POST", path, &[("cookie", cookie), ("sec-fetch-site", "same-origin")]);
    assert_eq!(visit.status, None, "{path}");
    visit.set.iter().any(|set| set == GONE)
}

/// Else the next request would bring in again who has just logged out, or somebody else than who
/// has just logged in.
#[test]
fn what_the_application_starts_or_ends_takes_an_old_cookie_that_has_not_moved_in() {
    let config = with_commands();
    for command in ["do=start, sub=\"bob\"", "do=end", "do=end-all"] {
        let app = App { world: World::commanding(""), ..App::new(&config) };
        app.says(200, r#"{"user": {"id": "alice"}}"#);
        let session = app.get("/account", "sid=first").session().to_owned();
        app.world.command.set(command);
        assert!(takes_it(&app, "/in", &format!("{session}; sid=old")), "{command}");
        if command != "do=end-all" {
            app.says(401, "");
            assert!(takes_it(&app, "/in", "sid=old"), "{command}");
            assert!(!takes_it(&app, "/in", "other=old"), "{command}: there is none");
        }
    }
}

/// An application that gives each session its claims does so first for one that has just moved in.
#[test]
fn who_moves_in_with_a_command_that_keeps_the_secret_gets_the_new_cookie() {
    let config = with_commands();
    let app = App { world: World::commanding("do=update, claims=:eyJhIjoxfQ==:"), ..App::new(&config) };
    app.says(200, r#"{"user": {"id": "alice"}}"#);
    let first = app.ask("POST", "/in", &[("cookie", "sid=old"), ("sec-fetch-site", "same-origin")]);
    assert!(first.status.is_none() && first.set.iter().any(|set| set == GONE), "{:?}", first.set);
    app.world.command.set("");
    let next = app.get("/account", first.session());
    assert_eq!((next.status, next.got("warifu-subject")), (None, Some("alice")));
}

/// What leads to no new cookie goes on being the only one that there is.
#[test]
fn an_old_cookie_stays_where_no_other_takes_its_place() {
    let config = with_commands();
    let app = App { world: World::commanding(""), ..App::new(&config) };
    app.says(200, r#"{"user": {"id": "alice"}}"#);
    let session = app.get("/account", "sid=old").session().to_owned();
    app.world.command.set("do=rotate, level=2");
    app.ask("POST", "/in", &[("cookie", &session), ("sec-fetch-site", "same-origin")]);
    for command in ["do=rotate", "do=update, claims=:e30=:"] {
        app.world.command.set(command);
        assert!(!takes_it(&app, "/in", "sid=old"), "{command}: a raise is not shared, and the old one is served");
    }
}

#[test]
fn an_old_cookie_that_is_for_another_path_goes_unseen() {
    let config = with_commands().replacen(r#""cookie": "sid""#, r#""cookie": "sid", "path": "/app""#, 1);
    let app = App { world: World::commanding("do=end"), ..App::new(&config) };
    let visit = app.ask("POST", "/in", &[("cookie", "other=old"), ("sec-fetch-site", "same-origin")]);
    assert!(visit.set.iter().any(|set| set == "sid=; Path=/app; Secure; Max-Age=0"), "{:?}", visit.set);
}

#[test]
fn a_log_out_that_custody_sees_takes_an_old_cookie_that_has_not_moved_in() {
    let custody = r#"{"custody": {"cookies": ["token"], "bearer": [{"path": "/out", "ends": true}]}, "#;
    let config = CONFIG.replacen('{', custody, 1);
    let app = App { world: World::new(|_| Some(vec![("content-type", "application/json")])), ..App::new(&config) };
    app.says(200, r#"{"user": {"id": "alice"}}"#);
    let session = app.get("/account", "sid=first").session().to_owned();
    assert!(takes_it(&app, "/out", &format!("{session}; sid=old")));
}
