//! What the log says of ends under several rows of the map: all of them, also
//! where the rest fails.

use std::time::Duration;

use serde_json::{Value, json};
use warifu::audit::Whence;
use warifu::site::Site;
use warifu::time::UnixMillis;

use crate::support::{World, request, site_plus};

const ONE: &str = r#""map": [{"generation": 1, "shards": 64}]"#;
const TWO: &str = r#""map": [{"generation": 1, "shards": 64}, {"generation": 2, "shards": 64}]"#;
const LATER: &str = r#""map": [{"generation": 2, "shards": 64}]"#;
const SAME: (&str, &str) = ("sec-fetch-site", "same-origin");

/// Alice with three sessions in the first row and one in the second; its cookie.
fn spread(one: &Site, two: &Site) -> (World, String) {
    let world = World::commanding("do=start, sub=\"alice\"");
    for _ in 0..3 {
        world.log_in(one);
        world.pass(Duration::from_millis(1));
    }
    let newest = world.log_in(two);
    world.command.set("");
    world.events.borrow_mut().clear();
    (world, newest)
}

/// The names of what was told, with what was counted, or who did it.
fn told(world: &World) -> Vec<(String, Value)> {
    let line = |event: &warifu::audit::Event| -> (String, Value) {
        let line = event.to_line(UnixMillis(0), &Whence::default());
        let line: Value = serde_json::from_str(&line).expect("JSON");
        let counted = line.get("count").or(line.get("actor")).or(line.get("key")).cloned();
        (line["event"].as_str().expect("a name").to_owned(), counted.unwrap_or_default())
    };
    world.events.borrow().iter().map(line).collect()
}

fn are(events: &[(&str, Value)]) -> Vec<(String, Value)> {
    events.iter().map(|(name, counted)| ((*name).to_owned(), counted.clone())).collect()
}

#[test]
fn a_log_in_that_ends_others_counts_those_of_all_rows() {
    let (one, two) = (site_plus(ONE), site_plus(TWO));
    let (world, _) = spread(&one, &two);
    world.command.set("do=start, sub=\"alice\", end-others");
    let seen = world.serve(&two, &request("POST", "/login", &[SAME]));
    assert_eq!(seen.status, None, "{}", seen.body);
    assert_eq!(told(&world), are(&[("session_started", json!("origin")), ("sessions_ended", json!(4))]));
}

#[test]
fn what_makes_room_in_an_earlier_row_is_told_of_as_anywhere() {
    let limit = r#""max_sessions": 2"#;
    let (one, two) = (site_plus(ONE), site_plus(&format!("{TWO}, {limit}")));
    let world = World::commanding("do=start, sub=\"alice\"");
    for _ in 0..3 {
        world.log_in(&one);
        world.pass(Duration::from_millis(1));
    }
    world.events.borrow_mut().clear();
    world.log_in(&two);
    let ended = ("session_ended", json!("limit"));
    assert_eq!(told(&world), are(&[ended.clone(), ended, ("session_started", json!("origin"))]));
    // As the audit tables have it.
    let audit =
        world.serve(&two, &request("GET", "/_warifu/audit?subject=alice", &[("authorization", "Bearer hunter2")]));
    let audit: Value = serde_json::from_str(&audit.body).expect("JSON");
    let by_limit = |event: &&Value| {
        (&event["event"], &event["actor"], &event["reason"])
            == (&json!("session_ended"), &json!("limit"), &json!("max_sessions"))
    };
    assert_eq!(audit["events"].as_array().expect("events").iter().filter(by_limit).count(), 2);
}

/// The first row has ended three; the second is out of reach.
#[test]
fn what_ended_before_a_failure_is_told_of() {
    let (one, two) = (site_plus(ONE), site_plus(TWO));
    let ended = ("sessions_ended", json!(3));
    let failed = ("store_unavailable", Value::Null);
    for (method, path, command, asked_before, called) in [
        ("POST", "/login", "do=start, sub=\"alice\", end-others", 0, None),
        ("POST", "/login", "do=end-all", 1, None),
        ("POST", "/login", "do=end-others", 1, None),
        ("DELETE", "/_warifu/sessions?subject=alice", "", 0, Some(("admin_called", json!("ops")))),
    ] {
        let (world, newest) = spread(&one, &two);
        world.command.set(command);
        let mut headers = vec![SAME];
        if asked_before > 0 {
            // It is known from memory who they are.
            world.serve(&two, &request("GET", "/account", &[("cookie", &newest)]));
            headers.push(("cookie", &newest));
        }
        if called.is_some() {
            headers = vec![("authorization", "Bearer hunter2")];
        }
        world.events.borrow_mut().clear();
        world.shards.fails_from_call.set(Some(world.shards.calls.get() + 2));
        let seen = world.serve(&two, &request(method, path, &headers));
        assert_eq!(seen.status, Some(503), "{command} {}", seen.body);
        let expected: Vec<_> = called.into_iter().chain([failed.clone(), ended.clone()]).collect();
        assert_eq!(told(&world), are(&expected), "{method} {command}");
    }
}

/// The shard has committed it, and has the row of its start; what comes after
/// does not take that back.
#[test]
fn a_start_that_is_committed_is_told_of_whatever_comes_after() {
    let (two, later) = (site_plus(TWO), site_plus(LATER));
    let world = World::commanding("do=start, sub=\"alice\"");
    world.log_in(&two);
    world.events.borrow_mut().clear();
    world.command.set("do=start, sub=\"alice\", end-others");
    let seen = world.serve(&later, &request("POST", "/login", &[SAME]));
    assert!(seen.status == Some(503) && seen.body.contains("ended_in_part"), "{}", seen.body);
    let expected =
        [("session_started", json!("origin")), ("sessions_ended", json!(1)), ("store_unavailable", Value::Null)];
    assert_eq!(told(&world), are(&expected));
}
