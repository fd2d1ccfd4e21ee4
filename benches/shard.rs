//! What a shard's calls cost over a real SQLite, and how that grows with the
//! shard: one of a thousand sessions beside one of a million.
//!
//! Read the ratios: the two take turns within one run, so that what disturbs
//! one disturbs the other. For smaller ones:
//! `cargo bench --bench shard -- --rows 100000 --rounds 31`.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

#[path = "../tests/support/sqlite.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod sqlite;

use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs, process};

use rusqlite::{Connection, params};
use sqlite::Sqlite;
use warifu::config::MapRow;
use warifu::revocation::{Epoch, Position};
use warifu::session::{Device, Handle, SALT_BYTES, Salt, Subject};
use warifu::store::Sql;
use warifu::store::feed::Appended;
use warifu::store::message::{
    By, EndAllCall, Home, Key, Lead, Message, RenewCall, RotateCall, ShardAnswer, ShardCall, StartCall,
};
use warifu::store::session_shard::SessionShard;
use warifu::time::UnixMillis;
use warifu::token::{Locator, Secret};

fn main() {
    let sizes = Sizes::from_arguments();
    println!("small: {} sessions; large: {}. Medians of {} rounds.", sizes.small, sizes.large, sizes.rounds);
    let folder = Folder::new();
    let [small, large] = [sizes.small, sizes.large].map(|sessions| Peopled::in_file(&folder, sessions));
    checks(&sizes, "in a file, as workerd has it: WAL, SQLite's default cache of 2 MB", [&small, &large]);
    drop((small, large, folder));

    let [small, large] = [sizes.small, sizes.large].map(Peopled::in_memory);
    checks(&sizes, "in memory", [&small, &large]);
    sizes_of(&large);
    writes(&sizes, [&small, &large]);
    ends(&sizes, &large);
}

/// How much is done. Without `--bench`, which cargo adds, only whether it works.
struct Sizes {
    small: u64,
    large: u64,
    of_one_subject: u64,
    rounds: u64,
    calls: u64,
}

impl Sizes {
    fn from_arguments() -> Self {
        let arguments: Vec<String> = env::args().collect();
        if !arguments.iter().any(|argument| argument == "--bench") {
            return Self { small: 10, large: 100, of_one_subject: 20, rounds: 3, calls: 5 };
        }
        let given = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            Some(arguments.get(at + 1)?.parse().unwrap_or_else(|_| panic!("{name} takes a number")))
        };
        Self {
            small: 1_000,
            large: given("--rows").unwrap_or(1_000_000),
            of_one_subject: 10_000,
            rounds: given("--rounds").unwrap_or(101),
            calls: 1_000,
        }
    }
}

/// The check of a live session: of a few in both, which tells what more rows
/// cost SQLite, and of random ones among all, which adds what they cost a
/// machine whose caches do not hold so many.
fn checks(sizes: &Sizes, place: &str, [small, large]: [&Peopled; 2]) {
    println!("\ncheck, {place}");
    for (name, among) in [("of the same few", [FEW, FEW]), ("of random ones", [small.sessions, large.sessions])] {
        let mut times = [Vec::new(), Vec::new()];
        let mut ratios = Vec::new();
        for round in 0..=sizes.rounds {
            let mut took = [0.0; 2];
            for turn in 0..2 {
                // Each is as often the first.
                let index = usize::from((turn == 1) != (round % 2 == 1));
                let shard = [small, large][index];
                let messages = random_checks(round, sizes.calls, among[index]);
                let began = Instant::now();
                for message in &messages {
                    let answer = shard.answer(message);
                    assert!(matches!(answer, ShardAnswer::Checked { found: Some(_), .. }), "{answer:?}");
                }
                took[index] = micros(began.elapsed()) / sizes.calls as f64;
            }
            // The first round fills caches.
            if round > 0 {
                times.iter_mut().zip(took).for_each(|(times, took)| times.push(took));
                ratios.push(took[1] / took[0]);
            }
        }
        let [in_small, in_large] = times.map(|mut times| spread(&mut times));
        println!("  {name}: {in_small} µs and {in_large} µs; ratio {}", spread(&mut ratios));
        let reads = [(small, among[0]), (large, among[1])].map(|(shard, among)| shard.reads_a_check(sizes, among));
        println!("    read from the file: {}", reads.join(" and "));
    }
}

/// Calls that write: what each takes, and what it writes.
fn writes(sizes: &Sizes, shards: [&Peopled; 2]) {
    println!("\ncalls that write, in memory, small and large");
    for (name, prepare, call) in [
        ("start", None, start as fn(u64) -> ShardCall),
        ("renewal", Some(set_back as fn(&Peopled, u64)), renewal),
        ("rotation", None, rotation),
        ("first use of the successor", None, |number| check(number, 1)),
        ("each later use", None, |number| check(number, 1)),
    ] {
        let is_start = name == "start";
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..sizes.rounds * 10 {
            for (shard, times) in shards.iter().zip(&mut times) {
                // Sessions of the small one are few, so each gets new ones here.
                let number = FIRST_NEW + round;
                if let Some(prepare) = prepare {
                    prepare(shard, number);
                }
                let message = message(call(number));
                let began = Instant::now();
                let answer = shard.answer(&message);
                times.push(micros(began.elapsed()));
                assert_eq!(is_start, matches!(answer, ShardAnswer::Started { .. }), "{answer:?}");
                assert!(!matches!(answer, ShardAnswer::Failed { .. }), "{answer:?}");
                shard.publish();
            }
        }
        // Once more, counted.
        let number = FIRST_NEW + sizes.rounds * 10;
        if let Some(prepare) = prepare {
            prepare(shards[0], number);
        }
        let message = message(call(number));
        let cost = shards[0].counted(|| {
            shards[0].answer(&message);
        });
        let published = shards[0].counted(|| shards[0].publish());
        let [small, large] = times.map(|mut times| spread(&mut times));
        println!("  {name}: {small} µs and {large} µs; {cost}; for the feed: {published}");
    }
}

/// The end of all sessions of a subject that has many, beside one that has one.
fn ends(sizes: &Sizes, shard: &Peopled) {
    println!("\nthe end of all sessions of a subject, in memory, in the large");
    let counts = [1, sizes.of_one_subject];
    let mut times = [Vec::new(), Vec::new()];
    let mut costs = [String::new(), String::new()];
    for round in 0..ENDS {
        for (index, count) in counts.into_iter().enumerate() {
            let first = FIRST_ENDED + (round * 2 + index as u64) * sizes.of_one_subject;
            let subject = format!("ended-{first}");
            shard.add(first, count, Some(&subject));
            let subject = Subject::parse(&subject).expect("a subject");
            let lead = Some(lead(handle(first)));
            let message = message(ShardCall::EndAll(EndAllCall { subject, kill: handle(first), lead }));
            costs[index] = shard.counted(|| {
                let began = Instant::now();
                let answer = shard.answer(&message);
                times[index].push(micros(began.elapsed()));
                assert!(matches!(answer, ShardAnswer::EndedAll { live, .. } if u64::from(live) == count), "{answer:?}");
            });
        }
    }
    for ((count, cost), mut times) in counts.iter().zip(&costs).zip(times) {
        println!("  of {count}: {} µs; {cost}", spread(&mut times));
    }
    shard.publish();
    let mut alarms = Vec::new();
    loop {
        let began = Instant::now();
        shard.shard.wake(NOW).expect("swept");
        alarms.push(micros(began.elapsed()));
        if shard.shard.take_alarm() != Some(NOW.plus(Duration::from_secs(2))) {
            break;
        }
    }
    println!("  swept away in {} alarms of {} µs", alarms.len(), spread(&mut alarms));
}

/// What a session takes in the large one, whose rows came in a random order.
fn sizes_of(shard: &Peopled) {
    let sessions = shard.sessions as f64;
    let number = |query: &str| shard.number(query) as f64;
    let pages = number("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
    println!("\nbytes a session, in whole pages: {:.0}", pages / sessions);
    for name in ["sessions", "sessions_by_subject", "sessions_by_expiry", "secrets", "secrets_by_session"] {
        let of = |what: &str| number(&format!("SELECT {what} FROM dbstat WHERE name = '{name}'"));
        let [size, filled] = ["sum(pgsize)", "sum(payload)"].map(|what| of(what) / sessions);
        // A path in `dbstat` has a / for the root and one for each level below.
        let levels = of("max(length(path) - length(replace(path, '/', '')))");
        println!("  {name}: {size:.0}, of which {filled:.0} are filled; {levels} levels");
    }
}

/// A shard with so many sessions, each of a subject of its own; they go by
/// numbers from 0.
struct Peopled {
    shard: SessionShard<Sqlite>,
    sessions: u64,
}

impl Peopled {
    fn in_memory(sessions: u64) -> Self {
        let peopled = Self::over(Connection::open_in_memory().expect("SQLite opens"), sessions);
        peopled.add(0, sessions, None);
        peopled
    }

    fn in_file(folder: &Folder, sessions: u64) -> Self {
        let file = folder.0.join(format!("{sessions}.sqlite"));
        let filling = Self::over(Connection::open(&file).expect("a file"), sessions);
        let settings = "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA cache_size = -4000000";
        filling.shard.sql().connection.execute_batch(settings).expect("settings");
        filling.add(0, sessions, None);
        drop(filling);
        let connection = Connection::open(&file).expect("a file");
        connection.execute_batch("PRAGMA journal_mode = WAL").expect("a setting");
        Self::over(connection, sessions)
    }

    fn over(connection: Connection, sessions: u64) -> Self {
        Self { shard: SessionShard::new(Sqlite::over(connection)), sessions }
    }

    /// Starts a session and copies it, with random keys, subjects of their own
    /// unless one is given, and expiries over half an hour.
    fn add(&self, first: u64, count: u64, subject: Option<&str>) {
        let subject_of = |number| subject.map_or_else(|| subject_of(number), str::to_owned);
        let ShardCall::Start(mut call) = start(first) else { panic!("a start") };
        call.subject = Subject::parse(&subject_of(first)).expect("a subject");
        let answer = self.answer(&message(ShardCall::Start(call)));
        assert!(matches!(answer, ShardAnswer::Started { .. }), "{answer:?}");
        let transaction = self.shard.sql().connection.unchecked_transaction().expect("a transaction");
        let mut sessions = transaction
            .prepare(
                "INSERT INTO sessions SELECT ?1, ?2, level, auth_time, created, last_seen, idle_expires + ?4,
                        absolute_expires, claims, generation, user_agent, country, city, first_prefix, last_prefix
                 FROM sessions WHERE id = ?3",
            )
            .expect("a statement");
        let mut secrets =
            transaction.prepare("INSERT INTO secrets (key, session) VALUES (?1, ?2)").expect("a statement");
        for number in first + 1..first + count {
            let id = *handle(number).as_bytes();
            let later = i64::try_from(mixed(number) % 1_800_000).expect("half an hour");
            sessions.execute(params![id, subject_of(number), handle(first).as_bytes(), later]).expect("a row");
            secrets.execute(params![key(number, 0).0.as_bytes(), id]).expect("a row");
        }
        drop((sessions, secrets));
        transaction.commit().expect("committed");
    }

    fn answer(&self, message: &Message) -> ShardAnswer {
        self.shard.answer(message, NOW)
    }

    /// The feed takes all that waits.
    fn publish(&self) {
        let later = NOW.plus(Duration::from_secs(1));
        while let Some(append) = self.shard.waiting(later).expect("read") {
            let place = |id| Appended { id, seq: 1, accepted: NOW, is_whole: true };
            let taken: Vec<_> = append.entries.iter().map(|entry| place(entry.id)).collect();
            self.shard.note_published(EPOCH, 5_000, &append, &taken, NOW).expect("noted");
        }
    }

    /// Statements and rows of some work.
    fn counted(&self, work: impl FnOnce()) -> String {
        let sql = self.shard.sql();
        sql.fails_after.set(Some(u32::MAX));
        let rows = sql.connection.total_changes();
        work();
        let statements = u32::MAX - sql.fails_after.take().expect("it is counted down");
        format!("{statements} statements, {} rows written", sql.connection.total_changes() - rows)
    }

    fn number(&self, query: &str) -> u64 {
        let rows = self.shard.sql().run(query, &[]).expect("a query");
        rows[0].integer(0).expect("a number")
    }

    /// Pages that a check finds in the file and not in SQLite's own memory,
    /// where the system tells.
    fn reads_a_check(&self, sizes: &Sizes, among: u64) -> String {
        let reads = || -> Option<u64> {
            let counts = fs::read_to_string("/proc/self/io").ok()?;
            counts.lines().find_map(|line| line.strip_prefix("syscr: "))?.parse().ok()
        };
        let messages = random_checks(u64::from(u32::MAX), sizes.calls, among);
        let before = reads();
        for message in &messages {
            self.answer(message);
        }
        let Some((before, after)) = before.zip(reads()) else { return "unknown".to_owned() };
        format!("{:.1} pages", (after - before) as f64 / sizes.calls as f64)
    }
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = env::temp_dir().join(format!("warifu-bench-{}", process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn message(call: ShardCall) -> Message {
    // As it comes from the Worker: what changes something is written down.
    let by = By {
        actor: "origin".to_owned(),
        reason: "do=start".to_owned(),
        from: Some("203.0.113.0/24".to_owned()),
        keep_ms: 30 * 86_400_000,
    };
    Message { home: Some(HOME), is_fenced: false, by: Some(by), call }
}

/// Checks of random sessions among the first so many.
fn random_checks(round: u64, count: u64, among: u64) -> Vec<Message> {
    (0..count).map(|turn| message(check(mixed(round << 32 | turn) % among, 0))).collect()
}

fn check(number: u64, rotations: u8) -> ShardCall {
    ShardCall::Check { key: key(number, rotations), end_on_replay: None }
}

/// As large as sessions commonly are.
fn start(number: u64) -> ShardCall {
    let text = |text: &str| Some(text.to_owned());
    let user_agent = "Mozilla/5.0 (Linux; Android 14; Pixel 8 Pro) AppleWebKit/537.36 (KHTML, like Gecko) \
                      Chrome/131.0.6778.135 Mobile Safari/537.36";
    let device = Device {
        user_agent: text(user_agent),
        country: text("JP"),
        city: text("Kyoto"),
        first_prefix: text("203.0.113.0/24"),
        last_prefix: text("2001:db8:1::/48"),
    };
    ShardCall::Start(Box::new(StartCall {
        id: handle(number),
        key: key(number, 0),
        subject: Subject::parse(&subject_of(number)).expect("a subject"),
        level: 1,
        claims: None,
        device,
        idle_ms: IDLE_MS,
        lifetime_ms: 12 * 3_600_000,
        presented: None,
        end_others: false,
        limit: None,
        lead: lead(handle(number)),
        since: Some(Position { epoch: EPOCH, seq: 1 << 40 }),
        adopts: None,
        hold: None,
    }))
}

fn renewal(number: u64) -> ShardCall {
    ShardCall::Renew(RenewCall { key: key(number, 0), idle_ms: IDLE_MS, prefix: Some("203.0.113.0/24".to_owned()) })
}

/// As if it had not been used for long, so that its renewal is written.
fn set_back(shard: &Peopled, number: u64) {
    let id = handle(number).as_bytes().as_slice().into();
    let changed = "UPDATE sessions SET last_seen = 0, idle_expires = idle_expires - 600000 WHERE id = ?";
    shard.shard.sql().run(changed, &[id]).expect("a row");
}

fn rotation(number: u64) -> ShardCall {
    ShardCall::Rotate(Box::new(RotateCall {
        presented: key(number, 0),
        successor: key(number, 1),
        salt: Some(Salt([7; SALT_BYTES])),
        level: None,
        grace_ms: 15_000,
        refresh: handle(number + 1),
        wrapped: None,
    }))
}

fn lead(kill: Handle) -> Lead {
    Lead { kill, at_least: 0, rows: vec![MapRow::DEFAULT] }
}

/// The key of a session's first secret, or of one that came after rotations.
fn key(number: u64, rotations: u8) -> Key {
    let mut secret = [rotations; 32];
    secret[..8].copy_from_slice(&number.to_be_bytes());
    Key(Secret::new(secret).session_key())
}

fn handle(number: u64) -> Handle {
    let mut random = [0; 12];
    random[..8].copy_from_slice(&mixed(number).to_be_bytes());
    Handle::new(Locator { generation: 1, region: 0, shard: 7 }, random)
}

/// As long as a UUID.
fn subject_of(number: u64) -> String {
    format!("{:016x}-{number:019}", mixed(number))
}

/// A number for each number, in no order (the finalizer of `SplitMix64`).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The median, and in brackets the quartiles.
fn spread(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    let at = |part: usize| values[(values.len() - 1) * part / 4];
    format!("{:.2} ({:.2}–{:.2})", at(2), at(1), at(3))
}

const NOW: UnixMillis = UnixMillis(1_750_000_000_000);
/// Of the feed that is played here.
const EPOCH: Epoch = Epoch([7; 8]);
const HOME: Home = Home { row: MapRow::DEFAULT, shard: 7 };
const IDLE_MS: u64 = 1_800_000;
/// How many sessions are a few.
const FEW: u64 = 10;
/// How often the end of all sessions of a subject is measured.
const ENDS: u64 = 5;
/// Numbers of sessions that are started while something is measured.
const FIRST_NEW: u64 = 1 << 40;
const FIRST_ENDED: u64 = 1 << 41;
