//! An object that has been replaced and does not know it must not answer: what
//! has to be current is held until a write is confirmed that was issued after
//! the question had arrived.

use warifu::store::Sql;
use warifu::store::message::{EndCall, Message, ShardAnswer, ShardCall, Which};
use warifu::store::session_object::SessionObject;

use crate::sqlite::Sqlite;
use crate::surroundings::{Reach, Surroundings, Task, settle};
use crate::{HOME, handle, id, key, start};

struct Place {
    object: SessionObject<Sqlite>,
    around: Surroundings,
}

impl Place {
    /// Session 1 lives, and no write is confirmed unless the test does it.
    fn new() -> Self {
        let place = Self { object: SessionObject::new(Sqlite::in_memory()), around: Surroundings::new() };
        assert!(place.task(false, ShardCall::Start(Box::new(start(1, "alice")))).done.is_some());
        place.around.holds_writes.set(true);
        place
    }

    fn task(&self, is_fenced: bool, call: ShardCall) -> Task<'_, ShardAnswer> {
        let message = Message { home: Some(HOME), is_fenced, by: None, call };
        Task::new(async move { self.object.answer(&message, &self.around).await })
    }

    fn check(&self) -> Task<'_, ShardAnswer> {
        self.task(true, ShardCall::Check { key: key(1), end_on_replay: None })
    }

    /// How many ticks have been written.
    fn ticks(&self) -> u64 {
        let rows = self.object.shard().sql().run("SELECT value FROM meta WHERE name = 'tick'", &[]).expect("a tick");
        rows[0].integer(0).expect("a number")
    }

    /// Writes that were issued, each of which is a tick.
    fn issued(&self) -> usize {
        assert_eq!(self.ticks(), self.around.writes_count() as u64, "nothing is confirmed that was not written");
        self.around.writes_count()
    }
}

fn is_yes(task: &Task<'_, ShardAnswer>) -> bool {
    matches!(task.done, Some(ShardAnswer::Checked { found: Some(_), .. }))
}

#[test]
fn an_answer_is_held_until_a_write_is_confirmed() {
    let place = Place::new();
    let mut check = place.check();
    assert!(check.done.is_none());
    assert_eq!(place.issued(), 1);
    place.around.confirm(0);
    settle(&mut [&mut check]);
    assert!(is_yes(&check));
    let mut next = place.check();
    assert!(next.done.is_none(), "each question needs a later one");
    place.around.confirm(1);
    settle(&mut [&mut next]);
    assert!(is_yes(&next));
}

#[test]
fn what_need_not_be_current_waits_for_nothing() {
    let place = Place::new();
    assert!(is_yes(&place.task(false, ShardCall::Check { key: key(1), end_on_replay: None })));
    assert_eq!(place.issued(), 0);
}

/// The write in flight was issued before the question: it may have been
/// confirmed while this object was current, which it is no longer.
#[test]
fn a_question_that_arrives_during_a_write_waits_for_the_next() {
    let place = Place::new();
    let mut first = place.check();
    let (mut second, mut third) = (place.check(), place.check());
    assert_eq!(place.issued(), 1, "one at a time");
    place.around.confirm(0);
    settle(&mut [&mut first, &mut second, &mut third]);
    assert!(is_yes(&first) && second.done.is_none() && third.done.is_none());
    assert_eq!(place.issued(), 2, "which serves all that wait for it");
    let mut fourth = place.check();
    place.around.confirm(1);
    settle(&mut [&mut first, &mut second, &mut third, &mut fourth]);
    assert!(is_yes(&second) && is_yes(&third) && fourth.done.is_none());
    place.around.confirm(2);
    settle(&mut [&mut fourth]);
    assert!(is_yes(&fourth));
    assert_eq!(place.issued(), 3);
}

#[test]
fn an_object_that_has_been_replaced_does_not_answer() {
    let place = Place::new();
    let (mut first, mut second) = (place.check(), place.check());
    place.around.replaced(0);
    settle(&mut [&mut first, &mut second]);
    assert!(matches!(first.done, Some(ShardAnswer::Failed { .. })));
    assert!(second.done.is_none(), "the next tries for itself");
    place.around.replaced(1);
    settle(&mut [&mut second]);
    assert!(matches!(second.done, Some(ShardAnswer::Failed { .. })));
}

/// A later write may be confirmed where an earlier one was not heard of.
#[test]
fn a_write_that_failed_proves_nothing_for_the_next_question() {
    let place = Place::new();
    let mut first = place.check();
    place.around.replaced(0);
    settle(&mut [&mut first]);
    let mut second = place.check();
    assert!(second.done.is_none());
    place.around.confirm(1);
    settle(&mut [&mut second]);
    assert!(is_yes(&second));
}

#[test]
fn a_write_that_cannot_be_issued_is_an_error() {
    let place = Place::new();
    place
        .object
        .shard()
        .sql()
        .run("CREATE TRIGGER full BEFORE UPDATE ON meta BEGIN SELECT RAISE(ABORT, 'full'); END", &[])
        .expect("a trigger");
    assert!(matches!(place.check().done, Some(ShardAnswer::Failed { .. })));
    assert_eq!(place.issued(), 0);
}

#[test]
fn who_waits_goes_on_when_the_question_before_is_given_up() {
    let place = Place::new();
    let first = place.check();
    let mut second = place.check();
    drop(first);
    settle(&mut [&mut second]);
    assert!(second.done.is_none());
    assert_eq!(place.issued(), 2);
    place.around.confirm(0);
    settle(&mut [&mut second]);
    assert!(second.done.is_none(), "the first one was issued too early");
    place.around.confirm(1);
    settle(&mut [&mut second]);
    assert!(is_yes(&second));
}

/// What is repeated was perhaps written before: its answer is fenced all the same.
#[test]
fn a_no_and_a_change_are_held_too() {
    let place = Place::new();
    place.around.reach.set(Reach::Holds);
    let end = || EndCall { of: Which::Id(id(1)), only: None, kill: handle(60) };
    let mut kill = place.task(true, ShardCall::End(end()));
    assert_eq!(place.issued(), 0, "first the feed");
    place.around.arrive(0);
    settle(&mut [&mut kill]);
    assert!(kill.done.is_none());
    assert_eq!(place.issued(), 1, "then the proof");
    let mut check = place.check();
    place.around.confirm(0);
    settle(&mut [&mut kill, &mut check]);
    assert!(kill.done.is_some() && check.done.is_none());
    place.around.confirm(1);
    settle(&mut [&mut check]);
    assert!(matches!(check.done, Some(ShardAnswer::Checked { found: None, .. })));
    let mut again = place.task(true, ShardCall::End(end()));
    assert!(again.done.is_none());
    place.around.confirm(2);
    settle(&mut [&mut again]);
    assert!(matches!(again.done, Some(ShardAnswer::Ended { session: None, .. })));
}
