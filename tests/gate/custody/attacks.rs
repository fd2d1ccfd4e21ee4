//! Ways in which held tokens got out, or copies of them in, before they were mended.

use std::time::Duration;

use serde_json::json;
use warifu::site::Site;
use warifu::tally::{Outcome, Source};

use super::{App, COOKIES, HOUR, TOKENS, jwt, jwt_of};
use crate::support::site_of;

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// With a copy in KV of every session.
fn with_replica(config: &str) -> String {
    let far = r#"{"replica": "always", "map": [{"generation": 1, "shards": 4, "region": "weur"}], "#;
    config.replacen('{', far, 1)
}

fn log_in_with_tokens(app: &App, access: &str, refresh: &str) -> String {
    let body = json!({"access_token": access, "refresh_token": refresh}).to_string();
    let visit = app.ask("POST /api/login", &[], &[JSON, (":body", &body)]);
    visit.seen.cookie().expect("a session").to_owned()
}

#[test]
fn the_record_of_a_start_has_what_the_session_holds() {
    let config = with_replica(COOKIES);
    let mut app = App::new(&config);
    let token = jwt("alice", HOUR);
    let session = app.log_in(&format!("token={token}"));
    let first: std::rc::Rc<Site> = std::mem::replace(&mut app.site, std::rc::Rc::new(site_of(&config)));
    // The second isolate's window is fresh: somebody else has logged in there.
    app.log_in(&format!("token={}", jwt("bob", HOUR)));
    let visit = app.ask("GET /account", &[("cookie", &session)], &[]);
    assert_eq!(visit.got("warifu-subject"), Some("alice"));
    assert_eq!(app.world.memory(&app.site).tally().checks(Source::Kv, Outcome::Live), 1, "by the record");
    drop(first);
    assert_eq!(visit.got("cookie"), Some(&*format!("token={token}")));
}

#[test]
fn a_session_in_use_whose_value_was_replaced_goes_on() {
    let app = App::new(COOKIES);
    let lasts = |seconds| format!("token={}", jwt("alice", Duration::from_secs(seconds)));
    let session = app.log_in(&lasts(120));
    app.world.pass(Duration::from_secs(100));
    let newer = lasts(220);
    app.ask("GET /a", &[("cookie", &session)], &[("Set-Cookie", &newer)]);
    app.world.pass(Duration::from_secs(30));
    let visit = app.ask("GET /a", &[("cookie", &session)], &[]);
    assert_eq!(visit.seen.status, None, "idle for 30 s of 30 min, and the token is good for 90 s more");
}

#[test]
fn names_in_a_body_are_compared_as_careless_parsers_do() {
    let app = App::new(TOKENS);
    let json_body = ("content-type", "application/json");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let mut passed = Vec::new();
    for (header, body) in [
        // Go's encoding/json and ASP.NET fold case.
        (json_body, r#"{"Refresh_Token": "stolen-refresh-token"}"#),
        // Go folds U+212A to k.
        (json_body, "{\"refresh_to\u{212a}en\": \"stolen-refresh-token\"}"),
        (form, "Refresh_Token=stolen-refresh-token"),
        // PHP maps these to `_`.
        (form, "refresh.token=stolen-refresh-token"),
        (form, "refresh+token=stolen-refresh-token"),
    ] {
        let visit = app.send("POST /api/refresh", &[header], body, &[]);
        if visit.got.is_some() && visit.body.as_deref().is_none_or(|body| body.contains("stolen")) {
            passed.push(body);
        }
    }
    assert!(passed.is_empty(), "{passed:?}");
}

#[test]
fn nested_fields_of_a_form_are_looked_into() {
    let config = TOKENS.replace(r#""body": ["/refresh_token"]"#, r#""body": ["/data/refresh_token"]"#);
    let app = App::new(&config);
    let form = ("content-type", "application/x-www-form-urlencoded");
    let visit = app.send("POST /api/refresh", &[form], "data[refresh_token]=stolen-refresh-token", &[]);
    assert!(!visit.body.expect("a body").contains("stolen"), "qs, PHP and Rails read that as nested");
}

#[test]
fn a_body_is_json_only_where_it_says_so() {
    let app = App::new(TOKENS);
    for content_type in [
        // PHP takes these for a form: it reads the type up to `;`, `,` or a space.
        "application/x-www-form-urlencoded,x",
        "application/x-www-form-urlencoded x",
        "application/x-www-form-urlencoded, application/json",
    ] {
        let body = r#"{"a":"&refresh_token=stolen-refresh-token&"}"#;
        let visit = app.send("POST /api/refresh", &[("content-type", content_type)], body, &[]);
        assert!(visit.got.is_none() || !visit.body.expect("read").contains("refresh_token=stolen"), "{content_type}");
    }
}

#[test]
fn the_body_of_an_options_request_is_looked_into() {
    let app = App::new(TOKENS);
    let body = r#"{"refresh_token":"stolen-refresh-token"}"#;
    let visit = app.send("OPTIONS /api/refresh", &[("content-type", "application/json")], body, &[]);
    assert!(visit.got.is_none() || visit.body.is_some(), "passed on as it is");
}

#[test]
fn an_answer_of_a_named_path_is_not_passed_unread_for_its_type() {
    let access = jwt("alice", HOUR);
    let body = json!({"access_token": access}).to_string();
    let mut unread = Vec::new();
    for (line, status, content_type) in [
        // ASP.NET writes this where the client accepts it; it is a JSON type (MIME Sniffing, section 4.6).
        ("GET /api/refresh", "200", "text/json"),
        ("GET /api/refresh", "200", "text/html"),
        ("GET /api/refresh", "200", "application/javascript"),
        ("GET /api/refresh", "206", "multipart/byteranges; boundary=x"),
        ("GET /api/refresh", "200", ""),
    ] {
        let app =
            App::new(&TOKENS.replace("/data/token", "/access_token").replace("/data/refresh_token", "/refresh_token"));
        let session = log_in_with_tokens(&app, &access, "opaque-refresh-token-1");
        let says = [("Content-Type", content_type), (":status", status), (":body", &*body)];
        let visit = app.ask(line, &[("cookie", &session)], &says);
        // No body of ours: the origin's stream goes to the client.
        if visit.seen.status.is_none() && visit.seen.body.is_empty() {
            unread.push(content_type);
        }
    }
    assert!(unread.is_empty(), "{unread:?}");
}

#[test]
fn a_part_of_an_answer_is_not_taken_for_the_whole() {
    let app = App::new(TOKENS);
    let access = jwt("alice", HOUR);
    let session = log_in_with_tokens(&app, &access, "opaque-refresh-token-1");
    // `Range: bytes=16-…` cuts a JSON text out of a JSON text.
    let part = format!("\"{access}\"");
    let visit = app.ask(
        "POST /api/login",
        &[("cookie", &session), ("range", "bytes=16-999")],
        &[JSON, (":status", "206"), (":body", &part)],
    );
    assert!(!visit.seen.body.contains(&access));
}

#[test]
fn all_copies_of_a_token_are_replaced_whatever_the_other_one_looks_like() {
    let access = jwt("alice", HOUR);
    let mut shown = Vec::new();
    for body in [
        // A refresh token of another alphabet has the document written anew, without the first replacement.
        format!(r#"{{"access_token":"{access}","token":"{access}","refresh_token":"a/b+c/d0123456789=="}}"#),
        // A copy of one that is not plain.
        r#"{"access_token":"ACCESS","refresh_token":"a/b+SECRET6789==","user":{"refresh":"a/b+SECRET6789=="}}"#
            .replace("ACCESS", &access),
        // The first of two equal keys.
        format!(r#"{{"access_token":"{access}","access_token":"{}"}}"#, jwt("alice", 2 * HOUR)),
        // Escaped where it counts, plain elsewhere.
        format!(r#"{{"access_token":"\u0065{}","copy":"{access}"}}"#, &access[1..]),
    ] {
        let app = App::new(TOKENS);
        let visit = app.ask("POST /api/login", &[], &[JSON, (":body", &body)]);
        if visit.seen.body.contains(&access[1..]) || visit.seen.body.contains("SECRET") {
            shown.push(visit.seen.body);
        }
    }
    assert!(shown.is_empty(), "{shown:#?}");
}

#[test]
fn a_token_after_another_word_is_not_passed_on() {
    let app = App::new(TOKENS);
    let access = jwt("alice", HOUR);
    let mut passed = Vec::new();
    // `authorization.split(' ')[1]`, `.replace('Bearer ', '')`, `/Bearer (.+)/`.
    for value in [
        format!("Token {access}"),
        format!("JWT {access}"),
        access.clone(),
        format!("x Bearer {access}"),
        format!("Bearer:{access}"),
    ] {
        if app.ask("GET /open/x", &[("authorization", &value)], &[]).got("authorization").is_some() {
            passed.push(value.split('.').next().expect("a part").to_owned());
        }
    }
    assert!(passed.is_empty(), "{passed:?}");
}

#[test]
fn separators_before_a_name_do_not_hide_it() {
    let app = App::new(COOKIES);
    let mut passed = Vec::new();
    // Tomcat's LegacyCookieProcessor skips HTTP separators before a name.
    for pair in ["=token=x", "(token=x", "@token=x", "a=1;/token=x", "?token=x", "token%00y=x"] {
        if app.ask("GET /open/x", &[("cookie", pair)], &[]).got("cookie").is_some_and(|got| got.contains("token")) {
            passed.push(pair);
        }
    }
    assert!(passed.is_empty(), "{passed:?}");
}

#[test]
fn a_session_keeps_the_name_that_a_command_gave_it() {
    let app = App::new(COOKIES);
    let says =
        [("Set-Cookie", &*format!("token={}", jwt("17", HOUR))), ("Warifu-Command", "do=start, sub=\"anna\", level=3")];
    let session = app.ask("POST /both", &[], &says).seen.cookie().expect("a session").to_owned();
    // The application renews its token: the same person's as before.
    let visit =
        app.ask("GET /a", &[("cookie", &session)], &[("Set-Cookie", &format!("token={}", jwt("17", 2 * HOUR)))]);
    let now = visit.seen.cookie().unwrap_or(&session).to_owned();
    let visit = app.ask("GET /a", &[("cookie", &now)], &[]);
    assert_eq!((visit.got("warifu-subject"), visit.got("warifu-level")), (Some("anna"), Some("3")));
}

#[test]
fn a_refresh_token_that_is_a_jwt_may_be_used_up_too() {
    let app = App::new(TOKENS);
    let refresh = |n: u32| jwt_of(&json!({"sub": "alice", "typ": "Refresh", "jti": n, "exp": 1_750_090_000}));
    let session = log_in_with_tokens(&app, &jwt("alice", HOUR), &refresh(1));
    let answer = json!({"data": {"token": jwt("alice", 2 * HOUR), "refresh_token": refresh(2)}}).to_string();
    let asks = r#"{"refresh_token":"warifu-held.refresh_token"}"#;
    let headers = [("cookie", &*session), ("content-type", "application/json")];
    let visit = app.send("POST /api/refresh", &headers, asks, &[JSON, (":body", &answer)]);
    assert!(visit.seen.cookie().is_some_and(|next| next != session), "no edge may answer with the one that was used");
}

#[test]
fn a_log_in_in_other_letters_is_read() {
    let config = TOKENS.replace(r#"{"path": "/api/login", "access""#, r#"{"path": "/API/*", "access""#);
    let app = App::new(&config);
    let access = jwt("alice", HOUR);
    let body = json!({"access_token": access}).to_string();
    let visit = app.ask("POST /API/login", &[], &[JSON, (":body", &body)]);
    assert!(!visit.seen.body.is_empty(), "Express routes it the same by default, and the client gets the token");
}

#[test]
fn a_late_answer_does_not_bring_an_older_session_back() {
    let mut app = App::new(COOKIES);
    let alices = app.log_in(&format!("token={}", jwt("alice", HOUR)));
    // On its way: a request of alice's. Meanwhile bob logs in with the same browser.
    let set = format!("token={}", jwt("bob", HOUR));
    app.ask("POST /login", &[("cookie", &alices)], &[("Set-Cookie", &set)]);
    app.elsewhere(COOKIES);
    // Only now comes the answer to the first, with a token that lasts longer.
    let set = format!("token={}", jwt("alice", 2 * HOUR));
    let visit = app.ask("GET /poll", &[("cookie", &alices)], &[("Set-Cookie", &set)]);
    assert_eq!(visit.seen.cookie(), None, "the browser is bob's by now");
}

/// At a certain isolate, also one that the app has left: a world knows them by the addresses of their sites.
fn at(app: &App, site: &Site, line: &str, cookie: &str, says: &[(&str, &str)]) -> (Option<String>, Option<String>) {
    let keep = |text: &str| -> &'static str { text.to_owned().leak() };
    app.says.replace(says.iter().map(|(name, value)| (keep(name), keep(value))).collect());
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let request = crate::support::request(method, path, &[("cookie", cookie)]);
    app.world.origin.seen.borrow_mut().clear();
    let seen = app.world.serve(site, &request);
    assert_eq!(seen.status, None, "{}", seen.body);
    let outgoing = app.world.origin.seen.borrow();
    let got = crate::support::world::at_origin(&request, outgoing.last().expect("a request"));
    let sent = got.into_iter().find(|(name, _)| name == "cookie").map(|(_, value)| value);
    (sent, seen.cookie().map(str::to_owned))
}

#[test]
fn a_clearing_that_is_about_an_older_value_ends_nothing() {
    let app = App::new(COOKIES);
    let other = site_of(COOKIES);
    let old = format!("token={}", jwt("alice", HOUR));
    let session = app.log_in(&old);
    // Both isolates know the feed, and the other one knows the session.
    let others = format!("token={}", jwt("bob", HOUR));
    at(&app, &other, "POST /login", "", &[("Set-Cookie", &others)]);
    at(&app, &other, "GET /a", &session, &[]);
    // At the first the person changes the password: the application gives a new token, the old one is void.
    let newer = format!("token={}", jwt("alice", 2 * HOUR));
    at(&app, &app.site, "POST /login", &session, &[("Set-Cookie", &newer)]);
    // The other one sends the old within the bound; the application refuses it and clears the cookie.
    let (sent, _) = at(&app, &other, "GET /a", &session, &[("Set-Cookie", "token=; Max-Age=0")]);
    assert_eq!(sent, Some(old), "within the bound");
    let status = app.ask("GET /a", &[("cookie", &session)], &[]).seen.status;
    assert_eq!(status, None, "the session holds another value by now, which nobody has cleared");
}

#[test]
fn a_late_clearing_about_a_dead_session_leaves_a_newer_log_in_alone() {
    let app = App::new(COOKIES);
    let other = site_of(COOKIES);
    let old = app.log_in(&format!("token={}", jwt("alice", HOUR)));
    let others = format!("token={}", jwt("bob", HOUR));
    at(&app, &other, "POST /login", "", &[("Set-Cookie", &others)]);
    at(&app, &other, "GET /a", &old, &[]);
    // Logged out at one isolate; the answer to a request under way at another clears the token.
    let headers = [("cookie", old.as_str()), ("sec-fetch-site", "same-origin")];
    app.ask("POST /_warifu/logout", &headers, &[]);
    let (_, set) = at(&app, &other, "GET /a", &old, &[("Set-Cookie", "token=; Max-Age=0")]);
    assert_eq!(set, None, "the browser may have another session by now");
}

#[test]
fn elsewhere_is_another_isolate() {
    let mut app = App::new(COOKIES);
    let here = app.world.memory(&app.site);
    app.elsewhere(COOKIES);
    assert!(!std::rc::Rc::ptr_eq(&here, &app.world.memory(&app.site)), "the helper of these tests");
}
