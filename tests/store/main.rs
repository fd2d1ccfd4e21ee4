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
use warifu::store::{Sql, SqlError, SqlValue, schema};
use warifu::time::UnixMillis;
use warifu::token::{Locator, Secret, SessionKey};

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
    assert_eq!(shard.sql().run("SELECT count(*) FROM secrets", &[]).expect("a count")[0].0, [SqlValue::Integer(0)]);
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
fn a_shard_refuses_another_row_of_the_map() {
    let shard = shard();
    shard.answer(&start(1, "alice", None), NOW);
    let ShardCall::Start(mut other) = start(2, "alice", None) else { panic!() };
    other.row.shards = 65;
    assert!(matches!(shard.answer(&ShardCall::Start(other), NOW), ShardAnswer::WrongRow));
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
