//! The end of all sessions of a subject: by one number, however many there are.

use std::time::Duration;

use warifu::store::message::{ShardAnswer, ShardCall, StartCall};
use warifu::time::UnixMillis;

use crate::sweeping::copies;
use crate::{Bench, handle, id, start, subject};

const SOON: Duration = Duration::from_secs(2);

/// Rows that were written, index entries aside.
fn writes(bench: &Bench, work: impl FnOnce()) -> u64 {
    let before = bench.shard.sql().connection.total_changes();
    work();
    bench.shard.sql().connection.total_changes() - before
}

#[test]
fn to_end_ten_thousand_sessions_takes_a_handful_of_rows() {
    let bench = Bench::new();
    bench.start(1, "alice");
    copies(&bench, 9_999);
    bench.start(2, "bob");
    let mut ended = (0, 0);
    bench.has_feed.set(false);
    let rows = writes(&bench, || ended = bench.end_all("alice"));
    assert_eq!(ended, (10_000, 1));
    assert!(rows <= 6, "{rows} rows");
    let rows = writes(&bench, || bench.publish());
    assert!(rows <= 2, "{rows} rows to note where it stands");
    bench.has_feed.set(true);
    assert!(!bench.is_live(1) && bench.show(1).is_none() && bench.list("alice").is_empty() && bench.is_live(2));
    assert_eq!(bench.end_all("alice"), (0, 2), "they are ended once");

    let mut sweeps = 1;
    while bench.wake() == Some(bench.now.get().plus(SOON)) {
        assert!(bench.number("SELECT count(*) FROM sessions WHERE subject = 'alice'") <= 10_000 - 500 * sweeps);
        sweeps += 1;
    }
    assert_eq!((bench.count("sessions"), bench.count("secrets"), bench.count("subjects")), (1, 1, 0));
    assert!(bench.is_live(2));
}

#[test]
fn what_was_ended_never_comes_back() {
    let bench = Bench::new();
    bench.start(1, "alice");
    copies(&bench, 700);
    bench.end_all("alice");
    bench.start(2, "alice");
    let check = |when| {
        assert!(!bench.is_live(1) && bench.show(1).is_none(), "{when}");
        assert!(bench.is_live(2), "{when}");
        assert_eq!(bench.list("alice"), [id(2)], "{when}");
    };
    check("at once");
    let next = bench.wake();
    assert_eq!(next, Some(bench.now.get().plus(SOON)));
    check("half swept");
    while bench.wake() == Some(bench.now.get().plus(SOON)) {
        check("while swept");
    }
    assert_eq!((bench.count("sessions"), bench.count("subjects")), (1, 0));
    check("after the subject's row is gone");
    // A second round: the numbers go on where they were.
    assert_eq!(bench.end_all("alice"), (1, 2));
    assert!(!bench.is_live(2));
    bench.start(3, "alice");
    while bench.wake() == Some(bench.now.get().plus(SOON)) {}
    assert!(!bench.is_live(1) && !bench.is_live(2) && bench.is_live(3));
}

#[test]
fn rows_of_a_dead_session_that_were_left_over_stay_dead() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.end_all("alice");
    // Other subjects' kills raise the shard's number too.
    bench.end_all("bob");
    bench.start(2, "alice");
    assert_eq!(bench.show(2).expect("alive").generation, 2);
    bench.end_all("bob");
    assert!(!bench.is_live(1) && bench.is_live(2));
    assert_eq!(bench.end_all("alice"), (1, 4));
    assert!(!bench.is_live(1) && !bench.is_live(2));
}

#[test]
fn a_kill_plans_its_sweep() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.shard.take_alarm();
    bench.end_all("alice");
    assert_eq!(bench.shard.take_alarm(), Some(bench.now.get().plus(SOON)));
}

#[test]
fn a_kill_of_the_site_ends_what_started_before_it() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.end_all("bob");
    bench.run("INSERT INTO meta (name, value) VALUES ('site_generation', 1)");
    bench.start(2, "alice");
    assert!(!bench.is_live(1) && bench.show(1).is_none() && bench.is_live(2));
    assert_eq!(bench.list("alice"), [id(2)]);
}

#[test]
fn a_subject_that_has_moved_starts_no_session_here_but_keeps_those_it_has() {
    let bench = Bench::new();
    for number in [1, 2, 3, 4] {
        bench.start(number, "alice");
        bench.pass(Duration::from_secs(1));
    }
    let leave = |name: &str, keep| {
        let call = ShardCall::Leave { subject: subject(name), keep, kill: handle(300) };
        match bench.ask(call) {
            ShardAnswer::Left { live, .. } => live,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(leave("alice", None), 4);
    let before = bench.dump();
    for end_others in [false, true] {
        let call = StartCall { end_others, ..start(9, "alice") };
        assert!(matches!(bench.start_as(call), Err(ShardAnswer::Moved)));
    }
    assert_eq!(bench.dump(), before, "and a refused start changes nothing");
    assert_eq!(leave("alice", Some(3)), 3);
    assert_eq!(bench.list("alice"), [id(4), id(3), id(2)], "the oldest ends");
    assert_eq!(leave("alice", Some(5)), 3);
    bench.rotate(2, 20).expect("they can be rotated");
    bench.end_all("alice");
    assert_eq!((bench.list("alice").len(), leave("alice", Some(0))), (0, 0));
    while bench.wake() == Some(bench.now.get().plus(SOON)) {}
    assert_eq!(bench.count("sessions"), 0);
    assert!(matches!(bench.start_as(start(9, "alice")), Err(ShardAnswer::Moved)), "for ever");
    bench.start(10, "bob");
    assert_eq!(leave("carol", Some(1)), 0, "one that was never here");
    assert!(matches!(bench.start_as(start(11, "carol")), Err(ShardAnswer::Moved)));
}

#[test]
fn the_time_of_a_kill_is_the_objects_own() {
    let bench = Bench::new();
    bench.pass(Duration::from_millis(123));
    bench.end_all("alice");
    let kill = handle(bench.kills.get());
    let ShardAnswer::Receipt { kill: Some(kill) } = bench.ask(ShardCall::Receipt { kill }) else { panic!("a receipt") };
    assert_eq!(kill.committed, UnixMillis(crate::NOW.0 + 123));
}
