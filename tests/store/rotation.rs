//! New secrets for a session, and how long the old ones are good for what.

use std::time::Duration;

use warifu::session::{OLD_SECRETS_MAX, Served};
use warifu::store::message::{RotateCall, ShardAnswer, ShardCall, StartCall, Which};
use warifu::token::Secret;

use crate::{Bench, GRACE, GRACE_MAX, IDLE_EXPIRY, MS, NOW, handle, id, key, rotate_call, salt, start, update_call};

#[test]
fn a_rotation_gives_a_new_secret_and_leaves_the_rest_as_it_was() {
    let bench = Bench::new();
    let session = bench.start(1, "alice");
    bench.pass(Duration::from_mins(1));
    let rotated = bench.rotate(1, 2).expect("alive");
    assert!(rotated.is_new);
    assert_eq!((&rotated.session, rotated.salt), (&session, Some(salt(2))));
    let new = bench.check(2).expect("alive");
    assert_eq!((new.session, new.served), (session.clone(), Served::Current));
    let old = bench.check(1).expect("alive");
    assert_eq!((old.session, old.served), (session, Served::InGrace { salt: Some(salt(2)) }));
    assert_eq!(bench.count("sessions"), 1);
}

/// What the salt is for: the store keeps no secret.
#[test]
fn all_that_race_derive_the_same_secret() {
    let bench = Bench::new();
    let first = Secret::new([1; 32]);
    bench.start(1, "alice");
    // Each rotates with a salt of its own, and only the first is written.
    let secrets: Vec<_> = (1..=5)
        .map(|own| {
            let successor = first.successor(&salt(own)).session_key();
            let call = RotateCall {
                salt: Some(salt(own)),
                successor: warifu::store::message::Key(successor),
                ..rotate_call(1, 0)
            };
            let rotated = bench.rotate_as(call).expect("alive");
            assert_eq!(rotated.is_new, own == 1);
            first.successor(&rotated.salt.expect("a salt")).session_key()
        })
        .collect();
    assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    assert_eq!(bench.offered(1), Some(salt(1)), "a plain request gets it too");
    let newest = ShardCall::Check { key: warifu::store::message::Key(secrets[0]), end_on_replay: None };
    let ShardAnswer::Checked { found: Some(found), .. } = bench.ask(newest) else { panic!("it opens the session") };
    assert_eq!((found.session.id, found.served), (id(1), Served::Current));
    assert_eq!(bench.count("secrets"), 2);
    assert!(!bench.dump().contains(&"01".repeat(32)), "neither secret is stored");
}

#[test]
fn a_successor_is_handed_out_only_to_the_immediate_predecessor() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.rotate(1, 2).expect("rotated");
    assert_eq!(bench.offered(1), Some(salt(2)));
    bench.rotate(2, 3).expect("rotated");
    assert_eq!(bench.offered(2), Some(salt(3)));
    assert_eq!(bench.offered(1), None, "two steps behind: served, but led nowhere");
    let rotated = bench.rotate(1, 9).expect("served");
    assert!(!rotated.is_new && rotated.salt.is_none());
    assert!(!bench.is_live(9));
    assert_eq!(bench.number("SELECT count(*) FROM secrets WHERE salt IS NOT NULL"), 1);
}

#[test]
fn the_grace_ends_after_the_successors_first_use() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.rotate(1, 2).expect("rotated");
    bench.at(Duration::from_mins(2));
    assert!(bench.is_live(2), "the first use");
    bench.pass(GRACE.saturating_sub(MS));
    assert!(bench.is_live(2), "another use changes nothing");
    assert_eq!(bench.offered(1), Some(salt(2)));
    assert!(!bench.is_replay(1));
    bench.pass(MS);
    assert!(bench.is_replay(1));
    assert!(!bench.is_live(1) && bench.rotate(1, 9).is_none() && bench.end(Which::Key(key(1)), None).is_none());
    assert!(bench.is_live(2), "a replay is told of, and ends nothing");
}

#[test]
fn the_grace_ends_five_minutes_after_the_rotation_at_most() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.rotate(1, 2).expect("rotated");
    bench.at(GRACE_MAX.saturating_sub(MS));
    assert_eq!(bench.offered(1), Some(salt(2)), "the successor may have been lost");
    assert!(bench.is_live(2), "a first use as late as this");
    bench.at(GRACE_MAX);
    assert!(bench.is_replay(1), "does not make it longer");
    assert!(bench.is_live(2));
}

#[test]
fn a_first_use_ends_the_grace_of_all_before_it() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.rotate(1, 2).expect("rotated");
    bench.rotate(2, 3).expect("rotated");
    assert!(bench.is_live(1) && bench.is_live(2), "neither is the newest, so that is no first use of one");
    bench.pass(GRACE);
    assert!(bench.is_live(1) && bench.is_live(2));
    assert!(bench.is_live(3));
    bench.pass(GRACE);
    assert!(bench.is_replay(1) && bench.is_replay(2) && bench.is_live(3));
}

/// The sequence of an honest browser that loses its answers.
#[test]
fn a_lost_answer_logs_nobody_out() {
    let bench = Bench::new();
    bench.start(1, "alice");
    for minute in 0..4 {
        bench.at(Duration::from_mins(minute));
        bench.rotate(1, u16::try_from(minute + 2).expect("small")).expect("served");
        assert_eq!(bench.offered(1), Some(salt(2)), "the first one, each time");
    }
    assert!(bench.is_live(2));
}

#[test]
fn a_replay_is_reported_and_ends_the_lineage_where_that_is_wanted() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.rotate(1, 2).expect("rotated");
    assert!(bench.is_live(2));
    bench.pass(GRACE);
    let kill = handle(77);
    assert_eq!(bench.check_with(1, None), (None, Some(id(1)), false));
    assert!(bench.is_live(2));
    assert!(!bench.check_with(2, Some(kill)).2, "no replay");
    assert_eq!(bench.check_with(1, Some(kill)), (None, Some(id(1)), true));
    assert!(!bench.is_live(2), "the copy that the thief has renewed dies too");
    assert_eq!(bench.count("secrets"), 0);
    let ShardAnswer::Receipt { kill: Some(_) } = bench.ask(ShardCall::Receipt { kill }) else { panic!("a receipt") };
    assert_eq!(bench.check_with(1, Some(handle(78))), (None, None, false), "there is nothing to end any more");
}

#[test]
fn an_expired_or_unknown_session_is_no_replay() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.rotate(1, 2).expect("rotated");
    bench.at(IDLE_EXPIRY);
    assert_eq!(bench.check_with(1, Some(handle(1))), (None, None, false));
    assert_eq!(bench.check_with(99, Some(handle(1))), (None, None, false));
    assert!(bench.rotate(1, 3).is_none() && bench.rotate(2, 3).is_none() && bench.rotate(99, 3).is_none());
}

#[test]
fn a_start_replaces_the_session_of_an_old_secret_only_while_that_is_served() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.rotate(1, 2).expect("rotated");
    assert!(bench.is_live(2));
    bench.pass(GRACE);
    let over = |number, presented| StartCall { presented: Some(key(presented)), ..start(number, "alice") };
    assert_eq!(bench.start_as(over(10, 1)).expect("started").1, None, "a replay ends nobody's session");
    assert!(bench.is_live(2));
    bench.rotate(2, 3).expect("rotated");
    assert_eq!(bench.start_as(over(11, 2)).expect("started").1, Some(id(1)));
    assert!(!bench.is_live(3) && bench.is_live(10));
}

#[test]
fn an_old_secret_renews_and_updates_within_the_grace_only() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.at(Duration::from_mins(4));
    bench.rotate(1, 2).expect("rotated");
    bench.renew(1);
    assert_eq!(bench.show(1).expect("alive").last_seen, bench.now.get());
    assert!(bench.is_live(2));
    bench.at(Duration::from_mins(8));
    bench.renew(1);
    assert_eq!(bench.show(1).expect("alive").last_seen, NOW.plus(Duration::from_mins(4)));
    let claims = warifu::session::Claims::parse("{}");
    let call = |number| update_call(Which::Key(key(number)), claims.clone(), None);
    assert!(matches!(bench.update(call(1)), Ok(None)));
    assert!(matches!(bench.update(call(2)), Ok(Some(_))));
}

#[test]
fn no_more_old_secrets_are_kept_than_there_may_be() {
    let bench = Bench::new();
    bench.start(1, "alice");
    let last = u16::try_from(OLD_SECRETS_MAX).expect("small") + 11;
    for number in 1..last {
        bench.is_live(number);
        bench.pass(GRACE);
        assert!(bench.rotate(number, number + 1).expect("alive").is_new);
        assert!(bench.count("secrets") <= u64::from(OLD_SECRETS_MAX) + 1);
    }
    assert_eq!(bench.count("secrets"), u64::from(OLD_SECRETS_MAX) + 1, "and the newest");
    bench.is_live(last);
    bench.pass(GRACE);
    assert_eq!(bench.check_with(10, None), (None, None, false), "unknown");
    assert!(bench.is_replay(11) && bench.is_replay(last - 1) && bench.is_live(last));
}
