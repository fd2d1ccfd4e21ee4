use std::rc::Rc;
use std::time::Duration;

use warifu::revocation::{EntryKey, Verdicts, Window};
use warifu::session::Session;
use warifu::token::SessionKey;

use crate::{NOW, answer, at, id, position, session};

const IDLE: Duration = Duration::from_mins(30);
/// A bound that says nothing here.
const LONG: Duration = Duration::from_hours(3);

fn key(number: u64) -> SessionKey {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    SessionKey::from_bytes(bytes)
}

fn window() -> Window {
    let mut window = Window::default();
    window.apply(NOW, None, answer(1, 10, 10, &[]));
    window
}

fn keep(verdicts: &mut Verdicts, session: Session) {
    verdicts.keep(key(1), Rc::new(session), position(1, 10), NOW);
}

#[test]
fn a_kept_verdict_is_found_until_something_is_said_against_it() {
    let (mut verdicts, mut window) = (Verdicts::default(), window());
    keep(&mut verdicts, session(1));
    assert!(verdicts.look(&key(1), &window, at(1), LONG, IDLE).is_some());
    assert!(verdicts.look(&key(2), &window, at(1), LONG, IDLE).is_none());
    window.apply(at(2), Some(position(1, 10)), answer(1, 0, 10, &[EntryKey::Session(id(1))]));
    assert!(verdicts.look(&key(1), &window, at(3), LONG, IDLE).is_none());
    assert!(verdicts.is_empty(), "and it does not come back");
}

#[test]
fn a_verdict_is_confirmed_every_minute_or_tenth_of_the_idle_timeout() {
    for (idle, last) in [(IDLE, 60_000), (Duration::from_secs(100), 10_000)] {
        let (mut verdicts, window) = (Verdicts::default(), window());
        keep(&mut verdicts, session(1));
        assert!(verdicts.look(&key(1), &window, at(last), LONG, idle).is_some());
        assert!(verdicts.look(&key(1), &window, at(last + 1), LONG, idle).is_none());
    }
}

#[test]
fn an_expired_session_is_asked_for_again() {
    let (mut verdicts, window) = (Verdicts::default(), window());
    let expiring = Session { idle_expires: at(5_000), ..session(1) };
    keep(&mut verdicts, expiring);
    assert!(verdicts.look(&key(1), &window, at(4_999), LONG, IDLE).is_some());
    assert!(verdicts.look(&key(1), &window, at(5_000), LONG, IDLE).is_none());
}

#[test]
fn a_clock_that_steps_back_makes_no_verdict_younger() {
    let (mut verdicts, window) = (Verdicts::default(), window());
    keep(&mut verdicts, session(1));
    let before = warifu::time::UnixMillis(NOW.0 - 1);
    assert!(verdicts.look(&key(1), &window, before, LONG, IDLE).is_none());
}

#[test]
fn the_cache_is_bounded_and_keeps_what_is_used() {
    let (mut verdicts, window) = (Verdicts::default(), window());
    let shared = Rc::new(session(1));
    for number in 0..30_000 {
        verdicts.keep(key(number), Rc::clone(&shared), position(1, 10), NOW);
        assert!(verdicts.look(&key(0), &window, at(1), LONG, IDLE).is_some(), "in use at {number}");
    }
    assert_eq!(verdicts.len(), 20_000);
    let claims = warifu::session::Claims::parse(&format!(r#"{{"a":"{}"}}"#, "x".repeat(2_000)));
    let heavy = Rc::new(Session { claims, ..session(1) });
    for number in 0..30_000 {
        verdicts.keep(key(number), Rc::clone(&heavy), position(1, 10), NOW);
    }
    assert!((6_000..7_200).contains(&verdicts.len()), "16 MiB of about 2.4 kB each: {}", verdicts.len());
}

#[test]
fn a_renewal_is_not_sent_for_every_request() {
    let mut verdicts = Verdicts::default();
    assert!(verdicts.may_renew(&key(1), NOW), "of what is not kept, the shard decides");
    keep(&mut verdicts, session(1));
    assert!(verdicts.may_renew(&key(1), NOW));
    assert!(!verdicts.may_renew(&key(1), at(4_999)));
    assert!(verdicts.may_renew(&key(1), at(5_000)), "the first may have been lost");
}
