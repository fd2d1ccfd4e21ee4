//! A client that takes its time over a body into which tokens go.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::support::world::BODY;
use crate::support::{KEYS, KEYS_ROTATED, World, request, site_of, site_with};

const SECRET: &str = "opaque-refresh-token-1";
const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn what_is_killed_while_its_body_drips_has_no_token_sent() {
    for access in ["optional", "required", "strict"] {
        let config = super::TOKENS.replace(
            r#"{"path": "/api/refresh", "access": "optional"}"#,
            &format!(r#"{{"path": "/api/refresh", "access": "{access}"}}"#),
        );
        let (site, elsewhere) = (site_of(&config), site_of(&config));
        let login: &str =
            format!(r#"{{"access_token": "{}", "refresh_token": "{SECRET}"}}"#, { super::jwt("alice", super::HOUR) })
                .leak();
        let world = Rc::new(World::new(move |outgoing| {
            let body = if outgoing.url.contains("login") { login } else { "{}" };
            Some(vec![("Content-Type", "application/json"), (BODY, body)])
        }));
        let seen = world.serve(&site, &request("POST", "/api/login", &[]));
        let session = seen.cookie().expect("a session").to_owned();
        let refresh = || {
            let headers = [("cookie", session.as_str()), JSON];
            let body = br#"{"refresh_token": "warifu-held.refresh_token"}"#;
            let seen = world.serve_with_body(&site, &request("POST", "/api/refresh", &headers), body.to_vec());
            let sent = world.origin.seen.borrow().last().and_then(|outgoing| outgoing.body.clone());
            (seen.status, String::from_utf8(sent.unwrap_or_default()).expect("a text"))
        };
        assert_eq!(refresh(), (None, format!(r#"{{"refresh_token":"{SECRET}"}}"#)), "{access}");
        world.origin.seen.borrow_mut().clear();
        let there = Rc::downgrade(&world);
        *world.meanwhile.borrow_mut() = Some(Box::new(move || {
            let world = there.upgrade().expect("it is there");
            let headers = [("authorization", "Bearer hunter2")];
            let killed = world.serve(&elsewhere, &request("DELETE", "/_warifu/sessions?subject=alice", &headers));
            assert_eq!(killed.status, Some(200));
            // Longer than the bound.
            world.pass(Duration::from_secs(9));
        }));
        let (status, sent) = refresh();
        assert!(!sent.contains(SECRET), "{access}: {sent}");
        assert_eq!(status, (access != "optional").then_some(401), "{access}");
    }
}

#[test]
fn a_secret_that_was_served_when_the_request_came_is_no_replay_when_its_body_is_there() {
    let config = super::TOKENS
        .replacen('{', r#"{"on_replay": "end", "rotation_grace": "1s", "#, 1)
        .replace(r#""routes": ["#, r#""routes": [{"path": "/rotate", "access": "required", "commands": true}, "#);
    let (site, elsewhere) = (Rc::new(site_of(&config)), Rc::new(site_of(&config)));
    let login: &str = format!(r#"{{"access_token": "{}"}}"#, super::jwt("alice", super::HOUR)).leak();
    let world = Rc::new(World::new(move |outgoing| {
        let json = ("Content-Type", "application/json");
        Some(if outgoing.url.contains("rotate") {
            vec![("Warifu-Command", "do=rotate")]
        } else {
            vec![json, (BODY, if outgoing.url.contains("login") { login } else { "{}" })]
        })
    }));
    let seen = world.serve(&site, &request("POST", "/api/login", &[]));
    let session = seen.cookie().expect("a session").to_owned();
    let next: Rc<RefCell<String>> = Rc::default();
    let (there, at, old, set) = (Rc::downgrade(&world), Rc::clone(&elsewhere), session.clone(), Rc::clone(&next));
    *world.meanwhile.borrow_mut() = Some(Box::new(move || {
        let world = there.upgrade().expect("it is there");
        let seen = world.serve(&at, &request("POST", "/rotate", &[("cookie", &old)]));
        set.replace(seen.cookie().expect("a new secret").to_owned());
        world.serve(&at, &request("GET", "/a", &[("cookie", &set.borrow())]));
        world.pass(Duration::from_secs(9));
    }));
    let headers = [("cookie", session.as_str()), JSON];
    let body = br#"{"refresh_token": "warifu-held.refresh_token"}"#;
    world.serve_with_body(&site, &request("POST", "/api/refresh", &headers), body.to_vec());
    assert!(!world.event_names().contains(&"token_replayed".to_owned()));
    assert_eq!(world.serve(&elsewhere, &request("GET", "/a", &[("cookie", &next.borrow())])).status, None);
}

#[test]
fn who_needs_a_session_and_has_none_has_no_body_read() {
    let config = super::TOKENS.replace(
        r#"{"path": "/api/refresh", "access": "optional"}"#,
        r#"{"path": "/api/refresh", "access": "required"}"#,
    );
    let world = World::with_login();
    *world.meanwhile.borrow_mut() = Some(Box::new(|| panic!("it is read")));
    assert_eq!(world.serve(&site_of(&config), &request("POST", "/api/refresh", &[JSON])).status, Some(401));
}

#[test]
fn a_second_look_takes_nothing_of_the_first_away() {
    let (before, after) = (site_with(super::TOKENS, KEYS), site_with(super::TOKENS, KEYS_ROTATED));
    let login: &str =
        format!(r#"{{"access_token": "{}", "refresh_token": "{SECRET}"}}"#, super::jwt("alice", super::HOUR)).leak();
    let world = World::new(move |outgoing| {
        let body = if outgoing.url.contains("login") { login } else { "{}" };
        Some(vec![("Content-Type", "application/json"), (BODY, body)])
    });
    let session = world.serve(&before, &request("POST", "/api/login", &[])).cookie().expect("a session").to_owned();
    world.pass(Duration::from_mins(10));
    let headers = [("cookie", session.as_str()), JSON];
    let body = br#"{"refresh_token": "warifu-held.refresh_token"}"#;
    let seen = world.serve_with_body(&after, &request("POST", "/api/refresh", &headers), body.to_vec());
    let minted = seen.cookie().expect("the same secret under the new key");
    assert_ne!(minted, session);
}
