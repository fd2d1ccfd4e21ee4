//! Statements that fail: whatever a call does is committed whole or not at all.

use warifu::store::message::{EndCall, EndOthersCall, ShardAnswer, ShardCall, StartCall, Which};
use warifu::store::schema;

use crate::sweeping::copies;
use crate::{
    Bench, GRACE, GRACE_MAX, IDLE_EXPIRY, end_all, handle, id, key, lead, limit, millis, rotate_call, start, subject,
    update_call,
};

/// Does the work with the first, the second, … statement failing, on a new
/// shard each time, until it needs no more of them.
fn fails_at_each(prepare: fn() -> Bench, work: fn(&Bench) -> Result<(), String>, statements_min: u32) {
    let whole = prepare();
    let before = whole.dump();
    work(&whole).expect("it works");
    let after = whole.dump();
    assert_ne!(before, after, "it changes something");
    for fails_after in 0.. {
        let bench = prepare();
        assert_eq!(bench.dump(), before, "the same each time");
        bench.shard.sql().fails_after.set(Some(fails_after));
        let worked = work(&bench);
        bench.shard.sql().fails_after.set(None);
        if worked.is_ok() {
            assert_eq!(bench.dump(), after);
            assert!(fails_after >= statements_min, "only {fails_after} statements");
            return;
        }
        assert_eq!(bench.dump(), before, "statement {fails_after} failed: {worked:?}");
        work(&bench).expect("it works again");
        assert_eq!(bench.dump(), after, "after a failure of statement {fails_after}");
    }
}

fn asked(bench: &Bench, call: ShardCall) -> Result<(), String> {
    match bench.ask_alone(call) {
        ShardAnswer::Failed { reason } => Err(reason),
        _ => Ok(()),
    }
}

/// Alice has three sessions, one of them rotated, bob has one.
fn peopled() -> Bench {
    let bench = Bench::new();
    for number in [1, 2, 3] {
        bench.start(number, "alice");
        bench.pass(GRACE);
    }
    bench.start(4, "bob");
    bench.rotate(1, 11).expect("rotated");
    bench
}

#[test]
fn a_first_start_is_whole_or_not_at_all() {
    let work = |bench: &Bench| asked(bench, ShardCall::Start(Box::new(start(1, "alice"))));
    fails_at_each(
        || {
            let bench = Bench::new();
            bench.list("alice");
            bench
        },
        work,
        8,
    );
}

#[test]
fn a_start_with_all_that_it_ends_is_whole_or_not_at_all() {
    let work = |bench: &Bench| {
        let call = StartCall { presented: Some(key(2)), limit: Some(limit(1, true)), ..start(9, "alice") };
        asked(bench, ShardCall::Start(Box::new(call)))
    };
    fails_at_each(peopled, work, 12);
    let work = |bench: &Bench| {
        let call = StartCall { end_others: true, ..start(9, "alice") };
        asked(bench, ShardCall::Start(Box::new(call)))
    };
    fails_at_each(peopled, work, 9);
}

#[test]
fn a_rotation_is_whole_or_not_at_all() {
    let work = |bench: &Bench| asked(bench, ShardCall::Rotate(Box::new(rotate_call(11, 12))));
    fails_at_each(peopled, work, 7);
    let work = |bench: &Bench| {
        let mut call = rotate_call(1, 12);
        (call.salt, call.level) = (None, Some(5));
        asked(bench, ShardCall::Rotate(Box::new(call)))
    };
    fails_at_each(peopled, work, 6);
}

#[test]
fn the_first_use_of_a_secret_is_whole_or_not_at_all() {
    let work = |bench: &Bench| asked(bench, ShardCall::Check { key: key(11), end_on_replay: None });
    fails_at_each(peopled, work, 3);
}

#[test]
fn the_end_for_a_replay_is_whole_or_not_at_all() {
    let prepare = || {
        let bench = peopled();
        bench.pass(GRACE_MAX);
        bench
    };
    let work = |bench: &Bench| asked(bench, ShardCall::Check { key: key(1), end_on_replay: Some(handle(1)) });
    fails_at_each(prepare, work, 4);
}

#[test]
fn every_end_is_whole_or_not_at_all() {
    let work = |bench: &Bench| {
        let call = EndCall { of: Which::Key(key(11)), only: None, kill: handle(1) };
        asked(bench, ShardCall::End(call))
    };
    fails_at_each(peopled, work, 4);
    let work = |bench: &Bench| {
        let call = EndOthersCall {
            presented: key(11),
            successor: key(12),
            lead: lead(handle(1), 0),
            grace_ms: millis(GRACE),
            wrapped: None,
        };
        asked(bench, ShardCall::EndOthers(call))
    };
    fails_at_each(peopled, work, 10);
    let work = |bench: &Bench| asked(bench, end_all("alice", handle(1)));
    fails_at_each(peopled, work, 6);
    let work =
        |bench: &Bench| asked(bench, ShardCall::Leave { subject: subject("alice"), keep: Some(1), kill: handle(1) });
    fails_at_each(peopled, work, 7);
}

#[test]
fn an_update_is_whole_or_not_at_all() {
    let work = |bench: &Bench| asked(bench, ShardCall::Update(Box::new(update_call(Which::Id(id(1)), None, Some(0)))));
    fails_at_each(peopled, work, 2);
}

/// What is published is noted with all that depends on it.
#[test]
fn what_the_feed_has_is_noted_whole_or_not_at_all() {
    let prepare = || {
        let bench = peopled();
        bench.has_feed.set(false);
        bench.pass(GRACE);
        bench.end_all("bob");
        bench.is_live(11);
        bench.rotate(11, 12).expect("rotated");
        bench.rotate(2, 13).expect("rotated");
        bench
    };
    let work = |bench: &Bench| {
        let waiting = bench.shard.waiting(bench.now.get()).map_err(|error| error.0)?.expect("something");
        bench.take(waiting).map_err(|error| error.0)
    };
    fails_at_each(prepare, work, 7);
}

#[test]
fn a_sweep_is_whole_or_not_at_all() {
    let work = |bench: &Bench| bench.shard.wake(bench.now.get()).map_err(|error| error.0);
    let expired = || {
        let bench = peopled();
        bench.end_all("bob");
        bench.pass(IDLE_EXPIRY.saturating_sub(GRACE));
        bench
    };
    fails_at_each(expired, work, 10);
    // More of them than one sweep takes.
    let full = || {
        let bench = peopled();
        copies(&bench, 600);
        bench.end_all("alice");
        bench.pass(IDLE_EXPIRY);
        bench
    };
    fails_at_each(full, work, 10);
}

#[test]
fn the_schema_is_made_whole_or_not_at_all() {
    let current = u64::try_from(schema::VERSION).expect("a small number");
    for fails_after in 0.. {
        let bench = Bench::new();
        bench.shard.sql().fails_after.set(Some(fails_after));
        let failed = matches!(bench.ask_alone(ShardCall::Show { id: id(1) }), ShardAnswer::Failed { .. });
        bench.shard.sql().fails_after.set(None);
        let tables = bench.number("SELECT count(*) FROM sqlite_master");
        let version = || bench.number("SELECT value FROM meta WHERE name = 'schema'");
        assert!(tables == 0 || version() == current, "statement {fails_after} failed: {tables} tables");
        bench.start(1, "alice");
        assert!(bench.is_live(1), "it is made the next time");
        if !failed {
            assert!(fails_after >= STATEMENTS_MIN, "only {fails_after} statements");
            return;
        }
    }
}

/// The schema is made by more than so many.
const STATEMENTS_MIN: u32 = 50;
