//! The feed: what it takes, what it tells, and what it never says twice.

use std::rc::Rc;
use std::time::Duration;

use warifu::config::MapRow;
use warifu::revocation::{EntryKey, Epoch, FeedAnswer, Position};
use warifu::session::{Handle, SessionId};
use warifu::store::feed::{Append, Appended, EndSite, FeedCall, FeedReply, NewEntry, Poll};
use warifu::store::feed_object::FeedObject;
use warifu::store::{Row, Sql, SqlError, SqlValue};

use crate::sqlite::Sqlite;
use crate::surroundings::{Surroundings, Task, settle};
use crate::{BOUND_MS, EPOCH, NOW, handle, id, subject};

/// A database that outlives the objects over it.
#[derive(Clone)]
pub struct Disk(pub Rc<Sqlite>);

impl Disk {
    pub fn new() -> Self {
        Self(Rc::new(Sqlite::in_memory()))
    }
}

impl Sql for Disk {
    fn run(&self, statement: &str, parameters: &[SqlValue]) -> Result<Vec<Row>, SqlError> {
        self.0.run(statement, parameters)
    }

    fn transaction(&self, work: &mut dyn FnMut() -> Result<(), SqlError>) -> Result<(), SqlError> {
        self.0.transaction(work)
    }
}

/// The feed as an object.
pub struct Place {
    pub disk: Disk,
    pub object: FeedObject<Disk>,
    pub around: Surroundings,
}

impl Place {
    pub fn new() -> Self {
        let disk = Disk::new();
        Self { object: FeedObject::new(disk.clone(), EPOCH, BOUND_MS), disk, around: Surroundings::new() }
    }

    /// The object is started anew.
    pub fn restarted(self, epoch: Epoch) -> Self {
        let object = FeedObject::new(self.disk.clone(), epoch, BOUND_MS);
        Self { object, around: Surroundings::new(), disk: self.disk }
    }

    pub fn task(&self, call: FeedCall) -> Task<'_, FeedReply> {
        Task::new(async move { self.object.answer(&call, &self.around).await })
    }

    pub fn ask(&self, call: FeedCall) -> FeedReply {
        self.task(call).done.expect("it waits for nothing")
    }

    pub fn append(&self, entries: &[NewEntry]) -> (u64, Vec<Appended>) {
        match self.ask(FeedCall::Append(Append { entries: entries.to_vec() })) {
            FeedReply::Appended { epoch, bound_ms, entries } if epoch == EPOCH => (bound_ms, entries),
            other => panic!("{other:?}"),
        }
    }

    /// The numbers that the entries have.
    fn numbers(&self, entries: &[NewEntry]) -> Vec<u64> {
        self.append(entries).1.iter().map(|entry| entry.seq).collect()
    }

    pub fn poll(&self, since: Option<u64>) -> FeedAnswer {
        self.poll_as(poll(since))
    }

    pub fn poll_as(&self, poll: Poll) -> FeedAnswer {
        match self.ask(FeedCall::Poll(poll)) {
            FeedReply::Polled(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    /// An edge that knows this row of the map polls.
    pub fn learn(&self, row: MapRow) {
        self.poll_as(Poll { rows: vec![row], ..poll(None) });
    }

    pub fn number(&self, query: &str) -> u64 {
        self.disk.run(query, &[]).expect("a query")[0].integer(0).expect("a number")
    }
}

/// By an edge that knows the first row of the map.
pub fn poll(since: Option<u64>) -> Poll {
    let since = since.map(|seq| Position { epoch: EPOCH, seq });
    Poll { since, bound_ms: BOUND_MS, continue_ms: 0, rows: vec![MapRow::DEFAULT], back_ms: 0 }
}

fn entry(number: u16, key: EntryKey) -> NewEntry {
    NewEntry { id: handle(number), key, min_generation: None, rows: Vec::new() }
}

pub fn ended(number: u16) -> NewEntry {
    entry(number, EntryKey::Session(id(number)))
}

fn row(generation: u8) -> MapRow {
    MapRow { generation, ..MapRow::DEFAULT }
}

fn all_of(name: &str, kill: Handle, rows: &[MapRow]) -> NewEntry {
    NewEntry { id: kill, key: EntryKey::Subject(subject(name)), min_generation: Some(3), rows: rows.to_vec() }
}

/// The numbers and what they are about.
pub fn told(answer: &FeedAnswer) -> Vec<(u64, EntryKey)> {
    answer.entries.iter().map(|entry| (entry.seq, entry.key.clone())).collect()
}

#[test]
fn entries_are_numbered_without_a_gap_in_the_order_in_which_they_come() {
    let place = Place::new();
    let refresh = entry(2, EntryKey::Refresh(id(2)));
    assert_eq!(place.numbers(&[ended(1), refresh, all_of("alice", handle(3), &[row(1)])]), [1, 2, 3]);
    assert_eq!(place.numbers(&[entry(4, EntryKey::Site)]), [4]);
    assert_eq!(place.numbers(&[]), [0; 0], "whoever sends nothing learns that it can be reached");
    let answer = place.poll(Some(0));
    assert_eq!((answer.epoch, answer.low, answer.high, answer.age_ms), (EPOCH, 0, 4, 0));
    let keys =
        [EntryKey::Session(id(1)), EntryKey::Refresh(id(2)), EntryKey::Subject(subject("alice")), EntryKey::Site];
    assert_eq!(told(&answer), (1..).zip(keys).collect::<Vec<_>>());
    assert_eq!(told(&place.poll(Some(3))), [(4, EntryKey::Site)]);
    assert_eq!(told(&place.poll(Some(4))), []);
    assert_eq!(place.number("SELECT min_generation FROM entries WHERE kind = 'subject'"), 3);
}

#[test]
fn an_entry_that_comes_again_keeps_its_place() {
    let place = Place::new();
    place.append(&[ended(1), ended(2)]);
    let first = place.append(&[ended(1)]).1[0].clone();
    place.around.pass(Duration::from_secs(1));
    let again = place.append(&[ended(3), ended(1), ended(1), ended(4)]).1;
    assert_eq!(again.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [3, 1, 1, 4]);
    assert_eq!((again[1].id, again[1].accepted), (first.id, NOW), "when it was taken first");
    assert_eq!((again[0].accepted, place.poll(Some(0)).high), (NOW.plus(Duration::from_secs(1)), 4));
}

#[test]
fn an_append_is_whole_or_not_at_all() {
    let place = Place::new();
    place.append(&[ended(1)]);
    for fails_after in 0.. {
        place.disk.0.fails_after.set(Some(fails_after));
        let reply = place.ask(FeedCall::Append(Append { entries: vec![ended(2), ended(3)] }));
        place.disk.0.fails_after.set(None);
        let high = place.poll(Some(0)).high;
        assert_eq!(place.number("SELECT count(*) FROM entries"), high);
        if matches!(reply, FeedReply::Appended { .. }) {
            assert!(fails_after > 8, "{fails_after} statements");
            return assert_eq!(high, 3);
        }
        assert!([1, 3].contains(&high), "statement {fails_after} failed");
    }
}

/// Its subject may live on under the row that it lacks.
#[test]
fn a_kill_that_lacks_a_row_of_the_map_is_not_whole() {
    let place = Place::new();
    let is_whole = |entries: &[NewEntry]| place.append(entries).1.iter().map(|one| one.is_whole).collect::<Vec<_>>();
    assert_eq!(is_whole(&[all_of("alice", handle(1), &[row(1)])]), [true]);
    assert_eq!(is_whole(&[all_of("bob", handle(2), &[row(1), row(2)])]), [true], "whoever knows more is believed");
    let lacking = all_of("carol", handle(3), &[row(1)]);
    assert_eq!(is_whole(&[ended(4), lacking.clone(), entry(5, EntryKey::Refresh(id(5)))]), [true, false, true]);
    assert_eq!(place.poll(Some(0)).high, 5, "the edges go by what was done");
    assert_eq!(is_whole(&[lacking]), [false]);
    place.poll_as(Poll { rows: vec![row(1), row(2), row(3)], ..poll(None) });
    assert_eq!(is_whole(&[all_of("dave", handle(6), &[row(1), row(2)])]), [false], "starts may use the third");
    assert_eq!(is_whole(&[all_of("dave", handle(7), &[row(3), row(2), row(1)])]), [true]);
}

/// A version of the Worker that has a row still may run beside one that lacks
/// it: it names the row with each poll.
#[test]
fn a_row_that_nobody_names_for_a_minute_is_gone_and_a_newer_one_never_is() {
    let mut place = Place::new();
    let is_whole = |place: &Place, rows: &[MapRow]| {
        let number = u16::try_from(place.number("SELECT value FROM meta WHERE name = 'high'")).expect("few") + 1;
        match place.ask(FeedCall::Append(Append { entries: vec![all_of("alice", handle(number), rows)] })) {
            FeedReply::Appended { entries, .. } => entries[0].is_whole,
            other => panic!("{other:?}"),
        }
    };
    let names = |place: &Place, rows: &[MapRow]| {
        place.poll_as(Poll { rows: rows.to_vec(), ..poll(None) });
    };
    names(&place, &[row(1)]);
    names(&place, &[row(1), row(2)]);
    for _ in 0..100 {
        place.around.pass(Duration::from_secs(1));
        names(&place, &[row(1), row(2)]);
        assert!(!is_whole(&place, &[row(2)]), "somebody has the first row");
    }
    let now = place.around.now.get();
    place = place.restarted(Epoch([8; 8]));
    place.around.now.set(now);
    assert!(!is_whole(&place, &[row(2)]), "a feed that has just been woken has not heard of everybody");
    for _ in 0..59 {
        place.around.pass(Duration::from_secs(1));
        names(&place, &[row(2)]);
        assert!(!is_whole(&place, &[row(2)]), "nor has a minute passed");
    }
    place.around.pass(Duration::from_secs(11));
    assert!(is_whole(&place, &[row(2)]));
    assert!(!is_whole(&place, &[row(1)]), "who lacks a newer row is an older version, however long it runs");
    assert!(is_whole(&place, &[row(1), row(2)]), "who has more than it takes is welcome");
    assert!(!is_whole(&place, &[row(2)]), "that one has the row");
    place.around.pass(Duration::from_mins(2));
    assert!(is_whole(&place, &[row(2)]));
    let changed = MapRow { shards: 65, ..row(2) };
    assert!(!is_whole(&place, &[changed]), "a changed row is not the row");
}

/// Of an earlier version nobody knows when it was last named.
#[test]
fn where_there_is_no_note_of_a_row_the_minute_begins_with_the_first_kill() {
    let place = Place::new();
    place.append(&[all_of("alice", handle(1), &[row(1), row(2)])]);
    place.disk.run("DELETE FROM meta WHERE name LIKE 'row%'", &[]).expect("as it was");
    let is_whole = |number| place.append(&[all_of("alice", handle(number), &[row(2)])]).1[0].is_whole;
    assert!(!is_whole(2));
    place.around.pass(Duration::from_secs(69));
    assert!(!is_whole(3));
    place.around.pass(Duration::from_secs(1));
    assert!(is_whole(4));
    place.around.now.set(NOW);
    assert!(!is_whole(5), "a clock that has stepped back says nothing of when that was");
    place.around.pass(Duration::from_secs(70));
    assert!(is_whole(6));
}

#[test]
fn a_feed_that_has_been_replaced_says_nothing() {
    let place = Place::new();
    place.around.holds_writes.set(true);
    let calls = [FeedCall::Poll(poll(None)), FeedCall::Append(Append { entries: vec![ended(1)] })];
    for (number, call) in calls.into_iter().enumerate() {
        let mut task = place.task(call);
        place.around.replaced(number);
        settle(&mut [&mut task]);
        assert!(matches!(task.done, Some(FeedReply::Failed { .. })));
    }
}

#[test]
fn a_malformed_entry_is_an_error_and_not_left_out() {
    let place = Place::new();
    place.append(&[ended(1), ended(2)]);
    for (column, value) in [("target", "'nobody'"), ("kind", "'else'")] {
        place.disk.run(&format!("UPDATE entries SET {column} = {value} WHERE seq = 1"), &[]).expect("changed");
        assert!(matches!(place.ask(FeedCall::Poll(poll(Some(0)))), FeedReply::Failed { .. }));
    }
}

/// What a later version adds would be obeyed by half.
#[test]
fn a_call_with_a_member_more_or_less_is_refused() {
    let kill = handle(1);
    let calls = [
        FeedCall::Poll(poll(Some(1))),
        FeedCall::Append(Append { entries: vec![all_of("alice", kill, &[row(1)])] }),
        FeedCall::EndSite(EndSite { kill, rows: vec![row(1)], by: None }),
        FeedCall::Receipt { kill },
    ];
    for call in calls {
        let call = serde_json::to_value(call).expect("JSON");
        let is_read = |call: &serde_json::Value| serde_json::from_value::<FeedCall>(call.clone()).is_ok();
        assert!(is_read(&call), "{call}");
        let (name, inner) = call.as_object().and_then(|call| call.iter().next()).expect("a name");
        for member in inner.as_object().expect("members").keys() {
            let mut without = call.clone();
            without[name].as_object_mut().expect("members").remove(member);
            assert!(!is_read(&without), "{name} without {member}");
        }
        let mut with = call.clone();
        with[name]["unheard_of"] = 1.into();
        assert!(!is_read(&with), "{name} with a member that nobody knows");
    }
}

#[test]
fn a_feed_of_version_1_goes_on() {
    let place = Place::new();
    place.disk.0.connection.execute_batch(include_str!("feed_1.sql")).expect("an older version");
    assert_eq!(place.disk.0.dump(), include_str!("golden_feed_1.txt"), "what that version was tested to write");
    let answer = place.poll(None);
    assert_eq!((answer.low, answer.high), (4, 4));
    assert_eq!(place.numbers(&[ended(1), ended(9)]), [1, 5], "what is there keeps its number");
    assert_eq!(place.number("SELECT value FROM meta WHERE name = 'schema'"), 2);
    assert!(place.object.feed().next_round().expect("read").is_none());
}

/// A changed stored form needs a version and a step of migration.
#[test]
fn stored_bytes_are_as_they_were() {
    let place = Place::new();
    place.append(&[ended(1), entry(2, EntryKey::Refresh(SessionId::from_bytes([2; 16])))]);
    place.around.pass(Duration::from_secs(1));
    place.append(&[all_of("alice", handle(3), &[row(1), row(2)])]);
    place.poll_as(Poll { continue_ms: 300_000, ..poll(None) });
    crate::site_kills::carry(&place);
    assert_eq!(place.disk.0.dump(), include_str!("golden_feed_2.txt"));
}
