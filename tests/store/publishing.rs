//! A session object and its feed: what is answered when, and what goes on if
//! the feed is out of reach.

use std::time::Duration;

use warifu::revocation::{EntryKey, Epoch, Position};
use warifu::session::Served;
use warifu::store::Sql;
use warifu::store::message::{
    EndCall, Kill, Message, Published, RotateCall, Rotated, ShardAnswer, ShardCall, StartCall, Which,
};
use warifu::store::session_object::{NotDone, SessionObject};
use warifu::time::UnixMillis;

use crate::sqlite::Sqlite;
use crate::surroundings::{Reach, Surroundings, Task, settle};
use crate::{AFTER_ALL, BOUND_MS, EPOCH, HOME, MS, NOW, end_all, handle, id, key, limit, rotate_call, start, subject};

pub const SOON: Duration = Duration::from_secs(2);
pub const PAUSE: Duration = Duration::from_secs(1);

/// An object with its surroundings.
pub struct Place {
    object: SessionObject<Sqlite>,
    pub around: Surroundings,
}

impl Place {
    /// Alice has sessions 1 to 3, and nothing is to be said of them.
    pub fn new() -> Self {
        let place = Self { object: SessionObject::new(Sqlite::in_memory()), around: Surroundings::new() };
        for number in 1..=3 {
            let answer = place.ask(ShardCall::Start(Box::new(start(number, "alice"))));
            assert!(matches!(answer, ShardAnswer::Started { .. }));
        }
        assert_eq!(place.around.sent_count(), 0, "a start that ends nothing is nobody's business");
        place.around.alarms.borrow_mut().clear();
        place
    }

    pub fn task(&self, call: ShardCall) -> Task<'_, ShardAnswer> {
        let message = Message { home: Some(HOME), is_fenced: false, by: None, call };
        Task::new(async move { self.object.answer(&message, &self.around).await })
    }

    /// An answer that is there at once.
    pub fn ask(&self, call: ShardCall) -> ShardAnswer {
        self.task(call).done.expect("it waits for nothing")
    }

    pub fn wake(&self) -> Result<(), NotDone> {
        Task::new(self.object.wake(&self.around)).done.expect("it waits for nothing")
    }

    fn receipt(&self, number: u16) -> Option<Kill> {
        match self.ask(ShardCall::Receipt { kill: handle(number) }) {
            ShardAnswer::Receipt { kill } => kill,
            other => panic!("{other:?}"),
        }
    }

    pub fn served(&self, number: u16) -> Option<Served> {
        match self.ask(ShardCall::Check { key: key(number), end_on_replay: None }) {
            ShardAnswer::Checked { found, .. } => found.map(|found| found.served),
            other => panic!("{other:?}"),
        }
    }

    pub fn dump(&self) -> String {
        self.object.shard().sql().dump()
    }
}

/// The end of a session, under the kill of the same number.
pub fn end(number: u16) -> ShardCall {
    ShardCall::End(EndCall { of: Which::Id(id(number)), only: None, kill: handle(500 + number) })
}

pub fn rotate(presented: u16, successor: u16) -> ShardCall {
    ShardCall::Rotate(Box::new(rotate_call(presented, successor)))
}

pub fn raise(presented: u16, successor: u16) -> ShardCall {
    let call = RotateCall { level: Some(5), salt: None, ..rotate_call(presented, successor) };
    ShardCall::Rotate(Box::new(call))
}

fn kill_of(answer: Option<&ShardAnswer>) -> &Kill {
    match answer.expect("it is answered") {
        ShardAnswer::Ended { session: Some(placed), .. } => &placed.kill,
        ShardAnswer::EndedAll { kill: Some(kill), .. } => kill,
        other => panic!("{other:?}"),
    }
}

pub fn rotated(answer: Option<ShardAnswer>) -> Rotated {
    match answer.expect("it is answered") {
        ShardAnswer::Rotated { rotated: Some(rotated) } => rotated,
        other => panic!("{other:?}"),
    }
}

pub fn is_failed(answer: Option<&ShardAnswer>) -> bool {
    matches!(answer, Some(ShardAnswer::Failed { .. }))
}

#[test]
fn a_kill_is_answered_once_the_feed_has_it() {
    let place = Place::new();
    place.around.reach.set(Reach::Holds);
    let mut kill = place.task(end(1));
    assert!(kill.done.is_none());
    assert_eq!(place.served(1), None, "it is dead here from the first moment");
    assert!(place.receipt(501).expect("committed").published.is_none());
    assert_eq!(place.around.alarm(), Some(NOW.plus(SOON)), "an alarm was set with the commit");
    place.around.arrive(0);
    settle(&mut [&mut kill]);
    let Published { epoch, seq, accepted, bound_ms, quiesced_in_ms } =
        kill_of(kill.done.as_ref()).published.clone().expect("published");
    assert_eq!((epoch, seq, accepted, bound_ms), (EPOCH, 1, NOW, BOUND_MS));
    assert_eq!(quiesced_in_ms, BOUND_MS + BOUND_MS / 1_000 + 50, "the bound, stretched, and the clock's stand-still");
    place.around.pass(Duration::from_secs(2));
    let later = place.receipt(501).expect("kept").published.expect("published");
    assert_eq!(later.quiesced_in_ms, quiesced_in_ms - 2_000);
    place.around.pass(Duration::from_secs(10));
    assert_eq!(place.receipt(501).expect("kept").published.expect("published").quiesced_in_ms, 0);
}

#[test]
fn without_the_feed_a_kill_is_answered_as_committed_and_the_alarm_goes_on() {
    let place = Place::new();
    place.around.reach.set(Reach::IsDown);
    let kill = place.task(end_all("alice", handle(60)));
    assert!(kill_of(kill.done.as_ref()).published.is_none());
    assert!((1..=3).all(|number| place.served(number).is_none()));
    for round in 1..4 {
        assert_eq!(place.around.alarm(), Some(place.around.now.get().plus(SOON)), "round {round}");
        place.around.alarms.borrow_mut().clear();
        place.around.pass(SOON);
        assert!(place.wake().is_err());
    }
    place.around.reach.set(Reach::Answers);
    place.around.pass(SOON);
    place.wake().expect("published");
    assert_eq!(place.around.taken.borrow()[0].key, EntryKey::Subject(subject("alice")));
    assert!(place.receipt(60).expect("kept").published.is_some());
}

#[test]
fn an_entry_whose_answer_was_lost_is_sent_again_under_its_name() {
    let place = Place::new();
    place.around.reach.set(Reach::Holds);
    let mut kill = place.task(end(1));
    place.around.lose_answer(0);
    settle(&mut [&mut kill]);
    assert!(kill_of(kill.done.as_ref()).published.is_none());
    place.around.reach.set(Reach::Answers);
    place.around.pass(SOON);
    place.wake().expect("published");
    assert_eq!(place.around.sent_ids(0), place.around.sent_ids(1));
    assert_eq!(place.around.taken.borrow().len(), 1);
    assert_eq!(place.receipt(501).expect("kept").published.expect("published").seq, 1);
}

#[test]
fn a_kill_that_ended_nothing_tells_nobody() {
    let place = Place::new();
    place.around.reach.set(Reach::Holds);
    assert!(matches!(place.ask(end(9)), ShardAnswer::Ended { session: None, .. }));
    let check = ShardCall::Check { key: key(1), end_on_replay: Some(handle(60)) };
    assert!(matches!(place.ask(check), ShardAnswer::Checked { found: Some(_), .. }));
    assert_eq!(place.around.sent_count(), 0);
}

#[test]
fn appends_go_one_at_a_time() {
    let place = Place::new();
    place.around.reach.set(Reach::Holds);
    let mut tasks = [place.task(end(1)), place.task(end(2)), place.task(end(3))];
    let [first, second, third] = &mut tasks;
    assert_eq!((place.around.sent_count(), place.around.sent_ids(0)), (1, vec![handle(501)]));
    place.around.arrive(0);
    settle(&mut [first, second, third]);
    assert!(first.done.is_some() && second.done.is_none());
    assert_eq!((place.around.sent_count(), place.around.sent_ids(1)), (2, vec![handle(502), handle(503)]));
    place.around.arrive(1);
    settle(&mut [first, second, third]);
    assert!(second.done.is_some() && third.done.is_some(), "one append served both");
    assert_eq!((place.around.sent_count(), place.around.in_flight_max.get()), (2, 1));
}

#[test]
fn who_waits_for_an_append_goes_on_when_its_call_is_given_up() {
    let place = Place::new();
    place.around.reach.set(Reach::Holds);
    let first = place.task(end(1));
    let mut second = place.task(end(2));
    drop(first);
    settle(&mut [&mut second]);
    assert_eq!(place.around.sent_ids(1), [handle(501), handle(502)], "and takes along what was left");
    place.around.arrive(1);
    settle(&mut [&mut second]);
    assert!(second.done.is_some());
}

#[test]
fn what_has_piled_up_goes_in_batches_of_two_hundred() {
    let place = Place::new();
    place.around.reach.set(Reach::IsDown);
    for number in 1_000..1_450 {
        place.ask(ShardCall::Start(Box::new(start(number, "bob"))));
        place.ask(end(number));
    }
    place.around.pass(PAUSE);
    place.around.reach.set(Reach::Answers);
    let before = place.around.sent_count();
    place.wake().expect("published");
    let sizes: Vec<_> = (before..place.around.sent_count()).map(|number| place.around.sent_ids(number).len()).collect();
    assert_eq!(sizes, [200, 200, 50]);
    assert_eq!(place.around.taken.borrow().len(), 450);
}

/// A kill that its own batch has left behind is not acknowledged.
#[test]
fn a_call_that_ends_much_is_answered_once_the_feed_has_all_of_it() {
    let place = Place::new();
    for number in 1_000..1_300 {
        place.ask(ShardCall::Start(Box::new(start(number, "bob"))));
    }
    place.around.reach.set(Reach::Holds);
    let call = StartCall { limit: Some(limit(1, true)), ..start(2_000, "bob") };
    let mut task = place.task(ShardCall::Start(Box::new(call)));
    place.around.arrive(0);
    settle(&mut [&mut task]);
    assert!(task.done.is_none());
    place.around.arrive(1);
    settle(&mut [&mut task]);
    assert!(matches!(task.done, Some(ShardAnswer::Started { evicted, .. }) if evicted.len() == 300));
    assert_eq!(place.around.taken.borrow().len(), 300);
}

/// Its subject may live on under a row that the shard's caller does not know.
#[test]
fn a_kill_that_is_not_whole_is_told_of_once_and_holds_nothing_up() {
    let place = Place::new();
    place.around.is_whole.set(false);
    let answer = place.ask(end_all("alice", handle(60)));
    let kill = kill_of(Some(&answer));
    assert!(kill.is_partial && kill.published.is_none());
    assert_eq!(place.around.taken.borrow().len(), 1, "the edges go by what was done");
    place.around.is_whole.set(true);
    place.ask(ShardCall::Start(Box::new(start(9, "bob"))));
    assert!(kill_of(Some(&place.ask(end(9)))).published.is_some());
    place.around.pass(SOON);
    place.wake().expect("nothing is left");
    assert_eq!((place.around.sent_count(), place.around.taken.borrow().len()), (2, 2));
    assert!(place.receipt(60).expect("kept").is_partial);
    let start = |since| ShardCall::Start(Box::new(StartCall { since, ..start(8, "alice") }));
    let late = Position { epoch: EPOCH, seq: 0 };
    assert!(matches!(place.ask(start(Some(late))), ShardAnswer::KilledMeanwhile));
    assert!(matches!(place.ask(start(Some(AFTER_ALL))), ShardAnswer::Started { .. }), "its place is known here");
    place.around.pass(Duration::from_hours(24));
    place.wake().expect("swept");
    assert!(place.receipt(60).is_none(), "its receipt goes as any other");
}

#[test]
fn a_feed_that_failed_is_left_alone_for_a_second() {
    let place = Place::new();
    place.around.reach.set(Reach::IsDown);
    place.ask(end(1));
    assert_eq!(place.around.sent_count(), 1);
    place.around.reach.set(Reach::Answers);
    place.around.pass(PAUSE.saturating_sub(MS));
    assert!(kill_of(Some(&place.ask(end(2)))).published.is_none());
    assert!(is_failed(place.task(rotate(3, 13)).done.as_ref()) && is_failed(place.task(raise(3, 14)).done.as_ref()));
    assert_eq!(place.around.sent_count(), 1, "none of them asked");
    place.around.pass(MS);
    assert!(place.task(rotate(3, 13)).done.is_some_and(|answer| !is_failed(Some(&answer))));
    assert_eq!(place.around.taken.borrow().len(), 3);
}

#[test]
fn all_who_wait_for_an_append_that_fails_are_answered_at_once() {
    let place = Place::new();
    place.around.reach.set(Reach::Holds);
    let mut tasks = [place.task(end(1)), place.task(end(2)), place.task(rotate(3, 13))];
    place.around.fail(0);
    let [first, second, third] = &mut tasks;
    settle(&mut [first, second, third]);
    assert!(first.done.is_some() && second.done.is_some() && is_failed(third.done.as_ref()));
    assert_eq!(place.around.sent_count(), 1);
}

#[test]
fn an_alarm_that_finds_nothing_to_do_asks_nobody() {
    let place = Place::new();
    place.around.reach.set(Reach::IsDown);
    place.wake().expect("nothing to do");
    assert_eq!(place.around.sent_count(), 0);
    assert_eq!(place.around.alarm(), Some(UnixMillis(NOW.0 + 33 * 60_000)), "the next thing is an expiry");
}

/// Of an end that was published before the feed was restarted.
pub fn ended_before_a_restart() -> Place {
    let place = Place::new();
    place.ask(end_all("alice", handle(600)));
    let sql = place.object.shard().sql();
    let earlier = Epoch([5; 8]).to_text();
    sql.run("UPDATE ended SET epoch = ?", &[earlier.as_str().into()]).expect("a change");
    place
}

fn log_in(place: &Place, number: u16, since: Position) -> ShardAnswer {
    place.ask(ShardCall::Start(Box::new(StartCall { since: Some(since), ..start(number, "alice") })))
}

#[test]
fn a_log_in_under_a_later_incarnation_of_the_feed_is_later_than_the_end() {
    let place = ended_before_a_restart();
    let (sent, now) = (place.around.sent_count(), Position { epoch: EPOCH, seq: 0 });
    let answer = log_in(&place, 50, now);
    assert!(matches!(answer, ShardAnswer::Started { .. }), "{answer:?}");
    assert_eq!(place.around.sent_count() - sent, 1, "the feed has said that it is in it");
    let sent = place.around.sent_count();
    assert!(matches!(log_in(&place, 51, now), ShardAnswer::Started { .. }));
    assert_eq!(place.around.sent_count(), sent, "which is known then");
}

#[test]
fn a_log_in_under_an_earlier_incarnation_of_the_feed_is_refused() {
    let place = ended_before_a_restart();
    // Before the end, for all that anybody knows, whatever was asked in between.
    let earlier = Position { epoch: Epoch([6; 8]), seq: 1_000 };
    assert!(matches!(log_in(&place, 50, earlier), ShardAnswer::KilledMeanwhile));
    assert!(matches!(log_in(&place, 51, Position { epoch: EPOCH, seq: 0 }), ShardAnswer::Started { .. }));
    assert!(matches!(log_in(&place, 52, earlier), ShardAnswer::KilledMeanwhile));
}

#[test]
fn where_the_feed_does_not_say_which_incarnation_it_is_in_the_log_in_is_refused() {
    let place = ended_before_a_restart();
    place.around.reach.set(Reach::IsDown);
    assert!(matches!(log_in(&place, 50, Position { epoch: EPOCH, seq: 0 }), ShardAnswer::KilledMeanwhile));
}
