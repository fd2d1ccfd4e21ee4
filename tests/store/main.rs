//! The session shard on a real SQLite.
#![cfg(not(target_arch = "wasm32"))]

#[path = "../support/sqlite.rs"]
mod sqlite;

use std::time::Duration;

use sqlite::Sqlite;
use warifu::config::MapRow;
use warifu::session::{Claims, SessionId, Subject};
use warifu::store::message::{Handle, Key, ShardAnswer, ShardCall, StartCall};
use warifu::store::session_shard::SessionShard;
use warifu::store::{Sql, SqlError, schema};
use warifu::time::UnixMillis;
use warifu::token::{Locator, Secret, SessionKey};

/// Computed apart from this code: SHA-256, first 8 bytes, modulo.
const HOMES: [u16; 5] = [47, 26, 13, 10967, 0];

const NOW: UnixMillis = UnixMillis(1_750_000_000_000);

fn shard() -> SessionShard<Sqlite> {
    SessionShard::new(Sqlite::in_memory())
}

fn key(number: u8) -> SessionKey {
    Secret::new([number; 32]).session_key()
}

fn start(number: u8, subject: &str, presented: Option<u8>) -> ShardCall {
    ShardCall::Start(Box::new(StartCall {
        row: MapRow::DEFAULT,
        shard: 7,
        id: Handle(SessionId::new(Locator { generation: 1, region: 0, shard: 7 }, [number; 12])),
        key: Key(key(number)),
        subject: Subject::parse(subject).expect("a subject"),
        level: 1,
        claims: Claims::parse(r#"{"plan":"gold"}"#),
        idle_ms: 1_800_000,
        lifetime_ms: 43_200_000,
        presented: presented.map(|number| Key(key(number))),
    }))
}

fn is_live(shard: &SessionShard<Sqlite>, number: u8, now: UnixMillis) -> bool {
    match shard.answer(&ShardCall::Check { key: Key(key(number)) }, now) {
        ShardAnswer::Session { session } => session.is_some(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_lives_from_its_start_to_its_end() {
    let shard = shard();
    assert!(!is_live(&shard, 1, NOW));
    let ShardAnswer::Started { session, replaced } = shard.answer(&start(1, "alice", None), NOW) else {
        panic!("not started")
    };
    assert!(replaced.is_none());
    assert_eq!(session.idle_expires, NOW.plus(Duration::from_secs(33 * 60)));
    assert!(is_live(&shard, 1, NOW));
    let ended = shard.answer(&ShardCall::End { key: Key(key(1)) }, NOW);
    assert!(matches!(ended, ShardAnswer::Ended { session: Some(_) }));
    assert!(!is_live(&shard, 1, NOW));
    let again = shard.answer(&ShardCall::End { key: Key(key(1)) }, NOW);
    assert!(matches!(again, ShardAnswer::Ended { session: None }));
    assert_eq!((count(&shard, "sessions"), count(&shard, "secrets")), (0, 0));
}

#[test]
fn only_the_same_subjects_presented_session_is_replaced() {
    let shard = shard();
    shard.answer(&start(1, "alice", None), NOW);
    shard.answer(&start(2, "bob", Some(1)), NOW);
    assert!(is_live(&shard, 1, NOW), "bob's log-in does not end alice's session");
    shard.answer(&start(3, "alice", Some(1)), NOW);
    assert!(!is_live(&shard, 1, NOW) && is_live(&shard, 2, NOW) && is_live(&shard, 3, NOW));
}

#[test]
fn a_start_is_committed_whole_or_not_at_all() {
    let statements = 40;
    let mut failures = 0;
    for fails_after in 0..statements {
        let shard = shard();
        shard.answer(&start(1, "alice", None), NOW);
        shard.sql().fails_after.set(Some(fails_after));
        let answer = shard.answer(&start(2, "alice", Some(1)), NOW);
        shard.sql().fails_after.set(None);
        let (old, new) = (is_live(&shard, 1, NOW), is_live(&shard, 2, NOW));
        match answer {
            ShardAnswer::Failed { .. } => {
                failures += 1;
                assert!(old && !new, "failed after {fails_after}, so nothing changed");
            }
            ShardAnswer::Started { .. } => assert!(!old && new),
            other => panic!("{other:?}"),
        }
    }
    assert!(failures > 5, "{failures} failures");
}

#[test]
fn a_renewal_never_shortens_a_life_nor_wakes_the_dead() {
    let shard = shard();
    shard.answer(&start(1, "alice", None), NOW);
    let renew = |idle_ms, now| {
        shard.answer(&ShardCall::Renew { key: Key(key(1)), idle_ms }, now);
    };
    let minutes = |n: u64| NOW.plus(Duration::from_secs(60 * n));
    renew(60_000, minutes(1));
    assert!(is_live(&shard, 1, minutes(32)), "a shorter idle timeout does not take back what was given");
    renew(1_800_000, minutes(30));
    assert!(is_live(&shard, 1, minutes(62)));
    assert!(!is_live(&shard, 1, minutes(64)));
    renew(1_800_000, minutes(64));
    assert!(!is_live(&shard, 1, minutes(64)), "what is dead stays dead");
    renew(u64::MAX, minutes(62));
    assert!(!is_live(&shard, 1, NOW.plus(Duration::from_secs(12 * 3600))), "the absolute timeout holds");
}

#[test]
fn renewals_are_throttled_in_the_shard_too() {
    let shard = shard();
    shard.answer(&start(1, "alice", None), NOW);
    let renew = |ms| {
        let now = NOW.plus(Duration::from_millis(ms));
        shard.answer(&ShardCall::Renew { key: Key(key(1)), idle_ms: 1_800_000 }, now);
        let rows = shard.sql().run("SELECT last_seen FROM sessions", &[]).expect("a row");
        rows[0].integer::<u64>(0).expect("a number") - NOW.0
    };
    assert_eq!(renew(179_999), 0);
    assert_eq!(renew(180_000), 180_000);
    assert_eq!(renew(180_001), 180_000);
    assert_eq!(renew(100), 180_000, "never back");
}

#[test]
fn a_row_that_cannot_be_read_can_be_ended_and_logged_in_over() {
    for login in [false, true] {
        let shard = shard();
        shard.answer(&start(1, "alice", None), NOW);
        shard.sql().run("UPDATE sessions SET claims = 'no json'", &[]).expect("an update");
        let call = if login { start(2, "alice", Some(1)) } else { ShardCall::End { key: Key(key(1)) } };
        let answer = shard.answer(&call, NOW);
        assert!(!matches!(answer, ShardAnswer::Failed { .. }), "{answer:?}");
        assert!(!is_live(&shard, 1, NOW));
    }
}

#[test]
fn an_expired_session_is_not_replaced() {
    let shard = shard();
    shard.answer(&start(1, "alice", None), NOW);
    let later = NOW.plus(Duration::from_secs(34 * 60));
    let ShardAnswer::Started { replaced, .. } = shard.answer(&start(2, "alice", Some(1)), later) else { panic!() };
    assert!(replaced.is_none());
}

fn count(shard: &SessionShard<Sqlite>, table: &str) -> u32 {
    let rows = shard.sql().run(&format!("SELECT count(*) FROM {table}"), &[]).expect("a count");
    rows[0].integer(0).expect("a number")
}

#[test]
fn expired_sessions_are_removed_in_batches_and_the_living_stay() {
    let shard = shard();
    let expiry = NOW.plus(Duration::from_secs(33 * 60));
    shard.answer(&start(1, "alice", None), NOW);
    assert_eq!(shard.take_alarm(), Some(expiry), "the first start plans a sweep");
    for number in 2..=255 {
        shard.answer(&start(number, "alice", None), NOW);
    }
    assert_eq!(shard.take_alarm(), None, "it is planned already");
    // More than a batch of them.
    for _ in 0..400 {
        let copy = "INSERT INTO sessions SELECT randomblob(16), subject, level, auth_time, created, last_seen,
                    idle_expires, absolute_expires, claims FROM sessions ORDER BY id LIMIT 1";
        shard.sql().run(copy, &[]).expect("a copy");
    }
    let half = NOW.plus(Duration::from_secs(20 * 60));
    shard.answer(&ShardCall::Renew { key: Key(key(7)), idle_ms: 1_800_000 }, half);
    shard.wake(expiry).expect("swept");
    assert_eq!(count(&shard, "sessions"), 155);
    assert_eq!(shard.take_alarm(), Some(expiry.plus(Duration::from_secs(2))), "there are more");
    shard.wake(expiry).expect("swept");
    assert_eq!((count(&shard, "sessions"), count(&shard, "secrets")), (1, 1));
    assert!(is_live(&shard, 7, expiry), "the one in use stays");
    let last = half.plus(Duration::from_secs(33 * 60));
    assert_eq!(shard.take_alarm(), Some(last));
    shard.wake(last).expect("swept");
    assert_eq!((count(&shard, "sessions"), shard.take_alarm()), (0, None), "an empty shard sleeps");
    shard.answer(&start(9, "alice", None), last);
    assert!(shard.take_alarm().is_some(), "until there is a session again");
}

#[test]
fn a_sweep_that_fails_comes_back_and_a_lost_alarm_is_set_again() {
    let shard = shard();
    shard.answer(&start(1, "alice", None), NOW);
    let expiry = shard.take_alarm().expect("planned");
    shard.sql().fails_after.set(Some(1));
    assert!(shard.wake(expiry).is_err());
    shard.sql().fails_after.set(None);
    assert_eq!(shard.take_alarm(), Some(expiry.plus(Duration::from_secs(2))));
    assert_eq!(count(&shard, "sessions"), 1, "nothing half done");
    let much_later = expiry.plus(Duration::from_secs(3_601));
    shard.answer(&start(2, "alice", None), much_later);
    assert!(shard.take_alarm().is_some(), "the alarm had been given up");
}

/// An older or newer version at the other end must not be misunderstood.
#[test]
fn what_is_missing_or_unknown_in_a_message_is_an_error() {
    for answer in
        [r#"{"is":"session"}"#, r#"{"is":"ended"}"#, r#"{"is":"session","record":{}}"#, r#"{"is":"else"}"#, "{}"]
    {
        assert!(serde_json::from_str::<ShardAnswer>(answer).is_err(), "{answer}");
    }
    assert!(serde_json::from_str::<ShardAnswer>(r#"{"is":"session","session":null,"new":1}"#).is_ok());
    let key = "A".repeat(43);
    assert!(serde_json::from_str::<ShardCall>(&format!(r#"{{"do":"end","key":"{key}"}}"#)).is_ok());
    assert!(serde_json::from_str::<ShardCall>(&format!(r#"{{"do":"end","key":"{key}","others":true}}"#)).is_err());
    let start = serde_json::to_value(start(1, "alice", None)).expect("JSON");
    for member in ["presented", "claims", "idle_ms", "row"] {
        let mut without = start.clone();
        without.as_object_mut().expect("an object").remove(member);
        assert!(serde_json::from_value::<ShardCall>(without).is_err(), "{member}");
    }
    let mut with = start;
    with["position"] = 1.into();
    assert!(serde_json::from_value::<ShardCall>(with).is_err());
}

/// A changed hash would move everybody to another shard.
#[test]
fn home_shards_are_as_they_were() {
    let home = |subject: &str, shards| Subject::parse(subject).expect("a subject").home_shard(shards);
    let found = [home("alice", 64), home("bob", 64), home("42", 64), home("\u{5272}\u{7b26}", 65_536), home("x", 1)];
    assert_eq!(found, HOMES);
}

#[test]
fn a_shard_refuses_another_row_of_the_map() {
    let shard = shard();
    shard.answer(&start(1, "alice", None), NOW);
    let ShardCall::Start(other) = start(2, "alice", None) else { panic!() };
    let change: [fn(&mut StartCall); 4] = [
        |call| call.row.shards = 65,
        |call| call.row.generation = 2,
        |call| call.row.region = 4,
        |call| call.shard = 8,
    ];
    for change in change {
        let mut changed = other.clone();
        change(&mut changed);
        assert!(matches!(shard.answer(&ShardCall::Start(changed), NOW), ShardAnswer::WrongRow));
    }
    assert!(is_live(&shard, 1, NOW) && !is_live(&shard, 2, NOW));
}

#[test]
fn a_store_error_is_an_error_and_no_absence() {
    let shard = shard();
    shard.answer(&start(1, "alice", None), NOW);
    shard.sql().run("UPDATE sessions SET claims = 'no json'", &[]).expect("an update");
    let check = ShardCall::Check { key: Key(key(1)) };
    assert!(matches!(shard.answer(&check, NOW), ShardAnswer::Failed { .. }), "a corrupt row");
    shard.sql().run("DROP TABLE secrets", &[]).expect("dropped");
    assert!(matches!(shard.answer(&check, NOW), ShardAnswer::Failed { .. }), "a lost table");
}

#[test]
fn a_database_of_a_later_version_is_not_touched() {
    let shard = shard();
    shard.answer(&start(1, "alice", None), NOW);
    shard.sql().run("UPDATE meta SET value = 2 WHERE name = 'schema'", &[]).expect("an update");
    assert_eq!(schema::open(shard.sql()), Err(SqlError("the database has schema 2, this code knows 1".to_owned())));
}

/// A changed stored form needs a version and a step of migration.
#[test]
fn stored_bytes_are_as_they_were() {
    let shard = shard();
    shard.answer(&start(1, "alice", None), NOW);
    assert_eq!(shard.sql().dump(), include_str!("golden_shard.txt"));
}

#[test]
fn no_secret_is_stored() {
    let shard = shard();
    shard.answer(&start(0xAB, "alice", None), NOW);
    assert!(!shard.sql().dump().contains(&"ab".repeat(32)), "only its hash is");
}
