//! The configuration has changed since the log-in: custody is off, or of something else.

use super::{App, COOKIES, HOUR, TOKENS, jwt};
use crate::support::world::BODY;

const SAME: (&str, &str) = ("sec-fetch-site", "same-origin");
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn of(custody: &str) -> String {
    let routes =
        r#"[{"path": "/login", "access": "optional", "commands": true}, {"path": "/api/login", "access": "optional"}]"#;
    format!(r#"{{"origin": "http://origin.test", {custody} "routes": {routes}}}"#)
}

#[test]
fn what_a_session_holds_goes_nowhere_once_it_is_not_to_be_kept() {
    let alices = jwt("alice", HOUR);
    for later in [
        "",
        r#""custody": {"cookies": ["sid"]},"#,
        r#""custody": {"bearer": [{"path": "/api/login", "tokens": ["/access_token"]}]},"#,
    ] {
        let mut app = App::new(COOKIES);
        let session = app.log_in(&format!("token={alices}"));
        app.elsewhere(&of(later));
        // She logs in again, or somebody else does.
        assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).seen.status, Some(401), "{later}");
        let visit = app.ask("GET /login", &[("cookie", &session), ("authorization", "Bearer x")], &[]);
        assert_eq!((visit.got("cookie"), visit.got("warifu-subject")), (None, Some("")), "{later}");
        assert!(!format!("{:?}", visit.got).contains(&alices));
        // The application sets its cookie in the browser, where it is not kept from that.
        let bobs = format!("{session}; token={}", jwt("bob", HOUR));
        let visit = app.ask("GET /login", &[("cookie", &bobs)], &[]);
        assert_eq!(visit.got("cookie"), Some(&*format!("token={}", jwt("bob", HOUR))), "{later}");
        // What is put back is as before.
        app.elsewhere(COOKIES);
        let visit = app.ask("GET /a", &[("cookie", &session)], &[]);
        assert_eq!(visit.got("cookie"), Some(&*format!("token={alices}")));
    }
}

#[test]
fn it_is_no_session_whichever_way_it_is_asked_about() {
    let mut app = App::new(COOKIES);
    *app.world.assets.borrow_mut() = vec![("/account/index.html", None, "the account")];
    let session = app.log_in(&format!("token={}", jwt("alice", HOUR)));
    let headers = [("cookie", &*session), SAME];
    let asks =
        ["GET /_warifu/me", "GET /_warifu/me/sessions", "DELETE /_warifu/me/sessions/x", "GET /_warifu/account/"];
    let verify = [("cookie", &*session), ("authorization", "Bearer hunter2")];
    let statuses = |app: &App| {
        let own = asks.map(|line| app.ask(line, &headers, &[]).seen.status);
        (own, app.ask("GET /_warifu/verify", &verify, &[]).seen.status)
    };
    assert_eq!(statuses(&app), ([Some(200), Some(200), Some(404), Some(200)], Some(204)));
    app.elsewhere(&of(""));
    assert_eq!(statuses(&app), ([Some(401); 4], Some(401)));
    let optional = app.ask("GET /_warifu/verify?access=optional", &verify, &[]).seen;
    assert_eq!((optional.status, optional.header("warifu-subject")), (Some(204), Some("")));
    // As always, whoever logs out has nothing left.
    assert_eq!(app.ask("POST /_warifu/logout", &headers, &[]).seen.status, Some(204));
    app.elsewhere(COOKIES);
    assert_eq!(statuses(&app), ([Some(401); 4], Some(401)));
}

/// What it is good for does not matter: a step up would give a level to nobody.
#[test]
fn nobody_is_asked_for_a_higher_level_of_it() {
    let mut app = App::new(COOKIES);
    let session = app.log_in(&format!("token={}", jwt("alice", HOUR)));
    app.elsewhere(r#"{"origin": "http://origin.test", "routes": [{"path": "/a", "access": "required", "level": 2}]}"#);
    assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).seen.status, Some(401));
}

#[test]
fn from_tokens_to_cookies_no_token_goes_out() {
    for later in ["", r#""custody": {"cookies": ["token"]},"#] {
        let mut app = App::new(TOKENS);
        let body = format!(r#"{{"access_token": "{}"}}"#, jwt("alice", HOUR));
        let visit = app.ask("POST /api/login", &[], &[JSON, (BODY, &body)]);
        let session = visit.seen.cookie().expect("a session").to_owned();
        app.elsewhere(&of(later));
        let headers = [("cookie", &*session), ("authorization", "Bearer x")];
        assert_eq!(app.ask("GET /a", &headers, &[]).seen.status, Some(401), "{later}");
        let visit = app.ask("GET /login", &headers, &[]);
        assert_eq!((visit.got("authorization"), visit.got("warifu-subject")), (Some("Bearer x"), Some("")), "{later}");
    }
}

#[test]
fn what_is_still_kept_goes_on_and_the_rest_is_forgotten() {
    let mut app = App::new(COOKIES);
    let token = jwt("alice", HOUR);
    let set = [("Set-Cookie", &*format!("token={token}")), ("Set-Cookie", "refresh=one")];
    let visit = app.ask("POST /login", &[], &set);
    let session = visit.seen.cookie().expect("a session").to_owned();
    app.elsewhere(&of(r#""custody": {"cookies": ["token"]},"#));
    // The browser's own of that name is the browser's again, and alone.
    let visit = app.ask("GET /a", &[("cookie", &format!("{session}; refresh=two"))], &[]);
    assert_eq!(visit.got("cookie"), Some(&*format!("token={token}; refresh=two")));
    let newer = jwt("alice", 2 * HOUR);
    app.ask("GET /a", &[("cookie", &session)], &[("Set-Cookie", &format!("token={newer}"))]);
    app.elsewhere(COOKIES);
    let visit = app.ask("GET /a", &[("cookie", &session)], &[]);
    assert_eq!(visit.got("cookie"), Some(&*format!("token={newer}")));
}

#[test]
fn who_logs_in_again_by_a_command_has_a_session_that_holds_nothing() {
    let mut app = App::new(COOKIES);
    let held = app.log_in(&format!("token={}", jwt("alice", HOUR)));
    app.elsewhere(&of(""));
    let visit = app.ask("POST /login", &[("cookie", &held)], &[("Warifu-Command", r#"do=start, sub="alice""#)]);
    let session = visit.seen.cookie().expect("a session").to_owned();
    assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).got("warifu-subject"), Some("alice"));
    // The one that was presented has ended with that.
    app.elsewhere(COOKIES);
    assert_eq!(app.ask("GET /a", &[("cookie", &held)], &[]).seen.status, Some(401));
}
