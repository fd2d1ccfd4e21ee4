//! Several requests of one session at a time, of which one changes what it holds while another is
//! still at the application.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use warifu::ports::Probed;
use warifu::store::Sql;

use super::{App, COOKIES, HOUR, jwt};

const CLEARED: (&str, &str) = ("Set-Cookie", "token=; Max-Age=0");

/// An application whose session cookie is no JWT, and changes with many answers.
const ROLLING: &str = r#"{"origin": "http://origin.test", "custody": {"cookies": ["sid"]},
    "adopt": {"cookie": "sid", "probe": "/api/me", "subject": "/id", "until": "2025-07-01"},
    "routes": [{"path": "/login", "access": "optional"}]}"#;

fn rolling() -> Rc<App> {
    let app = App::new(ROLLING);
    *app.world.origin.probed.borrow_mut() = Ok(Probed { status: 200, body: Some(br#"{"id": "alice"}"#.to_vec()) });
    Rc::new(app)
}

fn with_log_out(config: &str) -> String {
    config.replacen(r#""custody": {"#, r#""custody": {"bearer": [{"path": "/bye", "ends": true}], "#, 1)
}

/// While the next request is at the application, a poll of the same page is answered with a newer token.
fn poll_meanwhile(app: &Rc<App>, session: &str) {
    let session = session.to_owned();
    app.meanwhile(move |app| {
        let newer = format!("token={}", jwt("alice", 2 * HOUR));
        let visit = app.ask("GET /poll", &[("cookie", &session)], &[("Set-Cookie", &newer)]);
        assert_eq!(visit.seen.status, None, "{}", visit.seen.body);
    });
}

impl App {
    fn lives(&self, session: &str) -> bool {
        self.ask("GET /a", &[("cookie", session)], &[]).seen.status.is_none()
    }
}

#[test]
fn a_log_out_counts_though_a_poll_has_brought_another_value() {
    for (line, headers, status) in [
        ("POST /logout", &[][..], "200"),
        ("DELETE /logout", &[], "303"),
        // At a path that is for it, whatever the method.
        ("POST /bye", &[], "204"),
        ("GET /bye", &[], "302"),
        ("GET /Bye/", &[("sec-fetch-mode", "navigate")], "302"),
    ] {
        let app = Rc::new(App::new(&with_log_out(COOKIES)));
        let session = app.log_in(&format!("token={}", jwt("alice", HOUR)));
        poll_meanwhile(&app, &session);
        let headers: Vec<_> = [("cookie", &*session)].into_iter().chain(headers.iter().copied()).collect();
        let visit = app.ask(line, &headers, &[(":status", status), CLEARED]);
        assert!(visit.set_cookies().iter().any(|set| set.contains("Max-Age=0")), "{line}: {:?}", app.events());
        assert!(!app.lives(&session), "{line}");
        assert_eq!(app.events(), ["session_started", "session_ended"], "{line}");
    }
}

#[test]
fn a_refusal_of_an_older_value_is_no_log_out() {
    for (line, headers, status) in [
        // Any request may have been sent with what is void by now.
        ("GET /poll", &[][..], "200"),
        ("GET /account", &[("sec-fetch-mode", "navigate")], "302"),
        ("POST /save", &[], "401"),
        ("POST /save", &[], "500"),
        ("GET /bye", &[], "401"),
    ] {
        let app = Rc::new(App::new(&with_log_out(COOKIES)));
        let session = app.log_in(&format!("token={}", jwt("alice", HOUR)));
        poll_meanwhile(&app, &session);
        let headers: Vec<_> = [("cookie", &*session)].into_iter().chain(headers.iter().copied()).collect();
        let visit = app.ask(line, &headers, &[(":status", status), CLEARED]);
        assert!(visit.set_cookies().is_empty(), "{line} {status}");
        assert!(app.lives(&session), "{line} {status}");
        assert_eq!(app.events(), ["session_started", "custody_ignored"]);
    }
}

#[test]
fn a_link_that_logs_out_counts_where_the_cookie_is_rolling() {
    let ends = |headers: &[(&str, &str)]| {
        let app = rolling();
        let first = app.log_in("sid=one");
        let second = Rc::new(RefCell::new(String::new()));
        let (polled, set) = (first.clone(), Rc::clone(&second));
        app.meanwhile(move |app| {
            let visit = app.ask("GET /poll", &[("cookie", &polled)], &[("Set-Cookie", "sid=two")]);
            set.replace(visit.seen.cookie().expect("a new secret").to_owned());
        });
        let headers: Vec<_> = [("cookie", &*first)].into_iter().chain(headers.iter().copied()).collect();
        app.ask("GET /logout", &headers, &[(":status", "302"), ("Set-Cookie", "sid=; Max-Age=0")]);
        let second = second.take();
        assert_eq!(app.lives(&first), app.lives(&second));
        !app.lives(&second)
    };
    assert!(ends(&[("sec-fetch-mode", "navigate")]), "Flask's log-out is a link");
    assert!(!ends(&[("sec-fetch-mode", "cors")]), "a poll with what is void by now");
}

#[test]
fn a_log_out_by_its_path_that_clears_too_ends_a_session_that_holds_nothing() {
    let app = App::new(&with_log_out(COOKIES));
    let begun = app.ask("POST /both", &[], &[("Warifu-Command", r#"do=start, sub="alice""#)]);
    let session = begun.seen.cookie().expect("a session").to_owned();
    app.ask("POST /bye", &[("cookie", &session)], &[(":status", "204"), CLEARED]);
    assert!(!app.lives(&session));
}

#[test]
fn a_log_out_that_takes_longer_than_the_grace_of_its_secret_counts() {
    let app = rolling();
    let first = app.log_in("sid=one");
    let second = replaced_meanwhile(&app, &first, ROLLS);
    app.ask("POST /logout", &[("cookie", &first)], &[("Set-Cookie", "sid=; Max-Age=0")]);
    assert!(!app.lives(&second.take()));
}

#[test]
fn an_end_by_command_that_takes_longer_than_the_grace_of_its_secret_counts() {
    let app = Rc::new(App::new(COOKIES));
    let first = app.log_in(&format!("token={}", jwt("alice", HOUR)));
    let second = replaced_meanwhile(&app, &first, ROTATES);
    app.ask("POST /both", &[("cookie", &first)], &[("Warifu-Command", "do=end")]);
    assert!(!app.lives(&second.take()));
}

#[test]
fn a_late_log_out_leaves_a_newer_log_in_alone() {
    for (line, says) in [("POST /logout", &[CLEARED][..]), ("POST /bye", &[CLEARED]), ("POST /bye", &[])] {
        let app = Rc::new(App::new(&with_log_out(COOKIES)));
        let session = app.log_in(&format!("token={}", jwt("alice", HOUR)));
        let old = session.clone();
        app.meanwhile(move |app| {
            app.ask("POST /_warifu/logout", &[("cookie", &old), ("sec-fetch-site", "same-origin")], &[]);
        });
        let visit = app.ask(line, &[("cookie", &session)], says);
        assert!(visit.set_cookies().is_empty(), "{line}: the browser may have another session by now");
    }
}

/// A request, and what its answer says.
type Asked = (&'static str, (&'static str, &'static str));

/// Both bring a new secret: another value of a rolling cookie, and a command.
const ROLLS: Asked = ("GET /a", ("Set-Cookie", "sid=two"));
const ROTATES: Asked = ("POST /both", ("Warifu-Command", "do=rotate"));

/// The secret is replaced; the new one is used, and the old one's grace passes. The new Cookie header.
fn replaced(app: &App, session: &str, (line, says): Asked) -> String {
    let visit = app.ask(line, &[("cookie", session)], &[says]);
    let next = visit.seen.cookie().expect("a new secret").to_owned();
    assert!(app.lives(&next));
    app.world.pass(Duration::from_secs(20));
    app.world.ring();
    next
}

/// That happens while the next request is at the application; the header is there afterwards.
fn replaced_meanwhile(app: &Rc<App>, session: &str, by: Asked) -> Rc<RefCell<String>> {
    let (session, next) = (session.to_owned(), Rc::<RefCell<String>>::default());
    let set = Rc::clone(&next);
    app.meanwhile(move |app| *set.borrow_mut() = replaced(app, &session, by));
    next
}

#[test]
fn a_late_answer_of_a_session_that_lives_reaches_the_client() {
    let app = rolling();
    let first = app.log_in("sid=one");
    let second = replaced_meanwhile(&app, &first, ROLLS);
    let visit = app.ask("POST /upload", &[("cookie", &first)], &[("Set-Cookie", "sid=three"), ("Set-Cookie", "a=b")]);
    assert_eq!((visit.seen.status, visit.set_cookies()), (None, vec!["a=b"]), "{}", visit.seen.body);
    assert_eq!(app.events().last().map(String::as_str), Some("custody_ignored"));
    let held = app.ask("GET /a", &[("cookie", &second.take())], &[]);
    assert_eq!(held.got("cookie"), Some("sid=two"), "a secret that is no longer served changes nothing");
}

#[test]
fn a_late_answer_of_a_session_that_has_ended_does_not() {
    let app = rolling();
    let first = app.log_in("sid=one");
    let polled = first.clone();
    app.meanwhile(move |app| {
        let next = replaced(app, &polled, ROLLS);
        app.ask("POST /_warifu/logout", &[("cookie", &next), ("sec-fetch-site", "same-origin")], &[]);
    });
    let visit = app.ask("POST /upload", &[("cookie", &first)], &[("Set-Cookie", "sid=three")]);
    assert_eq!((visit.seen.status, &visit.problem()["code"]), (Some(409), &"no_live_session".into()));
}

#[test]
fn rolling_cookies_push_nothing_out_of_the_audit_table() {
    let app = rolling();
    let mut session = app.log_in("sid=0");
    for n in 1..5 {
        let visit = app.ask("GET /a", &[("cookie", &session)], &[("Set-Cookie", &format!("sid={n}"))]);
        session = visit.seen.cookie().expect("a new secret").to_owned();
    }
    let told = app.events().into_iter().filter(|event| event == "session_rotated").count();
    assert_eq!(told, 4, "in the log");
    let written: u32 = app.world.shards.databases.borrow().values().map(|object| rotations(object.shard().sql())).sum();
    assert_eq!(written, 0);
}

fn rotations(sql: &impl Sql) -> u32 {
    let rows = sql.run("SELECT count(*) FROM audit WHERE event = 'session_rotated'", &[]).expect("rows");
    rows[0].integer(0).expect("a number")
}
