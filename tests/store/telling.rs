//! Rotations, raises and updates of a session object: the edges are told before
//! a new secret is given away.

use std::time::Duration;

use warifu::revocation::EntryKey;
use warifu::session::{Claims, Served};
use warifu::store::message::{ShardAnswer, ShardCall, UpdateCall, Which};

use crate::publishing::{PAUSE, Place, SOON, end, is_failed, raise, rotate, rotated};
use crate::surroundings::{Reach, settle};
use crate::{GRACE, GRACE_MAX, MS, NOW, handle, id, salt, update_call};

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

/// Whoever has a copy can change the session all the time: an application may renew its token
/// with every answer.
#[test]
fn changes_without_a_pause_keep_nobody_from_a_new_secret() {
    for raises in [false, true] {
        let place = Place::new();
        place.around.reach.set(Reach::Holds);
        let mut owner = place.task(if raises { raise(1, 11) } else { rotate(1, 11) });
        place.around.arrive(0);
        settle(&mut [&mut owner]);
        let mut thief = place.task(update(1));
        place.around.arrive(1);
        settle(&mut [&mut owner, &mut thief]);
        let owner = rotated(owner.done);
        assert_eq!((owner.is_new, owner.salt), (true, (!raises).then_some(salt(11))));
        assert!(thief.done.is_none(), "of this one they are told next");
        place.around.pass(GRACE_MAX.saturating_sub(MS));
        assert!(place.served(1).is_some());
        place.around.pass(MS);
        assert_eq!(place.served(1), None, "the grace began when the feed had it");
    }
}

/// What was sent before a change says nothing of it.
#[test]
fn a_change_is_answered_after_the_first_entry_that_was_sent_later() {
    let place = Place::new();
    place.around.reach.set(Reach::Holds);
    let change = |refresh| {
        let call = update_call(Which::Id(id(1)), Claims::parse("{}"), None);
        place.task(ShardCall::Update(Box::new(UpdateCall { refresh: handle(refresh), ..call })))
    };
    let mut tasks = [change(50), change(51), change(52)];
    let [first, second, third] = &mut tasks;
    place.around.arrive(0);
    settle(&mut [first, second, third]);
    assert!(first.done.is_some() && second.done.is_none() && third.done.is_none());
    place.around.pass(SPACING);
    settle(&mut [second, third]);
    let mut last = change(53);
    place.around.arrive(1);
    settle(&mut [second, third, &mut last]);
    assert!(second.done.is_some() && third.done.is_some() && last.done.is_none());
    assert_eq!(place.around.sent_count(), 2);
    place.around.pass(SPACING);
    settle(&mut [&mut last]);
    place.around.arrive(2);
    settle(&mut [&mut last]);
    assert!(last.done.is_some());
}

/// A secret that is left behind while an entry is on its way is told of with the next one.
#[test]
fn only_the_secrets_that_an_entry_has_told_of_begin_their_grace() {
    let place = Place::new();
    place.around.reach.set(Reach::Holds);
    let mut first = place.task(raise(1, 11));
    place.around.arrive(0);
    settle(&mut [&mut first]);
    let mut second = place.task(raise(11, 12));
    place.around.arrive(1);
    settle(&mut [&mut first, &mut second]);
    assert!(first.done.is_some() && second.done.is_none());
    place.around.pass(GRACE_MAX);
    assert_eq!((place.served(1), place.served(11)), (None, Some(Served::InGrace { salt: None })));
    settle(&mut [&mut second]);
    place.around.arrive(2);
    settle(&mut [&mut second]);
    assert!(second.done.is_some());
    place.around.pass(GRACE_MAX);
    assert_eq!(place.served(11), None);
}
