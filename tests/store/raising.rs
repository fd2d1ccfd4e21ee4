//! Rotations that raise the level: what was there before stays as weak as it was.

use std::time::Duration;

use warifu::session::Served;
use warifu::store::message::{RotateCall, StartCall, Which};

use crate::{Bench, GRACE, GRACE_MAX, MS, NOW, id, key, rotate_call, salt, start, update_call};

const LATER: Duration = Duration::from_mins(1);

#[test]
fn a_raise_gives_no_salt_to_anyone_and_serves_the_old_secret_as_what_it_was() {
    let bench = Bench::new();
    let session = bench.start(1, "alice");
    bench.at(LATER);
    let rotated = bench.raise(1, 2, 5).expect("alive");
    assert!(rotated.is_new && rotated.salt.is_none());
    let raised_at = NOW.plus(LATER);
    assert_eq!((rotated.session.level, rotated.session.auth_time), (5, raised_at));
    let old = bench.check(1).expect("served");
    assert_eq!((old.session, old.served), (session, Served::InGrace { salt: None }), "level and time of before");
    let again = bench.rotate(1, 9).expect("served");
    assert!(!again.is_new && again.salt.is_none(), "a copy cannot ride up");
    assert_eq!((again.session.level, again.session.auth_time), (1, NOW));
    assert_eq!(bench.check(2).expect("alive").session, rotated.session);
    assert_eq!(bench.show(1), Some(rotated.session), "what the operators see");
    assert_eq!(bench.number("SELECT count(*) FROM secrets WHERE salt IS NOT NULL"), 0);
}

#[test]
fn a_salt_that_comes_with_a_raise_is_given_to_nobody() {
    let bench = Bench::new();
    bench.start(1, "alice");
    let call = RotateCall { level: Some(2), ..rotate_call(1, 2) };
    assert_eq!(bench.rotate_as(call).expect("alive").salt, None);
    assert_eq!(bench.offered(1), None);
}

#[test]
fn a_raise_takes_back_the_successor_of_a_rotation_before_it() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.rotate(1, 2).expect("rotated");
    assert_eq!(bench.offered(1), Some(salt(2)));
    bench.at(LATER);
    bench.raise(2, 3, 5).expect("raised");
    assert_eq!((bench.offered(1), bench.offered(2)), (None, None));
    for old in [1, 2] {
        assert_eq!(bench.strength(old), Some((1, NOW)));
    }
    assert_eq!(bench.strength(3), Some((5, NOW.plus(LATER))));
}

#[test]
fn a_rotation_after_a_raise_lets_only_the_raised_secret_ride() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.raise(1, 2, 5).expect("raised");
    bench.rotate(2, 3).expect("rotated");
    assert_eq!(bench.offered(2), Some(salt(3)));
    assert_eq!(bench.strength(2), Some((5, NOW)));
    assert_eq!((bench.offered(1), bench.strength(1)), (None, Some((1, NOW))));
}

#[test]
fn the_grace_of_a_raise_ends_as_any_other() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.raise(1, 2, 5).expect("raised");
    bench.at(LATER);
    assert!(bench.is_live(2), "the first use");
    bench.pass(GRACE.saturating_sub(MS));
    assert!(bench.is_live(1));
    bench.pass(MS);
    assert!(bench.is_replay(1));
    bench.raise(2, 3, 6).expect("raised");
    bench.pass(GRACE_MAX.saturating_sub(MS));
    assert!(bench.is_live(2));
    bench.pass(MS);
    assert!(bench.is_replay(2) && bench.is_live(3));
}

/// Two log-ins with a second factor at once: both get their own new secret.
#[test]
fn raises_that_race_get_a_fresh_secret_each() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.raise(1, 2, 5).expect("raised");
    bench.at(LATER);
    let second = bench.raise(1, 3, 4).expect("served");
    assert!(second.is_new && second.salt.is_none());
    assert_eq!(bench.strength(3), Some((4, NOW.plus(LATER))));
    assert_eq!(bench.strength(2), Some((4, NOW)), "never more than the session");
    assert_eq!(bench.strength(1), Some((1, NOW)));
    assert_eq!(bench.check(2).expect("served").served, Served::InGrace { salt: None });
}

#[test]
fn an_old_secret_never_gets_stronger_again() {
    let bench = Bench::new();
    bench.start_as(StartCall { level: 3, ..start(1, "alice") }).expect("started");
    bench.raise(1, 2, 5).expect("raised");
    assert_eq!(bench.strength(1), Some((3, NOW)));
    let lower = update_call(Which::Id(id(1)), None, Some(1));
    bench.update(lower).expect("lowered").expect("alive");
    assert_eq!((bench.strength(1), bench.strength(2)), (Some((1, NOW)), Some((1, NOW))));
    bench.raise(2, 3, 5).expect("raised");
    assert_eq!((bench.strength(1), bench.strength(2)), (Some((1, NOW)), Some((1, NOW))), "both as before the raise");
}

#[test]
fn an_old_secret_cannot_update_what_it_may_not_have() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.raise(1, 2, 5).expect("raised");
    let up = update_call(Which::Key(key(1)), None, Some(2));
    assert!(bench.update(up).is_err(), "two is more than it is served at");
    assert_eq!(bench.strength(2), Some((5, NOW)));
    let claims = update_call(Which::Key(key(1)), warifu::session::Claims::parse("{}"), None);
    let told = bench.update(claims).expect("updated").expect("served");
    assert_eq!(told.level, 1, "and is told no more");
    assert_eq!(bench.strength(2), Some((5, NOW)), "which does not take anything from the newest");
}

#[test]
fn an_old_capped_secret_that_ends_the_others_gets_no_stronger() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.at(LATER);
    bench.raise(1, 2, 5).expect("raised");
    let (session, _) = bench.end_others(1, 3);
    let session = session.expect("served");
    assert_eq!((session.level, session.auth_time), (1, NOW));
    assert_eq!(bench.strength(3), Some((1, NOW)));
    assert!(!bench.is_live(1) && !bench.is_live(2), "the raised one is refused too");
    assert_eq!(bench.show(1), Some(session));
}
