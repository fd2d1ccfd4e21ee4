//! A log-in that was on its way when the subject or the site was killed.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use warifu::revocation::Epoch;
use warifu::site::Site;
use warifu::store::feed_object::FeedObject;

use crate::support::sqlite::Sqlite;
use crate::support::world::{OriginAnswer, Seen};
use crate::support::{World, request, site};

/// A world whose origin does something before it answers a log-in.
fn slow(meanwhile: impl Fn(&World) + 'static) -> Rc<World> {
    Rc::new_cyclic(|world: &std::rc::Weak<World>| {
        let world = world.clone();
        World::new(move |outgoing| -> OriginAnswer {
            if !outgoing.url.contains("/login") {
                return Some(Vec::new());
            }
            meanwhile(&world.upgrade().expect("it is there"));
            Some(vec![("Warifu-Command", "do=start, sub=\"alice\"")])
        })
    })
}

fn log_in(world: &World, site: &Site) -> (Option<u16>, bool) {
    let seen = world.serve(site, &request("POST", "/login", &[("sec-fetch-site", "same-origin")]));
    let is_killed = seen.body.contains("killed_meanwhile");
    assert_eq!(seen.cookie().is_some(), seen.status.is_none());
    (seen.status, is_killed)
}

fn admin(world: &World, site: &Site, method: &str, path: &str, body: &str) -> u16 {
    let call = request(method, path, &[("authorization", "Bearer hunter2")]);
    world.serve_with_body(site, &call, body.as_bytes().to_vec()).status.expect("our own answer")
}

#[test]
fn a_log_in_in_flight_does_not_outlive_a_kill_of_its_subject() {
    let other = site();
    let world = slow(move |world| {
        let status = admin(world, &other, "DELETE", "/_warifu/sessions?subject=alice", "");
        assert_eq!(status, 404, "there is none yet");
    });
    assert_eq!(log_in(&world, &site()), (Some(409), true));
}

#[test]
fn one_that_began_after_the_kill_is_taken_at_once() {
    let (world, site, other) = (slow(|_| ()), site(), site());
    assert_eq!(log_in(&world, &site), (None, false));
    assert_eq!(admin(&world, &other, "DELETE", "/_warifu/sessions?subject=alice", ""), 200);
    assert_eq!(log_in(&world, &site), (None, false));
}

#[test]
fn one_that_began_after_a_kill_and_a_restart_of_the_feed_is_taken() {
    let (mut world, site) = (World::commanding("do=start, sub=\"alice\""), site());
    world.log_in(&site);
    assert_eq!(admin(&world, &site, "DELETE", "/_warifu/sessions?subject=alice", ""), 200);
    world.pass(Duration::from_secs(13));
    world.shards.feed = FeedObject::new(Sqlite::in_memory(), Epoch(*b"another1"), 2_000);
    assert_eq!(log_in(&world, &site), (None, false));
}

#[test]
fn a_kill_of_somebody_else_does_not_matter() {
    let other = site();
    let world = slow(move |world| {
        assert_eq!(admin(world, &other, "DELETE", "/_warifu/sessions?subject=bob", ""), 404);
    });
    assert_eq!(log_in(&world, &site()), (None, false));
}

#[test]
fn without_the_feed_a_start_waits_out_what_is_not_known() {
    let (world, site, other) = (slow(|_| ()), site(), site());
    assert_eq!(log_in(&world, &site), (None, false), "nothing has been killed");
    world.shards.is_feed_down.set(true);
    assert_eq!(admin(&world, &other, "DELETE", "/_warifu/sessions?subject=alice", ""), 202, "committed");
    assert_eq!(log_in(&world, &site), (Some(409), true));
    world.pass(Duration::from_secs(121));
    assert_eq!(log_in(&world, &site), (None, false));
}

#[test]
fn a_log_in_that_takes_more_than_a_minute_is_given_up() {
    let world = slow(|world| world.pass(Duration::from_secs(61)));
    assert_eq!(log_in(&world, &site()), (Some(409), true));
    assert_eq!(world.event_names().last().map(String::as_str), Some("start_refused"));
}

#[test]
fn many_log_ins_at_a_time_ask_the_feed_a_few_times() {
    let (world, site) = (slow(|_| ()), site());
    let posts = vec![request("POST", "/login", &[("sec-fetch-site", "same-origin")]); 200];
    // First at an isolate that knows nothing yet, where each has to know something.
    for what in ["cold", "warm"] {
        let before = world.shards.polls.get();
        let seen = world.serve_all(&site, &posts);
        assert!(seen.iter().all(|seen| seen.cookie().is_some()), "{what}");
        let polls = world.shards.polls.get() - before;
        assert!((1..=8).contains(&polls), "{what}: {polls} polls");
    }
    assert_eq!(world.memory(&site).tally().polls.get(), u64::from(world.shards.polls.get()));
}

/// Who is not among the few that ask goes by what the isolate knew before, and may be refused
/// for it: never the other way round.
#[test]
fn many_log_ins_at_a_time_do_not_outlive_a_kill() {
    for warm in [0, 1] {
        let (site, other) = (site(), site());
        let reached = Cell::new(0);
        let world = slow(move |world| {
            reached.set(reached.get() + 1);
            if reached.get() == 100 + warm {
                assert_eq!(admin(world, &other, "DELETE", "/_warifu/sessions?subject=alice", ""), 200);
            }
        });
        for _ in 0..warm {
            assert_eq!(log_in(&world, &site), (None, false));
        }
        let before = world.shards.polls.get();
        let posts = vec![request("POST", "/login", &[("sec-fetch-site", "same-origin")]); 200];
        let seen = world.serve_all(&site, &posts);
        assert!(seen.iter().all(|seen| seen.cookie().is_some() || seen.body.contains("killed_meanwhile")));
        let opens =
            |cookie: &str| world.serve(&site, &request("GET", "/account", &[("cookie", cookie)])).status.is_none();
        let alive = seen.iter().filter_map(Seen::cookie).filter(|cookie| opens(cookie)).count();
        assert!(alive <= 100, "{alive}: the application had got the others before");
        assert!(world.shards.polls.get() - before < 100, "most have not asked");
        assert_eq!(log_in(&world, &site), (None, false), "once more");
    }
}

#[test]
fn a_feed_without_an_answer_is_left_alone_for_a_while() {
    let (world, site) = (slow(|_| ()), site());
    assert_eq!(log_in(&world, &site), (None, false));
    world.shards.is_feed_down.set(true);
    world.pass(Duration::from_secs(3));
    for method in ["GET", "POST"] {
        let before = world.shards.polls.get();
        for _ in 0..200 {
            world.serve(&site, &request(method, "/login", &[("sec-fetch-site", "same-origin")]));
            world.pass(Duration::from_millis(10));
        }
        let polls = world.shards.polls.get() - before;
        assert!((1..=3).contains(&polls), "{method}: {polls} polls in two seconds");
    }
    assert_eq!(admin(&world, &site, "DELETE", "/_warifu/sessions?subject=alice", ""), 202, "committed");
    for _ in 0..3 {
        assert_eq!(log_in(&world, &site), (Some(409), true), "by what is known, too");
    }
}

/// By an edge's own clock it took half a minute, and two in truth: the shard has
/// forgotten the kill.
#[test]
fn a_log_in_over_a_step_of_the_clock_is_given_up() {
    let (here, other) = (Rc::new(site()), site());
    let there = Rc::clone(&here);
    let world = slow(move |world| {
        world.pass(Duration::from_secs(5));
        admin(world, &other, "DELETE", "/_warifu/sessions?subject=alice", "");
        world.pass(Duration::from_secs(55));
        // Other requests show the clock to the isolate.
        let reads_the_clock = || assert_eq!(admin(world, &there, "GET", "/_warifu/metrics", ""), 200);
        reads_the_clock();
        world.shards.isolates_behind.set(Duration::from_secs(100));
        reads_the_clock();
        world.pass(Duration::from_secs(70));
        world.ring();
        world.pass(Duration::from_secs(5));
    });
    assert_eq!(log_in(&world, &here), (Some(409), true));
}

#[test]
fn a_log_in_in_flight_does_not_outlive_a_kill_of_the_site() {
    let other = site();
    let world = slow(move |world| {
        assert_eq!(admin(world, &other, "DELETE", "/_warifu/sessions", r#"{"confirm":"default"}"#), 202);
        // All shards commit, and it is published; they are told where it stands.
        for _ in 0..6 {
            world.ring();
        }
    });
    let site = site();
    assert_eq!(log_in(&world, &site), (Some(409), true));
}
