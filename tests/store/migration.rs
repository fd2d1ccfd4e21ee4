//! Databases that other versions of the schema wrote.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;
use warifu::session::{Claims, Device, Handle};
use warifu::store::message::{ShardAnswer, ShardCall, StartCall, Which};
use warifu::store::{Row, Sql, SqlError, schema};

use crate::sqlite::Sqlite;
use crate::{Bench, GRACE, IDLE, IDLE_EXPIRY, LIFETIME, NOW, end_all_here, handle, id, key, limit, salt, start};

/// An older version of the schema: a database that it wrote, and its dump.
struct Version {
    written: &'static str,
    golden: &'static str,
}

const VERSIONS: [Version; 5] = [
    Version { written: include_str!("schema_1.sql"), golden: include_str!("golden_shard_1.txt") },
    Version { written: include_str!("schema_2.sql"), golden: include_str!("golden_shard_2.txt") },
    Version { written: include_str!("schema_3.sql"), golden: include_str!("golden_shard_3.txt") },
    Version { written: include_str!("schema_4.sql"), golden: include_str!("golden_shard_4.txt") },
    Version { written: include_str!("schema_5.sql"), golden: include_str!("golden_shard_5.txt") },
];

/// A file of its own for each test, removed at its end.
struct File(PathBuf);

impl File {
    fn new(test: &str) -> Self {
        let file = Self(std::env::temp_dir().join(format!("warifu-{}-{test}.sqlite", std::process::id())));
        fs::remove_file(&file.0).ok();
        file
    }

    fn open(&self) -> Sqlite {
        Sqlite::over(Connection::open(&self.0).expect("a database"))
    }

    /// Writes what version 1 wrote.
    fn of_version_1(test: &str) -> Self {
        Self::of(test, &VERSIONS[0])
    }

    /// Writes what version 2 wrote.
    fn of_version_2(test: &str) -> Self {
        Self::of(test, &VERSIONS[1])
    }

    fn of(test: &str, version: &Version) -> Self {
        let file = Self::new(test);
        let sql = file.open();
        sql.connection.execute_batch(version.written).expect("an older version");
        assert_eq!(sql.dump(), version.golden, "what that version was tested to write");
        file
    }
}

impl Drop for File {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

/// All tables and indexes, however they are spaced.
fn tables(sql: &Sqlite) -> Vec<String> {
    let rows = sql.run("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name", &[]);
    let text = |row: &Row| {
        let words: Vec<_> = row.text(1).expect("a statement").split_whitespace().collect();
        words.join(" ")
    };
    rows.expect("the schema").iter().map(text).collect()
}

#[test]
fn a_session_of_version_1_lives_on() {
    let file = File::of_version_1("lives_on");
    let bench = Bench::over(file.open());
    let session = bench.check(1).expect("alive").session;
    assert_eq!((session.id, session.subject.as_str(), session.level), (id(1), "alice", 1));
    assert_eq!((session.created, session.auth_time, session.last_seen), (NOW, NOW, NOW));
    assert_eq!((session.idle_expires, session.absolute_expires), (NOW.plus(IDLE_EXPIRY), NOW.plus(LIFETIME)));
    assert_eq!(session.claims, Claims::parse(r#"{"plan":"gold"}"#));
    assert_eq!((session.generation, &session.device), (0, &Device::default()));
    assert_eq!(bench.show(1), Some(session));
    assert_eq!(bench.list("alice"), [id(1)]);
    bench.at(IDLE);
    bench.renew(1);
    bench.at(IDLE_EXPIRY);
    assert!(bench.is_live(1));
}

#[test]
fn a_session_of_version_1_can_be_rotated_and_raised() {
    let file = File::of_version_1("rotated");
    let bench = Bench::over(file.open());
    bench.rotate(1, 2).expect("rotated");
    assert!(bench.is_live(2) && bench.offered(1).is_some());
    bench.pass(GRACE);
    assert!(bench.is_replay(1));
    bench.raise(2, 3, 5).expect("raised");
    assert_eq!((bench.strength(2), bench.strength(3)), (Some((1, NOW)), Some((5, NOW.plus(GRACE)))));
}

#[test]
fn a_session_of_version_1_can_be_ended_in_every_way() {
    let ends: [fn(&Bench); 6] = [
        |bench| assert_eq!(bench.end(Which::Key(key(1)), None), Some(id(1))),
        |bench| assert_eq!(bench.end(Which::Id(id(1)), None), Some(id(1))),
        |bench| assert_eq!(bench.end_all("alice"), (1, 1)),
        |bench| {
            bench.start(2, "alice");
            assert_eq!(bench.end_others(2, 3).1, 1);
        },
        |bench| {
            let call = StartCall { presented: Some(key(1)), ..start(2, "alice") };
            assert_eq!(bench.start_as(call).expect("started").1, Some(id(1)));
        },
        |bench| {
            let call = StartCall { limit: Some(limit(1, true)), ..start(2, "alice") };
            assert_eq!(bench.start_as(call).expect("started").2, [id(1)]);
        },
    ];
    for (number, end) in ends.iter().enumerate() {
        let file = File::of_version_1(&format!("ended{number}"));
        let bench = Bench::over(file.open());
        end(&bench);
        assert!(!bench.is_live(1) && bench.show(1).is_none());
        bench.wake();
        assert_eq!(bench.number("SELECT count(*) FROM sessions WHERE substr(id, 5, 1) = x'01'"), 0);
    }
}

#[test]
fn a_session_of_version_1_expires_and_is_swept() {
    let file = File::of_version_1("swept");
    let bench = Bench::over(file.open());
    bench.at(IDLE_EXPIRY);
    assert!(!bench.is_live(1));
    assert_eq!(bench.wake(), None);
    assert_eq!((bench.count("sessions"), bench.count("secrets")), (0, 0));
}

#[test]
fn a_migrated_database_is_as_a_new_one() {
    for version in &VERSIONS {
        let file = File::of("as_new", version);
        let migrated = file.open();
        schema::open(&migrated).expect("migrated");
        let new = Sqlite::in_memory();
        schema::open(&new).expect("made");
        assert_eq!(tables(&migrated), tables(&new));
        let version = migrated.run("SELECT value FROM meta WHERE name = 'schema'", &[]).expect("a version");
        assert_eq!(version[0].integer(0), Ok(schema::VERSION));
        let before = migrated.dump();
        schema::open(&file.open()).expect("once more");
        assert_eq!(migrated.dump(), before);
    }
}

#[test]
fn sessions_of_version_2_live_on_with_all_their_secrets() {
    let file = File::of_version_2("lives_on_2");
    let bench = Bench::over(file.open());
    bench.at(Duration::from_secs(2));
    assert!(bench.is_live(1) && bench.is_live(22) && bench.is_live(41) && bench.is_live(6));
    assert_eq!((bench.offered(21), bench.offered(2)), (Some(salt(22)), None));
    assert_eq!(
        (bench.strength(2), bench.strength(22)),
        (Some((1, NOW.plus(Duration::from_secs(1)))), Some((3, NOW.plus(Duration::from_secs(1)))))
    );
    assert!(!bench.is_live(4) && !bench.is_live(5) && bench.show(5).is_none());
    assert!(matches!(bench.start_as(start(9, "dave")), Err(ShardAnswer::Moved)));
    bench.at(Duration::from_secs(17));
    assert!(bench.is_replay(2) && bench.is_replay(21) && bench.is_replay(4), "each grace ends when it was to");
    bench.rotate(22, 23).expect("rotated");
    assert_eq!(bench.offered(22), Some(salt(23)));
}

/// There was no feed, and no edge that served from memory. And a kill without
/// the rows of its map would never be taken for a whole one.
#[test]
fn kills_of_version_2_are_not_published() {
    let file = File::of_version_2("kills_2");
    let bench = Bench::over(file.open());
    bench.at(Duration::from_secs(2));
    assert!(bench.waiting().is_empty() && bench.shard.waiting(bench.now.get()).expect("read").is_none());
    let kills = bench.shard.sql().run("SELECT id FROM kills", &[]).expect("kills");
    assert_eq!(kills.len(), 2);
    for row in kills {
        let kill = Handle::from_bytes(row.bytes(0).expect("a handle"));
        let ShardAnswer::Receipt { kill: Some(kill) } = bench.ask(ShardCall::Receipt { kill }) else {
            panic!("it is kept")
        };
        assert_eq!(kill.published.expect("nothing is left to be told").quiesced_in_ms, 50, "of the clock");
    }
    bench.start(9, "carol");
    bench.at(Duration::from_hours(25));
    bench.wake();
    assert_eq!(bench.count("kills"), 0);
}

#[test]
fn a_migration_is_whole_or_not_at_all() {
    for version in &VERSIONS {
        let file = File::of("half", version);
        for fails_after in 0.. {
            let sql = file.open();
            sql.fails_after.set(Some(fails_after));
            let opened = schema::open(&sql);
            sql.fails_after.set(None);
            if opened.is_ok() {
                assert!(fails_after >= 4, "{fails_after} statements");
                break;
            }
            assert_eq!(sql.dump(), version.golden, "statement {fails_after} failed");
        }
    }
}

#[test]
fn a_database_of_a_later_version_is_not_touched() {
    let file = File::new("later");
    let later = schema::VERSION + 1;
    let bench = Bench::over(file.open());
    bench.start(1, "alice");
    bench.run(&format!("UPDATE meta SET value = {later} WHERE name = 'schema'"));
    drop(bench);
    let before = fs::read(&file.0).expect("the file");
    let bench = Bench::over(file.open());
    let expected = format!("the database has schema {later}, this code knows {}", schema::VERSION);
    assert_eq!(schema::open(bench.shard.sql()), Err(SqlError(expected)));
    let calls = [
        ShardCall::Probe,
        ShardCall::Check { key: key(1), end_on_replay: None },
        ShardCall::Start(Box::new(start(2, "alice"))),
        end_all_here("alice", handle(1)),
    ];
    for call in calls {
        assert!(matches!(bench.ask(call), ShardAnswer::Failed { .. }));
    }
    bench.at(IDLE_EXPIRY);
    assert!(bench.shard.wake(bench.now.get()).is_err());
    drop(bench);
    assert!(fs::read(&file.0).expect("the file") == before, "not a byte of it has changed");
}
