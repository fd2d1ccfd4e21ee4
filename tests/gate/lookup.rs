//! Where a verdict comes from: memory while the feed is known to be fresh, the
//! session object otherwise; and what happens when one of them is away.

use std::time::Duration;

use warifu::lookup::AT_ONCE;
use warifu::revocation::{Epoch, Position};
use warifu::site::Site;
use warifu::tally::{Outcome, Source};
use warifu::token::SessionKey;

use crate::support::{World, request, site, site_of, site_plus};

const SECOND: Duration = Duration::from_secs(1);

/// A world with a session that the isolate of the site has in memory.
fn warm(site: &Site) -> (World, String) {
    let world = World::with_login();
    let cookie = world.log_in(site);
    // The log-in asked the feed; the first use asks the object.
    assert_eq!(status(&world, site, &cookie), None);
    (world, cookie)
}

fn get(world: &World, site: &Site, path: &str, cookie: &str) -> Option<u16> {
    world.serve(site, &request("GET", path, &[("cookie", cookie)])).status
}

fn status(world: &World, site: &Site, cookie: &str) -> Option<u16> {
    get(world, site, "/account", cookie)
}

/// Another isolate of the same site: it has a memory of its own.
fn other() -> Site {
    site()
}

fn kill_alice(world: &World, site: &Site) {
    let call = request("DELETE", "/_warifu/sessions?subject=alice", &[("authorization", "Bearer hunter2")]);
    assert_eq!(world.serve(site, &call).status, Some(200));
}

/// Requests that memory has let in.
fn from_memory(world: &World, site: &Site) -> u64 {
    world.memory(site).tally().checks(Source::Memory, Outcome::Live)
}

fn calls(world: &World) -> (u32, u32) {
    (world.shards.calls.get(), world.shards.polls.get())
}

#[test]
fn the_warm_path_asks_nobody() {
    let site = site();
    let (world, cookie) = warm(&site);
    let before = calls(&world);
    for _ in 0..100 {
        assert_eq!(status(&world, &site, &cookie), None);
        world.pass(Duration::from_millis(9));
    }
    assert_eq!(calls(&world), before);
    assert_eq!(from_memory(&world, &site), 100);
}

#[test]
fn a_busy_isolate_polls_once_in_half_the_bound_and_confirms_once_a_minute() {
    let site = site();
    let (world, cookie) = warm(&site);
    let (asked, polled) = calls(&world);
    for _ in 0..10_000 {
        world.pass(Duration::from_millis(10));
        assert_eq!(status(&world, &site, &cookie), None);
    }
    let (asked, polled) = (calls(&world).0 - asked, calls(&world).1 - polled);
    assert!((90..=100).contains(&polled), "{polled} polls in 100 s");
    assert_eq!(asked, 1, "a verdict is confirmed after a minute");
}

#[test]
fn a_kill_holds_at_once_where_it_was_made_and_within_the_bound_elsewhere() {
    let (here, there) = (site(), other());
    let (world, cookie) = warm(&here);
    for _ in 0..3 {
        assert_eq!(status(&world, &there, &cookie), None);
    }
    kill_alice(&world, &here);
    assert_eq!(status(&world, &here, &cookie), Some(401));
    let mut accepted = Duration::ZERO;
    for step in 0..300 {
        if status(&world, &there, &cookie).is_none() {
            accepted = Duration::from_millis(10) * step;
        }
        world.pass(Duration::from_millis(10));
    }
    assert!(accepted > Duration::ZERO, "the other isolate served from memory");
    assert!(accepted <= 2 * SECOND, "{accepted:?}");
}

#[test]
fn a_strict_route_and_a_bound_of_nothing_ask_each_time() {
    let there = other();
    let (world, cookie) = warm(&there);
    status(&world, &there, &cookie);
    let before = calls(&world).0;
    assert_eq!(get(&world, &there, "/transfer", &cookie), None);
    assert_eq!(calls(&world).0, before + 1);
    kill_alice(&world, &site());
    let asked_once = |site: &Site, path: &str, cookie: &str| {
        let before = calls(&world).0;
        for _ in 0..50 {
            assert_eq!(get(&world, site, path, cookie), Some(401), "at once");
        }
        assert_eq!(calls(&world).0, before + 1, "{path}: what is dead stays dead");
    };
    asked_once(&there, "/transfer", &cookie);
    let strict = site_plus(r#""bound": "0s""#);
    let cookie = world.log_in(&strict);
    let before = calls(&world).0;
    for _ in 0..3 {
        assert_eq!(status(&world, &strict, &cookie), None);
    }
    assert_eq!(calls(&world).0, before + 3);
    kill_alice(&world, &site());
    asked_once(&strict, "/account", &cookie);
}

#[test]
fn few_requests_ask_the_object_and_poll_nothing() {
    let site = site();
    let (world, cookie) = warm(&site);
    world.pass(10 * SECOND);
    let (asked, polled) = calls(&world);
    for _ in 0..20 {
        world.pass(2 * SECOND);
        assert_eq!(status(&world, &site, &cookie), None);
    }
    assert_eq!((calls(&world).0 - asked, calls(&world).1 - polled), (20, 0));
}

#[test]
fn without_the_feed_the_object_is_asked_and_without_both_the_answer_is_503() {
    let site = site();
    let (world, cookie) = warm(&site);
    world.shards.is_feed_down.set(true);
    world.pass(2 * SECOND);
    let before = from_memory(&world, &site);
    for _ in 0..50 {
        assert_eq!(status(&world, &site, &cookie), None);
        world.pass(Duration::from_millis(50));
    }
    // What the object has said counts for the bound, and not longer.
    assert_eq!(from_memory(&world, &site), before + 48, "it was asked twice in 2.5 s");
    world.pass(2 * SECOND);
    world.shards.is_down.set(true);
    let seen = world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)]));
    assert_eq!((seen.status, seen.header("set-cookie")), (Some(503), None));
    assert!(seen.header("retry-after").is_some());
    world.shards.is_down.set(false);
    world.shards.is_feed_down.set(false);
    for _ in 0..20 {
        assert_eq!(status(&world, &site, &cookie), None);
        world.pass(Duration::from_millis(100));
    }
    assert!(from_memory(&world, &site) > before, "verdicts count again within the bound");
}

#[test]
fn what_the_object_has_said_counts_for_the_bound_without_a_poll() {
    let (here, there) = (site(), other());
    let (world, cookie) = warm(&here);
    for _ in 0..3 {
        assert_eq!(status(&world, &there, &cookie), None, "so that it has a window");
    }
    // Too seldom to poll.
    world.pass(10 * SECOND);
    let before = calls(&world);
    assert_eq!(status(&world, &there, &cookie), None);
    kill_alice(&world, &here);
    world.pass(Duration::from_millis(1_950));
    assert_eq!(status(&world, &there, &cookie), None, "nobody has told it");
    assert_eq!(calls(&world).0 - before.0, 2, "the end and one question");
    world.pass(Duration::from_millis(1));
    assert_eq!(status(&world, &there, &cookie), Some(401));
}

#[test]
fn what_this_isolate_has_ended_is_over_whatever_was_said_before() {
    let site = site();
    let (world, cookie) = warm(&site);
    world.pass(10 * SECOND);
    assert_eq!(status(&world, &site, &cookie), None);
    kill_alice(&world, &site);
    assert_eq!(status(&world, &site, &cookie), Some(401));
}

/// What so many at once come to, and how many questions and polls they cause.
fn at_once(world: &World, site: &Site, cookie: &str, count: usize) -> (Vec<Option<u16>>, u32, u32) {
    let (asked, polled) = calls(world);
    let requests = vec![request("GET", "/account", &[("cookie", cookie)]); count];
    let seen = world.serve_all(site, &requests).iter().map(|seen| seen.status).collect();
    (seen, calls(world).0 - asked, calls(world).1 - polled)
}

#[test]
fn of_many_at_once_one_asks() {
    let site = site();
    let (world, cookie) = warm(&site);
    for rest in [10 * SECOND, 2 * SECOND] {
        world.pass(rest);
        assert_eq!(at_once(&world, &site, &cookie, 20), (vec![None; 20], 1, 1));
    }
    let memory = world.memory(&site);
    assert_eq!(memory.tally().checks(Source::Object, Outcome::Live), 3, "the first one and one of each twenty");
    // Each is told of its own, and what the object says is gone by.
    kill_alice(&world, &other());
    world.pass(10 * SECOND);
    assert_eq!(at_once(&world, &site, &cookie, 20), (vec![Some(401); 20], 1, 1));
    // Without a window nothing is kept: the first asks for itself alone. The second polls.
    let (cold, cookie) = (other(), world.log_in(&site));
    assert_eq!(at_once(&world, &cold, &cookie, 5), (vec![None; 5], 2, 1));
}

#[test]
fn who_has_waited_in_vain_asks() {
    let (site, world) = (site(), World::commanding("do=start, sub=\"alice\""));
    let old = world.log_in(&site);
    world.command.set("do=rotate");
    let rotated = world.serve(&site, &request("POST", "/login", &[("cookie", &old)]));
    world.command.set("");
    let new = rotated.cookie().expect("a new secret");
    assert_eq!(status(&world, &site, new), None);
    world.pass(3 * SECOND);
    // A yes to an old secret is nobody else's. Each asks for the newer one too.
    assert_eq!(at_once(&world, &site, &old, 5), (vec![None; 5], 10, 1));
    world.pass(10 * SECOND);
    world.shards.is_down.set(true);
    assert_eq!(at_once(&world, &site, new, 5), (vec![Some(503); 5], 5, 1));
    world.shards.is_down.set(false);
    // A question that is not answered is waited for a second.
    world.pass(10 * SECOND);
    let token = site.ring.verify(new.split_once('=').expect("a cookie").1).expect("our own");
    let memory = world.memory(&site);
    let stuck = memory.under_way().begin(&token.session_key(), AT_ONCE, world.shards.now.get()).expect("a place");
    stuck.share(memory.position());
    let (asked, now) = (calls(&world).0, world.shards.now.get());
    assert_eq!(status(&world, &site, new), None);
    assert_eq!((calls(&world).0 - asked, world.shards.now.get().since(now)), (1, SECOND));
    assert_eq!(status(&world, &site, new), None);
    assert_eq!((calls(&world).0 - asked, world.shards.now.get().since(now)), (1, SECOND), "and then no more");
}

#[test]
fn nobody_waits_for_an_answer_that_cannot_count() {
    let site = site();
    let (world, cookie) = warm(&site);
    let memory = world.memory(&site);
    let token = site.ring.verify(cookie.split_once('=').expect("a cookie").1).expect("our own");
    // What is asked without a window, and with one of another epoch.
    for position in [None, Some(Position { epoch: Epoch([9; 8]), seq: 0 })] {
        world.pass(10 * SECOND);
        let asking = memory.under_way().begin(&token.session_key(), AT_ONCE, world.shards.now.get()).expect("a place");
        asking.share(position);
        let now = world.shards.now.get();
        assert_eq!(status(&world, &site, &cookie), None);
        assert_eq!(world.shards.now.get(), now, "{position:?}");
    }
    // Whose window is so old that no answer counts without the feed.
    world.shards.is_feed_down.set(true);
    world.pass(Duration::from_mins(61));
    let cookie = world.log_in(&site);
    let (seen, asked, _) = at_once(&world, &site, &cookie, 5);
    assert_eq!((seen, asked), (vec![None; 5], 5));
    let token = site.ring.verify(cookie.split_once('=').expect("a cookie").1).expect("our own");
    let asking = memory.under_way().begin(&token.session_key(), AT_ONCE, world.shards.now.get()).expect("a place");
    asking.share(memory.position());
    let now = world.shards.now.get();
    assert_eq!(status(&world, &site, &cookie), None);
    assert_eq!(world.shards.now.get(), now);
}

#[test]
fn memory_survives_an_object_that_is_away_for_as_long_as_the_feed_is_there() {
    let site = site();
    let (world, cookie) = warm(&site);
    world.shards.is_down.set(true);
    for _ in 0..50 {
        assert_eq!(status(&world, &site, &cookie), None);
        world.pass(SECOND);
    }
    world.pass(15 * SECOND);
    assert_eq!(status(&world, &site, &cookie), Some(503), "no longer confirmed");
}

#[test]
fn a_route_may_go_on_in_an_outage_but_never_against_a_kill() {
    let site = site_of(
        r#"{"origin": "http://origin.test", "continue_for": "60s", "routes": [
        {"path": "/login", "access": "optional", "commands": true},
        {"path": "/news", "access": "required", "on_outage": "continue"},
        {"path": "/transfer", "access": "strict"}]}"#,
    );
    let (world, cookie) = warm(&site);
    let bob = {
        let call = request("POST", "/_warifu/sessions", &[("authorization", "Bearer hunter2")]);
        let seen = world.serve_with_body(&site, &call, br#"{"subject":"bob"}"#.to_vec());
        let body: serde_json::Value = serde_json::from_str(&seen.body).expect("JSON");
        format!("__Host-Http-warifu={}", body["token"].as_str().expect("a token"))
    };
    assert_eq!(get(&world, &site, "/news", &bob), None);
    assert_eq!(get(&world, &site, "/news", &cookie), None);
    kill_alice(&world, &site);
    world.shards.is_down.set(true);
    world.shards.is_feed_down.set(true);
    world.pass(3 * SECOND);
    assert_eq!(get(&world, &site, "/news", &bob), None, "on the last proof");
    assert_eq!(get(&world, &site, "/account", &bob), Some(503), "other routes are closed");
    assert_eq!(get(&world, &site, "/transfer", &bob), Some(503), "strict ones always");
    assert_eq!(get(&world, &site, "/news", &cookie), Some(503), "what was heard of counts");
    world.pass(58 * SECOND);
    assert_eq!(get(&world, &site, "/news", &bob), Some(503), "and not for longer than it says");

    world.shards.is_down.set(false);
    world.shards.is_feed_down.set(false);
    let call = request("DELETE", "/_warifu/sessions?subject=bob", &[("authorization", "Bearer hunter2")]);
    let receipt: serde_json::Value = serde_json::from_str(&world.serve(&site, &call).body).expect("JSON");
    assert_eq!(receipt["bound_ms"], 60_000, "receipts say so");
    let call = request("GET", "/_warifu/key", &[("authorization", "Bearer hunter2")]);
    let key: serde_json::Value = serde_json::from_str(&world.serve(&site, &call).body).expect("JSON");
    assert_eq!(key["bound_ms"], 60_000, "and who is to end something is told it before");
}

#[test]
fn an_old_secret_is_never_kept_and_a_rotation_is_told() {
    let (here, there) = (site(), other());
    let world = World::commanding("do=start, sub=\"alice\"");
    let old = world.log_in(&here);
    world.command.set("");
    for _ in 0..3 {
        assert_eq!(status(&world, &there, &old), None);
    }
    world.command.set("do=rotate");
    let new =
        world.serve(&here, &request("POST", "/login", &[("cookie", &old)])).cookie().expect("a cookie").to_owned();
    world.command.set("");
    assert_eq!(status(&world, &here, &new), None, "the first use");
    for _ in 0..16 {
        world.pass(SECOND);
        status(&world, &there, &old);
        status(&world, &here, &old);
    }
    for site in [&here, &there] {
        assert_eq!(status(&world, site, &old), Some(401), "after the grace");
        assert_eq!(status(&world, site, &new), None);
    }
}

#[test]
fn changed_claims_are_seen_everywhere_within_the_bound() {
    let (here, there) = (site(), other());
    let world = World::commanding("do=start, sub=\"alice\", claims=:eyJuIjoxfQ==:");
    let cookie = world.log_in(&here);
    world.command.set("");
    for _ in 0..3 {
        assert_eq!(status(&world, &there, &cookie), None);
    }
    world.command.set("do=update, claims=:eyJuIjoyfQ==:");
    assert_eq!(world.serve(&here, &request("POST", "/login", &[("cookie", &cookie)])).status, None);
    world.command.set("");
    let seen = |site: &Site| {
        assert_eq!(status(&world, site, &cookie), None);
        let outgoing = world.origin.seen.borrow().last().cloned().expect("a request");
        outgoing.edits.set.iter().find(|(name, _)| name == "warifu-claims").expect("claims").1.clone()
    };
    assert_eq!(seen(&here), "eyJuIjoyfQ", "at once where it was changed");
    for _ in 0..5 {
        seen(&there);
        world.pass(Duration::from_millis(400));
    }
    assert_eq!(seen(&there), "eyJuIjoyfQ");
}

#[test]
fn a_clock_that_steps_back_voids_the_memory() {
    let site = site();
    let (world, cookie) = warm(&site);
    assert_eq!(status(&world, &site, &cookie), None);
    let before = from_memory(&world, &site);
    world.shards.now.set(world.shards.now.get().minus(SECOND).expect("later than 1970"));
    assert_eq!(status(&world, &site, &cookie), None);
    assert_eq!(from_memory(&world, &site), before, "asked anew");
}

#[test]
fn what_is_dead_is_not_asked_for_again_and_again() {
    let site = site();
    let (world, cookie) = warm(&site);
    kill_alice(&world, &other());
    world.pass(3 * SECOND);
    assert_eq!(status(&world, &site, &cookie), Some(401));
    let before = calls(&world).0;
    for _ in 0..20 {
        assert_eq!(status(&world, &site, &cookie), Some(401));
    }
    assert_eq!(calls(&world).0, before);
    assert_eq!(get(&world, &site, "/transfer", &cookie), Some(401));
    assert_eq!(calls(&world).0, before);
    world.pass(61 * SECOND);
    for path in ["/transfer", "/account"] {
        assert_eq!(get(&world, &site, path, &cookie), Some(401));
        assert_eq!(calls(&world).0, before + 1, "a no is bounded too");
    }
}

#[test]
fn a_session_in_use_is_renewed_though_memory_answers() {
    let site = site();
    let (world, cookie) = warm(&site);
    // The idle timeout is 30 minutes.
    for _ in 0..120 {
        world.pass(30 * SECOND);
        assert_eq!(status(&world, &site, &cookie), None);
    }
}

#[test]
fn an_answer_that_took_longer_than_the_bound_is_not_gone_by() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    world.shards.takes.set(Duration::from_millis(2_001));
    let before = world.shards.calls.get();
    let seen = world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)]));
    assert_eq!((seen.status, seen.header("set-cookie")), (Some(503), None), "the session may have ended since");
    assert_eq!(world.shards.calls.get(), before + 2, "asked once more");
    world.shards.takes.set(Duration::from_millis(1_900));
    assert_eq!(world.serve(&site, &request("GET", "/account", &[("cookie", &cookie)])).status, None);
}

#[test]
fn more_questions_than_an_object_can_stand_are_not_asked() {
    let (world, site) = (World::with_login(), site());
    let cookie = world.log_in(&site);
    let memory = world.memory(&site);
    let of = |n: u16| SessionKey::from_bytes(std::array::from_fn(|at| n.to_be_bytes()[at % 2]));
    let ask = |n| memory.under_way().begin(&of(n), AT_ONCE, world.shards.now.get());
    let fill = || (0..500).map(|n| ask(n).expect("one more")).collect::<Vec<_>>();
    let under_way = fill();
    let before = world.shards.calls.get();
    let transfer = request("GET", "/transfer/x", &[("cookie", &cookie)]);
    let seen = world.serve(&site, &transfer);
    assert_eq!((seen.status, seen.header("set-cookie")), (Some(503), None));
    assert_eq!(world.shards.calls.get(), before);
    assert_eq!(world.serve(&site, &transfer).status, Some(503));
    let told = || world.event_names().iter().filter(|name| *name == "store_unavailable").count();
    assert_eq!(told(), 1, "not for each");
    let counted = world.memory(&site).tally().events();
    assert!(counted.contains(&("store_unavailable".to_owned(), 2)), "{counted:?}");
    drop(under_way);
    assert_eq!(world.serve(&site, &transfer).status, None);
    // Of clients that went away: the platform ends nothing, and drops it late.
    core::mem::forget(fill());
    assert_eq!(world.serve(&site, &transfer).status, Some(503));
    world.pass(Duration::from_secs(31));
    assert_eq!(world.serve(&site, &transfer).status, None);
}
