//! What an isolate counts, and how it is told.
#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

use std::collections::BTreeMap;
use std::time::Duration;

use warifu::site::Site;
use warifu::tally::{Outcome, Source};

use crate::support::{World, request, site, site_plus};

const OPS: (&str, &str) = ("authorization", "Bearer hunter2");

/// The samples by their names and labels, but for the isolate's.
fn samples(world: &World, site: &Site) -> BTreeMap<String, f64> {
    let seen = world.serve(site, &request("GET", "/_warifu/metrics", &[OPS]));
    assert_eq!(seen.status, Some(200));
    assert_eq!(seen.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let (mut found, mut families) = (BTreeMap::new(), Vec::new());
    for line in seen.body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            assert!(help.ends_with(" Of this isolate."), "{line}");
            families.push(help.split(' ').next().expect("a name").to_owned());
            continue;
        }
        if let Some(of) = line.strip_prefix("# TYPE ") {
            assert!(of.starts_with(families.last().expect("a HELP before")), "{line}");
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect("a sample");
        let family = families.last().expect("a family");
        assert!(name.starts_with(family.as_str()), "{line} is not of {family}");
        let isolate = name.split_once("isolate=\"").expect("whose it is").1;
        let name = name.replace(&format!("isolate=\"{}\"", &isolate[..8]), "").replace("{,", "{").replace("{}", "");
        assert!(found.insert(name, value.parse().expect("a number")).is_none(), "{line} is there twice");
    }
    let mut different = families.clone();
    different.dedup();
    assert_eq!(different, families);
    found
}

fn get(world: &World, site: &Site, path: &str, cookie: &str) -> Option<u16> {
    world.serve(site, &request("GET", path, &[("cookie", cookie)])).status
}

#[test]
fn checks_are_counted_by_where_the_answer_came_from() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    for _ in 0..10 {
        get(&world, &site, "/account", &cookie);
        world.pass(Duration::from_millis(100));
    }
    get(&world, &site, "/transfer/1", &cookie);
    world.shards.is_down.set(true);
    get(&world, &site, "/transfer/1", &cookie);
    world.shards.is_down.set(false);
    // At another isolate: this one would know of it.
    get(&world, &crate::support::site(), "/signout", &cookie);
    world.pass(Duration::from_secs(2));
    for _ in 0..3 {
        assert_eq!(get(&world, &site, "/account", &cookie), Some(401));
    }
    let found = samples(&world, &site);
    let checks = |source: &str, outcome: &str| {
        found[&format!("warifu_checks_total{{source=\"{source}\",outcome=\"{outcome}\"}}")]
    };
    // The first is asked since nobody has polled yet.
    let memory = checks("memory", "live");
    assert!(memory >= 9.0, "{memory}");
    assert_eq!((checks("object", "unknown"), checks("object", "none"), checks("memory", "none")), (1.0, 1.0, 2.0));
    let all: f64 = found.iter().filter(|(name, _)| name.starts_with("warifu_checks_total")).map(|(_, n)| n).sum();
    assert_eq!(all, 15.0, "each check once");
    assert_eq!(found["warifu_store_failures_total"], 1.0);
    assert!(found["warifu_store_calls_total"] >= 4.0 && found["warifu_polls_total"] >= 1.0);
    assert_eq!(found["warifu_events_total{event=\"store_unavailable\"}"], 1.0);
    assert_eq!(found["warifu_events_total{event=\"session_started\"}"], 1.0);
}

#[test]
fn the_cache_and_the_feed_are_told_of() {
    let (world, site) = (World::with_login(), site());
    assert!(!samples(&world, &site).contains_key("warifu_feed_age_seconds"), "nothing is known yet");
    let cookie = world.log_in(&site);
    for _ in 0..20 {
        get(&world, &site, "/account", &cookie);
        world.pass(Duration::from_millis(100));
    }
    let found = samples(&world, &site);
    assert_eq!(found["warifu_cached_verdicts"], 1.0);
    assert!(found["warifu_cached_bytes"] > 400.0);
    let age = found["warifu_feed_age_seconds"];
    assert!((0.0..=1.2).contains(&age), "{age}");
    assert_eq!(found["warifu_poll_seconds_count"], found["warifu_polls_total"]);
    assert_eq!(found["warifu_poll_seconds_bucket{le=\"+Inf\"}"], found["warifu_poll_seconds_count"]);
    assert_eq!(found["warifu_origin_seconds_count"], 2.0, "of 21 requests, one in 16");
}

/// From the last moment at which it cannot have known, by its own clock.
#[test]
fn a_kill_that_the_feed_tells_of_is_timed() {
    let world = World::with_login();
    let (here, elsewhere) = (site(), site());
    let cookie = world.log_in(&here);
    for _ in 0..10 {
        get(&world, &here, "/account", &cookie);
        world.pass(Duration::from_millis(200));
    }
    assert_eq!(samples(&world, &here)["warifu_kill_delay_seconds_count"], 0.0);
    world.serve(&elsewhere, &request("DELETE", "/_warifu/sessions?subject=alice", &[OPS]));
    let mut accepted = 0;
    while get(&world, &here, "/account", &cookie).is_none() {
        world.pass(Duration::from_millis(200));
        accepted += 1;
        assert!(accepted < 20);
    }
    let found = samples(&world, &here);
    let delay = found["warifu_kill_delay_seconds_sum"];
    assert_eq!(found["warifu_kill_delay_seconds_count"], 1.0);
    assert!(delay >= 0.2 * f64::from(accepted - 1) && delay <= 2.0, "{delay} s, {accepted} were let in");
    assert_eq!(samples(&world, &elsewhere)["warifu_kill_delay_seconds_count"], 0.0, "it did it itself");
}

/// It hears of the end late, and has let nobody in meanwhile: no delay.
#[test]
fn who_rests_is_not_late() {
    let world = World::with_login();
    let (here, elsewhere) = (site(), site());
    let cookie = world.log_in(&here);
    for _ in 0..10 {
        get(&world, &here, "/account", &cookie);
        world.pass(Duration::from_millis(200));
    }
    world.pass(Duration::from_secs(10));
    world.serve(&elsewhere, &request("DELETE", "/_warifu/sessions?subject=alice", &[OPS]));
    world.pass(Duration::from_secs(10));
    let heard = |found: &BTreeMap<String, f64>| found["warifu_kill_delay_seconds_count"] > 0.0;
    for _ in 0..20 {
        assert!(get(&world, &here, "/account", &cookie).is_some(), "refused by whom was asked");
        world.pass(Duration::from_millis(200));
    }
    let found = samples(&world, &here);
    assert!(heard(&found), "it was told");
    assert!(found["warifu_kill_delay_seconds_sum"] <= 2.0, "{found:?}");
}

#[test]
fn figures_are_reported_once_a_minute_and_count_from_the_last() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    let mut requests = 0;
    for _ in 0..40 {
        get(&world, &site, "/account", &cookie);
        requests += 1;
        world.pass(Duration::from_secs(5));
    }
    let figures = world.figures.borrow();
    assert_eq!(figures.len(), 3, "in 200 seconds");
    assert!(figures.iter().all(|figures| figures.len() == 20), "as many as the platform takes");
    let reported: u64 = figures.iter().map(|figures| figures[..7].iter().sum::<u64>()).sum();
    assert!((30..=requests).contains(&reported), "{reported} of {requests} checks");
    let tally = world.memory(&site);
    let all = tally.tally().checks(Source::Memory, Outcome::Live) + tally.tally().checks(Source::Object, Outcome::Live);
    assert_eq!(all, requests);
}

/// Nobody is checked there, and still there is something to tell.
#[test]
fn an_isolate_that_checks_nobody_reports_too() {
    // Its MAC is wrong.
    let mut forged = World::with_login().log_in(&site());
    let last = forged.pop().expect("a cookie");
    forged.push(if last == 'A' { 'B' } else { 'A' });
    for (path, headers, figure) in
        [("/assets/app.css", vec![], 15), ("/account", vec![("cookie", forged.as_str())], 17)]
    {
        let (world, site) = (World::with_login(), site());
        for _ in 0..150 {
            world.serve(&site, &request("GET", path, &headers));
            world.pass(Duration::from_secs(1));
        }
        let figures = world.figures.borrow();
        assert!((1..=2).contains(&figures.len()), "{path}: {} in 150 seconds", figures.len());
        assert!(figures[0][figure] > 0, "{path}: {figures:?}");
    }
}

#[test]
fn a_record_of_kv_that_is_refused_is_counted() {
    let far = r#""replica": "always", "map": [{"generation": 1, "shards": 4, "region": "weur"}]"#;
    let (world, here, elsewhere) = (World::with_login(), site_plus(far), site_plus(far));
    let cookie = world.log_in(&here);
    world.log_in(&elsewhere);
    let refused = |site: &Site| samples(&world, site)["warifu_records_refused_total"];
    assert_eq!(refused(&elsewhere), 0.0);
    for record in world.shards.kv.borrow_mut().values_mut() {
        *record = record.replace("alice", "mallory");
    }
    assert_eq!(get(&world, &elsewhere, "/account", &cookie), None, "the object knows");
    assert_eq!((refused(&elsewhere), refused(&here)), (1.0, 0.0));
}

/// A series that begins with 1 has not increased, and no rule over `increase` rings.
#[test]
fn what_rules_look_for_is_there_from_the_beginning() {
    let rules = include_str!("../../docs/operations/alerts.yaml");
    let (world, site) = (World::with_login(), site());
    let found = samples(&world, &site);
    let values = rules.split("{event=").skip(1).filter_map(|rest| rest.split('"').nth(1));
    let events: Vec<&str> = values.flat_map(|names| names.split('|')).collect();
    assert!(events.len() >= 6 && events.contains(&"panicked") && events.contains(&"cookie_refused"), "{events:?}");
    for event in events {
        assert_eq!(found.get(&format!("warifu_events_total{{event=\"{event}\"}}")), Some(&0.0), "{event}");
    }
    let refused = world.serve(&site, &request("GET", "/_warifu/metrics", &[]));
    assert_eq!(refused.status, Some(401));
    let later = samples(&world, &site);
    let is_gauge = |name: &str| ["age", "cached", "entries"].iter().any(|part| name.contains(part));
    let new: Vec<_> = later.keys().filter(|name| !found.contains_key(*name) && !is_gauge(name)).collect();
    assert!(new.is_empty(), "{new:?}");
    assert_eq!(later["warifu_events_total{event=\"admin_refused\"}"], 1.0);
}

#[test]
fn metrics_need_their_scope() {
    let (world, site) = (World::with_login(), site_plus(r#""max_sessions": 1"#));
    let status = |headers: &[(&str, &str)], path: &str| world.serve(&site, &request("GET", path, headers)).status;
    assert_eq!(status(&[], "/_warifu/metrics"), Some(401));
    assert_eq!(status(&[OPS], "/_warifu/metrics?of=all"), Some(400));
    assert_eq!(status(&[OPS], "/_warifu/metrics"), Some(200));
}
