//! The session shard on a real SQLite.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::result_large_err, reason = "an answer is as large as it is")]

mod adoption;
mod again;
mod audit;
mod crashes;
mod ended;
mod ending;
mod ending_all;
mod feed;
mod fencing;
mod held;
mod lifetimes;
mod limits;
mod lists;
mod messages;
mod migration;
mod polling;
mod publishing;
mod quiet;
mod raising;
mod refreshes;
mod rotation;
mod site_kills;
#[path = "../support/sqlite.rs"]
mod sqlite;
mod stored;
mod surroundings;
mod sweeping;
mod telling;
mod untold;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use sqlite::Sqlite;
use warifu::config::MapRow;
use warifu::revocation::{Epoch, Position};
use warifu::session::{Claims, Device, Handle, KillId, SALT_BYTES, Salt, Served, Session, SessionId, Subject};
use warifu::store::feed::{Append, Appended, NewEntry};
use warifu::store::message::{
    By, EndAllCall, EndCall, EndOthersCall, Found, Home, Key, Lead, Limit, ListCall, Mark, Message, RenewCall,
    RotateCall, Rotated, ShardAnswer, ShardCall, StartCall, UpdateCall, Which,
};
use warifu::store::session_shard::SessionShard;
use warifu::store::{Sql, SqlError};
use warifu::time::UnixMillis;
use warifu::token::{Locator, Secret};

const NOW: UnixMillis = UnixMillis(1_750_000_000_000);
const HOME: Home = Home { row: MapRow::DEFAULT, shard: 7 };
const IDLE: Duration = Duration::from_mins(30);
/// The idle timeout and its slack.
const IDLE_EXPIRY: Duration = Duration::from_mins(33);
const LIFETIME: Duration = Duration::from_hours(12);
const GRACE: Duration = Duration::from_secs(15);
const GRACE_MAX: Duration = Duration::from_mins(5);
const DAY: Duration = Duration::from_hours(24);
const MS: Duration = Duration::from_millis(1);

/// Of the feed that the tests play, and the bound that its edges go by.
const EPOCH: Epoch = Epoch([7; 8]);
const BOUND_MS: u64 = 5_000;
/// Later than all that a test ends.
const AFTER_ALL: Position = Position { epoch: EPOCH, seq: 1 << 40 };

/// A shard, its clock and the feed. Sessions, secrets and kills go by numbers;
/// a session has the number of its first secret.
struct Bench {
    shard: SessionShard<Sqlite>,
    now: Cell<UnixMillis>,
    kills: Cell<u16>,
    /// Whether the feed takes all that waits after each call.
    has_feed: Cell<bool>,
    /// Who asks; `None`: nothing is written down.
    by: RefCell<Option<By>>,
    /// What the feed has taken; the first is number 1.
    feed: RefCell<Vec<NewEntry>>,
}

fn handle(number: u16) -> Handle {
    let [first, rest] = number.to_be_bytes();
    let mut random = [rest; 12];
    random[0] = rest.wrapping_add(first);
    Handle::new(Locator { generation: 1, region: 0, shard: 7 }, random)
}

fn id(number: u16) -> SessionId {
    handle(number)
}

fn key(number: u16) -> Key {
    let [first, rest] = number.to_be_bytes();
    let mut secret = [rest; 32];
    secret[0] = rest.wrapping_add(first);
    Key(Secret::new(secret).session_key())
}

fn salt(number: u8) -> Salt {
    Salt([number; SALT_BYTES])
}

fn subject(name: &str) -> Subject {
    Subject::parse(name).expect("a subject")
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).expect("a span")
}

fn start(number: u16, name: &str) -> StartCall {
    StartCall {
        id: id(number),
        key: key(number),
        subject: subject(name),
        level: 1,
        claims: None,
        device: Device::default(),
        idle_ms: millis(IDLE),
        lifetime_ms: millis(LIFETIME),
        presented: None,
        end_others: false,
        limit: None,
        lead: lead(handle(10_000 + number), 0),
        since: Some(AFTER_ALL),
        adopts: None,
        hold: None,
    }
}

/// What leads a kill in the only row of the map.
fn lead(kill: KillId, at_least: u64) -> Lead {
    Lead { kill, at_least, rows: vec![MapRow::DEFAULT] }
}

/// The end of all that a subject has, in the shard that leads it.
fn end_all(name: &str, kill: KillId) -> ShardCall {
    ShardCall::EndAll(EndAllCall { subject: subject(name), kill, lead: Some(lead(kill, 0)) })
}

/// The same, in another shard.
fn end_all_here(name: &str, kill: KillId) -> ShardCall {
    ShardCall::EndAll(EndAllCall { subject: subject(name), kill, lead: None })
}

fn update_call(of: Which, claims: Option<Claims>, level: Option<u8>) -> UpdateCall {
    UpdateCall { of, claims, level, refresh: handle(30_000) }
}

fn limit(max: u32, end_oldest: bool) -> Limit {
    Limit { max, end_oldest, elsewhere: 0 }
}

fn rotate_call(presented: u16, successor: u16) -> RotateCall {
    let salt = Some(salt(u8::try_from(successor % 256).expect("a byte")));
    let (presented, refresh) = (key(presented), handle(30_000 + successor));
    RotateCall {
        presented,
        successor: key(successor),
        salt,
        level: None,
        grace_ms: millis(GRACE),
        refresh,
        wrapped: None,
    }
}

impl Bench {
    fn new() -> Self {
        Self::over(Sqlite::in_memory())
    }

    fn over(sql: Sqlite) -> Self {
        let (has_feed, by, feed) = (Cell::new(true), RefCell::default(), RefCell::default());
        Self { shard: SessionShard::new(sql), now: Cell::new(NOW), kills: Cell::new(20_000), has_feed, by, feed }
    }

    fn pass(&self, time: Duration) {
        self.now.set(self.now.get().plus(time));
    }

    /// The time `after` the beginning of the test.
    fn at(&self, after: Duration) {
        self.now.set(NOW.plus(after));
    }

    /// The shard's answer, after which the feed has all that there is to say.
    fn ask(&self, call: ShardCall) -> ShardAnswer {
        let answer = self.ask_alone(call);
        if self.has_feed.get() && !matches!(answer, ShardAnswer::Failed { .. }) {
            self.publish();
        }
        answer
    }

    /// The shard's answer, and nobody publishes.
    fn ask_alone(&self, call: ShardCall) -> ShardAnswer {
        self.shard
            .answer(&Message { home: Some(HOME), is_fenced: false, by: self.by.borrow().clone(), call }, self.now.get())
    }

    /// The feed takes all that waits, however close together it comes.
    fn publish(&self) {
        let later = self.now.get().plus(Duration::from_secs(1));
        while let Some(append) = self.shard.waiting(later).expect("read") {
            self.take(append).expect("noted");
        }
    }

    /// What waits and is due.
    fn waiting(&self) -> Vec<NewEntry> {
        self.shard.waiting(self.now.get()).expect("read").map(|append| append.entries).unwrap_or_default()
    }

    /// The feed takes these, and the shard hears of it.
    fn take(&self, append: Append) -> Result<(), SqlError> {
        let now = self.now.get();
        let mut feed = self.feed.borrow_mut();
        let numbers = feed.len() as u64 + 1..;
        let taken = append.entries.iter().zip(numbers);
        let taken: Vec<_> =
            taken.map(|(entry, seq)| Appended { id: entry.id, seq, accepted: now, is_whole: true }).collect();
        self.shard.note_published(EPOCH, BOUND_MS, &append, &taken, now)?;
        feed.extend(append.entries);
        Ok(())
    }

    fn kill(&self) -> KillId {
        self.kills.set(self.kills.get() + 100);
        handle(self.kills.get())
    }

    fn start(&self, number: u16, name: &str) -> Session {
        self.start_as(start(number, name)).expect("a session").0
    }

    /// The session and those that made room; or the refusal.
    fn start_as(&self, call: StartCall) -> Result<(Session, Option<SessionId>, Vec<SessionId>, u32), ShardAnswer> {
        match self.ask(ShardCall::Start(Box::new(call))) {
            ShardAnswer::Started { session, replaced, evicted, ended_others, .. } => {
                Ok((session, replaced, evicted, ended_others))
            }
            other => Err(other),
        }
    }

    /// What a secret opens, the session whose replay it is, whether that ended.
    fn check_with(&self, number: u16, end_on_replay: Option<KillId>) -> (Option<Found>, Option<SessionId>, bool) {
        match self.ask(ShardCall::Check { key: key(number), end_on_replay }) {
            ShardAnswer::Checked { found, replayed, ended, .. } => (found, replayed, ended),
            other => panic!("{other:?}"),
        }
    }

    fn check(&self, number: u16) -> Option<Found> {
        self.check_with(number, None).0
    }

    fn is_live(&self, number: u16) -> bool {
        self.check(number).is_some()
    }

    /// Whether this secret is refused as a replay.
    fn is_replay(&self, number: u16) -> bool {
        self.check_with(number, None).1.is_some()
    }

    /// The level and the time of authentication that a secret is served at.
    fn strength(&self, number: u16) -> Option<(u8, UnixMillis)> {
        self.check(number).map(|found| (found.session.level, found.session.auth_time))
    }

    /// The salt that a served old secret is given.
    fn offered(&self, number: u16) -> Option<Salt> {
        match self.check(number).expect("served").served {
            Served::Current => panic!("{number} is the newest"),
            Served::InGrace { salt } => salt,
        }
    }

    fn show(&self, number: u16) -> Option<Session> {
        match self.ask(ShardCall::Show { id: id(number) }) {
            ShardAnswer::Shown { session } => session,
            other => panic!("{other:?}"),
        }
    }

    fn rotate(&self, presented: u16, successor: u16) -> Option<Rotated> {
        self.rotate_as(rotate_call(presented, successor))
    }

    fn raise(&self, presented: u16, successor: u16, level: u8) -> Option<Rotated> {
        self.rotate_as(RotateCall { level: Some(level), salt: None, ..rotate_call(presented, successor) })
    }

    fn rotate_as(&self, call: RotateCall) -> Option<Rotated> {
        match self.ask(ShardCall::Rotate(Box::new(call))) {
            ShardAnswer::Rotated { rotated } => rotated,
            other => panic!("{other:?}"),
        }
    }

    fn update(&self, call: UpdateCall) -> Result<Option<Session>, ShardAnswer> {
        match self.ask(ShardCall::Update(Box::new(call))) {
            ShardAnswer::Updated { session } => Ok(session),
            other => Err(other),
        }
    }

    fn renew(&self, number: u16) {
        self.renew_for(number, millis(IDLE));
    }

    fn renew_for(&self, number: u16, idle_ms: u64) {
        let call = RenewCall { key: key(number), idle_ms, prefix: None };
        assert!(matches!(self.ask(ShardCall::Renew(call)), ShardAnswer::Renewed { .. }));
    }

    /// The session that was ended.
    fn end(&self, of: Which, only: Option<&str>) -> Option<SessionId> {
        match self.ask(ShardCall::End(EndCall { of, only: only.map(subject), kill: self.kill() })) {
            ShardAnswer::Ended { session, .. } => session.map(|placed| placed.id),
            other => panic!("{other:?}"),
        }
    }

    fn end_others(&self, presented: u16, successor: u16) -> (Option<Session>, u32) {
        let (presented, successor) = (key(presented), key(successor));
        let call =
            EndOthersCall { presented, successor, lead: lead(self.kill(), 0), grace_ms: millis(GRACE), wrapped: None };
        match self.ask(ShardCall::EndOthers(call)) {
            ShardAnswer::EndedOthers { session, others, .. } => (session, others),
            other => panic!("{other:?}"),
        }
    }

    /// How many lived, and the generation that ended them.
    fn end_all(&self, name: &str) -> (u32, u64) {
        match self.ask(end_all(name, self.kill())) {
            ShardAnswer::EndedAll { live, generation, .. } => (live, generation),
            other => panic!("{other:?}"),
        }
    }

    fn page(&self, name: &str, after: Option<Mark>, limit: u32) -> (Vec<Session>, bool) {
        match self.ask(ShardCall::List(ListCall { subject: subject(name), after, limit })) {
            ShardAnswer::Sessions { sessions, more } => (sessions, more),
            other => panic!("{other:?}"),
        }
    }

    fn list(&self, name: &str) -> Vec<SessionId> {
        self.page(name, None, 100).0.iter().map(|session| session.id).collect()
    }

    /// What the object's alarm does; when it wants to be woken again.
    fn wake(&self) -> Option<UnixMillis> {
        self.shard.wake(self.now.get()).expect("swept");
        self.shard.take_alarm()
    }

    fn run(&self, statement: &str) {
        self.shard.sql().run(statement, &[]).expect("a statement");
    }

    /// The number that a query has for an answer.
    fn number(&self, query: &str) -> u64 {
        let rows = self.shard.sql().run(query, &[]).expect("a query");
        rows[0].integer(0).expect("a number")
    }

    fn count(&self, table: &str) -> u64 {
        self.number(&format!("SELECT count(*) FROM {table}"))
    }

    fn dump(&self) -> String {
        self.shard.sql().dump()
    }
}
