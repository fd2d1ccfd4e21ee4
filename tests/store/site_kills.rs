//! The end of everything of a site: each shard commits it, then it is one entry
//! of the feed, then each is told where that stands.

use std::time::Duration;

use warifu::config::MapRow;
use warifu::revocation::{EntryKey, Epoch, Position};
use warifu::session::KillId;
use warifu::store::feed::{EndSite, FeedCall, FeedReply, Poll};
use warifu::store::message::{Home, Kill, KillScope, ShardCall};

use crate::feed::{Place, poll};
use crate::surroundings::{Task, settle};
use crate::{BOUND_MS, DAY, EPOCH, MS, NOW, handle};

const SOON: Duration = Duration::from_secs(2);
const KILL: u16 = 70;

fn map() -> Vec<MapRow> {
    vec![MapRow { generation: 1, shards: 30, region: 0 }, MapRow { generation: 2, shards: 70, region: 4 }]
}

fn order(number: u16) -> FeedCall {
    FeedCall::EndSite(EndSite { kill: handle(number), rows: map(), by: None })
}

fn kill_of(reply: FeedReply) -> Option<Kill> {
    match reply {
        FeedReply::Receipt { kill } => kill,
        other => panic!("{other:?}"),
    }
}

impl Place {
    fn wake(&self) -> Result<(), String> {
        Task::new(self.object.wake(&self.around)).done.expect("it waits for nothing")
    }

    fn receipt(&self, kill: KillId) -> Option<Kill> {
        kill_of(self.ask(FeedCall::Receipt { kill }))
    }

    /// How many shards have committed, of how many; where it stands.
    fn progress(&self) -> (u32, u32, Option<u64>) {
        let kill = self.receipt(handle(KILL)).expect("it is known");
        let progress = kill.progress.expect("of the site");
        (progress.done, progress.total, kill.published.map(|published| published.seq))
    }

    /// What was asked of shards since the last time.
    fn asked(&self) -> Vec<(Home, ShardCall)> {
        let asked = self.around.asked.take();
        assert!(asked.iter().all(|(_, is_fenced, _)| *is_fenced), "a shard that has been replaced proves nothing");
        asked.into_iter().map(|(home, _, call)| (home, call)).collect()
    }

    /// Rings the alarm until it rings no more.
    fn ring_out(&self) {
        while self.number("SELECT count(*) FROM site_kills WHERE told < total") > 0 {
            assert!(self.around.alarm().is_some(), "it goes on");
            self.around.alarms.borrow_mut().clear();
            self.wake().expect("done");
        }
    }
}

/// A kill from its beginning to its end.
pub fn carry(place: &Place) {
    place.ask(order(KILL));
    place.ring_out();
}

/// All shards of the map.
fn homes() -> Vec<Home> {
    let shards =
        |row: MapRow| (0..row.shards).map(move |shard| Home { row, shard: u16::try_from(shard).expect("few") });
    map().into_iter().flat_map(shards).collect()
}

#[test]
fn each_shard_commits_then_it_is_published_then_each_is_told() {
    let place = Place::new();
    let kill = kill_of(place.ask(order(KILL))).expect("noted");
    assert_eq!((kill.id, kill.scope, kill.committed), (handle(KILL), KillScope::Site, NOW));
    assert!(kill.published.is_none());
    assert_eq!((place.progress(), place.around.alarm()), ((0, 100, None), Some(NOW)), "the alarm begins at once");
    let mut committed = Vec::new();
    for done in [40, 80, 100] {
        assert_eq!(place.poll(Some(0)).high, 0, "no edge is told before all have committed");
        place.wake().expect("a round");
        committed.extend(place.asked());
        assert_eq!((committed.len(), place.progress().0), (done as usize, done));
    }
    let expected = |call: &dyn Fn() -> ShardCall| homes().into_iter().map(|home| (home, call())).collect::<Vec<_>>();
    let end = || ShardCall::EndSite { kill: handle(KILL) };
    assert_eq!(format!("{committed:?}"), format!("{:?}", expected(&end)), "each once, under each row");
    assert_eq!(place.progress(), (100, 100, Some(1)));
    let answer = place.poll(Some(0));
    assert_eq!((answer.high, &answer.entries[0].key), (1, &EntryKey::Site));
    let published = place.receipt(handle(KILL)).expect("known").published.expect("published");
    assert_eq!((published.epoch, published.accepted, published.bound_ms), (EPOCH, NOW, BOUND_MS));
    place.ring_out();
    let stands = || ShardCall::Stands { kill: handle(KILL), position: Position { epoch: EPOCH, seq: 1 } };
    assert_eq!(format!("{:?}", place.asked()), format!("{:?}", expected(&stands)));
    place.around.alarms.borrow_mut().clear();
    place.wake().expect("nothing is left");
    assert!(place.asked().is_empty());
    assert_eq!(place.around.alarm(), Some(NOW.plus(DAY)), "but to forget it");
}

#[test]
fn a_receipt_is_kept_for_a_day() {
    let place = Place::new();
    carry(&place);
    place.around.pass(Duration::from_hours(1));
    place.ask(order(KILL + 1));
    place.ring_out();
    place.around.alarms.borrow_mut().clear();
    for (passes, is_known, alarm) in [
        (Duration::from_hours(23).saturating_sub(MS), (true, true), Some(NOW.plus(DAY))),
        (MS, (false, true), Some(NOW.plus(DAY + Duration::from_hours(1)))),
        (Duration::from_hours(1), (false, false), None),
    ] {
        place.around.pass(passes);
        place.wake().expect("swept");
        assert_eq!((place.receipt(handle(KILL)).is_some(), place.receipt(handle(KILL + 1)).is_some()), is_known);
        assert_eq!(place.around.alarm(), alarm);
    }
    // However long it is under way: somebody waits for it.
    place.ask(order(KILL + 2));
    place.wake().expect("a round");
    place.around.pass(DAY + DAY);
    place.ring_out();
    assert!(place.receipt(handle(KILL + 2)).is_some());
}

#[test]
fn a_shard_out_of_reach_holds_the_kill_up_and_the_alarm_goes_on() {
    let place = Place::new();
    place.ask(order(KILL));
    place.wake().expect("a round");
    place.asked();
    place.around.broken.set(Some(20));
    for _ in 0..3 {
        place.around.alarms.borrow_mut().clear();
        assert!(place.wake().is_err());
        assert_eq!(place.around.alarm(), Some(place.around.now.get().plus(SOON)));
        place.around.pass(SOON);
    }
    assert_eq!((place.progress(), place.poll(Some(0)).high), ((40, 100, None), 0));
    place.around.broken.set(None);
    place.asked();
    place.wake().expect("a round");
    assert_eq!(place.asked()[0].0, homes()[40], "from where it stopped");
    place.ring_out();
    assert_eq!(place.progress(), (100, 100, Some(1)));
}

/// The platform gives an alarm up after six failures.
#[test]
fn a_kill_whose_alarm_was_lost_goes_on_when_somebody_asks_about_it() {
    let place = Place::new();
    place.ask(order(KILL));
    place.wake().expect("a round");
    place.around.alarms.borrow_mut().clear();
    assert!(place.receipt(handle(KILL + 1)).is_none());
    assert_eq!(place.around.alarm(), None, "of another one");
    let place = place.restarted(EPOCH);
    assert_eq!((place.progress(), place.around.alarm()), ((40, 100, None), Some(NOW)));
    place.wake().expect("a round");
    place.ring_out();
    place.around.alarms.borrow_mut().clear();
    assert_eq!((place.progress(), place.around.alarm()), ((100, 100, Some(1)), None), "nothing is left to do");
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let place = Place::new();
    place.ask(order(KILL));
    place.wake().expect("a round");
    let place = place.restarted(Epoch([9; 8]));
    place.wake().expect("a round");
    assert_eq!((place.asked()[0].0, place.progress().0), (homes()[40], 80));
    place.wake().expect("published");
    place.wake().expect("a round of telling");
    place.asked();
    let place = place.restarted(Epoch([10; 8]));
    place.wake().expect("the next one");
    let (home, call) = place.asked().remove(0);
    let ShardCall::Stands { position, .. } = call else { panic!("{call:?}") };
    assert_eq!((home, position), (homes()[40], Position { epoch: Epoch([9; 8]), seq: 1 }), "where it was published");
}

#[test]
fn an_order_that_comes_again_changes_nothing() {
    let place = Place::new();
    place.ask(order(KILL));
    place.wake().expect("a round");
    place.around.pass(SOON);
    let again = kill_of(place.ask(order(KILL))).expect("known");
    assert_eq!((again.committed, place.progress().0), (NOW, 40));
    place.ring_out();
    place.ask(order(KILL));
    assert_eq!((place.progress(), place.poll(Some(0)).high), ((100, 100, Some(1)), 1));
    assert!(place.receipt(handle(KILL + 1)).is_none(), "of another one nothing is known");
}

#[test]
fn kills_are_carried_one_after_the_other_and_none_is_lost() {
    let place = Place::new();
    place.ask(order(KILL));
    place.around.pass(SOON);
    place.ask(order(KILL + 1));
    for _ in 0..6 {
        place.wake().expect("a round");
    }
    assert_eq!(place.poll(Some(0)).high, 2, "first all are published");
    let ends: Vec<_> =
        place.asked().into_iter().filter(|(_, call)| matches!(call, ShardCall::EndSite { .. })).collect();
    assert_eq!(ends.len(), 200);
    place.ring_out();
    assert_eq!(place.number("SELECT sum(told) FROM site_kills"), 200);
}

#[test]
fn the_entry_holds_the_largest_number_that_any_shard_raised() {
    let place = Place::new();
    place.around.generations.borrow_mut().extend([(5, 900), (60, 17)]);
    carry(&place);
    assert_eq!(place.number("SELECT min_generation FROM entries"), 900);
}

#[test]
fn an_alarm_whose_database_fails_goes_on() {
    let place = Place::new();
    place.ask(order(KILL));
    for fails_after in 0.. {
        place.around.alarms.borrow_mut().clear();
        place.disk.0.fails_after.set(Some(fails_after));
        let worked = place.wake();
        place.disk.0.fails_after.set(None);
        assert!(place.around.alarm().is_some(), "statement {fails_after} failed");
        if worked.is_ok() {
            break;
        }
    }
    place.wake().expect("a round");
    place.ring_out();
    assert_eq!(place.progress(), (100, 100, Some(1)));
}

/// Sessions may start under a row that an older version of the Worker does not know.
#[test]
fn a_kill_goes_to_the_rows_that_only_the_feed_knows_too() {
    let place = Place::new();
    place.learn(MapRow { generation: 3, shards: 5, region: 0 });
    carry(&place);
    assert_eq!(place.progress(), (105, 105, Some(1)));
    let asked = place.asked();
    assert_eq!(asked.iter().filter(|(home, _)| home.row.generation == 3).count(), 10, "committed, and told");
}

/// A version of the Worker that has one row more begins to run meanwhile: from
/// its first poll on, sessions may start under that row.
#[test]
fn a_row_that_is_announced_while_the_kill_is_under_way_is_ended_too() {
    let third = MapRow { generation: 3, shards: 5, region: 0 };
    for rounds in 0..=2 {
        let place = Place::new();
        place.ask(order(KILL));
        for _ in 0..rounds {
            place.wake().expect("a round");
        }
        place.learn(third);
        while place.progress().2.is_none() {
            assert_eq!(place.poll(Some(0)).high, 0, "no edge is told before the new row has committed");
            place.around.alarms.borrow_mut().clear();
            place.wake().expect("a round");
            assert!(place.around.alarm().is_some(), "it goes on");
        }
        let ended: Vec<_> = place.asked().into_iter().map(|(home, _)| home).collect();
        let new = (0..5).map(|shard| Home { row: third, shard });
        assert_eq!(ended, homes().into_iter().chain(new).collect::<Vec<_>>(), "{rounds} rounds before: each once");
        assert_eq!(place.progress(), (105, 105, Some(1)), "{rounds} rounds before");
        place.ring_out();
        let told = place.asked();
        assert!(told.iter().all(|(_, call)| matches!(call, ShardCall::Stands { .. })));
        assert_eq!(told.into_iter().map(|(home, _)| home).collect::<Vec<_>>(), ended, "and told");
    }
}

/// Each while the shards that were to be the last are asked.
#[test]
fn rows_that_are_announced_one_after_the_other_are_all_ended() {
    let place = Place::new();
    place.ask(order(KILL));
    for generation in 3..=6 {
        while place.progress().1 - place.progress().0 > 40 {
            place.wake().expect("a round");
        }
        place.learn(MapRow { generation, shards: 40, region: 0 });
        place.wake().expect("a round");
        assert_eq!(place.progress().2, None, "row {generation}");
    }
    place.ring_out();
    assert_eq!((place.progress(), place.asked().len()), ((260, 260, Some(1)), 520));
}

/// Whoever has a position from a poll that named the row began after the kill.
#[test]
fn a_row_that_is_announced_after_the_publication_is_not_the_kills() {
    let place = Place::new();
    place.ask(order(KILL));
    while place.progress().2.is_none() {
        place.wake().expect("a round");
    }
    let third = MapRow { generation: 3, shards: 5, region: 0 };
    let answer = place.poll_as(Poll { rows: vec![third], ..poll(None) });
    assert_eq!(answer.high, 1, "the first that an edge with the row knows of the feed is after the kill");
    place.ring_out();
    assert_eq!((place.progress(), place.asked().len()), ((100, 100, Some(1)), 200));
}

/// The order is durable before anybody is told that it was taken.
#[test]
fn an_order_is_answered_behind_a_confirmed_write() {
    let place = Place::new();
    place.around.holds_writes.set(true);
    let mut task = place.task(order(KILL));
    assert!(task.done.is_none() && place.around.alarm() == Some(NOW));
    place.around.confirm(0);
    settle(&mut [&mut task]);
    assert!(matches!(task.done, Some(FeedReply::Receipt { kill: Some(_) })));
}

#[test]
fn a_site_without_shards_is_ended_at_once() {
    let place = Place::new();
    place.ask(FeedCall::EndSite(EndSite { kill: handle(KILL), rows: Vec::new(), by: None }));
    place.wake().expect("published");
    assert_eq!(place.progress(), (0, 0, Some(1)));
}
