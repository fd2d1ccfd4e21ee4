//! A session cookie that is no JWT: the application is asked whose it is.

use warifu::error::OriginError;
use warifu::ports::Probed;

use super::App;

const CONFIG: &str = r#"{"origin": "http://origin.test", "custody": {"cookies": ["sid"]},
    "adopt": {"cookie": "sid", "probe": "/api/me", "subject": "/id", "until": "2025-07-01"},
    "routes": [{"path": "/login", "access": "optional"},
        {"path": "/logout", "access": "optional", "commands": true}, {"path": "/open", "access": "public"}]}"#;

impl App {
    fn probed(&self, status: u16, body: &str) {
        *self.world.origin.probed.borrow_mut() = Ok(Probed { status, body: Some(body.as_bytes().to_vec()) });
    }

    fn probes(&self) -> usize {
        self.world.origin.probes.borrow().len()
    }
}

fn app() -> App {
    let app = App::new(CONFIG);
    app.probed(200, r#"{"id": "alice"}"#);
    app
}

#[test]
fn a_log_in_by_a_session_cookie_starts_a_session() {
    let app = app();
    let visit = app.ask("POST /login", &[], &[("Set-Cookie", "sid=opaque; HttpOnly; Path=/")]);
    assert_eq!(visit.set_cookies().len(), 1, "{:?}", visit.set_cookies());
    let session = visit.seen.cookie().expect("a session").to_owned();
    let probes = app.world.origin.probes.borrow();
    let cookie = probes[0].headers.set.iter().find(|(name, _)| name == "cookie");
    assert_eq!(cookie.map(|(_, value)| value.as_str()), Some("sid=opaque"));
    drop(probes);
    let visit = app.ask("GET /a", &[("cookie", &session)], &[]);
    assert_eq!((visit.got("cookie"), visit.got("warifu-subject")), (Some("sid=opaque"), Some("alice")));
    // The same value again is known.
    app.ask("GET /a", &[("cookie", &session)], &[("Set-Cookie", "sid=opaque")]);
    assert_eq!(app.probes(), 1);
    assert_eq!(app.events(), ["session_started"]);
}

#[test]
fn another_value_is_the_same_persons_or_another_ones() {
    let app = app();
    let first = app.log_in("sid=one");
    let visit = app.ask("GET /a", &[("cookie", &first)], &[("Set-Cookie", "sid=two")]);
    let second = visit.seen.cookie().expect("a new secret").to_owned();
    assert_eq!(app.ask("GET /a", &[("cookie", &second)], &[]).got("cookie"), Some("sid=two"));
    app.probed(200, r#"{"id": "bob"}"#);
    let visit = app.ask("POST /login", &[("cookie", &second)], &[("Set-Cookie", "sid=three")]);
    let third = visit.seen.cookie().expect("a session").to_owned();
    assert_eq!(app.ask("GET /a", &[("cookie", &third)], &[]).got("warifu-subject"), Some("bob"));
}

#[test]
fn a_cookie_of_nobodys_is_as_if_it_were_cleared() {
    let app = app();
    let session = app.log_in("sid=one");
    for (status, body) in [(401, ""), (302, ""), (200, "<p>"), (200, r#"{"id": null}"#)] {
        app.probed(status, body);
        let visit = app.ask("GET /login", &[], &[("Set-Cookie", "sid=anonymous"), ("Set-Cookie", "a=b")]);
        assert_eq!((visit.seen.status, visit.set_cookies()), (None, vec!["a=b"]), "{status} {body}");
        assert_eq!(app.events().last().map(String::as_str), Some("custody_ignored"));
    }
    // A log-out that leaves a new one.
    app.ask("POST /logout", &[("cookie", &session)], &[("Set-Cookie", "sid=anonymous")]);
    assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).seen.status, Some(401));
}

#[test]
fn where_the_application_does_not_say_nobody_is_logged_in() {
    for (answer, status) in [
        (Ok(Probed { status: 500, body: None }), 502),
        (Err(OriginError::Unreachable("gone".to_owned())), 502),
        (Err(OriginError::TimedOut), 504),
    ] {
        let app = app();
        *app.world.origin.probed.borrow_mut() = answer;
        let visit = app.ask("POST /login", &[], &[("Set-Cookie", "sid=opaque")]);
        assert_eq!((visit.seen.status, visit.set_cookies()), (Some(status), vec![]));
        assert_eq!(visit.problem()["code"], "origin_unreachable");
        assert_eq!(app.events(), ["origin_unreachable"]);
    }
}

#[test]
fn on_a_public_route_nobody_is_asked() {
    let app = app();
    let visit = app.ask("GET /open", &[], &[("Set-Cookie", "sid=opaque")]);
    assert_eq!((visit.seen.status, visit.set_cookies(), app.probes()), (None, vec![], 0));
}

#[test]
fn beside_an_end_by_command_nobody_is_asked() {
    for command in ["do=end", "do=end-all"] {
        let app = app();
        let session = app.log_in("sid=one");
        *app.world.origin.probed.borrow_mut() = Err(OriginError::TimedOut);
        let says = [("Set-Cookie", "sid=anonymous"), ("Warifu-Command", command)];
        let visit = app.ask("POST /logout", &[("cookie", &session)], &says);
        assert_eq!((visit.seen.status, app.probes()), (None, 1), "{command}");
        assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).seen.status, Some(401));
    }
}
