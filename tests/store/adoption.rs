//! Sessions of the application's old kind, exchanged for sessions of ours.

use std::time::Duration;

use warifu::session::Wrapped;
use warifu::store::message::{
    Adopts, ClaimCall, Claimed, SettleCall, Settled, ShardAnswer, ShardCall, StartCall, Which,
};
use warifu::time::UnixMillis;

use crate::held::hold;
use crate::{Bench, GRACE, IDLE_EXPIRY, LIFETIME, NOW, handle, id, key, millis, salt, start, subject};

/// For which one request may ask the application.
const LEASE: Duration = Duration::from_secs(35);
/// For how long the application is not asked again about what it does not know.
const REFUSED: Duration = Duration::from_mins(10);
const INSTANT: Duration = Duration::from_millis(1);
const WHOLE: Duration = Duration::from_hours(24 * 90);
const UNTIL: UnixMillis = UnixMillis(NOW.0 + 90 * 86_400_000);

/// What the cookie with this number is, to the session that it is exchanged for.
pub fn adopts(number: u8) -> Adopts {
    Adopts {
        key: key(number.into()),
        salt: salt(number),
        wrapped: Some(Wrapped([number; 72])),
        grace_ms: millis(GRACE),
        until: UNTIL,
    }
}

impl Bench {
    pub fn claim(&self, number: u16) -> Claimed {
        let claim = ClaimCall { key: key(number), lease_ms: millis(LEASE), until: UNTIL };
        match self.ask(ShardCall::Claim(claim)) {
            ShardAnswer::Claimed { claimed } => claimed,
            other => panic!("{other:?}"),
        }
    }

    pub fn settle(&self, number: u16, settled: Settled) {
        let answer = self.ask(ShardCall::Settle(SettleCall { key: key(number), settled }));
        assert!(matches!(answer, ShardAnswer::Noted), "{answer:?}");
    }

    pub fn close(&self, name: &str) {
        let answer = self.ask(ShardCall::Close { subject: subject(name), until: UNTIL });
        assert!(matches!(answer, ShardAnswer::Noted), "{answer:?}");
    }

    fn is_closed(&self, name: &str) -> bool {
        match self.ask(ShardCall::IsClosed { subject: subject(name) }) {
            ShardAnswer::Closed { closed } => closed,
            other => panic!("{other:?}"),
        }
    }

    /// Begins session `number` in exchange for cookie `old`.
    fn exchange(&self, number: u16, name: &str, old: u8) -> Result<(), ShardAnswer> {
        self.start_as(StartCall { adopts: Some(adopts(old)), hold: Some(hold(1)), ..start(number, name) }).map(|_| ())
    }
}

#[test]
fn one_asks_at_a_time() {
    let bench = Bench::new();
    assert_eq!(bench.claim(9), Claimed::Granted);
    assert_eq!((bench.claim(9), bench.claim(8)), (Claimed::Asked, Claimed::Granted));
    bench.pass(LEASE.saturating_sub(INSTANT));
    assert_eq!(bench.claim(9), Claimed::Asked);
    bench.pass(INSTANT);
    assert_eq!((bench.claim(9), bench.claim(9)), (Claimed::Granted, Claimed::Asked), "it was never heard of again");
}

#[test]
fn where_it_went_is_known_to_the_end() {
    let bench = Bench::new();
    let at = id(1).locator();
    bench.claim(9);
    bench.settle(9, Settled::Exchanged { at });
    for settled in [Settled::Refused, Settled::Unknown] {
        bench.settle(9, settled);
        assert_eq!(bench.claim(9), Claimed::Exchanged { at }, "what comes late changes nothing");
    }
    bench.at(WHOLE.saturating_sub(INSTANT));
    bench.wake();
    assert_eq!(bench.claim(9), Claimed::Exchanged { at });
    bench.at(WHOLE);
    bench.wake();
    assert_eq!(bench.count("adopted"), 0);
}

#[test]
fn what_the_application_does_not_know_is_asked_about_again_after_a_while() {
    let bench = Bench::new();
    bench.claim(9);
    bench.settle(9, Settled::Refused);
    bench.at(REFUSED.saturating_sub(INSTANT));
    assert_eq!(bench.claim(9), Claimed::Refused);
    bench.at(REFUSED);
    assert_eq!(bench.claim(9), Claimed::Granted);
    // Who asked before may still answer: that counts.
    bench.settle(9, Settled::Exchanged { at: id(1).locator() });
    assert_eq!(bench.claim(9), Claimed::Exchanged { at: id(1).locator() });
    // Without an answer, the next one asks at once.
    bench.claim(8);
    bench.settle(8, Settled::Unknown);
    assert_eq!(bench.claim(8), Claimed::Granted);
    // The memory of it goes by itself.
    bench.claim(7);
    bench.settle(7, Settled::Refused);
    bench.pass(REFUSED * 2);
    bench.wake();
    assert_eq!(bench.count("adopted"), 1, "what was exchanged stays");
}

/// Whoever sends made-up cookies and does not wait for the answers leaves no
/// more behind than who does.
#[test]
fn a_claim_that_nobody_comes_back_for_is_forgotten_ten_minutes_after_its_lease() {
    let bench = Bench::new();
    for number in 0..50 {
        assert_eq!(bench.claim(number), Claimed::Granted);
    }
    bench.settle(7, Settled::Exchanged { at: id(1).locator() });
    bench.at(LEASE + REFUSED.saturating_sub(INSTANT));
    bench.wake();
    assert_eq!(bench.count("adopted"), 50);
    bench.at(LEASE + REFUSED);
    bench.wake();
    assert_eq!(bench.count("adopted"), 1, "but for the one that was exchanged");
    bench.at(WHOLE.saturating_sub(INSTANT));
    bench.wake();
    assert_eq!(bench.claim(7), Claimed::Exchanged { at: id(1).locator() });
    // At the very end there is less left than that.
    assert_eq!(bench.claim(8), Claimed::Granted);
    bench.at(WHOLE);
    bench.wake();
    assert_eq!(bench.count("adopted"), 0);
}

#[test]
fn the_old_cookie_leads_to_the_new_secret_until_that_is_used() {
    let bench = Bench::new();
    bench.exchange(1, "alice", 9).expect("begun");
    assert_eq!(bench.offered(9), Some(salt(9)));
    assert_eq!(bench.check(9).expect("served").session.held.expect("held").wrapped, Wrapped([9; 72]));
    // For much longer than a secret in a rotation: it is all that the browser has.
    bench.at(IDLE_EXPIRY.saturating_sub(INSTANT));
    bench.wake();
    assert_eq!(bench.offered(9), Some(salt(9)));
    assert!(bench.is_live(1));
    bench.renew(1);
    bench.pass(GRACE.saturating_sub(INSTANT));
    assert!(!bench.is_replay(9));
    bench.pass(INSTANT);
    assert!(bench.is_replay(9) && bench.is_live(1));
    bench.wake();
    let kept = "SELECT count(*) FROM secrets WHERE salt IS NOT NULL";
    assert_eq!(bench.number(kept), 0, "nothing leads to the new one any more");
    assert_eq!(bench.number("SELECT count(*) FROM secrets WHERE wrapped IS NOT NULL"), 1);
}

#[test]
fn it_ends_with_its_session() {
    let bench = Bench::new();
    bench.exchange(1, "alice", 9).expect("begun");
    bench.end(Which::Key(key(9)), None).expect("alive");
    assert!(!bench.is_live(1) && !bench.is_live(9));
    let bench = Bench::new();
    bench.exchange(1, "alice", 9).expect("begun");
    bench.at(LIFETIME);
    assert!(!bench.is_live(9));
    bench.wake();
    assert_eq!((bench.count("sessions"), bench.count("secrets"), bench.count("held")), (0, 0, 0));
}

#[test]
fn it_is_exchanged_once() {
    let bench = Bench::new();
    bench.exchange(1, "alice", 9).expect("begun");
    let before = bench.dump();
    assert!(matches!(bench.exchange(2, "alice", 9), Err(ShardAnswer::AdoptedBefore)));
    assert_eq!(bench.dump(), before);
    // Nor when nothing else is left of it.
    bench.end(Which::Key(key(9)), None).expect("alive");
    bench.at(IDLE_EXPIRY);
    bench.wake();
    assert_eq!(bench.count("secrets"), 0);
    assert!(matches!(bench.exchange(2, "alice", 9), Err(ShardAnswer::AdoptedBefore)));
    assert_eq!(bench.claim(9), Claimed::Exchanged { at: id(1).locator() }, "where it is the same shard");
}

#[test]
fn who_has_ended_all_has_ended_the_old_kind() {
    let bench = Bench::new();
    bench.start(1, "alice");
    assert!(!bench.is_closed("alice"));
    bench.close("alice");
    assert!(bench.is_closed("alice") && !bench.is_closed("bob"));
    let before = bench.dump();
    assert!(matches!(bench.exchange(2, "alice", 9), Err(ShardAnswer::Closed { closed: true })));
    assert_eq!(bench.dump(), before, "refused, and nothing begun");
    bench.exchange(4, "bob", 8).expect("another's");
    bench.start(3, "alice");
    assert!(bench.is_live(3), "logging in is another matter");
    bench.at(WHOLE);
    bench.wake();
    assert_eq!(bench.count("closed"), 0);
}

#[test]
fn a_kill_of_the_site_ends_the_old_kind_of_all() {
    let bench = Bench::new();
    bench.close("alice");
    bench.ask(ShardCall::EndSite { kill: handle(2) });
    assert!(bench.is_closed("bob"));
    assert!(matches!(bench.exchange(1, "bob", 9), Err(ShardAnswer::Closed { closed: true })));
    // The shard does not know for how long: it keeps that, and never wakes for it.
    bench.at(WHOLE);
    let next = bench.wake();
    assert!(next.is_none_or(|next| next < bench.now.get().plus(REFUSED)), "{next:?}");
    assert!(bench.is_closed("carol") && bench.count("closed") == 1);
}

#[test]
fn many_that_are_over_are_forgotten_in_batches() {
    let bench = Bench::new();
    for number in 0..1200 {
        bench.claim(number);
    }
    bench.at(WHOLE);
    let mut rounds = 0;
    while bench.count("adopted") > 0 {
        if let Some(next) = bench.wake() {
            bench.now.set(next);
        }
        rounds += 1;
        assert!(rounds < 10, "it goes on");
    }
    assert!(rounds > 1, "not all at once");
}
