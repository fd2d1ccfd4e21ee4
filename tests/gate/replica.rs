//! The copy of session records in KV.

use std::time::Duration;

use warifu::site::Site;

use crate::support::{World, request, site_plus};

/// The sessions' region is far from where requests enter (AS).
const FAR: &str = r#""replica": "away", "map": [{"generation": 1, "shards": 4, "region": "weur"}]"#;

fn status(world: &World, site: &Site, cookie: &str) -> Option<u16> {
    world.serve(site, &request("GET", "/account", &[("cookie", cookie)])).status
}

/// Another isolate, whose window is fresh and whose memory knows no session.
fn begun(world: &World, config: &str) -> &'static Site {
    // A world knows its isolates by the addresses of their sites.
    let site = Box::leak(Box::new(site_plus(config)));
    world.log_in(site);
    site
}

fn records(world: &World) -> Vec<(String, String)> {
    world.shards.kv.borrow().iter().map(|(name, record)| (name.clone(), record.clone())).collect()
}

#[test]
fn a_record_answers_where_the_request_enters_far_from_the_session() {
    let world = World::with_login();
    let first = site_plus(FAR);
    let cookie = world.log_in(&first);
    assert_eq!(records(&world).len(), 1, "written at the start");
    let second = begun(&world, FAR);
    let before = world.shards.calls.get();
    assert_eq!(status(&world, second, &cookie), None);
    assert_eq!((world.shards.calls.get(), world.memory(second).counts().from_replica), (before, 1));
    assert_eq!(status(&world, second, &cookie), None);
    assert_eq!(world.memory(second).counts().from_replica, 1, "then memory has it");
}

#[test]
fn near_sessions_and_those_of_no_region_are_asked_for() {
    for config in [
        r#""replica": "away", "map": [{"generation": 1, "shards": 4, "region": "apac"}]"#,
        r#""replica": "away""#,
        r#""replica": "off", "map": [{"generation": 1, "shards": 4, "region": "weur"}]"#,
    ] {
        let world = World::with_login();
        let first = site_plus(config);
        let cookie = world.log_in(&first);
        let second = begun(&world, config);
        assert_eq!(status(&world, second, &cookie), None);
        assert_eq!(world.memory(second).counts().from_replica, 0, "{config}");
    }
}

#[test]
fn a_record_of_before_a_kill_proves_nothing() {
    let world = World::with_login();
    let (first, killer) = (site_plus(FAR), site_plus(FAR));
    let cookie = world.log_in(&first);
    let kept = records(&world);
    let call = request("DELETE", "/_warifu/sessions?subject=alice", &[("authorization", "Bearer hunter2")]);
    assert_eq!(world.serve(&killer, &call).status, Some(200));
    // KV still shows it, for as long as it likes.
    world.shards.kv.borrow_mut().extend(kept);
    let second = begun(&world, FAR);
    assert_eq!(status(&world, second, &cookie), Some(401));
    assert_eq!(world.memory(second).counts().useless_records, 1);
}

#[test]
fn a_record_from_a_time_that_the_window_does_not_hold_proves_nothing() {
    let world = World::with_login();
    let first = site_plus(FAR);
    let cookie = world.log_in(&first);
    world.pass(Duration::from_secs(601));
    let second = begun(&world, FAR);
    assert_eq!(status(&world, second, &cookie), None);
    let counts = world.memory(second).counts();
    assert_eq!((counts.from_replica, counts.useless_records), (0, 1), "older than the horizon");
}

#[test]
fn what_cannot_be_read_or_is_foreign_is_counted_and_passed_over() {
    let world = World::with_login();
    let first = site_plus(FAR);
    let cookie = world.log_in(&first);
    let (name, good) = records(&world).remove(0);
    for bad in [
        String::new(),
        "{".to_owned(),
        good.replace("\"v\":1", "\"v\":2"),
        good.replace("\"position\"", "\"place\""),
        good.replace('}', ",\"more\":1}"),
        "x".repeat(1 << 20),
    ] {
        world.shards.kv.borrow_mut().insert(name.clone(), bad);
        let second = begun(&world, FAR);
        assert_eq!(status(&world, second, &cookie), None, "the object knows");
        let counts = world.memory(second).counts();
        assert_eq!((counts.from_replica, counts.bad_records), (0, 1));
    }
}

#[test]
fn a_log_out_removes_the_record_and_nothing_secret_stands_in_it() {
    let world = World::with_login();
    let site = site_plus(FAR);
    let cookie = world.log_in(&site);
    let token = cookie.split('=').nth(1).expect("a token");
    let (name, record) = records(&world).remove(0);
    assert!(name.starts_with("1/default/"));
    for part in [&token[8..50], &token[20..40]] {
        assert!(!record.contains(part) && !name.contains(part));
    }
    let out = request("POST", "/_warifu/logout", &[("cookie", &cookie)]);
    assert_eq!(world.serve(&site, &out).status, Some(204));
    assert!(records(&world).is_empty());
}

#[test]
fn the_stored_form_is_what_the_documents_say() {
    let world = World::with_login();
    let site = site_plus(FAR);
    world.log_in(&site);
    let (_, record) = records(&world).remove(0);
    let expected = r#"{"v":1,"position":{"epoch":"616e2065706f6368","seq":0},"confirmed":1750000000000,"session":"#;
    assert!(record.starts_with(expected), "{record}");
    let parsed: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    let members: Vec<&String> = parsed["session"].as_object().expect("an object").keys().collect();
    let listed = [
        "absolute_expires",
        "auth_time",
        "claims",
        "created",
        "device",
        "generation",
        "held",
        "id",
        "idle_expires",
        "last_seen",
        "level",
        "subject",
    ];
    assert_eq!(members, listed);
}
