//! An end that is done again: what its shard still knows of the first one.

use std::time::Duration;

use warifu::session::KillId;
use warifu::store::message::{EndCall, Kill, ShardAnswer, ShardCall, Which};
use warifu::time::UnixMillis;

use crate::audit::by;
use crate::{Bench, end_all, end_all_here, handle, id, key, start, subject};

/// The kill that has ended this session before.
fn again(bench: &Bench, of: Which, only: Option<&str>) -> Option<KillId> {
    let call = EndCall { of, only: only.map(subject), kill: handle(900) };
    match bench.ask(ShardCall::End(call)) {
        ShardAnswer::Ended { session: None, earlier } => earlier.map(|kill: Kill| kill.id),
        other => panic!("{other:?}"),
    }
}

/// When sessions of the subject were ended before.
fn before(bench: &Bench, call: ShardCall) -> Option<UnixMillis> {
    match bench.ask(call) {
        ShardAnswer::EndedAll { live: 0, earlier, .. } => earlier,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_that_has_ended_has_its_kill_for_a_day() {
    let bench = Bench::new();
    for number in [1, 2] {
        bench.start(number, "alice");
    }
    let of = Which::Id(id(1));
    assert_eq!(bench.end(of, None), Some(id(1)));
    let first = handle(bench.kills.get());
    assert_eq!(again(&bench, of, None), Some(first));
    assert_eq!(again(&bench, of, Some("alice")), None, "without an audit table nobody knows whose it was");
    assert_eq!(again(&bench, Which::Key(key(1)), None), None, "who logs out twice is told nothing");
    assert_eq!(again(&bench, Which::Id(id(9)), None), None, "there never was one");
    bench.end(Which::Key(key(2)), None);
    assert!(again(&bench, Which::Id(id(2)), None).is_some(), "however it ended");
    assert_eq!(bench.count("kills"), 2, "to ask writes nothing");
    bench.pass(Duration::from_hours(25));
    bench.wake();
    assert_eq!(again(&bench, of, None), None);
}

#[test]
fn who_asks_for_ones_own_is_told_of_ones_own() {
    let bench = Bench::new();
    bench.by.replace(Some(by("user", "DELETE me/sessions/*")));
    bench.start(1, "alice");
    let of = Which::Id(id(1));
    bench.end(of, Some("alice"));
    let first = handle(bench.kills.get());
    assert_eq!(again(&bench, of, Some("alice")), Some(first));
    assert_eq!(again(&bench, of, Some("bob")), None, "somebody else's");
}

#[test]
fn a_subject_that_was_ended_is_known_for_a_day_in_each_shard() {
    for here in [false, true] {
        let bench = Bench::new();
        let call = |kill| if here { end_all_here("alice", handle(kill)) } else { end_all("alice", handle(kill)) };
        assert_eq!(before(&bench, call(901)), None);
        assert_eq!(before(&bench, call(902)), None, "an end of nothing is none");
        bench.pass(Duration::from_mins(3));
        bench.start_as(start(1, "alice")).expect("started");
        let at = bench.now.get();
        bench.ask(call(903));
        bench.pass(Duration::from_hours(1));
        assert_eq!(before(&bench, call(903)), Some(at), "the same call, whose answer was lost");
        assert_eq!(before(&bench, call(904)), Some(at));
        assert_eq!(before(&bench, end_all_here("bob", handle(905))), None);
        assert!(matches!(bench.shard.waiting(bench.now.get()), Ok(None)), "nothing of it is for the feed");
        bench.pass(Duration::from_hours(24));
        while bench.wake() == Some(bench.now.get().plus(Duration::from_secs(2))) {}
        assert_eq!(before(&bench, call(906)), None);
    }
}

/// What the next second call goes by, however many have ended in the shard since.
#[test]
fn an_end_is_looked_for_among_a_bounded_number() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.end(Which::Id(id(1)), None);
    bench.run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
         INSERT INTO kills (id, scope, target, committed, partial) SELECT randomblob(16), 'session', 'x', 9e12, 1 FROM n",
    );
    assert_eq!(again(&bench, Which::Id(id(1)), None), None);
}
