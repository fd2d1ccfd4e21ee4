//! Commands that cannot be carried out: the answer does not reach the client,
//! one event says why, and nothing is half done.

use std::time::Duration;

use base64ct::{Base64, Encoding};
use warifu::audit::Event;
use warifu::site::Site;

use crate::support::{World, request, site, site_plus};

/// The commands for which there has to be a session, and what they begin with.
const CHANGES: [&str; 5] =
    ["do=rotate", "do=rotate, level=9", "do=update, claims=:eyJhIjoyfQ==:", "do=end-others", "do=end-all"];

/// `Warifu-Claims` and `Warifu-Level` of the next request with this cookie;
/// `None`: it is nobody's.
fn shown(world: &World, site: &Site, cookie: &str) -> Option<(String, String)> {
    let was = world.command.replace("");
    let is_let_through = world.serve(site, &request("GET", "/account", &[("cookie", cookie)])).status.is_none();
    world.command.set(was);
    let seen = world.origin.seen.borrow();
    let set = &seen.last().expect("a log-in was forwarded").edits.set;
    let one = |name: &str| set.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
    if is_let_through { one("warifu-claims").zip(one("warifu-level")) } else { None }
}

fn claims(json: &str) -> String {
    format!(":{}:", Base64::encode_string(json.as_bytes()))
}

#[test]
fn what_cannot_be_read_changes_nothing_and_says_so_once() {
    let site = site();
    let long = |count: usize| format!("do=start, sub=\"{}\"", "a".repeat(count));
    let bad = [
        // More than one.
        "do=start, sub=\"a\", do=end".to_owned(),
        "do=end, do=end".to_owned(),
        "do=start, sub=\"a\", do=start, sub=\"b\"".to_owned(),
        "do=start, sub=\"a\", sub=\"b\"".to_owned(),
        // Too much.
        long(256),
        long(100_000),
        format!("do=end{}", ", x=1".repeat(20_000)),
        (0..20_000).fold("do=end".to_owned(), |header, n| format!("{header}, a{n}")),
        format!("do=start, sub=\"a\", claims={}", claims(&format!("{{\"a\":\"{}\"}}", "x".repeat(2_041)))),
        "do=start, sub=\"a\", level=256".to_owned(),
        "do=start, sub=\"a\", ttl=315360001".to_owned(),
        // Too little, or something else.
        "do=start".to_owned(),
        "do=start, sub=\"\"".to_owned(),
        "do=start, sub=a".to_owned(),
        "do=start, sub=\"a\", ttl=0".to_owned(),
        "do=update".to_owned(),
        "sub=\"a\"".to_owned(),
        "do=stop".to_owned(),
        "do=END".to_owned(),
        "do=update, claims=:e30=:, level=1".to_owned(),
        "do=end, sub=\"a\"".to_owned(),
        "end".to_owned(),
        "\"".to_owned(),
        String::from(" "),
        // Claims that are none.
        format!("do=update, claims={}", claims("{a:1}")),
        format!("do=update, claims={}", claims("[1]")),
        format!("do=update, claims={}", claims("null")),
        format!("do=update, claims={}", claims("")),
        "do=update, claims=:_w==:".to_owned(),
        "do=update, claims=:/w==:".to_owned(),
        "do=update, claims=\"{}\"".to_owned(),
    ];
    let world = World::commanding("do=start, sub=\"alice\", level=3, claims=:eyJhIjoxfQ==:");
    let cookie = world.log_in(&site);
    let before = shown(&world, &site, &cookie);
    assert_eq!(before, Some(("eyJhIjoxfQ".to_owned(), "3".to_owned())));
    for command in bad {
        let leaked: &'static str = command.leak();
        let name = &leaked[..leaked.len().min(60)];
        world.command.set(leaked);
        for path in ["/login", "/signout"] {
            let (calls, events) = (world.shards.calls.get(), world.events.borrow().len());
            let reply = world.serve(&site, &request("POST", path, &[("cookie", &cookie), ("accept", "*/*")]));
            assert_eq!((reply.status, reply.header("set-cookie")), (Some(502), None), "{name}");
            let problem: serde_json::Value = serde_json::from_str(&reply.body).expect("a problem");
            assert_eq!(problem["code"], "bad_command", "{name}");
            assert!(problem["detail"].as_str().is_some_and(|detail| detail.starts_with("Warifu-Command: ")));
            let told = world.events.borrow()[events..].to_vec();
            assert!(
                matches!(&told[..], [Event::CommandRefused { path: told, reason }]
                if told.as_str() == path && reason.as_str().starts_with("Warifu-Command: ")),
                "{name}: {told:?}"
            );
            assert_eq!(world.shards.calls.get(), calls, "{name}: no store was asked");
        }
        assert_eq!(shown(&world, &site, &cookie), before, "{name}");
    }
}

#[test]
fn the_largest_command_is_carried_out_whole() {
    let site = site();
    let subject = "a".repeat(255);
    let object = format!("{{\"a\":\"{}\"}}", "x".repeat(2_040));
    let start =
        format!("do=start, sub=\"{subject}\", level=255, ttl=315360000, claims={}, end-others", claims(&object));
    let world = World::commanding(start.leak());
    let reply = world.serve(&site, &request("POST", "/login", &[]));
    assert!(reply.header("set-cookie").expect("a cookie").ends_with("; Max-Age=315360000"));
    let (claims, level) = shown(&world, &site, reply.cookie().expect("a cookie")).expect("a session");
    assert_eq!((claims.len(), level.as_str()), (2_731, "255"));
}

#[test]
fn with_the_store_out_of_reach_every_command_is_503_and_changes_nothing() {
    let start = "do=start, sub=\"alice\", level=3, claims=:eyJhIjoxfQ==:";
    let site = site();
    for command in [&[start, "do=end"], &CHANGES[..]].concat() {
        // Whether what is known of the session is still good when the request comes, or not.
        for pause in [Duration::ZERO, Duration::from_secs(90)] {
            let world = World::commanding(start);
            let cookie = world.log_in(&site);
            let before = shown(&world, &site, &cookie);
            world.pass(pause);
            world.shards.is_down.set(true);
            world.shards.is_feed_down.set(true);
            world.command.set(command);
            let reply = world.serve(&site, &request("POST", "/login", &[("cookie", &cookie)]));
            assert_eq!((reply.status, reply.header("set-cookie")), (Some(503), None), "{command} after {pause:?}");
            assert!(reply.body.contains("store_unavailable") && reply.header("retry-after").is_some());
            world.shards.is_down.set(false);
            world.shards.is_feed_down.set(false);
            assert_eq!(shown(&world, &site, &cookie), before, "{command} after {pause:?}");
        }
    }
}

#[test]
fn a_change_without_a_session_is_409_and_starts_nothing() {
    let site = site();
    let ended = {
        let world = World::commanding("do=start, sub=\"alice\"");
        let cookie = world.log_in(&site);
        world.command.set("do=end");
        world.serve(&site, &request("POST", "/login", &[("cookie", &cookie)]));
        (world, cookie)
    };
    for command in CHANGES {
        let (world, cookie) = &ended;
        world.command.set(command);
        let reply = world.serve(&site, &request("POST", "/login", &[("cookie", cookie)]));
        assert_eq!((reply.status, reply.header("set-cookie")), (Some(409), None), "{command}");
        assert!(reply.body.contains("no_live_session"));
        assert_eq!(world.event_names().last().map(String::as_str), Some("command_refused"));
        assert_eq!(shown(world, &site, cookie), None);
    }
}

#[test]
fn a_log_in_beyond_the_limit_is_409_and_leaves_the_others() {
    let site = site_plus(r#""max_sessions": 1, "on_limit": "refuse""#);
    let world = World::commanding("do=start, sub=\"alice\"");
    let cookie = world.log_in(&site);
    let reply = world.serve(&site, &request("POST", "/login", &[("sec-fetch-site", "same-origin")]));
    assert_eq!((reply.status, reply.header("set-cookie")), (Some(409), None));
    assert!(reply.body.contains("session_limit"));
    assert_eq!(world.event_names(), ["session_started", "start_refused"]);
    assert!(shown(&world, &site, &cookie).is_some());
}

#[test]
fn a_start_never_ends_another_subjects_session() {
    let (world, site) = (World::commanding("do=start, sub=\"alice\""), site());
    let alice = world.log_in(&site);
    for command in ["do=start, sub=\"bob\"", "do=start, sub=\"bob\", end-others"] {
        world.command.set(command);
        let reply = world.serve(&site, &request("POST", "/login", &[("cookie", &alice)]));
        let bob = reply.cookie().expect("a cookie").to_owned();
        assert!(shown(&world, &site, &bob).is_some() && shown(&world, &site, &alice).is_some(), "{command}");
    }
    assert!(!world.event_names().contains(&"session_replaced".to_owned()));
}
