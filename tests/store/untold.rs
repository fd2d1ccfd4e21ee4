//! A shard that has committed a kill of the site refuses log-ins until it is
//! told where that stands. Where nobody tells it, it asks the feed; one that was
//! lost, or set back, does not know the kill, and will never go on with it.

use std::time::Duration;

use warifu::revocation::{Epoch, Position};
use warifu::store::feed::{EndSite, FeedCall, FeedReply};
use warifu::store::feed_object::FeedPorts;
use warifu::store::message::{ShardAnswer, ShardCall, StartCall};

use crate::publishing::{PAUSE, Place};
use crate::surroundings::{Reach, Task, settle};
use crate::{EPOCH, HOME, MS, handle, start};

const MINUTE: Duration = Duration::from_mins(1);
const MINUTES_2: Duration = Duration::from_mins(2);
const KILL: u16 = 70;

fn position(seq: u64) -> Position {
    Position { epoch: EPOCH, seq }
}

/// A shard that the feed has told to end everything.
fn ended() -> Place {
    let place = Place::new();
    let answer = place.ask(ShardCall::EndSite { kill: handle(KILL) });
    assert!(matches!(answer, ShardAnswer::EndedSite { .. }));
    place
}

/// The same, and the feed knows of it.
fn ended_by_order() -> Place {
    let place = ended();
    let order = FeedCall::EndSite(EndSite { kill: handle(KILL), rows: vec![HOME.row], by: None });
    let noted = Task::new(place.around.feed.answer(&order, &place.around)).done.expect("it waits for nothing");
    assert!(matches!(noted, FeedReply::Receipt { kill: Some(_) }));
    place
}

fn log_in(number: u16, since: Option<Position>) -> ShardCall {
    ShardCall::Start(Box::new(StartCall { since, ..start(number, "alice") }))
}

fn is_started(place: &Place, number: u16, since: impl Into<Option<Position>>) -> bool {
    match place.ask(log_in(number, since.into())) {
        ShardAnswer::Started { .. } => true,
        ShardAnswer::KilledMeanwhile => false,
        other => panic!("{other:?}"),
    }
}

fn asked(place: &Place) -> usize {
    place.around.questions.borrow().len()
}

#[test]
fn a_kill_that_the_feed_has_lost_holds_log_ins_up_for_two_minutes() {
    for pause in [MINUTES_2, MINUTES_2 + MINUTE, Duration::from_hours(30)] {
        let place = ended();
        assert!(!is_started(&place, 50, position(7)));
        place.around.pass(MINUTES_2.saturating_sub(MS));
        assert!(!is_started(&place, 51, position(7)) && !is_started(&place, 51, None), "one may still be on its way");
        assert_eq!(asked(&place), 0, "nor is it the time to ask");
        place.around.pass(pause.saturating_sub(MINUTES_2) + MS);
        assert!(is_started(&place, 52, position(7)), "after {pause:?}");
        let elsewhere = Position { epoch: Epoch([8; 8]), seq: 0 };
        assert!(is_started(&place, 53, elsewhere) && is_started(&place, 54, None));
        assert_eq!(asked(&place), 1, "which is known then");
        assert!(place.served(1).is_none(), "what it ended stays dead");
    }
}

#[test]
fn a_log_in_without_a_position_finds_it_out_too() {
    let place = ended();
    place.around.pass(MINUTES_2);
    assert!(is_started(&place, 50, None));
}

#[test]
fn a_kill_that_is_under_way_holds_log_ins_up_for_as_long_as_it_takes() {
    let place = ended_by_order();
    place.around.pass(MINUTES_2);
    for minute in 1..100 {
        assert!(!is_started(&place, 50, position(7)) && !is_started(&place, 51, None));
        assert_eq!(asked(&place), minute, "one question a minute, however many log in");
        place.around.pass(MINUTE);
    }
}

/// It may have been published, and the feed be on its way to this shard.
#[test]
fn the_place_that_the_feed_tells_counts() {
    let place = ended_by_order();
    for _ in 0..HOME.row.shards.div_ceil(40) {
        Task::new(place.around.feed.wake(&place.around)).done.expect("it waits for nothing").expect("a round");
    }
    assert!(!is_started(&place, 50, position(1)), "it is told before long");
    place.around.pass(MINUTES_2);
    assert!(!is_started(&place, 51, position(0)), "it began before the kill");
    assert!(is_started(&place, 52, position(1)));
    assert!(!is_started(&place, 53, position(0)));
    assert_eq!(asked(&place), 1);
}

#[test]
fn where_the_feed_is_out_of_reach_nobody_logs_in_and_it_is_asked_again() {
    let place = ended();
    place.around.pass(MINUTES_2);
    place.around.reach.set(Reach::IsDown);
    assert!(!is_started(&place, 50, position(7)) && !is_started(&place, 51, position(7)));
    assert_eq!(asked(&place), 1, "not all of them try");
    place.around.reach.set(Reach::Answers);
    place.around.pass(PAUSE);
    assert!(is_started(&place, 52, position(7)));
}

#[test]
fn who_logs_in_while_the_feed_is_asked_waits_for_its_answer() {
    let place = ended();
    place.around.pass(MINUTES_2);
    place.around.reach.set(Reach::Holds);
    let (mut first, mut second) = (place.task(log_in(50, Some(position(7)))), place.task(log_in(51, None)));
    assert!(first.done.is_none() && second.done.is_none());
    assert_eq!(asked(&place), 1);
    let (_, answer) = place.around.questions.borrow()[0].clone();
    answer.is(Ok(FeedReply::Receipt { kill: None }));
    settle(&mut [&mut first, &mut second]);
    assert!([first, second].iter().all(|task| matches!(task.done, Some(ShardAnswer::Started { .. }))));
}

/// The answer is about the kill that was asked for.
#[test]
fn a_kill_that_comes_while_the_feed_is_asked_counts() {
    let place = ended();
    place.around.pass(MINUTES_2);
    place.around.reach.set(Reach::Holds);
    let mut task = place.task(log_in(50, Some(position(7))));
    assert!(matches!(place.ask(ShardCall::EndSite { kill: handle(KILL + 1) }), ShardAnswer::EndedSite { .. }));
    let (_, answer) = place.around.questions.borrow()[0].clone();
    answer.is(Ok(FeedReply::Receipt { kill: None }));
    settle(&mut [&mut task]);
    assert!(matches!(task.done, Some(ShardAnswer::KilledMeanwhile)));
}

#[test]
fn a_clock_that_steps_back_does_not_keep_the_feed_from_being_asked() {
    let place = ended_by_order();
    let before = place.around.now.get();
    place.around.pass(Duration::from_hours(2));
    assert!(!is_started(&place, 50, position(7)));
    place.around.now.set(before.plus(MINUTES_2));
    assert!(!is_started(&place, 51, position(7)));
    assert_eq!((asked(&place), FeedPorts::now(&place.around)), (2, before.plus(MINUTES_2)));
}
