use serde_json::{Value, json};

use super::{App, HOUR, TOKENS, Visit, jwt};

fn jwt_header(alg: &str) -> String {
    use base64ct::{Base64UrlUnpadded, Encoding};
    Base64UrlUnpadded::encode_string(format!(r#"{{"alg":"{alg}""#).as_bytes())[..16].to_owned()
}

const JSON: (&str, &str) = ("Content-Type", "application/json; charset=utf-8");

pub fn log_in(app: &App, access: &str, refresh: &str) -> (String, Visit) {
    let body = format!(
        "{{\"user\": \"alice\", \"access_token\": \"{access}\",\n \"refresh_token\":\"{refresh}\", \"n\": 1.50}}"
    );
    let visit = app.ask("POST /api/login", &[], &[JSON, (":body", &body), ("Content-Length", "1")]);
    assert_eq!(visit.seen.status, None, "{}", visit.seen.body);
    (visit.seen.cookie().expect("a session").to_owned(), visit)
}

#[test]
fn the_page_gets_placeholders_of_the_same_shape() {
    let app = App::new(TOKENS);
    let access = jwt("alice", HOUR);
    let (session, visit) = log_in(&app, &access, "opaque-refresh-token-1");
    assert!(!visit.seen.body.contains(&access) && !visit.seen.body.contains("opaque-refresh"), "{}", visit.seen.body);
    assert!(visit.seen.body.ends_with("\"n\": 1.50}"), "the rest is as it was: {}", visit.seen.body);
    assert!(visit.seen.removed.contains(&"content-length".to_owned()));
    assert_eq!(visit.seen.header("cache-control"), Some("no-store"));
    let shown: Value = serde_json::from_str(&visit.seen.body).expect("JSON");
    assert_eq!(shown["refresh_token"], "warifu-held.refresh_token");
    let placeholder = shown["access_token"].as_str().expect("a text");
    let claims = warifu::custody::Jwt::read(placeholder).expect("a JWT");
    assert!(placeholder.ends_with('.'), "unsigned");
    assert!(!placeholder.starts_with(&jwt_header("none")), "there are those who believe it");
    assert_eq!(claims.subject("/sub").expect("a subject").as_str(), "alice");
    assert_eq!(claims.expires(), warifu::custody::Jwt::read(&access).and_then(|jwt| jwt.expires()));

    // The page sends it as it would the token.
    let bearer = format!("Bearer {placeholder}");
    let visit = app.ask("GET /api/me", &[("cookie", &session), ("authorization", &bearer)], &[]);
    assert_eq!(visit.got("authorization"), Some(&*format!("Bearer {access}")));
    assert_eq!(visit.got("warifu-subject"), Some("alice"));
    let visit = app.ask("GET /api/me", &[("cookie", &session)], &[]);
    assert_eq!(visit.got("authorization"), None, "where it sends none, it is nobody to the application");
    // What it has kept of before is taken for a placeholder, where the session lives.
    let visit = app.ask("GET /api/me", &[("cookie", &session), ("authorization", "Bearer old")], &[]);
    assert_eq!(visit.got("authorization"), Some(&*format!("Bearer {access}")));
}

#[test]
fn a_copy_of_a_token_opens_nothing_on_any_route() {
    let app = App::new(TOKENS);
    let access = jwt("alice", HOUR);
    log_in(&app, &access, "opaque-refresh-token-1");
    for value in [
        format!("Bearer {access}"),
        format!("bearer  {access}"),
        format!("Basic eA==, BEARER {access}"),
        "Bearer".to_owned(),
    ] {
        for path in ["/open/x", "/api/login", "/api/refresh"] {
            assert_eq!(
                app.ask(&format!("GET {path}"), &[("authorization", &value)], &[]).got("authorization"),
                None,
                "{value}"
            );
        }
        assert_eq!(app.ask("GET /api/me", &[("authorization", &value)], &[]).seen.status, Some(401));
    }
    let basic = "Basic YmVhcmVyOmJlYXJlcg==";
    assert_eq!(app.ask("GET /open/x", &[("authorization", basic)], &[]).got("authorization"), Some(basic));
}

#[test]
fn a_refresh_gives_back_what_the_placeholder_stands_for() {
    let mut app = App::new(TOKENS);
    let (session, visit) = log_in(&app, &jwt("alice", HOUR), "opaque-refresh-token-1");
    let shown: Value = serde_json::from_str(&visit.seen.body).expect("JSON");
    let newer = jwt("alice", 2 * HOUR);
    let answer = json!({"data": {"token": newer, "refresh_token": "opaque-refresh-token-2"}}).to_string();
    let asks = json!({"refresh_token": shown["refresh_token"], "device": "x"}).to_string();
    let json_body = ("content-type", "application/json");
    let visit = app.send("POST /api/refresh", &[("cookie", &session), json_body], &asks, &[JSON, (":body", &answer)]);
    let sent: Value = serde_json::from_str(visit.body.as_deref().expect("a body")).expect("JSON");
    assert_eq!(sent, json!({"refresh_token": "opaque-refresh-token-1", "device": "x"}));
    assert!(!visit.seen.body.contains("opaque-refresh") && !visit.seen.body.contains(&newer), "{}", visit.seen.body);
    // The token is used up: the browser has a new secret with the next one.
    let next = visit.seen.cookie().expect("a new secret").to_owned();
    assert_ne!(next, session);
    let form = "grant_type=refresh_token&refresh_token=warifu-held.refresh_token&x=%26";
    let as_form = ("content-type", "application/x-www-form-urlencoded;charset=UTF-8");
    for _ in 0..2 {
        for cookie in [&next, &session] {
            let visit = app.send("POST /api/refresh", &[("cookie", cookie), as_form], form, &[]);
            let sent = visit.body.as_deref();
            assert_eq!(sent, Some("grant_type=refresh_token&refresh_token=opaque-refresh-token-2&x=%26"));
            let visit = app.ask("GET /api/me", &[("cookie", cookie), ("authorization", "Bearer x")], &[]);
            assert_eq!(visit.got("authorization"), Some(&*format!("Bearer {newer}")));
        }
        app.elsewhere(TOKENS);
    }
}

#[test]
fn a_copied_refresh_token_is_not_passed_on() {
    let app = App::new(TOKENS);
    let (session, _) = log_in(&app, &jwt("alice", HOUR), "opaque-refresh-token-1");
    let json_body = ("content-type", "application/json");
    for (cookie, found) in
        [("", "opaque-refresh-token-1"), (session.as_str(), "somebody-elses"), ("", "warifu-held.refresh_token")]
    {
        let asks = json!({"refresh_token": found}).to_string();
        let visit = app.send("POST /api/refresh", &[("cookie", cookie), json_body], &asks, &[]);
        assert_eq!(visit.body.as_deref(), Some(r#"{"refresh_token":""}"#), "{found}");
    }
    let visit =
        app.send("POST /api/refresh", &[json_body], r#"{"refresh_token":{"a":["opaque-refresh-token-1"]}}"#, &[]);
    assert_eq!(visit.body.as_deref(), Some(r#"{"refresh_token":null}"#));
    for (content_type, body) in [("text/plain", "opaque-refresh-token-1"), ("application/json", "{"), ("", "x=1")] {
        let visit = app.send("POST /api/refresh", &[("content-type", content_type)], body, &[]);
        assert_eq!(visit.seen.status, Some(400), "{content_type}");
        assert!(visit.got.is_none());
    }
}

#[test]
fn a_log_out_of_the_page_ends_the_session() {
    let config = TOKENS.replacen(r#""bearer": ["#, r#""bearer": [{"path": "/api/logout", "ends": true}, "#, 1);
    for (line, status, ends) in [
        ("POST /api/logout", "204", true),
        ("POST /api/logout/", "302", true),
        ("POST /api/logout", "500", false),
        ("GET /api/logout", "200", false),
    ] {
        let app = App::new(&config);
        let (session, _) = log_in(&app, &jwt("alice", HOUR), "opaque-refresh-token-1");
        let visit = app.ask(line, &[("cookie", &session)], &[(":status", status)]);
        assert_eq!(visit.set_cookies().iter().any(|set| set.contains("Max-Age=0")), ends, "{line} {status}");
        assert_eq!(app.ask("GET /api/me", &[("cookie", &session)], &[]).seen.status.is_some(), ends);
    }
}

#[test]
fn a_log_out_of_the_page_ends_a_session_that_holds_nothing() {
    let config = TOKENS.replacen(r#""bearer": ["#, r#""bearer": [{"path": "/api/logout", "ends": true}, "#, 1);
    let config = config.replacen(
        r#""routes": ["#,
        r#""routes": [{"path": "/enter", "access": "optional", "commands": true}, "#,
        1,
    );
    let app = App::new(&config);
    let begun = app.ask("POST /enter", &[], &[("Warifu-Command", r#"do=start, sub="alice""#)]);
    let session = begun.seen.cookie().expect("a session").to_owned();
    assert_eq!(app.ask("GET /api/me", &[("cookie", &session)], &[]).seen.status, None);
    let visit = app.ask("POST /api/logout", &[("cookie", &session)], &[(":status", "204")]);
    assert!(visit.set_cookies().iter().any(|set| set.contains("Max-Age=0")));
    assert!(app.ask("GET /api/me", &[("cookie", &session)], &[]).seen.status.is_some());
}

#[test]
fn a_path_that_ends_sessions_is_no_token() {
    let app = App::new(
        r#"{"origin": "http://origin.test", "custody": {"cookies": ["sid"], "bearer": [{"path": "/bye", "ends": true}]},
            "routes": [{"path": "/open/*", "access": "public"}]}"#,
    );
    let visit = app.ask("GET /open/x", &[("authorization", "Bearer the-page's-own")], &[]);
    assert_eq!(visit.got("authorization"), Some("Bearer the-page's-own"));
}

#[test]
fn other_spellings_of_the_path_are_read_too() {
    for path in ["/api/login/", "/api/login;v=1", "/api/logi%6e"] {
        let config = TOKENS.replace(r#"{"path": "/api/login", "access""#, r#"{"path": "/api/*", "access""#);
        let app = App::new(&config);
        let body = json!({"access_token": jwt("alice", HOUR)}).to_string();
        let visit = app.ask(&format!("POST {path}"), &[], &[JSON, (":body", &body)]);
        assert!(visit.seen.cookie().is_some() && !visit.seen.body.contains(&jwt("alice", HOUR)), "{path}");
    }
}

#[test]
fn answers_without_a_token_pass_as_they_are() {
    let app = App::new(TOKENS);
    for says in [
        vec![(":status", "401"), JSON, (":body", r#"{"error": "wrong password"}"#)],
        vec![(":status", "302"), ("Location", "/mfa")],
        vec![(":status", "204")],
    ] {
        let visit = app.ask("POST /api/login", &[], &says);
        assert_eq!((visit.seen.status, visit.seen.body.as_str(), visit.seen.cookie()), (None, "", None), "not read");
    }
    let wants_more = r#"{ "mfa_required":true, "access_token": null }"#;
    let visit = app.ask("POST /api/login", &[], &[JSON, (":body", wants_more)]);
    assert_eq!((visit.seen.body.as_str(), visit.seen.cookie()), (wants_more, None), "read, and the same");
    let visit = app.ask("GET /api/login", &[("sec-fetch-mode", "navigate")], &[("Content-Type", "text/html")]);
    assert_eq!((visit.seen.status, visit.seen.cookie()), (None, None), "a page with a form");
}

#[test]
fn what_describes_a_body_goes_with_it() {
    let of_bytes = ["content-digest", "repr-digest", "digest", "content-md5"];
    let of_the_answer = [&of_bytes[..], &["etag", "last-modified", "accept-ranges", "content-length"]].concat();
    let app = App::new(TOKENS);
    let (session, visit) = log_in(&app, &jwt("alice", HOUR), "opaque-refresh-token-1");
    for name in of_the_answer {
        assert!(visit.seen.removed.contains(&name.to_owned()), "{name}");
    }
    let mut headers = vec![("cookie", &*session), ("content-type", "application/json")];
    headers.extend(of_bytes.map(|name| (name, "x")));
    let asks = r#"{"refresh_token":"warifu-held.refresh_token"}"#;
    let visit = app.send("POST /api/refresh", &headers, asks, &[(":status", "204")]);
    assert!(visit.body.is_some_and(|sent| sent.contains("opaque-refresh-token-1")));
    assert!(of_bytes.iter().all(|name| visit.got.iter().flatten().all(|(found, _)| found != name)), "{:?}", visit.got);
    // Where nothing is changed, it stays.
    let visit = app.send("POST /api/other", &headers, asks, &[("ETag", "x"), ("Content-Length", "1")]);
    assert!(of_bytes.iter().all(|name| visit.got(name) == Some("x")));
    assert!(visit.seen.removed.iter().all(|name| name == "warifu"), "{:?}", visit.seen.removed);
}
