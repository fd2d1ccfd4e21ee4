//! Refreshes: the edges are told to ask again, once for many changes, and a
//! secret that is left behind has its grace only from then on.

use std::time::Duration;

use warifu::revocation::EntryKey;
use warifu::session::{Claims, Handle, Served};
use warifu::store::feed::Append;
use warifu::store::message::{ShardAnswer, ShardCall, Which};

use crate::sweeping::copies;
use crate::{Bench, GRACE, GRACE_MAX, IDLE_EXPIRY, MS, NOW, handle, id, key, salt, start, update_call};

const SPACING: Duration = Duration::from_millis(250);
const SOON: Duration = Duration::from_secs(2);

/// Alice has a session, and the feed is out of reach.
fn without_feed() -> Bench {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.has_feed.set(false);
    bench
}

/// A change of session 1; the refresh goes by a number.
fn change(bench: &Bench, refresh: u16) {
    let call = update_call(Which::Id(id(1)), Claims::parse("{}"), None);
    let call = warifu::store::message::UpdateCall { refresh: handle(refresh), ..call };
    bench.update(call).expect("updated").expect("alive");
}

/// The refreshes that wait and are due.
fn due(bench: &Bench) -> Vec<Handle> {
    bench.waiting().iter().map(|entry| entry.id).collect()
}

/// The feed takes what is due.
fn take_due(bench: &Bench) {
    let entries = bench.waiting();
    assert!(!entries.is_empty());
    bench.take(Append { entries }).expect("noted");
}

#[test]
fn many_changes_before_one_is_published_are_one_entry() {
    let bench = without_feed();
    for refresh in 50..60 {
        change(&bench, refresh);
    }
    bench.rotate(1, 2).expect("rotated");
    let waiting = bench.waiting();
    assert_eq!(waiting.len(), 1);
    assert_eq!((&waiting[0].key, waiting[0].id), (&EntryKey::Refresh(id(1)), handle(30_002)), "under the last id");
    assert!(waiting[0].rows.is_empty() && waiting[0].min_generation.is_none());
    take_due(&bench);
    assert_eq!(bench.shard.refresh_due(id(1)), Ok(None));
    bench.pass(SPACING);
    assert!(due(&bench).is_empty());
}

#[test]
fn each_session_has_an_entry_of_its_own() {
    let bench = without_feed();
    bench.start(2, "alice");
    bench.rotate(1, 11).expect("rotated");
    bench.pass(MS);
    bench.rotate(2, 12).expect("rotated");
    assert_eq!(due(&bench), [handle(30_011), handle(30_012)], "the older first");
    take_due(&bench);
    assert_eq!((bench.offered(1), bench.offered(2)), (Some(salt(11)), Some(salt(12))));
}

/// An edge may have asked in between, and then knows only the first change.
#[test]
fn a_change_while_an_entry_is_on_its_way_gets_another_one() {
    let bench = without_feed();
    change(&bench, 50);
    let on_its_way = bench.waiting();
    bench.rotate(1, 2).expect("rotated");
    bench.take(Append { entries: on_its_way }).expect("noted");
    assert!(bench.shard.refresh_due(id(1)).expect("read").is_some(), "the rotation is still to be told of");
    assert_eq!(bench.offered(1), None, "and its secret still waits");
    bench.pass(GRACE_MAX + GRACE);
    assert!(bench.is_live(1));
    assert_eq!(due(&bench), [handle(30_002)]);
    take_due(&bench);
    assert_eq!(bench.offered(1), Some(salt(2)));
}

#[test]
fn two_entries_of_a_session_are_a_quarter_of_a_second_apart() {
    let bench = without_feed();
    change(&bench, 50);
    take_due(&bench);
    change(&bench, 51);
    change(&bench, 52);
    assert_eq!(bench.shard.refresh_due(id(1)), Ok(Some(NOW.plus(SPACING))));
    bench.pass(SPACING.saturating_sub(MS));
    assert!(due(&bench).is_empty());
    bench.pass(MS);
    assert_eq!(due(&bench), [handle(52)]);
}

/// Else whoever changes a session without a pause could fill the feed.
#[test]
fn changes_that_come_while_an_entry_is_on_its_way_are_spaced_too() {
    let bench = without_feed();
    change(&bench, 50);
    for refresh in 51..55 {
        let on_its_way = bench.waiting();
        assert_eq!(on_its_way.len(), 1, "{refresh}");
        change(&bench, refresh);
        bench.take(Append { entries: on_its_way }).expect("noted");
        assert!(due(&bench).is_empty(), "{refresh}");
        bench.pass(SPACING.saturating_sub(MS));
        assert!(due(&bench).is_empty(), "{refresh}");
        bench.pass(MS);
        assert_eq!(due(&bench), [handle(refresh)]);
    }
}

#[test]
fn the_grace_of_a_rotation_counts_from_when_the_edges_are_told() {
    let bench = without_feed();
    bench.rotate(1, 2).expect("rotated");
    bench.at(Duration::from_mins(20));
    let found = bench.check(1).expect("served without an end");
    assert_eq!(found.served, Served::InGrace { salt: None }, "and nobody gets its successor");
    let again = bench.rotate(1, 9).expect("served");
    assert!(!again.is_new && again.salt.is_none());
    bench.publish();
    assert_eq!(bench.offered(1), Some(salt(2)));
    bench.pass(GRACE_MAX.saturating_sub(MS));
    assert_eq!(bench.offered(1), Some(salt(2)), "as long as ever");
    bench.pass(MS);
    assert!(bench.is_replay(1) && bench.is_live(2));
}

#[test]
fn a_secret_in_its_grace_waits_for_nothing_when_the_next_one_does() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.rotate(1, 2).expect("rotated");
    assert!(bench.is_live(2), "the first use");
    bench.has_feed.set(false);
    bench.rotate(2, 3).expect("rotated");
    assert_eq!((bench.offered(1), bench.offered(2)), (None, None));
    bench.pass(GRACE);
    assert!(bench.is_replay(1), "its end was known");
    assert!(bench.is_live(2));
    bench.pass(GRACE_MAX);
    assert!(bench.is_live(2));
    bench.publish();
    assert_eq!(bench.offered(2), Some(salt(3)));
    assert!(bench.is_replay(1), "and what is a replay stays one");
}

#[test]
fn a_waiting_secret_is_capped_as_any_other() {
    let bench = without_feed();
    bench.raise(1, 2, 5).expect("raised");
    assert_eq!(bench.strength(1), Some((1, NOW)));
    bench.raise(1, 3, 4).expect("served");
    assert_eq!(bench.number("SELECT count(*) FROM secrets WHERE waits = 1"), 2);
    bench.publish();
    assert_eq!(
        (bench.strength(1), bench.strength(2), bench.strength(3)),
        (Some((1, NOW)), Some((4, NOW)), Some((4, NOW)))
    );
    bench.pass(GRACE_MAX);
    assert!(bench.is_replay(1) && bench.is_replay(2) && bench.is_live(3));
}

/// Of a waiting secret there may be a copy: it is what is to be got rid of.
#[test]
fn end_others_refuses_a_waiting_secret_too() {
    let bench = without_feed();
    bench.rotate(1, 2).expect("rotated");
    bench.end_others(1, 3).0.expect("served");
    assert_eq!((bench.is_live(1), bench.is_live(2), bench.is_live(3)), (false, false, true));
    assert_eq!(bench.number("SELECT count(*) FROM secrets WHERE waits = 1 OR salt IS NOT NULL"), 0);
    bench.publish();
    assert!(!bench.is_live(1) && !bench.is_live(2), "what is published later serves nothing again");
    bench.pass(GRACE);
    assert!(bench.is_replay(1) && bench.is_replay(2) && bench.is_live(3));
}

#[test]
fn a_waiting_secret_ends_and_replaces_its_session() {
    let bench = without_feed();
    bench.rotate(1, 2).expect("rotated");
    bench.pass(GRACE_MAX + MS);
    let call = warifu::store::message::StartCall { presented: Some(key(1)), ..start(5, "alice") };
    assert_eq!(bench.start_as(call).expect("started").1, Some(id(1)));
    bench.rotate(5, 6).expect("rotated");
    bench.pass(GRACE_MAX + MS);
    assert_eq!(bench.end(Which::Key(key(5)), None), Some(id(5)));
}

/// Their end says all that there is to say.
#[test]
fn a_session_that_is_gone_leaves_no_refresh() {
    let bench = without_feed();
    bench.rotate(1, 2).expect("rotated");
    bench.end(Which::Id(id(1)), None).expect("alive");
    assert_eq!(bench.count("refreshes"), 0);

    bench.start(3, "bob");
    bench.rotate(3, 4).expect("rotated");
    bench.end_all("bob");
    bench.wake();
    assert_eq!((bench.count("sessions"), bench.count("refreshes")), (0, 0), "ended with all of its subject's");

    bench.start(5, "carol");
    bench.rotate(5, 6).expect("rotated");
    bench.pass(IDLE_EXPIRY);
    bench.wake();
    assert_eq!((bench.count("sessions"), bench.count("refreshes")), (0, 0), "expired");
}

#[test]
fn a_sweep_forgets_what_was_told_and_keeps_what_was_not() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.start(2, "alice");
    bench.rotate(1, 11).expect("rotated");
    bench.has_feed.set(false);
    bench.rotate(2, 12).expect("rotated");
    bench.wake();
    assert_eq!(bench.count("refreshes"), 2, "the next one of the first is to be spaced");
    bench.pass(SPACING);
    assert_eq!(bench.wake(), Some(bench.now.get().plus(SOON)), "the alarm goes on for what waits");
    assert_eq!(bench.count("refreshes"), 1);
    bench.publish();
    bench.pass(SPACING);
    bench.wake();
    assert_eq!(bench.count("refreshes"), 0);
    assert_eq!(bench.number("SELECT count(*) FROM secrets WHERE salt IS NOT NULL"), 2, "their salts are in use");
}

#[test]
fn the_salt_of_a_waiting_secret_is_swept_at_the_end_of_its_grace() {
    let bench = without_feed();
    bench.rotate(1, 2).expect("rotated");
    bench.pass(GRACE_MAX + GRACE);
    bench.wake();
    assert_eq!(bench.number("SELECT count(*) FROM secrets WHERE salt IS NOT NULL"), 1, "it is still to be given");
    bench.publish();
    bench.pass(SOON);
    let end = bench.now.get().plus(GRACE_MAX.saturating_sub(SOON));
    assert_eq!(bench.wake(), Some(end));
    bench.now.set(end);
    bench.wake();
    assert_eq!(bench.number("SELECT count(*) FROM secrets WHERE salt IS NOT NULL"), 0);
}

#[test]
fn refreshes_fill_what_kills_leave_of_a_batch() {
    let bench = without_feed();
    copies(&bench, 300);
    bench.run("INSERT INTO refreshes (session, id, due) SELECT id, id, created FROM sessions WHERE id <> x'00'");
    for number in 10..=20 {
        bench.start(number, "bob");
        bench.end(Which::Id(id(number)), None).expect("alive");
    }
    let batch = bench.waiting();
    assert_eq!(batch.len(), 200);
    let is_kill = |key: &EntryKey| matches!(key, EntryKey::Session(_));
    assert!(batch[..11].iter().all(|entry| is_kill(&entry.key)), "kills first");
    assert!(batch[11..].iter().all(|entry| matches!(entry.key, EntryKey::Refresh(_))));
    bench.publish();
    assert_eq!(bench.feed.borrow().len(), 11 + 301);
}

#[test]
fn what_changes_nothing_tells_nobody() {
    let bench = without_feed();
    let before = bench.dump();
    bench.rotate(9, 10);
    bench.ask(ShardCall::Check { key: key(1), end_on_replay: None });
    let refused = bench.update(update_call(Which::Id(id(1)), None, Some(2)));
    assert!(matches!(refused, Err(ShardAnswer::NeedsRotation)));
    assert!(bench.update(update_call(Which::Id(id(9)), None, None)).expect("no such").is_none());
    bench.renew(1);
    assert_eq!(bench.dump(), before);
    bench.rotate(1, 2).expect("rotated");
    let before = bench.dump();
    assert!(!bench.rotate(1, 3).expect("served").is_new);
    assert_eq!(bench.dump(), before, "one that races is told of with the first");
}
