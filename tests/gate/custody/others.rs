//! An answer that says that the person's other sessions are to end.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::{App, HOUR, jwt};
use crate::lifetimes::max_age;
use crate::support::site_of;

const CONFIG: &str = r#"{"origin": "http://origin.test",
    "custody": {"cookies": ["token", "refresh"], "ends_others": ["/password"]},
    "routes": [
        {"path": "/password", "access": "optional", "commands": true},
        {"path": "/login", "access": "optional"}
    ]}"#;

impl App {
    /// Whether a browser with this cookie is let in.
    fn is_in(&self, cookie: &str) -> bool {
        self.ask("GET /a", &[("cookie", cookie)], &[]).seen.status.is_none()
    }
}

/// The default.
const ABSOLUTE_TIMEOUT_S: u64 = 12 * 3_600;
const DONE: (&str, &str) = (":status", "303");

#[test]
fn a_new_password_ends_the_other_sessions_and_copies_of_this_one() {
    let app = App::new(CONFIG);
    let token = || format!("token={}", jwt("alice", HOUR));
    let (here, there) = (app.log_in(&token()), app.log_in(&token()));
    let bobs = app.log_in(&format!("token={}", jwt("bob", HOUR)));
    let visit = app.ask("POST /password", &[("cookie", &here)], &[DONE]);
    let fresh = visit.seen.cookie().expect("a fresh secret").to_owned();
    for (cookie, expected) in [(&here, false), (&there, false), (&fresh, true), (&bobs, true)] {
        assert_eq!(app.is_in(cookie), expected);
    }
    let got = app.ask("GET /a", &[("cookie", &fresh)], &[]);
    assert_eq!(got.got("cookie"), Some(&*token()), "what was held is held");
    assert!(app.events().contains(&"sessions_ended".to_owned()));
}

#[test]
fn a_new_secret_lasts_for_as_long_as_the_session_may() {
    let token = ("Set-Cookie", &*format!("token={}", jwt("alice", HOUR)));
    let refresh = ("Set-Cookie", "refresh=first");
    // The end of the others, that with another value, and a value that may be good for one use.
    // A session that holds a token alone ends with it, and goes on with the next one.
    for (first, line, says) in [
        (vec![token], "POST /password", vec![DONE]),
        (vec![token], "POST /password", vec![("Warifu-Command", "do=rotate")]),
        (vec![token, refresh], "POST /password", vec![DONE]),
        (vec![token, refresh], "POST /password", vec![DONE, ("Set-Cookie", "refresh=opaque")]),
        (vec![token, refresh], "POST /refresh", vec![("Set-Cookie", "refresh=second")]),
    ] {
        let app = App::new(CONFIG);
        let begun = app.ask("POST /login", &[], &first);
        assert_eq!(max_age(&begun.seen), ABSOLUTE_TIMEOUT_S, "{first:?}");
        let cookie = begun.seen.cookie().expect("a session").to_owned();
        let at = app.world.shards.now.get();
        app.world.pass(Duration::from_secs(1_000));
        let visit = app.ask(line, &[("cookie", &cookie)], &says);
        assert!(visit.seen.cookie().is_some_and(|fresh| fresh != cookie), "{line}: {says:?}");
        // Two changes of one session are published a while apart, and only whole seconds count.
        let passed = app.world.shards.now.get().since(at).as_millis().div_ceil(1_000);
        assert_eq!(u128::from(max_age(&visit.seen)) + passed, max_age(&begun.seen).into(), "{line}: {says:?}");
    }
}

#[test]
fn new_tokens_in_the_same_answer_are_kept_with_the_session_that_stays() {
    for newer in [
        format!("token={}", jwt("alice", 2 * HOUR)),
        // The same again, and one that may be good for one use only.
        format!("token={}", jwt("alice", HOUR)),
        "refresh=opaque".to_owned(),
    ] {
        let app = App::new(CONFIG);
        let (here, there) = (
            app.log_in(&format!("token={}", jwt("alice", HOUR))),
            app.log_in(&format!("token={}", jwt("alice", HOUR))),
        );
        let visit = app.ask("POST /password", &[("cookie", &here)], &[DONE, ("Set-Cookie", &newer)]);
        let fresh = visit.seen.cookie().expect("a fresh secret").to_owned();
        assert!(!app.is_in(&here) && !app.is_in(&there), "{newer}");
        let got = app.ask("GET /a", &[("cookie", &fresh)], &[]);
        assert!(got.got("cookie").is_some_and(|held| held.contains(&newer)), "{newer}: {:?}", got.got("cookie"));
    }
}

#[test]
fn a_new_password_without_a_session_ends_all_if_it_logs_in() {
    let app = App::new(CONFIG);
    let there = app.log_in(&format!("token={}", jwt("alice", HOUR)));
    app.ask("POST /password", &[], &[DONE]);
    assert!(app.is_in(&there), "nobody has said whose");
    let token = format!("token={}", jwt("alice", HOUR));
    let visit = app.ask("POST /password", &[], &[DONE, ("Set-Cookie", &token)]);
    assert!(app.is_in(visit.seen.cookie().expect("a session")) && !app.is_in(&there));
}

#[test]
fn a_new_password_after_which_one_logs_in_again_ends_all() {
    // The application clears what it had set, in the same answer.
    for cleared in [vec!["token=; Max-Age=0"], vec!["token=; Max-Age=0", "refresh=; Max-Age=0"]] {
        let app = App::new(CONFIG);
        let token = || format!("token={}", jwt("alice", HOUR));
        let (here, there) = (app.log_in(&token()), app.log_in(&token()));
        let bobs = app.log_in(&format!("token={}", jwt("bob", HOUR)));
        let mut says = vec![DONE];
        says.extend(cleared.iter().map(|line| ("Set-Cookie", *line)));
        let visit = app.ask("POST /password", &[("cookie", &here)], &says);
        assert!(visit.set_cookies().iter().any(|set| set.contains("Max-Age=0")), "{:?}", visit.set_cookies());
        for (cookie, expected) in [(&here, false), (&there, false), (&bobs, true)] {
            assert_eq!(app.is_in(cookie), expected, "{cleared:?}");
        }
    }
}

/// Whether the newest secret is the person's is not known, or there is no session any more.
#[test]
fn a_new_password_that_takes_longer_than_the_grace_of_the_secret_ends_all() {
    let token = || format!("token={}", jwt("alice", HOUR));
    for says in [vec![DONE], vec![DONE, ("Set-Cookie", "refresh=two")]] {
        for is_over in [false, true] {
            let app = Rc::new(App::new(CONFIG));
            let (here, there) = (app.log_in(&token()), app.log_in(&token()));
            let (old, newest) = (here.clone(), Rc::<RefCell<String>>::default());
            let next = Rc::clone(&newest);
            app.meanwhile(move |app| {
                if is_over {
                    app.ask("POST /_warifu/logout", &[("cookie", &old), ("sec-fetch-site", "same-origin")], &[]);
                    return;
                }
                let rotated = app.ask("POST /password", &[("cookie", &old)], &[("Warifu-Command", "do=rotate")]);
                *next.borrow_mut() = rotated.seen.cookie().expect("a new secret").to_owned();
                assert!(app.is_in(&next.borrow()));
                app.world.pass(Duration::from_secs(20));
            });
            let visit = app.ask("POST /password", &[("cookie", &here)], &says);
            assert_eq!((visit.seen.status, visit.set_cookies()), (None, vec![]), "{says:?}: {}", visit.seen.body);
            assert!(!app.is_in(&there) && !app.is_in(&newest.take()), "{says:?} {is_over}");
        }
    }
}

#[test]
fn a_session_that_holds_nothing_ends_the_others_too() {
    // It began by a command; the application sets a value that is nobody's by itself.
    let app = App::new(CONFIG);
    let begin = || app.ask("POST /password", &[], &[("Warifu-Command", r#"do=start, sub="alice""#)]);
    let start = || begin().seen.cookie().expect("a session").to_owned();
    let (here, there) = (start(), start());
    let visit = app.ask("POST /password", &[("cookie", &here)], &[DONE, ("Set-Cookie", "refresh=opaque")]);
    let fresh = visit.seen.cookie().expect("a fresh secret").to_owned();
    assert!(app.is_in(&fresh) && !app.is_in(&here) && !app.is_in(&there));
    assert!(app.events().contains(&"custody_ignored".to_owned()), "the value is not kept");
}

#[test]
fn what_does_not_say_so_ends_nothing() {
    let app = App::new(CONFIG);
    let token = || format!("token={}", jwt("alice", HOUR));
    let (here, there) = (app.log_in(&token()), app.log_in(&token()));
    for (line, says) in [
        ("POST /password", vec![(":status", "422")]),
        ("POST /password", vec![(":status", "500")]),
        ("GET /password", vec![(":status", "200")]),
        ("POST /login", vec![DONE]),
        // An application that gives commands says itself what is to end.
        ("POST /password", vec![DONE, ("Warifu-Command", "do=update, claims=:e30=:")]),
    ] {
        let visit = app.ask(line, &[("cookie", &here)], &says);
        assert_eq!(visit.seen.cookie(), None, "{line} {says:?}");
        assert!(app.is_in(&here) && app.is_in(&there), "{line} {says:?}");
    }
    // In other letters, as some applications read it.
    app.ask("POST /Password/", &[("cookie", &here)], &[DONE]);
    assert!(!app.is_in(&there));
}

#[test]
fn where_the_store_is_out_of_reach_nobody_is_told_that_it_is_done() {
    for pause in [Duration::ZERO, Duration::from_secs(90)] {
        let app = App::new(CONFIG);
        let here = app.log_in(&format!("token={}", jwt("alice", HOUR)));
        app.world.pass(pause);
        app.world.shards.is_down.set(true);
        let visit = app.ask("POST /password", &[("cookie", &here)], &[DONE]);
        assert_eq!((visit.seen.status, visit.set_cookies()), (Some(503), vec![]));
    }
}

#[test]
fn the_path_must_be_one_where_sessions_are_read() {
    for bad in [
        r#""cookies": ["token"], "ends_others": ["/open"]"#,
        r#""cookies": ["token"], "ends_others": ["/a/*"]"#,
        r#""ends_others": ["/password"]"#,
    ] {
        let config = format!(
            r#"{{"origin": "http://origin.test", "custody": {{{bad}}}, "routes": [{{"path": "/open", "access": "public"}}]}}"#
        );
        assert!(std::panic::catch_unwind(|| site_of(&config)).is_err(), "{bad}");
    }
}
