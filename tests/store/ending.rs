//! The end of one session, and of the others.

use std::time::Duration;

use warifu::store::message::{EndAllCall, EndCall, EndOthersCall, ShardAnswer, ShardCall, StartCall, Which};
use warifu::time::UnixMillis;

use crate::{Bench, GRACE, IDLE_EXPIRY, MS, NOW, end_all_here, handle, id, key, lead, millis, start, subject};

#[test]
fn a_session_is_ended_by_each_of_its_names_with_all_its_secrets() {
    for of in [Which::Key(key(1)), Which::Key(key(2)), Which::Id(id(1))] {
        let bench = Bench::new();
        bench.start(1, "alice");
        bench.start(5, "alice");
        bench.rotate(1, 2).expect("rotated");
        assert_eq!(bench.end(of, None), Some(id(1)));
        assert!(!bench.is_live(1) && !bench.is_live(2) && bench.show(1).is_none(), "{of:?}");
        assert!(!bench.is_replay(1), "it is unknown");
        assert_eq!((bench.is_live(5), bench.count("secrets")), (true, 1));
    }
}

#[test]
fn an_end_can_be_limited_to_a_subject() {
    let bench = Bench::new();
    bench.start(1, "alice");
    for of in [Which::Key(key(1)), Which::Id(id(1))] {
        assert_eq!(bench.end(of, Some("bob")), None);
    }
    assert!(bench.is_live(1));
    assert_eq!(bench.count("kills"), 0, "what ended nothing has no receipt");
    assert_eq!(bench.end(Which::Id(id(1)), Some("alice")), Some(id(1)));
    assert_eq!(bench.count("kills"), 1);
}

#[test]
fn what_is_dead_is_not_ended() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.start(2, "bob");
    bench.end_all("bob");
    assert_eq!(bench.end(Which::Id(id(2)), None), None);
    assert_eq!(bench.end(Which::Key(key(2)), None), None);
    bench.at(IDLE_EXPIRY);
    assert_eq!(bench.end(Which::Id(id(1)), None), None);
    assert_eq!(bench.end(Which::Id(id(9)), None), None);
}

#[test]
fn a_repeated_end_keeps_the_first_receipt() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.start(2, "alice");
    let end = |number: u16| {
        let call = EndCall { of: Which::Id(id(number)), only: None, kill: handle(70) };
        bench.ask(ShardCall::End(call))
    };
    end(1);
    bench.pass(MS);
    end(2);
    let ShardAnswer::Receipt { kill: Some(kill) } = bench.ask(ShardCall::Receipt { kill: handle(70) }) else {
        panic!("a receipt")
    };
    assert_eq!(kill.committed, NOW);
    assert!(!bench.is_live(2), "and ends all the same");
}

#[test]
fn the_others_end_and_this_one_goes_on_with_a_fresh_secret() {
    let bench = Bench::new();
    for number in [1, 2, 3] {
        bench.start(number, "alice");
    }
    bench.start(4, "bob");
    bench.rotate(2, 20).expect("rotated");
    let before = bench.show(1).expect("alive");
    let (session, others) = bench.end_others(1, 10);
    let session = session.expect("alive");
    assert_eq!(others, 2);
    assert_eq!((session.id, session.level, session.created), (before.id, before.level, before.created));
    assert_eq!(bench.check(10).expect("alive").session, session);
    for dead in [1, 2, 20, 3] {
        assert!(!bench.is_live(dead), "{dead}");
    }
    assert!(bench.is_live(4), "bob's are bob's");
    assert_eq!(bench.list("alice"), [id(1)]);
    while bench.wake().is_some_and(|at| at == bench.now.get().plus(Duration::from_secs(2))) {}
    assert!(bench.is_live(10), "the sweep takes the others only");
    assert_eq!(bench.number("SELECT count(*) FROM sessions WHERE subject = 'alice'"), 1);
}

#[test]
fn after_end_others_the_old_secret_is_refused_at_once_but_is_no_replay_yet() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.rotate(1, 2).expect("rotated");
    bench.end_others(2, 3).0.expect("alive");
    for old in [1, 2] {
        assert_eq!(bench.check_with(old, Some(handle(1))), (None, None, false), "honest requests may be on their way");
        assert!(bench.rotate(old, 9).is_none() && bench.end(Which::Key(key(old)), None).is_none());
        assert_eq!(bench.end_others(old, 9).0, None);
    }
    bench.now.set(UnixMillis(NOW.0 - 60_000));
    assert!(!bench.is_live(1) && !bench.is_live(2), "nor where the object moves to, if the clock is behind there");
    bench.now.set(NOW);
    bench.pass(GRACE.saturating_sub(MS));
    assert!(!bench.is_replay(1) && !bench.is_replay(2));
    bench.pass(MS);
    assert!(bench.is_replay(1) && bench.is_replay(2));
    assert!(bench.is_live(3));
    assert_eq!(bench.number("SELECT count(*) FROM secrets WHERE salt IS NOT NULL"), 0);
}

#[test]
fn the_fresh_secret_of_end_others_changes_nothing_for_what_was_refused() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.rotate(1, 2).expect("rotated");
    assert!(bench.is_live(2));
    bench.pass(GRACE);
    assert!(bench.is_replay(1));
    bench.end_others(2, 3).0.expect("alive");
    assert!(bench.is_replay(1), "a replay stays one");
    assert!(bench.is_live(3));
    bench.rotate(3, 4).expect("rotated");
    assert!(bench.is_live(4), "a first use");
    assert!(!bench.is_live(2) && !bench.is_replay(2), "does not serve the old one again");
    bench.pass(GRACE);
    assert!(bench.is_replay(2));
}

#[test]
fn end_others_of_a_secret_that_opens_nothing_ends_nothing() {
    let bench = Bench::new();
    bench.start(1, "alice");
    let before = bench.dump();
    assert_eq!(bench.end_others(9, 10), (None, 0));
    assert_eq!(bench.dump(), before);
    bench.at(IDLE_EXPIRY);
    assert_eq!(bench.end_others(1, 10), (None, 0));
}

#[test]
fn a_start_can_end_all_others() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.start(2, "alice");
    bench.start(3, "bob");
    let call = StartCall { end_others: true, presented: Some(key(1)), ..start(4, "alice") };
    let (session, replaced, evicted, ended_others) = bench.start_as(call).expect("started");
    assert_eq!((replaced, evicted.len(), ended_others), (None, 0, 2));
    assert_eq!(bench.list("alice"), [session.id]);
    assert!(!bench.is_live(1) && !bench.is_live(2) && bench.is_live(3) && bench.is_live(4));
}

#[test]
fn a_generation_that_is_asked_for_is_kept_with_the_receipt() {
    let bench = Bench::new();
    bench.start(1, "alice");
    let call = EndOthersCall {
        presented: key(1),
        successor: key(2),
        lead: lead(handle(70), 9),
        grace_ms: millis(GRACE),
        wrapped: None,
    };
    bench.ask(ShardCall::EndOthers(call));
    let kill = handle(71);
    bench.ask(ShardCall::EndAll(EndAllCall { subject: subject("alice"), kill, lead: Some(lead(kill, 1)) }));
    bench.ask(end_all_here("alice", handle(1)));
    assert_eq!(bench.count("kills WHERE partial = 0"), 2, "only the lead keeps one");
    assert_eq!(bench.number("SELECT min_generation FROM kills ORDER BY min_generation DESC LIMIT 1"), 9);
    assert_eq!(bench.number("SELECT min(min_generation) FROM kills"), 2);
    assert_eq!(
        bench.number("SELECT value FROM meta WHERE name = 'generation'"),
        3,
        "the shard's own goes step by step"
    );
}
