//! Rate limits: whom they refuse, and whom never.

use std::time::Duration;

use warifu::limit::{Limit, NETWORKS_MAX};
use warifu::site::Site;

use crate::support::{World, request, site, site_plus};

const OPS: (&str, &str) = ("authorization", "Bearer hunter2");
const HERE: (&str, &str) = ("cf-connecting-ip", "203.0.113.7");
const NEXT_DOOR: (&str, &str) = ("cf-connecting-ip", "203.0.113.200");
const ELSEWHERE: (&str, &str) = ("cf-connecting-ip", "198.51.100.7");

fn limited() -> Site {
    site_plus(r#""limits": {"starts": "3/1m", "bad_macs": "3/1m", "admin_failures": "3/1m"}"#)
}

/// People are told what to do; which limit it was is for programs.
#[test]
fn a_page_says_when_to_try_again() {
    let (world, site) = (World::with_login(), limited());
    let navigates = [HERE, SAME, ("sec-fetch-mode", "navigate")];
    let last = (0..4).map(|_| world.serve(&site, &request(LOG_IN.0, LOG_IN.1, &navigates))).last().expect("one");
    assert_eq!(last.status, Some(429));
    let seconds = last.header("retry-after").expect("when");
    assert!(last.body.contains(&format!("<p>Try again in {seconds} seconds.</p>")), "{}", last.body);
    assert!(!last.body.contains("limits.starts"), "{}", last.body);
}

/// Status, `None` for the origin's own answer, and Retry-After.
fn ask(world: &World, site: &Site, what: (&str, &str), headers: &[(&str, &str)]) -> (Option<u16>, Option<String>) {
    let seen = world.serve(site, &request(what.0, what.1, headers));
    if seen.status == Some(429) {
        assert!(seen.body.contains(r#""code":"rate_limited""#), "{}", seen.body);
        // Only who logs in is told which limit it is.
        assert_eq!(seen.body.contains("limits.starts"), what == LOG_IN, "{}", seen.body);
        assert!(!seen.body.contains("bad_macs") && !seen.body.contains("admin_failures"), "{}", seen.body);
        assert_eq!(seen.header("set-cookie"), None, "no limit touches a cookie");
    }
    (seen.status, seen.header("retry-after").map(str::to_owned))
}

const LOG_IN: (&str, &str) = ("POST", "/login");
const SAME: (&str, &str) = ("sec-fetch-site", "same-origin");

#[test]
fn log_ins_are_limited_by_network_and_go_on_later() {
    let (world, site) = (World::with_login(), limited());
    for _ in 0..3 {
        assert_eq!(ask(&world, &site, LOG_IN, &[HERE, SAME]), (None, None));
    }
    assert_eq!(ask(&world, &site, LOG_IN, &[NEXT_DOOR, SAME]), (Some(429), Some("20".to_owned())));
    assert_eq!(ask(&world, &site, LOG_IN, &[ELSEWHERE, SAME]).0, None);
    assert_eq!(ask(&world, &site, LOG_IN, &[SAME]).0, None, "an address that is not known is not limited");
    world.pass(Duration::from_secs(20));
    assert_eq!(ask(&world, &site, LOG_IN, &[HERE, SAME]).0, None);
    assert_eq!(ask(&world, &site, LOG_IN, &[HERE, SAME]).0, Some(429));
}

#[test]
fn a_refused_log_in_starts_nothing_and_ends_nothing() {
    let (world, site) = (World::with_login(), limited());
    let mut cookie = String::new();
    for _ in 0..3 {
        let seen = world.serve(&site, &request("POST", "/login", &[HERE, SAME]));
        cookie = seen.cookie().expect("a cookie").to_owned();
    }
    let calls = world.shards.calls.get();
    assert_eq!(ask(&world, &site, LOG_IN, &[HERE, SAME]).0, Some(429));
    assert_eq!(world.shards.calls.get(), calls, "no store is asked");
    assert_eq!(ask(&world, &site, LOG_IN, &[HERE, SAME, ("cookie", &cookie)]).0, Some(429));
    for _ in 0..10 {
        assert_eq!(ask(&world, &site, ("GET", "/account"), &[HERE, ("cookie", &cookie)]).0, None, "who is in stays in");
    }
    let me = world.serve(&site, &request("POST", "/_warifu/logout", &[HERE, SAME, ("cookie", &cookie)]));
    assert_eq!(me.status, Some(204), "and can log out");
}

/// Each makes a new secret, an entry of the feed and rows of the store, as a log-in
/// does. What the application wants is its own.
#[test]
fn ends_of_all_others_are_limited_for_each_session() {
    let site = limited();
    let world = World::commanding("do=start, sub=\"alice\"");
    let mut cookie = world.log_in(&site);
    world.command.set("do=end-others");
    let mut ask = |method: &str, path: &str, from| {
        let headers = [from, SAME, ("cookie", cookie.as_str())];
        let seen = world.serve(&site, &request(method, path, &headers));
        let is_told = seen.body.contains("ten times a minute") && seen.header("retry-after").is_some();
        assert_eq!(is_told, seen.status == Some(429), "{}", seen.body);
        if let Some(newer) = seen.cookie() {
            cookie = newer.to_owned();
        }
        seen.status
    };
    for _ in 0..10 {
        assert_eq!(ask("POST", "/login", HERE), None, "the application's");
    }
    for from in [HERE, NEXT_DOOR, ELSEWHERE, HERE, HERE, HERE, HERE, HERE, HERE, HERE] {
        assert_eq!(ask("DELETE", "/_warifu/me/sessions", from), Some(200));
    }
    for from in [HERE, ELSEWHERE] {
        assert_eq!(ask("DELETE", "/_warifu/me/sessions", from), Some(429), "wherever it comes from");
    }
    world.pass(Duration::from_secs(6));
    assert_eq!(ask("DELETE", "/_warifu/me/sessions", HERE), Some(200), "the cookie is as it was");
    assert_eq!(ask("DELETE", "/_warifu/me/sessions", HERE), Some(429));
    world.command.set("do=start, sub=\"bob\"");
    let another = world.serve(&site, &request("POST", "/login", &[HERE, SAME]));
    assert_eq!(another.status, None, "nobody else is kept from anything");
    assert_eq!(ask("POST", "/_warifu/me/not-me", HERE), Some(200), "the way out of everything is open");
}

/// Of each, the last thousand kills are looked through.
#[test]
fn sessions_that_do_not_live_are_not_named_without_end() {
    let (world, site) = (World::with_login(), site_plus(r#""limits": {"starts": "off"}"#));
    let cookie = world.log_in(&site);
    let end = |id: &str| {
        let headers = [HERE, SAME, ("cookie", &*cookie)];
        let seen = world.serve(&site, &request("DELETE", &format!("/_warifu/me/sessions/{id}"), &headers));
        seen.status.expect("an answer of our own")
    };
    let id = || -> String {
        let seen = world.serve(&site, &request("GET", "/_warifu/me", &[SAME, ("cookie", &world.log_in(&site))]));
        let me: serde_json::Value = serde_json::from_str(&seen.body).expect("JSON");
        me["id"].as_str().expect("an id").to_owned()
    };
    let ended = id();
    for _ in 0..30 {
        assert_eq!(end(&id()), 200, "what lives is ended, however many there are");
    }
    assert_eq!([end(&ended), end(&ended)], [200, 200], "done again");
    let made_up = |n: u32| format!("{}{n:02}AA", &ended[..ended.len() - 4]);
    for n in 0..9 {
        assert_eq!(end(&made_up(n)), 404);
    }
    let calls = world.shards.calls.get();
    assert_eq!((end(&made_up(10)), end(&made_up(11))), (429, 429));
    assert_eq!(world.shards.calls.get(), calls + 2, "only whether it lives is asked");
    assert_eq!(end(&id()), 200, "somebody with a copy keeps nobody from ending what lives");
    assert_eq!(end("AQAAAHq3M68rpyOfG5cTjw"), 404, "of another's shard: nothing is looked for");
    world.pass(Duration::from_secs(6));
    assert_eq!(end(&id()), 200);
    assert_eq!((end(&made_up(12)), end(&made_up(13))), (404, 429));
    let others = request("DELETE", "/_warifu/me/sessions", &[HERE, SAME, ("cookie", &cookie)]);
    assert_eq!(world.serve(&site, &others).status, Some(200), "nor from ending all others");
}

#[test]
fn what_the_store_could_not_end_is_not_counted() {
    let (world, site) = (World::with_login(), site());
    let (cookie, other) = (world.log_in(&site), world.log_in(&site));
    let ask = |method: &str, path: &str, cookie: &str| {
        world.serve(&site, &request(method, path, &[HERE, SAME, ("cookie", cookie)]))
    };
    let me: serde_json::Value = serde_json::from_str(&ask("GET", "/_warifu/me", &other).body).expect("JSON");
    let path = format!("/_warifu/me/sessions/{}", me["id"].as_str().expect("an id"));
    assert_eq!(ask("GET", "/page", &cookie).status, None, "known, so that nobody is asked who comes");
    world.shards.is_down.set(true);
    for _ in 0..12 {
        assert_eq!(ask("DELETE", &path, &cookie).status, Some(503));
    }
    world.shards.is_down.set(false);
    assert_eq!(ask("DELETE", &path, &cookie).status, Some(200));
}

/// Operators see it, and the person is not told of a network.
#[test]
fn what_a_session_is_kept_from_is_told_of_and_counted() {
    let (world, site) = (World::with_login(), limited());
    let mut cookie = world.log_in(&site);
    let mut end_others = || {
        let seen = world.serve(&site, &request("DELETE", "/_warifu/me/sessions", &[HERE, SAME, ("cookie", &cookie)]));
        if let Some(newer) = seen.cookie() {
            cookie = newer.to_owned();
        }
        seen
    };
    let refused: Vec<_> = (0..13).map(|_| end_others()).filter(|seen| seen.status == Some(429)).collect();
    assert_eq!(refused.len(), 3);
    assert!(refused.iter().all(|seen| !seen.body.contains("network")), "{}", refused[0].body);
    assert_eq!(world.event_names().iter().filter(|name| *name == "rate_limited").count(), 1, "once a minute");
    let metrics = world.serve(&site, &request("GET", "/_warifu/metrics", &[OPS])).body;
    let line = metrics.lines().find(|line| line.contains("limit=\"own_ends\"")).expect("it is counted");
    assert!(line.ends_with(" 3"), "{line}");
}

/// A backend starts sessions for everybody, from one address.
#[test]
fn what_administrators_start_is_not_limited() {
    let (world, site) = (World::with_login(), limited());
    for _ in 0..10 {
        let body = br#"{"subject":"alice"}"#.to_vec();
        let seen = world.serve_with_body(&site, &request("POST", "/_warifu/sessions", &[OPS, HERE]), body);
        assert_eq!(seen.status, Some(201));
    }
}

/// The token with another MAC.
fn forged(cookie: &str) -> String {
    let end = if cookie.ends_with('A') { 'B' } else { 'A' };
    format!("{}{end}", &cookie[..cookie.len() - 1])
}

#[test]
fn wrong_macs_are_limited_where_a_session_is_needed() {
    let (world, site) = (World::with_login(), limited());
    let cookie = world.log_in(&site);
    let bad = forged(&cookie);
    let account = |headers: &[(&str, &str)]| ask(&world, &site, ("GET", "/account"), headers).0;
    for _ in 0..3 {
        assert_eq!(account(&[HERE, ("cookie", &bad)]), Some(401));
    }
    let polls = world.shards.calls.get();
    for _ in 0..5 {
        assert_eq!(account(&[NEXT_DOOR, ("cookie", &bad)]), Some(429));
    }
    assert_eq!(world.shards.calls.get(), polls, "no store is asked");
    assert_eq!(account(&[HERE, ("cookie", &cookie)]), None, "a good token is never refused");
    let both = format!("{bad}; {cookie}");
    assert_eq!(account(&[HERE, ("cookie", &both)]), None, "nor one beside which somebody has put another");
    assert_eq!(account(&[HERE]), Some(401), "nor who has none");
    for path in ["/", "/login", "/echo/1"] {
        assert_eq!(ask(&world, &site, ("GET", path), &[HERE, ("cookie", &bad)]).0, None, "{path}");
    }
    assert_eq!(world.memory(&site).tally().bad_macs.get(), 10, "but for public routes, where none is read");
    assert_eq!(world.memory(&site).tally().limited_so_far(Limit::BadMacs), 5);
}

/// Whoever has been away while keys were replaced has done nothing.
#[test]
fn a_token_of_a_key_that_is_gone_is_not_counted() {
    let config = &crate::support::CONFIG.replacen('{', r#"{"limits": {"bad_macs": "1/1m"},"#, 1);
    let (world, old) = (World::with_login(), site());
    let cookie = world.log_in(&old);
    let new = crate::support::site_with(config, crate::support::KEYS_DROPPED);
    for _ in 0..5 {
        assert_eq!(ask(&world, &new, ("GET", "/account"), &[HERE, ("cookie", &cookie)]).0, Some(401));
    }
    assert_eq!(world.memory(&new).tally().bad_macs.get(), 0);
}

#[test]
fn failures_of_administrators_are_limited_and_who_has_the_key_is_not() {
    let (world, site) = (World::with_login(), limited());
    let wrong = ("authorization", "Bearer guess");
    let list = |headers: &[(&str, &str)]| ask(&world, &site, ("GET", "/_warifu/sessions?subject=alice"), headers);
    for _ in 0..3 {
        assert_eq!(list(&[wrong, HERE]).0, Some(401));
    }
    for _ in 0..10 {
        assert_eq!(list(&[wrong, NEXT_DOOR]), (Some(429), Some("20".to_owned())));
        assert_eq!(list(&[OPS, HERE]).0, Some(200), "somebody else's guesses lock nobody out");
    }
    let reader = ("authorization", "Bearer reading");
    assert_ne!(ask(&world, &site, ("DELETE", "/_warifu/sessions?subject=alice"), &[reader, ELSEWHERE]).0, Some(429));
    let names = world.event_names();
    assert_eq!(names.iter().filter(|name| *name == "admin_refused").count(), 4, "the log is not flooded");
    assert_eq!(names.iter().filter(|name| *name == "rate_limited").count(), 1, "once a minute");
}

#[test]
fn the_platforms_limit_is_asked_where_it_is_bound() {
    let (world, site) = (World::with_login(), limited());
    world.platform_limit.set(Some(true));
    for _ in 0..10 {
        assert_eq!(ask(&world, &site, LOG_IN, &[HERE, SAME]).0, None, "it alone decides");
    }
    world.platform_limit.set(Some(false));
    assert_eq!(ask(&world, &site, LOG_IN, &[HERE, SAME]), (Some(429), Some("20".to_owned())));
    let asked = world.limited.borrow();
    assert!(asked.len() == 11 && asked.iter().all(|one| *one == asked[0]));
    assert_eq!(asked[0], (Limit::Starts, "04cb007100000000".to_owned()), "no address in it");
    assert_eq!(world.event_names().last().map(String::as_str), Some("rate_limited"));
}

#[test]
fn a_limit_can_be_off() {
    let world = World::with_login();
    let site = site_plus(r#""limits": {"starts": "off", "admin_failures": "1/1h"}"#);
    for _ in 0..400 {
        assert_eq!(ask(&world, &site, LOG_IN, &[HERE, SAME]).0, None);
    }
    let world = World::with_login();
    let site = crate::support::site();
    let refused = (0..400).filter(|_| ask(&world, &site, LOG_IN, &[HERE, SAME]).0.is_some()).count();
    assert_eq!(refused, 100, "300 a minute if nothing is said");
}

#[test]
fn a_flood_from_everywhere_takes_bounded_memory_and_refuses_nobody() {
    let (world, site) = (World::with_login(), limited());
    let bad = forged(&world.log_in(&site));
    for number in 0..6_000_u32 {
        let address = format!("2001:db8:{:x}:{:x}00::1", number >> 8, number & 0xff);
        let headers = [("cf-connecting-ip", address.as_str()), ("cookie", bad.as_str())];
        assert_eq!(ask(&world, &site, ("GET", "/account"), &headers).0, Some(401));
    }
    assert_eq!(world.memory(&site).buckets().len(Limit::BadMacs), NETWORKS_MAX);
    assert_eq!(ask(&world, &site, LOG_IN, &[HERE, SAME]).0, None, "limits do not share their memory");
}
