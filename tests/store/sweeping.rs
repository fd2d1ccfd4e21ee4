//! What is over leaves the store, by the object's alarm.

use std::time::Duration;

use crate::feed::Disk;
use crate::{Bench, DAY, GRACE, GRACE_MAX, HOME, IDLE_EXPIRY, MS, NOW, handle, id, key, start};
use warifu::store::message::{KillScope, Message, ShardAnswer, ShardCall, Which};
use warifu::store::session_shard::SessionShard;

const SOON: Duration = Duration::from_secs(2);
const LATE: Duration = Duration::from_secs(10);
const SALTS: &str = "SELECT count(*) FROM secrets WHERE salt IS NOT NULL";

/// Copies of the session that the shard has, without secrets.
pub fn copies(bench: &Bench, count: u32) {
    let copy = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO sessions SELECT CAST(printf('copy%012d', i) AS BLOB), s.subject, s.level, s.auth_time, s.created, s.last_seen,
                s.idle_expires, s.absolute_expires, s.claims, s.generation, s.user_agent, s.country, s.city,
                s.first_prefix, s.last_prefix
         FROM n, (SELECT * FROM sessions ORDER BY id LIMIT 1) s"
    );
    bench.run(&copy);
}

#[test]
fn expired_sessions_are_removed_in_batches_and_the_living_stay() {
    let bench = Bench::new();
    let expiry = NOW.plus(IDLE_EXPIRY);
    bench.start(1, "alice");
    assert_eq!(bench.shard.take_alarm(), Some(expiry), "the first start plans a sweep");
    for number in 2..=255 {
        bench.start(number, "alice");
    }
    assert_eq!(bench.shard.take_alarm(), None, "it is planned already");
    // More than a batch of them.
    copies(&bench, 400);
    bench.at(Duration::from_mins(20));
    bench.renew(7);
    let last = bench.now.get().plus(IDLE_EXPIRY);
    bench.at(IDLE_EXPIRY);
    assert_eq!(bench.wake(), Some(expiry.plus(SOON)), "there are more");
    assert_eq!(bench.count("sessions"), 155);
    assert_eq!(bench.wake(), Some(last));
    assert_eq!((bench.count("sessions"), bench.count("secrets")), (1, 1));
    assert!(bench.is_live(7), "the one in use stays");
    bench.now.set(last);
    assert_eq!(bench.wake(), None, "an empty shard sleeps");
    assert_eq!((bench.count("sessions"), bench.count("secrets")), (0, 0));
    bench.start(9, "alice");
    assert!(bench.shard.take_alarm().is_some(), "until there is a session again");
}

#[test]
fn a_sweep_that_fails_comes_back() {
    let bench = Bench::new();
    bench.start(1, "alice");
    let expiry = bench.shard.take_alarm().expect("planned");
    bench.shard.sql().fails_after.set(Some(1));
    assert!(bench.shard.wake(expiry).is_err());
    bench.shard.sql().fails_after.set(None);
    assert_eq!(bench.shard.take_alarm(), Some(expiry.plus(SOON)));
    assert_eq!(bench.count("sessions"), 1, "nothing half done");
}

/// The platform can give an alarm up, and what waits for it is more than old rows: a kill that
/// the feed does not have is published by it.
#[test]
fn a_lost_alarm_is_set_again() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.start(2, "bob");
    let lost = bench.shard.take_alarm().expect("planned");
    bench.now.set(lost.plus(LATE.saturating_sub(MS)));
    bench.start(3, "carol");
    assert_eq!(bench.shard.take_alarm(), None, "it may be late");
    bench.pass(MS);
    bench.start(4, "carol");
    assert_eq!(bench.shard.take_alarm(), Some(bench.now.get()), "one that is late becomes no later");
    bench.start(5, "carol");
    assert_eq!(bench.shard.take_alarm(), None, "and not with each call");

    // Who asks for a receipt is the one who waits.
    bench.has_feed.set(false);
    bench.end(Which::Id(id(5)), None).expect("ended");
    let kill = handle(bench.kills.get());
    assert_eq!(bench.shard.take_alarm(), None);
    bench.pass(SOON + LATE);
    let call = || ShardCall::Receipt { kill };
    bench.ask(call());
    assert_eq!(bench.shard.take_alarm(), Some(bench.now.get()));
    bench.publish();
    bench.pass(SOON + LATE);
    bench.ask(call());
    assert_eq!(bench.shard.take_alarm(), None, "nothing is to be done for it");
}

#[test]
fn a_shard_that_is_woken_looks_for_its_alarm() {
    let disk = Disk::new();
    let ask = |call, now| {
        let shard = SessionShard::new(disk.clone());
        let message = Message { home: Some(HOME), is_fenced: false, by: None, call };
        assert!(!matches!(shard.answer(&message, now), ShardAnswer::Failed { .. }));
        shard.take_alarm()
    };
    let check = || ShardCall::Check { key: key(1), end_on_replay: None };
    let planned = ask(ShardCall::Start(Box::new(start(1, "alice"))), NOW).expect("planned");
    let late = planned.plus(LATE);
    assert_eq!(ask(check(), late.minus(MS).expect("a time")), None);
    assert_eq!(ask(check(), late), Some(late));
    assert_eq!(ask(check(), late), None);
    // Also one that has read its row before, to know whether it waits for the feed.
    let shard = SessionShard::new(disk);
    let later = late.plus(LATE);
    shard.waiting(later).expect("a database");
    let message = Message { home: Some(HOME), is_fenced: false, by: None, call: check() };
    shard.answer(&message, later);
    assert_eq!(shard.take_alarm(), Some(later));
}

#[test]
fn a_shard_with_little_to_do_is_not_woken_for_each_thing() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.at(Duration::from_secs(1));
    bench.start(2, "alice");
    bench.at(IDLE_EXPIRY);
    assert_eq!(bench.wake(), Some(NOW.plus(IDLE_EXPIRY + Duration::from_mins(1))));
    bench.pass(Duration::from_mins(1));
    assert_eq!(bench.wake(), None);
    assert_eq!(bench.count("sessions"), 0);
}

#[test]
fn a_salt_is_deleted_at_the_very_end_of_the_grace() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.shard.take_alarm();
    bench.rotate(1, 2).expect("rotated");
    let longest = NOW.plus(GRACE_MAX);
    assert_eq!(bench.shard.take_alarm(), Some(NOW.plus(SOON)), "the edges are to be told, whatever happens");
    bench.at(SOON);
    assert_eq!(bench.wake(), Some(longest), "where the successor is never used");
    bench.at(GRACE_MAX.saturating_sub(MS));
    assert_eq!(bench.wake(), Some(longest), "not for a minute's pause");
    assert_eq!(bench.number(SALTS), 1);
    bench.at(GRACE_MAX);
    bench.wake();
    assert_eq!(bench.number(SALTS), 0);

    assert!(bench.is_live(2));
    bench.pass(GRACE);
    bench.wake();
    bench.rotate(2, 3).expect("rotated");
    bench.pass(SOON);
    bench.wake();
    bench.is_live(3);
    assert_eq!(bench.shard.take_alarm(), Some(bench.now.get().plus(GRACE)), "the first use brings it forward");
    bench.pass(GRACE);
    assert_eq!(bench.number(SALTS), 1);
    assert_eq!(bench.check(2), None, "nobody is given it, even where the alarm is late");
    bench.wake();
    assert_eq!(bench.number(SALTS), 0);
    assert!(bench.is_replay(2), "the secret itself is remembered");
}

#[test]
fn a_salt_does_not_wait_for_a_backlog() {
    let bench = Bench::new();
    bench.start(1, "alice");
    copies(&bench, 600);
    bench.run("UPDATE sessions SET idle_expires = 1 WHERE id NOT IN (SELECT session FROM secrets)");
    bench.rotate(1, 2).expect("rotated");
    bench.at(GRACE_MAX.saturating_sub(MS));
    assert_eq!(bench.wake(), Some(NOW.plus(GRACE_MAX)), "sooner than the rest of the backlog");
    assert_eq!(bench.count("sessions"), 101);
    bench.at(GRACE_MAX);
    bench.wake();
    assert_eq!((bench.count("sessions"), bench.number(SALTS)), (1, 0));
}

#[test]
fn many_who_were_ended_leave_in_one_sweep() {
    let bench = Bench::new();
    for number in 0..100 {
        bench.start(number, &format!("person {number}"));
        bench.end_all(&format!("person {number}"));
    }
    bench.start(200, "person 7");
    bench.end_all("nobody");
    bench.wake();
    assert_eq!((bench.count("sessions"), bench.count("secrets"), bench.count("subjects")), (1, 1, 0));
    assert!(bench.is_live(200), "what began later stays");
}

/// Whoever is ended again and again without a session must not make a sweep long either.
#[test]
fn a_sweep_goes_through_so_many_of_the_ended_at_most() {
    let bench = Bench::new();
    bench.start(1, "alice");
    copies(&bench, 600);
    bench.end_all("alice");
    bench.run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
         INSERT INTO subjects SELECT printf('b%d', i), 1, 1, i % 2 FROM n",
    );
    bench.run("INSERT INTO subjects VALUES ('gone', 0, 0, 1)");
    let soon = bench.now.get().plus(SOON);
    assert_eq!((bench.wake(), bench.count("sessions"), bench.count("subjects")), (Some(soon), 101, 602));
    assert_eq!((bench.wake(), bench.count("sessions")), (Some(soon), 0));
    assert_eq!(bench.number("SELECT count(*) FROM subjects WHERE unswept = 1"), 101, "alice and 499 others are done");
    bench.wake();
    assert_eq!(bench.number("SELECT count(*) FROM subjects WHERE unswept = 1 OR moved = 0"), 0);
    assert_eq!(bench.count("subjects"), 301, "that they have moved is remembered");
}

#[test]
fn receipts_are_kept_for_a_day() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.pass(Duration::from_secs(1));
    let before = bench.kills.get();
    bench.end(Which::Key(key(1)), None).expect("ended");
    let one = handle(bench.kills.get());
    let (live, _) = bench.end_all("alice");
    let all = handle(bench.kills.get());
    assert!(live == 0 && bench.kills.get() > before);
    let receipt = |kill| match bench.ask(ShardCall::Receipt { kill }) {
        ShardAnswer::Receipt { kill } => kill.map(|kill| (kill.id, kill.scope, kill.committed)),
        other => panic!("{other:?}"),
    };
    let committed = NOW.plus(Duration::from_secs(1));
    bench.at((DAY + Duration::from_secs(1)).saturating_sub(MS));
    bench.wake();
    assert_eq!(receipt(one), Some((one, KillScope::Session, committed)));
    assert_eq!(receipt(all), Some((all, KillScope::Subject, committed)));
    assert_eq!(receipt(handle(1)), None);
    bench.pass(MS);
    bench.wake();
    assert_eq!((receipt(one), receipt(all)), (None, None));
    assert_eq!(bench.wake(), None);
    assert_eq!(bench.count("kills") + bench.count("subjects"), 0);
}
