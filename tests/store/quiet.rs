//! When a receipt says that no edge can still accept: by the clock of whoever
//! says so, and not before the bound has passed on it.

use std::time::Duration;

use warifu::revocation::Epoch;
use warifu::store::feed::{EndSite, FeedCall, FeedReply};
use warifu::store::message::{Kill, Message, ShardAnswer, ShardCall};
use warifu::store::session_object::SessionObject;

use crate::feed::{Disk, Place as FeedPlace, poll};
use crate::publishing::end;
use crate::surroundings::{Surroundings, Task};
use crate::{BOUND_MS, HOME, MS, NOW, handle, start};

/// The bound, stretched, and for how long a clock can stand still.
const QUIET: Duration = Duration::from_millis(BOUND_MS + BOUND_MS / 1_000 + 50);

/// A shard whose object can be woken on another machine.
struct Shard {
    disk: Disk,
    object: SessionObject<Disk>,
    around: Surroundings,
}

impl Shard {
    /// Session 1 has been ended, and the feed has it.
    fn ended() -> Self {
        let disk = Disk::new();
        let shard = Self { object: SessionObject::new(disk.clone()), disk, around: Surroundings::new() };
        shard.ask(ShardCall::Start(Box::new(start(1, "alice"))));
        shard.ask(end(1));
        shard
    }

    /// Another machine wakes it, whose clock is ahead by so much.
    fn elsewhere(self, ahead: Duration) -> Self {
        self.around.pass(ahead);
        Self { object: SessionObject::new(self.disk.clone()), ..self }
    }

    fn ask(&self, call: ShardCall) -> ShardAnswer {
        let message = Message { home: Some(HOME), is_fenced: false, by: None, call };
        Task::new(self.object.answer(&message, &self.around)).done.expect("it waits for nothing")
    }

    fn quiet_in(&self) -> Duration {
        match self.ask(ShardCall::Receipt { kill: handle(501) }) {
            ShardAnswer::Receipt { kill } => left(kill),
            other => panic!("{other:?}"),
        }
    }
}

fn left(kill: Option<Kill>) -> Duration {
    Duration::from_millis(kill.expect("kept").published.expect("published").quiesced_in_ms)
}

#[test]
fn an_object_that_is_woken_on_another_machine_counts_the_bound_by_its_own_clock() {
    for ahead in [Duration::from_secs(3), Duration::from_secs(6), Duration::from_hours(1)] {
        let shard = Shard::ended().elsewhere(ahead);
        assert_eq!(shard.quiet_in(), QUIET, "{ahead:?}: nobody knows how much of it has passed");
        shard.around.pass(QUIET.saturating_sub(MS));
        assert_eq!(shard.quiet_in(), MS);
        shard.around.pass(MS);
        assert_eq!(shard.quiet_in(), Duration::ZERO);
    }
}

/// From when it was woken, whatever it was woken for.
#[test]
fn the_bound_is_not_counted_anew_for_each_receipt() {
    let shard = Shard::ended().elsewhere(Duration::from_secs(3));
    Task::new(shard.object.wake(&shard.around)).done.expect("it waits for nothing").expect("swept");
    shard.around.pass(Duration::from_secs(2));
    assert_eq!(shard.quiet_in(), QUIET.saturating_sub(Duration::from_secs(2)));
    let shard = Shard::ended().elsewhere(Duration::from_secs(3));
    shard.ask(ShardCall::Start(Box::new(start(2, "bob"))));
    shard.around.pass(Duration::from_secs(2));
    assert_eq!(shard.quiet_in(), QUIET.saturating_sub(Duration::from_secs(2)));
}

#[test]
fn a_clock_that_is_behind_makes_it_later() {
    let shard = Shard::ended();
    shard.around.now.set(NOW.minus(Duration::from_secs(2)).expect("a time"));
    let shard = shard.elsewhere(Duration::ZERO);
    assert_eq!(shard.quiet_in(), QUIET + Duration::from_secs(2));
}

#[test]
fn the_feed_counts_the_bound_of_a_kill_of_the_site_likewise() {
    let place = FeedPlace::new();
    place.ask(FeedCall::EndSite(EndSite { kill: handle(70), rows: Vec::new(), by: None }));
    Task::new(place.object.wake(&place.around)).done.expect("it waits for nothing").expect("published");
    let quiet_in = |place: &FeedPlace| match place.ask(FeedCall::Receipt { kill: handle(70) }) {
        FeedReply::Receipt { kill } => left(kill),
        other => panic!("{other:?}"),
    };
    place.around.pass(Duration::from_secs(1));
    assert_eq!(quiet_in(&place), QUIET.saturating_sub(Duration::from_secs(1)), "its own, from when it was published");
    for wakes in [false, true] {
        let disk = place.disk.clone();
        let place = FeedPlace { disk, ..FeedPlace::new() }.restarted(Epoch([9; 8]));
        place.around.pass(Duration::from_secs(4));
        if wakes {
            place.poll_as(poll(None));
            place.around.pass(Duration::from_secs(1));
        }
        assert_eq!(quiet_in(&place), QUIET.saturating_sub(Duration::from_secs(u64::from(wakes))));
        place.around.pass(QUIET);
        assert_eq!(quiet_in(&place), Duration::ZERO);
    }
}
