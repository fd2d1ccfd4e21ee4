//! Requests that are like one before on routes that ask the session object for each: they ask
//! it, and come to the same only if it says the same. The world compares each with what the
//! gate comes to (`tests/support/precedents.rs`).

use std::time::Duration;

use warifu::precedent::{Precedent, Standing};
use warifu::site::Site;
use warifu::tally::{Outcome, Source};

use crate::support::world::Seen;
use crate::support::{World, request, site, site_of, site_plus};

const SECOND: Duration = Duration::from_secs(1);

const STRICT: &str = "/transfer/1";

/// A world with a session that was at the strict route before.
fn warm(site: &Site) -> (World, String) {
    let world = World::commanding("do=start, sub=\"alice\", claims=:eyJuIjoxfQ==:");
    let cookie = world.log_in(site);
    world.command.set("");
    assert_eq!(get(&world, site, &cookie).status, None);
    (world, cookie)
}

fn get(world: &World, site: &Site, cookie: &str) -> Seen {
    world.serve(site, &request("GET", STRICT, &[("cookie", cookie)]))
}

/// What came of it, whether by a precedent, and how many questions it took.
fn asked(world: &World, site: &Site, cookie: &str) -> (Option<u16>, bool, u32) {
    let (stood, calls) = (*world.precedents.stood.borrow(), world.shards.calls.get());
    let status = get(world, site, cookie).status;
    (status, *world.precedents.stood.borrow() > stood, world.shards.calls.get() - calls)
}

fn precedent(world: &World) -> Precedent {
    world.origin.seen.borrow().last().cloned().expect("a request").precedent.expect("a precedent")
}

fn standing(world: &World, site: &Site, precedent: &Precedent) -> Standing {
    precedent.stands(&site.config, &world.memory(site), world.shards.now.get())
}

fn kill_alice(world: &World, site: &Site) {
    let call = request("DELETE", "/_warifu/sessions?subject=alice", &[("authorization", "Bearer hunter2")]);
    assert_eq!(world.serve(site, &call).status, Some(200));
}

#[test]
fn each_asks_once_and_is_counted() {
    for site in [site(), site_plus(r#""bound": "0s""#)] {
        let (world, cookie) = warm(&site);
        let of_object = || world.memory(&site).tally().checks(Source::Object, Outcome::Live);
        for _ in 0..20 {
            assert_eq!(asked(&world, &site, &cookie), (None, true, 1));
        }
        let (kept, before) = (precedent(&world), of_object());
        assert_eq!(standing(&world, &site, &kept), Standing::Asks);
        kept.follow(&world.memory(&site), world.shards.now.get());
        assert_eq!((of_object() - before, world.memory(&site).tally().checks(Source::Memory, Outcome::Live)), (1, 0));
    }
}

#[test]
fn a_kill_elsewhere_holds_at_once() {
    for site in [site(), site_plus(r#""bound": "0s""#)] {
        let (world, cookie) = warm(&site);
        assert_eq!(asked(&world, &site, &cookie), (None, true, 1));
        let kept = precedent(&world);
        kill_alice(&world, &crate::support::site());
        assert_eq!(asked(&world, &site, &cookie), (Some(401), false, 1));
        assert_eq!(asked(&world, &site, &cookie), (Some(401), false, 0), "what is dead stays dead");
        assert_eq!(standing(&world, &site, &kept), Standing::Over);
    }
}

/// It is heard by what was said, and nobody is asked twice.
#[test]
fn another_answer_is_heard() {
    let (here, there) = (site(), site());
    let (world, cookie) = warm(&there);
    assert_eq!(asked(&world, &there, &cookie), (None, true, 1));
    world.command.set("do=update, claims=:eyJuIjoyfQ==:");
    assert_eq!(world.serve(&here, &request("POST", "/login", &[("cookie", &cookie)])).status, None);
    world.command.set("");
    assert_eq!(asked(&world, &there, &cookie), (None, false, 1));
    let outgoing = world.origin.seen.borrow().last().cloned().expect("a request");
    let claims = outgoing.edits.set.iter().find(|(name, _)| name == "warifu-claims").expect("claims");
    assert_eq!(claims.1, "eyJuIjoyfQ");
    assert_eq!(asked(&world, &there, &cookie), (None, true, 1));
}

#[test]
fn an_old_secret_is_heard_and_brings_the_newer_one() {
    let (here, there) = (site(), site());
    let (world, old) = warm(&there);
    world.command.set("do=rotate");
    let rotated = world.serve(&here, &request("POST", "/login", &[("cookie", &old)]));
    world.command.set("");
    let new = rotated.cookie().expect("a new secret").to_owned();
    let seen = get(&world, &there, &old);
    assert_eq!((seen.status, seen.cookie()), (None, Some(&*new)));
    assert_eq!(asked(&world, &there, &old), (None, false, 2), "and it is no precedent: each asks for the newer one");
    for _ in 0..16 {
        world.pass(SECOND);
        assert_eq!(get(&world, &there, &new).status, None);
    }
    // After its grace it is a copy.
    assert_eq!(asked(&world, &there, &old), (Some(401), false, 1));
    assert_eq!(world.event_names().iter().filter(|name| *name == "token_replayed").count(), 1);
}

#[test]
fn without_an_answer_it_is_503_and_asked_once() {
    let site = site();
    let (world, cookie) = warm(&site);
    world.shards.is_down.set(true);
    assert_eq!(asked(&world, &site, &cookie), (Some(503), false, 1));
    world.shards.is_down.set(false);
    assert_eq!(asked(&world, &site, &cookie), (None, true, 1));
}

#[test]
fn what_is_due_is_done_by_one_that_is_heard() {
    let site = site_plus(r#""idle_timeout": "10m""#);
    let (world, cookie) = warm(&site);
    let mut heard = 0;
    for _ in 0..120 {
        world.pass(10 * SECOND);
        let (status, stood, asks) = asked(&world, &site, &cookie);
        assert!(status.is_none() && (stood || asks == 2 || asks == 1));
        heard += u32::from(!stood);
    }
    // A report each minute, and twenty renewals, after each of which the session is another.
    assert!((20..=60).contains(&heard), "{heard} of 120");
    // A precedent of before is over: what was due for its session would be due for ever.
    get(&world, &site, &cookie);
    let kept = precedent(&world);
    assert_eq!(standing(&world, &site, &kept), Standing::Asks);
    world.pass(Duration::from_secs(61));
    assert_eq!(standing(&world, &site, &kept), Standing::NotNow, "a report is due");
    get(&world, &site, &cookie);
    assert_eq!(standing(&world, &site, &kept), Standing::Over);
}

#[test]
fn a_log_in_that_is_too_old_is_heard() {
    let site = site_of(
        r#"{"origin": "http://origin.test", "routes": [
            {"path": "/login", "access": "optional", "commands": true},
            {"path": "/transfer/*", "access": "strict", "max_auth_age": "20s"}]}"#,
    );
    let (world, cookie) = warm(&site);
    for at in 1..=30 {
        world.pass(SECOND);
        let expected = if at <= 20 { (None, true, 1) } else { (Some(403), false, 1) };
        assert_eq!(asked(&world, &site, &cookie), expected, "after {at} s");
    }
}
