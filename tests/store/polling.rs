//! What the feed tells those who poll, and what it remembers of them.

use std::time::Duration;

use warifu::revocation::{Epoch, Position};
use warifu::store::Sql;
use warifu::store::feed::{Append, FeedCall, FeedReply, Poll};

use crate::feed::{Place, ended, poll, told};
use crate::surroundings::settle;
use crate::{BOUND_MS, EPOCH, MS};

const KEPT: Duration = Duration::from_mins(15);
const HOUR: Duration = Duration::from_hours(1);

#[test]
fn a_poll_is_answered_behind_a_write_that_was_issued_after_it() {
    let place = Place::new();
    place.append(&[ended(1)]);
    let before = place.around.writes_count();
    place.around.holds_writes.set(true);
    let mut first = place.task(FeedCall::Poll(poll(Some(0))));
    let mut second = place.task(FeedCall::Poll(poll(Some(0))));
    assert!(first.done.is_none() && place.around.writes_count() == before + 1);
    // Arrives after the first, and is in its answer all the same: read behind the write.
    let mut append = place.task(FeedCall::Append(Append { entries: vec![ended(2)] }));
    place.around.confirm(before);
    settle(&mut [&mut first, &mut second, &mut append]);
    let Some(FeedReply::Polled(answer)) = &first.done else { panic!("an answer") };
    assert_eq!(answer.high, 2);
    assert!(second.done.is_none() && append.done.is_none(), "they wait for the next, together");
    assert_eq!(place.around.writes_count(), before + 2);
    place.around.confirm(before + 1);
    settle(&mut [&mut first, &mut second, &mut append]);
    assert!(matches!(&second.done, Some(FeedReply::Polled(answer)) if told(answer).len() == 2));
    assert!(matches!(&append.done, Some(FeedReply::Appended { .. })));
}

#[test]
fn entries_are_forgotten_after_a_quarter_of_an_hour() {
    let place = Place::new();
    place.append(&[ended(1), ended(2)]);
    place.around.pass(Duration::from_mins(1));
    place.append(&[ended(3)]);
    place.around.pass(KEPT.saturating_sub(Duration::from_mins(1)));
    place.append(&[ended(4)]);
    assert_eq!(place.poll(Some(0)).low, 0);
    place.around.pass(MS);
    place.append(&[ended(5)]);
    let answer = place.poll(Some(2));
    assert_eq!((answer.low, answer.high), (2, 5));
    assert_eq!(told(&answer).len(), 3, "who knew all that was forgotten goes on");
    let late = place.poll(Some(1));
    assert_eq!((late.low, told(&late)), (5, vec![]), "who did not begins anew");
    assert_eq!(place.number("SELECT count(*) FROM entries"), 3);
    place.around.pass(HOUR);
    place.append(&[ended(6)]);
    assert_eq!((place.poll(Some(5)).low, place.poll(Some(5)).high), (5, 6), "the numbers go on");
}

#[test]
fn positions_that_are_not_of_this_feed_get_no_entries() {
    let place = Place::new();
    place.append(&[ended(1), ended(2)]);
    let other = Position { epoch: Epoch([8; 8]), seq: 1 };
    for since in [None, Some(other), Some(Position { epoch: EPOCH, seq: 3 })] {
        let answer = place.poll_as(Poll { since, ..poll(None) });
        assert_eq!((answer.epoch, answer.low, answer.high, told(&answer)), (EPOCH, 2, 2, vec![]), "{since:?}");
    }
}

#[test]
fn whoever_begins_anew_gets_the_entries_of_as_long_as_it_asks_for() {
    let place = Place::new();
    for number in 1..=4 {
        place.append(&[ended(number)]);
        place.around.pass(Duration::from_secs(10));
    }
    let from = |back_ms| {
        let answer = place.poll_as(Poll { back_ms, ..poll(None) });
        assert_eq!(told(&answer).len() as u64, answer.high - answer.low);
        answer.low
    };
    assert_eq!([from(0), from(9_999), from(10_000), from(20_000), from(3_600_000)], [4, 4, 3, 2, 0]);
    assert_eq!(told(&place.poll_as(Poll { back_ms: 20_000, ..poll(Some(1)) })).len(), 3, "who goes on gets the rest");
}

#[test]
fn whoever_is_very_far_behind_begins_anew() {
    let place = Place::new();
    place.append(&[ended(1)]);
    let more = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 10002)
                INSERT INTO entries (seq, id, kind, target, at) SELECT i, CAST(i AS BLOB), 'site', '', 1750000000000 FROM n";
    place.disk.run(more, &[]).expect("entries");
    place.disk.run("UPDATE meta SET value = 10002 WHERE name = 'high'", &[]).expect("a number");
    let from = |poll| {
        let answer = place.poll_as(poll);
        (answer.low, told(&answer).len())
    };
    assert_eq!(from(poll(Some(2))), (0, 10_000));
    assert_eq!(from(poll(Some(1))), (10_002, 0));
    assert_eq!(from(Poll { back_ms: 3_600_000, ..poll(None) }), (2, 10_000), "an answer has to be short");
}

/// An older copy of the object must not be taken for this one.
#[test]
fn a_restart_begins_a_new_epoch_and_keeps_the_entries() {
    let place = Place::new();
    place.append(&[ended(1)]);
    let epoch = Epoch([9; 8]);
    let place = place.restarted(epoch);
    let answer = place.poll(Some(1));
    assert_eq!((answer.epoch, answer.low, answer.high, told(&answer)), (epoch, 1, 1, vec![]));
    let FeedReply::Appended { epoch: told, entries, .. } =
        place.ask(FeedCall::Append(Append { entries: vec![ended(1), ended(2)] }))
    else {
        panic!("appended")
    };
    assert_eq!((told, entries[0].seq, entries[1].seq), (epoch, 1, 2));
}

#[test]
fn the_largest_bound_of_the_last_day_is_told_to_who_publishes() {
    let place = Place::new();
    let bound = || place.append(&[]).0;
    assert_eq!(bound(), BOUND_MS, "the configured one, whoever has polled");
    place.poll_as(Poll { bound_ms: 1_000, ..poll(None) });
    assert_eq!(bound(), BOUND_MS);
    place.poll_as(Poll { bound_ms: 9_000, ..poll(None) });
    place.poll_as(Poll { continue_ms: 60_000, ..poll(None) });
    assert_eq!(bound(), 60_000, "or the longest answer in an outage");
    place.around.pass(HOUR * 2);
    place.poll_as(Poll { bound_ms: 9_000, ..poll(None) });
    place.around.pass(HOUR * 22);
    assert_eq!(bound(), 60_000);
    place.around.pass(MS);
    assert_eq!(bound(), 9_000);
    place.around.pass(HOUR * 2);
    assert_eq!(bound(), BOUND_MS);
}

#[test]
fn a_bound_is_written_once_an_hour() {
    let place = Place::new();
    place.append(&[]);
    let writes = |times| {
        let before = place.disk.0.connection.total_changes();
        (0..times).for_each(|_| drop(place.poll(None)));
        place.disk.0.connection.total_changes() - before - times
    };
    assert_eq!(writes(1), 2, "the bound, and a row of the map");
    assert_eq!(writes(20), 0, "but for the proof");
    place.around.pass(HOUR);
    assert_eq!(writes(20), 1);
}
