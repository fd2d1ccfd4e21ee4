//! What sessions hold for their users.

use std::time::Duration;

use warifu::session::{Held, Sealed, Session, Wrapped};
use warifu::store::message::{EndOthersCall, Hold, HoldCall, RotateCall, ShardAnswer, ShardCall, StartCall};

use crate::{Bench, GRACE, IDLE, IDLE_EXPIRY, LIFETIME, NOW, handle, id, key, lead, millis, rotate_call, start};

/// Something sealed, and its key as one secret wraps it; the shard cannot tell.
pub fn hold(number: u8) -> Hold {
    Hold { wrapped: wrapped(number), sealed: Sealed(vec![number; 40]) }
}

fn wrapped(number: u8) -> Wrapped {
    Wrapped([number; 72])
}

fn held(version: u64, secret: u8, value: u8) -> Held {
    Held { version, wrapped: wrapped(secret), sealed: Sealed(vec![value; 40]) }
}

fn begin(bench: &Bench) {
    bench.start_as(StartCall { hold: Some(hold(1)), ..start(1, "alice") }).expect("started");
}

fn call(presented: u16, base: u64, value: u8) -> HoldCall {
    let sealed = Sealed(vec![value; 40]);
    HoldCall {
        presented: key(presented),
        base,
        sealed,
        lifetime_ms: millis(LIFETIME),
        idle_ms: millis(IDLE),
        refresh: handle(40_000),
    }
}

fn replace(bench: &Bench, call: HoldCall) -> Result<Option<Session>, Session> {
    match bench.ask(ShardCall::Hold(Box::new(call))) {
        ShardAnswer::Holding { session } => Ok(session),
        ShardAnswer::HeldMeanwhile { session } => Err(session),
        other => panic!("{other:?}"),
    }
}

fn rotate(bench: &Bench, presented: u16, successor: u16) {
    let wrapped = Some(wrapped(u8::try_from(successor).expect("a byte")));
    bench.rotate_as(RotateCall { wrapped, ..rotate_call(presented, successor) }).expect("rotated");
}

#[test]
fn it_is_given_to_who_has_a_secret_and_to_nobody_else() {
    let bench = Bench::new();
    begin(&bench);
    bench.start(2, "alice");
    assert_eq!(bench.check(1).expect("alive").session.held, Some(held(1, 1, 1)));
    assert_eq!(bench.check(2).expect("alive").session.held, None);
    assert_eq!(bench.show(1).expect("alive").held, None);
    assert_eq!(bench.list("alice"), [id(2), id(1)]);
}

#[test]
fn another_value_takes_its_place_and_the_edges_are_told() {
    let bench = Bench::new();
    begin(&bench);
    bench.has_feed.set(false);
    assert!(bench.waiting().is_empty());
    let session = replace(&bench, call(1, 1, 7)).expect("nobody else").expect("alive");
    assert_eq!(session.held, Some(held(2, 1, 7)));
    assert_eq!(bench.check(1).expect("alive").session.held, Some(held(2, 1, 7)));
    let waiting = bench.waiting();
    assert_eq!(waiting.len(), 1, "{waiting:?}");
}

#[test]
fn none_is_overwritten_unseen() {
    let bench = Bench::new();
    begin(&bench);
    replace(&bench, call(1, 1, 7)).expect("the first").expect("alive");
    let meanwhile = replace(&bench, call(1, 1, 8)).expect_err("made from what is no longer there");
    assert_eq!(meanwhile.held, Some(held(2, 1, 7)));
    replace(&bench, call(1, 2, 8)).expect("made anew").expect("alive");
    assert_eq!(bench.check(1).expect("alive").session.held, Some(held(3, 1, 8)));
}

#[test]
fn who_has_nothing_or_is_nobody_gets_nothing_held() {
    let bench = Bench::new();
    bench.start(2, "bob");
    assert_eq!(replace(&bench, call(2, 1, 7)), Ok(None));
    assert_eq!(replace(&bench, call(3, 1, 7)), Ok(None));
    assert_eq!(bench.count("held"), 0);
}

/// Of the last use a shorter one knows less than the longer one has given time for.
#[test]
fn a_shorter_idle_timeout_takes_nothing_back_with_other_values_either() {
    let bench = Bench::new();
    begin(&bench);
    bench.at(Duration::from_mins(2));
    let call = HoldCall { idle_ms: 60_000, ..call(1, 1, 7) };
    let session = replace(&bench, call).expect("nobody else").expect("alive");
    assert_eq!(session.idle_expires, NOW.plus(IDLE_EXPIRY));
    assert!(bench.is_live(1), "who has just asked is in use");
}

#[test]
fn the_end_moves_with_what_is_held() {
    let bench = Bench::new();
    begin(&bench);
    let short = HoldCall { lifetime_ms: 60_000, ..call(1, 1, 7) };
    let session = replace(&bench, short).expect("nobody else").expect("alive");
    assert_eq!(session.absolute_expires, NOW.plus(Duration::from_secs(60)));
    assert_eq!(session.idle_expires, session.absolute_expires);
    let long = HoldCall { lifetime_ms: millis(LIFETIME), ..call(1, 2, 8) };
    replace(&bench, long).expect("nobody else").expect("alive");
    let session = bench.check(1).expect("alive").session;
    assert_eq!((session.absolute_expires, session.idle_expires), (NOW.plus(LIFETIME), NOW.plus(IDLE_EXPIRY)));
    replace(&bench, HoldCall { lifetime_ms: 60_000, ..call(1, 3, 9) }).expect("nobody else").expect("alive");
    bench.at(Duration::from_secs(60));
    assert!(!bench.is_live(1));
    bench.wake();
    assert_eq!((bench.count("held"), bench.count("secrets")), (0, 0));
}

#[test]
fn each_live_secret_has_the_key_and_no_other() {
    let bench = Bench::new();
    begin(&bench);
    rotate(&bench, 1, 2);
    assert_eq!(bench.check(1).expect("in its grace").session.held, Some(held(1, 1, 1)));
    assert_eq!(bench.check(2).expect("alive").session.held, Some(held(1, 2, 1)));
    replace(&bench, call(1, 1, 7)).expect("also with the old one").expect("alive");
    assert_eq!(bench.check(2).expect("alive").session.held, Some(held(2, 2, 7)));
    bench.pass(GRACE);
    bench.wake();
    assert_eq!(bench.number("SELECT count(*) FROM secrets WHERE wrapped IS NOT NULL"), 1);
    let others = EndOthersCall {
        presented: key(2),
        successor: key(3),
        lead: lead(handle(9), 0),
        grace_ms: millis(GRACE),
        wrapped: Some(wrapped(3)),
    };
    bench.ask(ShardCall::EndOthers(others));
    assert_eq!(bench.number("SELECT count(*) FROM secrets WHERE wrapped IS NOT NULL"), 1);
    assert_eq!(bench.check(3).expect("alive").session.held, Some(held(2, 3, 7)));
}

#[test]
fn a_secret_that_could_not_open_it_is_not_made() {
    let bench = Bench::new();
    begin(&bench);
    for level in [None, Some(2)] {
        let salt = if level.is_some() { None } else { rotate_call(1, 2).salt };
        let answer = bench.ask(ShardCall::Rotate(Box::new(RotateCall { level, salt, ..rotate_call(1, 2) })));
        assert!(matches!(answer, ShardAnswer::Failed { .. }), "{answer:?}");
    }
    let others = EndOthersCall {
        presented: key(1),
        successor: key(3),
        lead: lead(handle(9), 0),
        grace_ms: millis(GRACE),
        wrapped: None,
    };
    assert!(matches!(bench.ask(ShardCall::EndOthers(others)), ShardAnswer::Failed { .. }));
    assert_eq!(bench.check(1).expect("as it was").session.held, Some(held(1, 1, 1)));
    assert_eq!(bench.count("secrets"), 1);
}

#[test]
fn it_goes_with_its_session() {
    let ends: [fn(&Bench); 4] = [
        |bench| assert!(bench.end(warifu::store::message::Which::Id(id(1)), None).is_some()),
        |bench| {
            bench.end_all("alice");
        },
        |bench| {
            let again = StartCall { presented: Some(key(1)), ..start(2, "alice") };
            bench.start_as(again).expect("started");
        },
        |bench| bench.pass(LIFETIME),
    ];
    for end in ends {
        let bench = Bench::new();
        begin(&bench);
        end(&bench);
        bench.wake();
        assert_eq!(bench.count("held"), 0);
    }
}
