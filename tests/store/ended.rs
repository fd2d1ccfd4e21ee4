//! A log-in that was on its way when all sessions of its subject, or of the
//! site, were ended does not outlive that.

use std::time::Duration;

use warifu::revocation::{Epoch, Position};
use warifu::session::KillId;
use warifu::store::feed::FeedReply;
use warifu::store::message::{ShardAnswer, ShardCall, StartCall, Which};

use crate::publishing::ended_before_a_restart;
use crate::surroundings::{Reach, settle};
use crate::{AFTER_ALL, Bench, EPOCH, MS, NOW, end_all, end_all_here, handle, id, start, subject};

const MINUTES_2: Duration = Duration::from_mins(2);

fn position(seq: u64) -> Position {
    Position { epoch: EPOCH, seq }
}

/// Of another incarnation of the feed.
fn elsewhere(seq: u64) -> Position {
    Position { epoch: Epoch([8; 8]), seq }
}

/// Whether a start whose edge knew the feed up to there is refused, on a copy
/// of nothing: one that is taken is ended again.
fn is_refused(bench: &Bench, name: &str, since: impl Into<Option<Position>>) -> bool {
    let (before, since) = (bench.dump(), since.into());
    match bench.start_as(StartCall { since, ..start(99, name) }) {
        Ok((session, ..)) => {
            bench.end(Which::Id(session.id), None).expect("alive");
            false
        }
        Err(ShardAnswer::KilledMeanwhile) => {
            assert_eq!(bench.dump(), before, "a refused start changes nothing");
            true
        }
        Err(other) => panic!("{other:?}"),
    }
}

fn tell(bench: &Bench, kill: KillId, position: Position) {
    let call = ShardCall::Stands { kill, position };
    assert!(matches!(bench.ask_alone(call), ShardAnswer::Noted));
}

/// A shard that has had a session: the feed knows its row.
fn known() -> Bench {
    let bench = Bench::new();
    bench.start(1, "carol");
    bench
}

/// A shard in which alice was ended, as entry 5 of the feed.
fn ended() -> Bench {
    let bench = Bench::new();
    for number in 1..=4 {
        bench.start(number, "bob");
        bench.end(Which::Id(id(number)), None).expect("alive");
    }
    bench.start(5, "alice");
    bench.end_all("alice");
    assert_eq!(bench.feed.borrow().len(), 5);
    bench
}

#[test]
fn a_start_is_refused_if_its_edge_did_not_know_the_kill() {
    let bench = ended();
    for before in 0..5 {
        assert!(is_refused(&bench, "alice", position(before)), "{before}");
    }
    for known in [5, 6, 1_000] {
        assert!(!is_refused(&bench, "alice", position(known)), "{known}");
    }
    assert!(!is_refused(&bench, "bob", position(0)), "others' ends are not hers");
    assert!(!is_refused(&bench, "bob", None));
}

#[test]
fn positions_of_other_incarnations_of_the_feed_prove_nothing() {
    let bench = ended();
    for since in [Some(elsewhere(0)), Some(elsewhere(1_000)), None] {
        assert!(is_refused(&bench, "alice", since), "{since:?}");
    }
    bench.at(MINUTES_2.saturating_sub(MS));
    assert!(is_refused(&bench, "alice", elsewhere(1_000)) && is_refused(&bench, "alice", None));
    bench.at(MINUTES_2);
    assert!(!is_refused(&bench, "alice", elsewhere(0)) && !is_refused(&bench, "alice", None), "too old to be so late");
}

#[test]
fn what_is_not_in_the_feed_yet_is_later_than_every_start() {
    let bench = known();
    bench.has_feed.set(false);
    bench.end_all("alice");
    for since in [Some(position(0)), Some(AFTER_ALL), Some(elsewhere(7)), None] {
        assert!(is_refused(&bench, "alice", since), "{since:?}");
    }
    bench.at(MINUTES_2.saturating_sub(MS));
    assert!(is_refused(&bench, "alice", AFTER_ALL));
    bench.publish();
    assert!(!is_refused(&bench, "alice", position(1)));
    assert!(is_refused(&bench, "alice", position(0)));
}

#[test]
fn without_the_feed_starts_are_refused_for_two_minutes() {
    let bench = known();
    bench.has_feed.set(false);
    bench.end_all("alice");
    bench.at(MINUTES_2);
    for since in [Some(position(0)), Some(AFTER_ALL), None] {
        assert!(!is_refused(&bench, "alice", since), "{since:?}: a start is given up sooner");
    }
}

#[test]
fn a_shard_that_does_not_publish_is_told_where_the_kill_stands() {
    let bench = known();
    bench.ask(end_all_here("alice", handle(60)));
    assert!(is_refused(&bench, "alice", AFTER_ALL));
    tell(&bench, handle(61), position(7));
    assert!(is_refused(&bench, "alice", AFTER_ALL), "that was another kill");
    tell(&bench, handle(60), position(7));
    assert!(is_refused(&bench, "alice", position(6)));
    assert!(!is_refused(&bench, "alice", position(7)));
}

/// The first one's place says nothing of the second.
#[test]
fn a_later_kill_is_not_answered_by_an_earlier_ones_place() {
    let bench = ended();
    bench.has_feed.set(false);
    let first = bench.feed.borrow()[4].id;
    bench.ask(end_all("alice", handle(60)));
    assert!(is_refused(&bench, "alice", position(5)) && is_refused(&bench, "alice", AFTER_ALL));
    tell(&bench, first, position(5));
    assert!(is_refused(&bench, "alice", position(5)) && is_refused(&bench, "alice", AFTER_ALL));
    bench.publish();
    assert!(is_refused(&bench, "alice", position(5)));
    assert!(!is_refused(&bench, "alice", position(6)));
}

#[test]
fn every_end_of_all_that_a_subject_has_counts() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.end_others(1, 2).0.expect("alive");
    assert!(is_refused(&bench, "alice", position(0)) && !is_refused(&bench, "alice", position(1)));
    let call = StartCall { end_others: true, ..start(3, "bob") };
    bench.start_as(call).expect("started");
    let stands = bench.feed.borrow().len() as u64;
    assert!(is_refused(&bench, "bob", position(stands - 1)) && !is_refused(&bench, "bob", position(stands)));
    assert!(is_refused(&bench, "bob", position(0)), "the end of one session does not");
    bench.start(4, "carol");
    bench.end(Which::Id(id(4)), None).expect("alive");
    assert!(!is_refused(&bench, "carol", position(0)));
}

/// Of a kill of the site it takes long until all shards have committed it.
#[test]
fn an_end_of_the_site_refuses_all_starts_until_its_place_is_told() {
    let bench = Bench::new();
    bench.start(1, "alice");
    let kill = handle(60);
    let ShardAnswer::EndedSite { generation } = bench.ask(ShardCall::EndSite { kill }) else { panic!("ended") };
    assert_eq!(generation, 1);
    assert!(!bench.is_live(1) && bench.list("alice").is_empty());
    for time in [MS, MINUTES_2, Duration::from_hours(2)] {
        bench.pass(time);
        bench.wake();
        for since in [Some(position(0)), Some(AFTER_ALL), None] {
            assert!(is_refused(&bench, "alice", since) && is_refused(&bench, "bob", since), "after {time:?}");
        }
    }
    tell(&bench, kill, position(7));
    assert!(is_refused(&bench, "bob", position(6)) && !is_refused(&bench, "bob", position(7)));
    bench.wake();
    assert!(is_refused(&bench, "bob", position(6)) && is_refused(&bench, "bob", None), "it may have begun just before");
    bench.pass(MINUTES_2.saturating_sub(MS));
    bench.wake();
    assert!(is_refused(&bench, "bob", position(6)) && is_refused(&bench, "bob", elsewhere(9)));
    bench.pass(MS);
    assert!(!is_refused(&bench, "bob", elsewhere(9)) && !is_refused(&bench, "bob", None), "it was long ago");
}

/// While another shard is out of reach, the feed asks all of a round again and again.
#[test]
fn an_end_of_the_site_that_is_asked_for_again_changes_nothing() {
    let bench = Bench::new();
    bench.by.replace(Some(crate::audit::by("admin:ops", "DELETE sessions")));
    bench.start(1, "alice");
    bench.end_all("alice");
    let end = |kill| match bench.ask(ShardCall::EndSite { kill: handle(kill) }) {
        ShardAnswer::EndedSite { generation } => generation,
        other => panic!("{other:?}"),
    };
    assert_eq!(end(60), 2);
    // The first wake-up of the alarm is for what was committed with it.
    bench.pass(Duration::from_secs(2));
    bench.wake();
    let before = bench.dump();
    assert_eq!(end(60), 2);
    assert_eq!(bench.dump(), before);
    tell(&bench, handle(60), position(7));
    assert_eq!(end(60), 2, "nor one that was long on its way");
    assert!(!is_refused(&bench, "bob", position(7)));
    bench.start(2, "bob");
    assert_eq!(end(61), 3, "another one ends what has begun since");
    assert!(!bench.is_live(2));
    assert_eq!(bench.number("SELECT count(*) FROM audit WHERE event = 'site_ended'"), 2);
}

#[test]
fn a_start_must_have_known_both_its_subjects_end_and_the_sites() {
    let bench = ended();
    bench.ask(ShardCall::EndSite { kill: handle(60) });
    tell(&bench, handle(60), position(9));
    assert!(is_refused(&bench, "alice", position(5)) && is_refused(&bench, "bob", position(5)));
    bench.has_feed.set(false);
    bench.ask(end_all("bob", handle(61)));
    assert!(is_refused(&bench, "bob", position(9)) && !is_refused(&bench, "alice", position(9)));
}

/// The feed's word is about the ends of before it was asked.
#[test]
fn an_end_that_comes_while_the_feed_is_asked_for_its_incarnation_counts() {
    for ends_site in [false, true] {
        let place = ended_before_a_restart();
        place.around.reach.set(Reach::Holds);
        let asked = place.around.sent_count();
        let start = StartCall { since: Some(elsewhere(7)), ..start(50, "alice") };
        let mut log_in = place.task(ShardCall::Start(Box::new(start)));
        if ends_site {
            place.ask(ShardCall::EndSite { kill: handle(601) });
            place.ask(ShardCall::Stands { kill: handle(601), position: position(9) });
        } else {
            let mut end = place.task(end_all("alice", handle(601)));
            place.around.arrive(asked + 1);
            settle(&mut [&mut end]);
            assert!(matches!(end.done, Some(ShardAnswer::EndedAll { .. })));
        }
        let answer = FeedReply::Appended { epoch: elsewhere(0).epoch, bound_ms: 0, entries: Vec::new() };
        place.around.sent.borrow()[asked].1.is(Ok(answer));
        settle(&mut [&mut log_in]);
        assert!(matches!(log_in.done, Some(ShardAnswer::KilledMeanwhile)), "{:?}", log_in.done);
    }
}

#[test]
fn what_ended_is_forgotten_after_two_minutes() {
    let bench = ended();
    bench.ask(ShardCall::EndSite { kill: handle(60) });
    bench.at(MINUTES_2.saturating_sub(MS));
    bench.wake();
    assert_eq!(bench.count("ended"), 2);
    bench.at(MINUTES_2);
    bench.wake();
    assert_eq!(bench.count("ended"), 1, "the site's stays until it stands somewhere");
    tell(&bench, handle(60), position(9));
    bench.wake();
    assert_eq!(bench.count("ended"), 1, "from then on for as long as the others");
    bench.pass(MINUTES_2);
    bench.wake();
    assert_eq!(bench.count("ended"), 0);
}

#[test]
fn the_alarm_comes_for_what_is_to_be_forgotten() {
    let bench = Bench::new();
    bench.end_all("alice");
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.wake(), Some(NOW.plus(MINUTES_2)));
    bench.at(MINUTES_2);
    bench.wake();
    assert_eq!(bench.count("ended"), 0);
}

/// A log-in was on its way from before the kill, whatever else it asks for.
#[test]
fn no_kind_of_start_gets_past_a_kill() {
    let bench = ended();
    for call in [
        StartCall { end_others: true, ..start(99, "alice") },
        StartCall { limit: Some(crate::limit(1, true)), ..start(99, "alice") },
        StartCall { presented: Some(crate::key(5)), ..start(99, "alice") },
    ] {
        let refused = bench.start_as(StartCall { since: Some(position(4)), ..call });
        assert!(matches!(refused, Err(ShardAnswer::KilledMeanwhile)));
    }
    let leave = ShardCall::Leave { subject: subject("alice"), keep: None, kill: handle(60) };
    bench.ask(leave);
    let moved = bench.start_as(StartCall { since: Some(position(4)), ..start(99, "alice") });
    assert!(matches!(moved, Err(ShardAnswer::Moved)), "its other home decides");
}
