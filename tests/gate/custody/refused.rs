use super::{App, COOKIES, HOUR, TOKENS, jwt};
use crate::support::world::ENDLESS;

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[test]
fn an_answer_that_cannot_be_kept_reaches_nobody_and_changes_nothing() {
    let huge = format!("token={}.{}.x", jwt("a", HOUR).split_once('.').expect("parts").0, "e30".repeat(8_000));
    let long = format!("token={}; Path=/, refresh={}", jwt("alice", HOUR), "x".repeat(20_000));
    let expired = format!("token={}", super::jwt_of(&serde_json::json!({"sub": "alice", "exp": 1})));
    let nobody = format!("token={}", super::jwt_of(&serde_json::json!({"name": "alice"})));
    for set_cookie in
        ["token=opaque", "token=a.b.c", "token=e30.e30", &huge, &expired, &nobody, &long.replace(", ", "\u{0}")]
    {
        let app = App::new(COOKIES);
        let visit = app.ask("POST /login", &[], &[("Set-Cookie", set_cookie)]);
        if visit.seen.status.is_none() {
            // Over in the eyes of a browser too.
            assert!(visit.set_cookies().is_empty() && app.events().is_empty(), "{set_cookie}");
            continue;
        }
        assert_eq!(visit.seen.status, Some(502), "{set_cookie}");
        assert_eq!(visit.problem()["code"], "bad_custody");
        assert!(visit.set_cookies().is_empty());
        assert_eq!(app.events(), ["custody_refused"]);
    }
}

#[test]
fn a_log_in_that_is_no_json_is_refused() {
    let access = jwt("alice", HOUR);
    let long = format!(r#"{{"access_token": "{access}", "x": "{}"}}"#, "x".repeat(70_000));
    let number = r#"{"access_token": 5}"#;
    let opaque = r#"{"access_token": "opaque-and-nobodys-in-particular"}"#;
    for says in [
        vec![("Content-Type", "text/html"), (":body", "<p>welcome")],
        vec![JSON, (":body", "{")],
        vec![JSON, (":body", "")],
        vec![JSON, (":body", ENDLESS)],
        vec![JSON, (":body", &*long)],
        vec![JSON, (":body", number)],
        vec![JSON, (":body", opaque)],
    ] {
        let app = App::new(TOKENS);
        let visit = app.ask("POST /api/login", &[], &says);
        assert_eq!(visit.seen.status, Some(502), "{says:?}");
        assert_eq!(visit.problem()["code"], "bad_custody");
        assert!(!visit.seen.body.contains(&access));
        assert!(visit.set_cookies().is_empty());
        assert_eq!(app.events(), ["custody_refused"]);
    }
}

#[test]
fn where_the_store_is_out_of_reach_nothing_is_half_done() {
    let app = App::new(COOKIES);
    let session = app.log_in(&format!("token={}", jwt("alice", HOUR)));
    app.world.shards.is_down.set(true);
    let set = ("Set-Cookie", &*format!("token={}", jwt("alice", 2 * HOUR)));
    for headers in [vec![], vec![("cookie", session.as_str())]] {
        let visit = app.ask("POST /login", &headers, &[set]);
        assert_eq!(visit.seen.status, Some(503));
        assert!(visit.set_cookies().is_empty());
    }
}

#[test]
fn what_no_session_can_hold_is_taken_away_all_the_same() {
    let app = App::new(COOKIES);
    let token = format!("token={}", jwt("alice", HOUR));
    // A public route reads no session.
    let visit = app.ask("POST /open/login", &[], &[("Set-Cookie", &token), ("Set-Cookie", "a=b")]);
    assert_eq!((visit.seen.status, visit.set_cookies()), (None, vec!["a=b"]));
    // Nobody is logged in by a refresh token alone, nor by another site's doing.
    let visit = app.ask("POST /login", &[], &[("Set-Cookie", "refresh=r")]);
    assert!(visit.set_cookies().is_empty());
    let cross = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")];
    let visit = app.ask("GET /login", &cross, &[("Set-Cookie", &token)]);
    assert_eq!((visit.seen.status, visit.set_cookies()), (None, vec![]));
    assert_eq!(app.events(), ["custody_ignored"; 3]);
    // In other spellings, which careless browsers and applications take for it.
    for name in ["Token", "=token", "TOKEN "] {
        let visit = app.ask("POST /login", &[], &[("Set-Cookie", &format!("{name}=x"))]);
        assert!(visit.set_cookies().is_empty(), "{name}");
    }
}

#[test]
fn only_a_start_or_an_end_can_come_with_a_value() {
    let set = ("Set-Cookie", &*format!("token={}", jwt("alice", HOUR)));
    for command in ["do=rotate", "do=update, claims=:e30=:", "do=end-others"] {
        let app = App::new(COOKIES);
        let session = app.log_in(set.1);
        let visit = app.ask("POST /both", &[("cookie", &session)], &[set, ("Warifu-Command", command)]);
        assert_eq!((visit.seen.status, &visit.problem()["code"]), (Some(502), &"bad_command".into()), "{command}");
        assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).seen.status, None, "nothing has happened");
    }
    let app = App::new(COOKIES);
    let session = app.log_in(set.1);
    let says = [("Set-Cookie", "token=; Max-Age=0"), ("Warifu-Command", "do=end")];
    assert_eq!(app.ask("POST /both", &[("cookie", &session)], &says).seen.status, None);
    assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).seen.status, Some(401));
}

#[test]
fn an_end_by_command_needs_no_value_that_could_be_kept() {
    for command in ["do=end", "do=end-all"] {
        for set in ["token=none; Max-Age=10; HttpOnly", "token=a.b.c", "token=; Max-Age=0"] {
            let app = App::new(COOKIES);
            let session = app.log_in(&format!("token={}", jwt("alice", HOUR)));
            let says = [("Set-Cookie", set), ("Set-Cookie", "a=b"), ("Warifu-Command", command)];
            let visit = app.ask("POST /both", &[("cookie", &session)], &says);
            assert_eq!(visit.seen.status, None, "{command} {set}: {}", visit.seen.body);
            assert!(!visit.set_cookies().iter().any(|set| set.starts_with("token")), "{:?}", visit.set_cookies());
            assert!(visit.set_cookies().contains(&"a=b"));
            assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).seen.status, Some(401));
        }
    }
    // One that does not count makes nothing good.
    let app = App::new(COOKIES);
    let session = app.log_in(&format!("token={}", jwt("alice", HOUR)));
    let says = [("Set-Cookie", "token=none; Max-Age=10"), ("Warifu-Command", "do=end")];
    assert_eq!(app.ask("POST /logout", &[("cookie", &session)], &says).seen.status, Some(502));
}

#[test]
fn tokens_beside_an_end_by_command_do_not_reach_the_page() {
    let config = TOKENS.replace(
        r#"{"path": "/api/login", "access": "optional"}"#,
        r#"{"path": "/api/login", "access": "optional", "commands": true}"#,
    );
    let app = App::new(&config);
    let token = jwt("alice", HOUR);
    let body = format!(r#"{{"access_token": "{token}"}}"#);
    let visit = app.ask("POST /api/login", &[], &[JSON, (":body", &body), ("Warifu-Command", "do=end")]);
    assert_eq!(visit.seen.status, None);
    assert!(visit.seen.body.contains("access_token") && !visit.seen.body.contains(&token));
}

#[test]
fn an_end_by_command_counts_where_tokens_were_expected_and_none_can_be_read() {
    let config = TOKENS.replace(
        r#"{"path": "/api/login", "access": "optional"}"#,
        r#"{"path": "/api/login", "access": "optional", "commands": true}"#,
    );
    for says in [[("Content-Type", "text/plain"), (":body", "bye")], [JSON, (":body", r#"{"access_token": 5}"#)]] {
        let app = App::new(&config);
        let body = format!(r#"{{"access_token": "{}"}}"#, jwt("alice", HOUR));
        let visit = app.ask("POST /api/login", &[], &[JSON, (":body", &body)]);
        let session = visit.seen.cookie().expect("a session").to_owned();
        let says = [says[0], says[1], ("Warifu-Command", "do=end")];
        let visit = app.ask("POST /api/login", &[("cookie", &session)], &says);
        assert_eq!((visit.seen.status, &*visit.seen.body), (None, ""), "nothing of it is passed on");
        assert!(visit.set_cookies().iter().any(|set| set.contains("Max-Age=0")));
        assert_eq!(app.ask("GET /a", &[("cookie", &session)], &[]).seen.status, Some(401));
    }
}
