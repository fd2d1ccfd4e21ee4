//! Rotations, raises and updates of a session object: the edges are told before
//! a new secret is given away.

use std::time::Duration;

use warifu::revocation::EntryKey;
use warifu::session::{Claims, Served};
use warifu::store::message::{ShardAnswer, ShardCall, Which};

use crate::publishing::{PAUSE, Place, SOON, end, is_failed, raise, rotate, rotated};
use crate::surroundings::{Reach, settle};
use crate::{GRACE, GRACE_MAX, MS, NOW, id, salt, update_call};

const SPACING: Duration = Duration::from_millis(250);

fn update(number: u16) -> ShardCall {
    ShardCall::Update(Box::new(update_call(Which::Id(id(number)), Claims::parse("{}"), None)))
}

#[test]
fn a_rotation_is_answered_once_the_feed_has_it() {
    let place = Place::new();
    place.around.reach.set(Reach::Holds);
    let mut first = place.task(rotate(1, 11));
    let mut second = place.task(rotate(1, 12));
    assert_eq!(place.served(1), Some(Served::Current), "nor is it made before the feed is known to be there");
    place.around.arrive(0);
    settle(&mut [&mut first, &mut second]);
    assert!(first.done.is_none() && second.done.is_none(), "nor is one that races");
    assert_eq!(place.served(1), Some(Served::InGrace { salt: None }));
    place.around.pass(GRACE_MAX + GRACE);
    place.around.arrive(1);
    settle(&mut [&mut first, &mut second]);
    let (first, second) = (rotated(first.done), rotated(second.done));
    assert_eq!((first.is_new, first.salt), (true, Some(salt(11))));
    assert_eq!((second.is_new, second.salt), (false, Some(salt(11))), "both get the same successor");
    place.around.pass(GRACE_MAX.saturating_sub(MS));
    assert_eq!(place.served(1), Some(Served::InGrace { salt: Some(salt(11)) }), "the grace began when it was told");
    place.around.pass(MS);
    assert_eq!(place.served(1), None);
}

/// Nobody gets the new secret: once the feed is back, the old one must not run out.
#[test]
fn without_the_feed_a_rotation_changes_nothing() {
    let place = Place::new();
    let before = place.dump();
    place.around.reach.set(Reach::IsDown);
    assert!(is_failed(place.task(rotate(1, 11)).done.as_ref()));
    assert_eq!(place.dump(), before);
    place.around.pass(SOON);
    place.around.reach.set(Reach::Answers);
    place.wake().expect("nothing is to be told");
    place.around.pass(GRACE_MAX);
    assert_eq!(place.served(1), Some(Served::Current), "however long the browser pauses");
    assert_eq!(rotated(place.task(rotate(1, 12)).done).salt, Some(salt(12)));
}

#[test]
fn who_races_a_rotation_that_is_known_needs_no_feed() {
    let place = Place::new();
    assert_eq!(rotated(place.task(rotate(1, 11)).done).salt, Some(salt(11)));
    place.around.pass(Duration::from_secs(5));
    place.around.reach.set(Reach::IsDown);
    assert_eq!(rotated(place.task(rotate(1, 12)).done).salt, Some(salt(11)), "all that race get the same one");
    assert!(is_failed(place.task(rotate(11, 13)).done.as_ref()), "a new one is not made");
}

#[test]
fn a_feed_that_answered_a_moment_ago_is_not_asked_for_a_rotation() {
    let place = Place::new();
    rotated(place.task(rotate(1, 11)).done);
    assert_eq!(place.around.sent_count(), 2, "whether it is there, and what is to be told");
    place.around.pass(PAUSE / 2);
    rotated(place.task(rotate(11, 12)).done);
    assert_eq!(place.around.sent_count(), 3);
    place.around.pass(PAUSE);
    rotated(place.task(rotate(12, 13)).done);
    assert_eq!(place.around.sent_count(), 5);
}

#[test]
fn a_rotation_whose_feed_is_lost_on_the_way_is_kept_for_later() {
    let place = Place::new();
    place.around.reach.set(Reach::Holds);
    let mut lost = place.task(rotate(1, 11));
    place.around.arrive(0);
    settle(&mut [&mut lost]);
    place.around.fail(1);
    settle(&mut [&mut lost]);
    assert!(is_failed(lost.done.as_ref()));
    place.around.reach.set(Reach::IsDown);
    assert_eq!(place.served(1), Some(Served::InGrace { salt: None }), "the old one goes on");
    assert!(is_failed(place.task(rotate(1, 12)).done.as_ref()), "and nobody gets the successor");
    assert_eq!(place.around.alarm(), Some(NOW.plus(SOON)));
    place.around.pass(SOON);
    place.around.reach.set(Reach::Answers);
    place.wake().expect("published");
    assert_eq!(rotated(place.task(rotate(1, 13)).done).salt, Some(salt(11)));
    assert!(place.served(11).is_some() && place.served(12).is_none());
}

#[test]
fn a_raise_is_not_even_committed_where_the_feed_is_out_of_reach() {
    let place = Place::new();
    let before = place.dump();
    place.around.reach.set(Reach::IsDown);
    assert!(is_failed(place.task(raise(1, 11)).done.as_ref()));
    assert_eq!(place.dump(), before);
    place.around.pass(PAUSE);
    place.around.reach.set(Reach::Answers);
    let raised = rotated(place.task(raise(1, 11)).done);
    assert_eq!((raised.is_new, raised.salt, raised.session.level), (true, None, 5));
    assert_eq!(place.around.sent_count(), 3, "it was asked beforehand");
}

/// Its answer is lost, and with it the secret that nobody else has.
#[test]
fn a_raise_whose_feed_is_lost_on_the_way_leaves_the_old_secret_served() {
    let place = Place::new();
    place.around.reach.set(Reach::Holds);
    let mut lost = place.task(raise(1, 11));
    place.around.arrive(0);
    settle(&mut [&mut lost]);
    place.around.fail(1);
    settle(&mut [&mut lost]);
    assert!(is_failed(lost.done.as_ref()));
    place.around.pass(GRACE_MAX + GRACE);
    assert_eq!(place.served(1), Some(Served::InGrace { salt: None }));
    place.around.reach.set(Reach::Answers);
    assert_eq!(rotated(place.task(raise(1, 12)).done).session.level, 5, "and raises again");
}

#[test]
fn an_update_is_answered_though_the_feed_is_down() {
    let place = Place::new();
    place.around.reach.set(Reach::Holds);
    let mut task = place.task(update(1));
    assert!(task.done.is_none(), "where it is not, the edges are told first");
    place.around.fail(0);
    settle(&mut [&mut task]);
    assert!(matches!(task.done, Some(ShardAnswer::Updated { session: Some(_) })));
    assert_eq!(place.around.alarm(), Some(NOW.plus(SOON)));
    place.around.pass(SOON);
    place.around.reach.set(Reach::Answers);
    place.wake().expect("published");
    assert_eq!(place.around.taken.borrow()[0].key, EntryKey::Refresh(id(1)));
}

#[test]
fn a_second_change_of_a_session_waits_for_its_turn() {
    let place = Place::new();
    place.ask(update(1));
    let mut second = place.task(update(1));
    assert!(second.done.is_none());
    assert_eq!(place.around.sleeps.borrow()[0].0, NOW.plus(SPACING));
    assert!(matches!(place.ask(update(2)), ShardAnswer::Updated { session: Some(_) }), "another one's does not");
    place.around.pass(SPACING);
    settle(&mut [&mut second]);
    assert!(matches!(second.done, Some(ShardAnswer::Updated { session: Some(_) })));
}

/// Another's append tells it whether the feed can be reached.
#[test]
fn a_raise_sends_no_append_beside_another() {
    let place = Place::new();
    place.around.reach.set(Reach::Holds);
    let (mut kill, mut raised) = (place.task(end(2)), place.task(raise(1, 11)));
    for number in 0..3 {
        if number < place.around.sent_count() {
            place.around.arrive(number);
        }
        settle(&mut [&mut kill, &mut raised]);
    }
    assert!(kill.done.is_some() && rotated(raised.done).is_new);
    assert_eq!(place.around.in_flight_max.get(), 1);
}
