//! How many sessions a subject may have.

use std::time::Duration;

use warifu::store::message::{Limit, ShardAnswer, StartCall};

use crate::{Bench, IDLE_EXPIRY, id, key, limit, start};

/// Sessions of alice, the first one the oldest.
fn with_sessions(count: u16) -> Bench {
    let bench = Bench::new();
    for number in 1..=count {
        bench.start(number, "alice");
        bench.pass(Duration::from_secs(1));
    }
    bench.start(100, "bob");
    bench
}

#[test]
fn the_oldest_make_room_and_there_are_never_more_than_the_limit() {
    let bench = with_sessions(0);
    for number in 1..=6 {
        let call = StartCall { limit: Some(limit(3, true)), ..start(number, "alice") };
        let (_, replaced, evicted, ended_others) = bench.start_as(call).expect("started");
        assert_eq!((replaced, ended_others), (None, 0));
        assert_eq!(evicted, if number > 3 { vec![id(number - 3)] } else { vec![] });
        assert_eq!(bench.list("alice").len(), usize::from(number.min(3)));
        bench.pass(Duration::from_secs(1));
    }
    assert_eq!(bench.list("alice"), [id(6), id(5), id(4)]);
    assert!(bench.is_live(100), "bob's do not count");
    let call = StartCall { limit: Some(limit(1, true)), ..start(7, "alice") };
    assert_eq!(bench.start_as(call).expect("started").2, [id(4), id(5), id(6)], "a lower limit, the oldest first");
}

#[test]
fn those_of_one_millisecond_make_room_in_the_order_of_their_ids() {
    let bench = Bench::new();
    for number in [3, 1, 2] {
        bench.start(number, "alice");
    }
    let call = StartCall { limit: Some(limit(3, true)), ..start(4, "alice") };
    assert_eq!(bench.start_as(call).expect("started").2, [id(1)]);
}

#[test]
fn a_refused_start_changes_nothing() {
    let bench = with_sessions(3);
    let before = bench.dump();
    let refuse = |limit| {
        bench.shard.take_alarm();
        let answer = bench.start_as(StartCall { limit: Some(limit), ..start(9, "alice") }).expect_err("refused");
        assert_eq!(bench.dump(), before);
        assert_eq!(bench.shard.take_alarm(), None);
        answer
    };
    assert!(matches!(refuse(limit(3, false)), ShardAnswer::LimitReached));
    assert!(matches!(refuse(Limit { elsewhere: 1, ..limit(4, false) }), ShardAnswer::LimitReached));
    assert!(matches!(refuse(Limit { elsewhere: 1, ..limit(4, true) }), ShardAnswer::MakeRoom { excess: 1 }));
    assert!(matches!(refuse(Limit { elsewhere: 2, ..limit(4, true) }), ShardAnswer::MakeRoom { excess: 2 }));
    let both = Limit { elsewhere: 1, ..limit(2, true) };
    assert!(matches!(refuse(both), ShardAnswer::MakeRoom { excess: 1 }), "as many as there are elsewhere");
    bench.start_as(StartCall { limit: Some(limit(4, false)), ..start(9, "alice") }).expect("room for one");
}

#[test]
fn the_presented_session_makes_room_first() {
    let bench = with_sessions(3);
    let over = |number, presented| StartCall {
        presented: Some(key(presented)),
        limit: Some(limit(3, false)),
        ..start(number, "alice")
    };
    let (_, replaced, evicted, _) = bench.start_as(over(9, 3)).expect("it is replaced");
    assert_eq!((replaced, evicted.len()), (Some(id(3)), 0));
    assert!(matches!(bench.start_as(over(10, 100)), Err(ShardAnswer::LimitReached)), "bob's makes none");
    assert!(matches!(bench.start_as(over(10, 3)), Err(ShardAnswer::LimitReached)), "nor a dead one");
    let call = StartCall { presented: Some(key(2)), limit: Some(limit(2, true)), ..start(11, "alice") };
    let (_, replaced, evicted, _) = bench.start_as(call).expect("started");
    assert_eq!((replaced, evicted), (Some(id(2)), vec![id(1)]), "and then the oldest of the others");
    assert_eq!(bench.list("alice").len(), 2);
}

#[test]
fn a_start_that_ends_all_others_needs_no_room() {
    let bench = with_sessions(3);
    let call = StartCall { end_others: true, limit: Some(limit(1, false)), ..start(9, "alice") };
    let (_, _, evicted, ended_others) = bench.start_as(call).expect("started");
    assert_eq!((evicted.len(), ended_others), (0, 3));
    let call =
        StartCall { end_others: true, limit: Some(Limit { elsewhere: 1, ..limit(1, false) }), ..start(10, "alice") };
    assert!(matches!(bench.start_as(call), Err(ShardAnswer::LimitReached)), "what lives elsewhere counts");
    assert_eq!(bench.list("alice"), [id(9)]);
}

#[test]
fn the_dead_do_not_count() {
    let bench = with_sessions(3);
    bench.end_all("alice");
    let refusing = |number| StartCall { limit: Some(limit(1, false)), ..start(number, "alice") };
    bench.start_as(refusing(9)).expect("all were ended");
    bench.pass(IDLE_EXPIRY);
    bench.start_as(refusing(10)).expect("the last has expired");
}

#[test]
fn a_rotation_is_not_another_session() {
    let bench = with_sessions(2);
    bench.rotate(1, 11).expect("rotated");
    bench.raise(2, 12, 3).expect("raised");
    let call = StartCall { limit: Some(limit(3, false)), ..start(3, "alice") };
    bench.start_as(call).expect("there are two");
    let call = StartCall { limit: Some(limit(3, true)), ..start(4, "alice") };
    assert_eq!(bench.start_as(call).expect("started").2, [id(1)]);
    assert!(!bench.is_live(1) && !bench.is_live(11), "it ends with all its secrets");
}
