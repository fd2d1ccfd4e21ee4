//! From the start to the expiry: both timeouts, renewals, updates.

use std::time::Duration;

use warifu::config::MapRow;
use warifu::session::{Claims, Device, Session};
use warifu::store::message::{Home, Message, RenewCall, ShardAnswer, ShardCall, StartCall, Which};

use crate::{
    Bench, HOME, IDLE, IDLE_EXPIRY, LIFETIME, MS, NOW, end_all_here, handle, id, key, millis, start, subject,
    update_call,
};

/// Computed apart from this code: SHA-256, first 8 bytes, modulo.
const HOMES: [u16; 5] = [47, 26, 13, 10967, 0];

#[test]
fn a_session_lives_from_its_start_to_its_end() {
    let bench = Bench::new();
    assert!(!bench.is_live(1));
    let device = Device { city: Some("Ky\u{7}oto".to_owned()), country: Some("JP".to_owned()), ..Device::default() };
    let claims = Claims::parse(r#"{"plan":"gold"}"#);
    let call = StartCall { level: 3, device, claims: claims.clone(), ..start(1, "alice") };
    let (session, replaced, evicted, ended_others) = bench.start_as(call).expect("started");
    assert!(replaced.is_none() && evicted.is_empty() && ended_others == 0);
    let expected = Session {
        id: id(1),
        subject: subject("alice"),
        level: 3,
        auth_time: NOW,
        created: NOW,
        last_seen: NOW,
        idle_expires: NOW.plus(IDLE_EXPIRY),
        absolute_expires: NOW.plus(LIFETIME),
        claims,
        device: Device { country: Some("JP".to_owned()), city: Some("Kyoto".to_owned()), ..Device::default() },
        generation: 0,
        held: None,
    };
    assert_eq!(session, expected);
    assert_eq!(bench.check(1).expect("alive").session, expected);
    assert_eq!(bench.show(1), Some(expected));
    assert_eq!(bench.end(Which::Key(key(1)), None), Some(id(1)));
    assert!(!bench.is_live(1) && bench.show(1).is_none());
    assert_eq!(bench.end(Which::Key(key(1)), None), None, "only once");
    assert_eq!((bench.count("sessions"), bench.count("secrets")), (0, 0));
}

#[test]
fn both_timeouts_end_at_their_millisecond() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.at(IDLE_EXPIRY.saturating_sub(MS));
    assert!(bench.is_live(1) && bench.show(1).is_some() && bench.list("alice").len() == 1);
    bench.at(IDLE_EXPIRY);
    assert!(!bench.is_live(1) && bench.show(1).is_none() && bench.list("alice").is_empty());
    let short = StartCall { lifetime_ms: 5_000, ..start(2, "bob") };
    assert_eq!(bench.start_as(short).expect("started").0.idle_expires, bench.now.get().plus(Duration::from_secs(5)));
    bench.pass(Duration::from_secs(5).saturating_sub(MS));
    assert!(bench.is_live(2));
    bench.pass(MS);
    assert!(!bench.is_live(2));
}

#[test]
fn only_the_same_subjects_presented_session_is_replaced() {
    let bench = Bench::new();
    bench.start(1, "alice");
    let over_alices = StartCall { presented: Some(key(1)), ..start(2, "bob") };
    assert_eq!(bench.start_as(over_alices).expect("started").1, None);
    assert!(bench.is_live(1), "bob's log-in does not end alice's session");
    let over_her_own = StartCall { presented: Some(key(1)), ..start(3, "alice") };
    assert_eq!(bench.start_as(over_her_own).expect("started").1, Some(id(1)));
    assert!(!bench.is_live(1) && bench.is_live(2) && bench.is_live(3));
}

#[test]
fn an_expired_session_is_not_replaced() {
    let bench = Bench::new();
    bench.start(1, "alice");
    bench.at(IDLE_EXPIRY);
    let call = StartCall { presented: Some(key(1)), ..start(2, "alice") };
    assert_eq!(bench.start_as(call).expect("started").1, None);
}

#[test]
fn a_renewal_never_shortens_a_life_nor_wakes_the_dead() {
    let bench = Bench::new();
    bench.start(1, "alice");
    let minutes = Duration::from_mins;
    bench.at(minutes(1));
    bench.renew_for(1, 60_000);
    bench.at(minutes(32));
    assert!(bench.is_live(1), "a shorter idle timeout does not take back what was given");
    bench.at(minutes(30));
    bench.renew(1);
    bench.at(minutes(62));
    assert!(bench.is_live(1));
    bench.at(minutes(63));
    bench.renew(1);
    assert!(!bench.is_live(1), "what is dead stays dead");
    bench.at(minutes(62));
    bench.renew_for(1, u64::MAX);
    assert!(bench.is_live(1));
    bench.at(LIFETIME);
    assert!(!bench.is_live(1), "the absolute timeout holds");
}

/// Two versions with different ones may run side by side, and none takes back
/// what the other gave.
#[test]
fn a_shorter_idle_timeout_counts_once_the_longer_one_is_over() {
    let bench = Bench::new();
    bench.start(1, "alice");
    let (minutes, shorter) = (Duration::from_mins, 60_000);
    for minute in 1..=32 {
        bench.at(minutes(minute));
        bench.renew_for(1, shorter);
    }
    bench.at(IDLE_EXPIRY.saturating_sub(MS));
    bench.renew_for(1, shorter);
    bench.pass(Duration::from_secs(65));
    assert!(bench.is_live(1));
    bench.pass(Duration::from_secs(1));
    assert!(!bench.is_live(1));
}

/// What it was given before ends long before a tenth of the longer one is over.
#[test]
fn a_longer_idle_timeout_counts_from_the_next_use() {
    let bench = Bench::new();
    let longer = Duration::from_hours(10);
    bench.start(1, "alice");
    let renew = |at| {
        bench.at(at);
        bench.renew_for(1, millis(longer));
        bench.number("SELECT last_seen FROM sessions") - NOW.0
    };
    assert_eq!(renew(Duration::from_mins(1)), 60_000);
    assert_eq!(renew(Duration::from_mins(2)), 60_000, "and no more often than any other");
    bench.at(Duration::from_hours(9));
    assert!(bench.is_live(1));
    let late = Duration::from_hours(11);
    assert_eq!(renew(late), millis(late));
    let later = late + Duration::from_mins(59);
    assert_eq!(renew(later), millis(late), "what ends with the absolute timeout gains nothing");
}

#[test]
fn nobody_who_uses_a_session_is_logged_out_early() {
    let bench = Bench::new();
    bench.start(1, "alice");
    // Just too early to be written down.
    bench.at((IDLE / 10).saturating_sub(MS));
    bench.renew(1);
    bench.pass(IDLE);
    assert!(bench.is_live(1), "the idle timeout after the last use, and more");
}

#[test]
fn renewals_are_throttled_in_the_shard_too() {
    let bench = Bench::new();
    bench.start(1, "alice");
    let renew = |ms| {
        bench.at(Duration::from_millis(ms));
        bench.renew(1);
        bench.number("SELECT last_seen FROM sessions") - NOW.0
    };
    assert_eq!(renew(179_999), 0);
    assert_eq!(renew(180_000), 180_000);
    assert_eq!(renew(180_001), 180_000);
    assert_eq!(renew(100), 180_000, "never back");
}

#[test]
fn a_renewal_notes_the_network_and_keeps_the_first_one() {
    let bench = Bench::new();
    let at = |prefix: &str| Some(prefix.to_owned());
    let device = Device { first_prefix: at("192.0.2.0/24"), last_prefix: at("192.0.2.0/24"), ..Device::default() };
    bench.start_as(StartCall { device, ..start(1, "alice") }).expect("started");
    let renew = |prefix: Option<String>| {
        bench.pass(IDLE / 10);
        bench.ask(ShardCall::Renew(RenewCall { key: key(1), idle_ms: millis(IDLE), prefix }));
        let device = bench.show(1).expect("alive").device;
        (device.first_prefix, device.last_prefix)
    };
    assert_eq!(renew(at("198.51.100.0/24")), (at("192.0.2.0/24"), at("198.51.100.0/24")));
    assert_eq!(renew(None), (at("192.0.2.0/24"), at("198.51.100.0/24")), "an unknown one takes nothing back");
}

#[test]
fn a_level_falls_by_an_update_and_rises_only_with_a_new_secret() {
    let bench = Bench::new();
    bench.start_as(StartCall { level: 2, ..start(1, "alice") }).expect("started");
    let claims = Claims::parse(r#"{"plan":"gold"}"#);
    for of in [Which::Key(key(1)), Which::Id(id(1))] {
        let refused = bench.update(update_call(of, claims.clone(), Some(3)));
        assert!(matches!(refused, Err(ShardAnswer::NeedsRotation)));
        assert_eq!(bench.show(1).expect("alive").claims, None, "nothing of a refused update is written");
    }
    let same = bench.update(update_call(Which::Id(id(1)), None, Some(2)));
    assert_eq!(same.expect("no raise").expect("alive").level, 2);
    let told = bench.update(update_call(Which::Key(key(1)), claims.clone(), Some(1)));
    let told = told.expect("updated").expect("alive");
    assert_eq!((told.level, &told.claims, told.auth_time), (1, &claims, NOW));
    assert_eq!(bench.show(1), Some(told));
    let other = bench.update(update_call(Which::Id(id(1)), Claims::parse("{}"), None));
    assert_eq!(other.expect("updated").expect("alive").level, 1, "what is not named stays");
    bench.at(IDLE_EXPIRY);
    for of in [Which::Key(key(1)), Which::Id(id(1)), Which::Key(key(9)), Which::Id(id(9))] {
        assert!(matches!(bench.update(update_call(of, None, None)), Ok(None)));
    }
}

/// A changed hash would move everybody to another shard.
#[test]
fn home_shards_are_as_they_were() {
    let home = |name: &str, shards| subject(name).home_shard(shards);
    let found = [home("alice", 64), home("bob", 64), home("42", 64), home("\u{5272}\u{7b26}", 65_536), home("x", 1)];
    assert_eq!(found, HOMES);
}

#[test]
fn a_shard_refuses_another_row_of_the_map() {
    let bench = Bench::new();
    bench.start(1, "alice");
    let before = bench.dump();
    let row = MapRow::DEFAULT;
    let others = [
        Home { row: MapRow { shards: 65, ..row }, ..HOME },
        Home { row: MapRow { generation: 2, ..row }, ..HOME },
        Home { row: MapRow { region: 4, ..row }, ..HOME },
        Home { shard: 8, ..HOME },
    ];
    let list = warifu::store::message::ListCall { subject: subject("alice"), after: None, limit: 100 };
    let calls = [
        ShardCall::Start(Box::new(start(2, "alice"))),
        ShardCall::Check { key: key(1), end_on_replay: None },
        ShardCall::List(list),
        ShardCall::Show { id: id(1) },
        end_all_here("alice", handle(1)),
        ShardCall::Receipt { kill: handle(1) },
    ];
    for home in others {
        for call in &calls {
            let message = Message { home: Some(home), is_fenced: false, by: None, call: call.clone() };
            let answer = bench.shard.answer(&message, NOW);
            assert!(matches!(answer, ShardAnswer::WrongRow), "{message:?}: {answer:?}");
        }
    }
    assert_eq!(bench.dump(), before);
    assert!(bench.is_live(1) && !bench.is_live(2));
}

#[test]
fn a_probe_is_answered_by_every_object_and_a_change_needs_a_place() {
    let bench = Bench::new();
    let ask = |call| bench.shard.answer(&Message { home: None, is_fenced: false, by: None, call }, NOW);
    assert!(matches!(ask(ShardCall::Probe), ShardAnswer::Alive));
    assert!(matches!(ask(ShardCall::Start(Box::new(start(1, "alice")))), ShardAnswer::Failed { .. }));
    bench.start(1, "alice");
    assert!(matches!(ask(ShardCall::Probe), ShardAnswer::Alive));
    assert!(matches!(ask(ShardCall::Start(Box::new(start(2, "alice")))), ShardAnswer::Failed { .. }));
    assert_eq!(bench.count("sessions"), 1);
}

#[test]
fn a_row_that_cannot_be_read_can_be_ended_and_logged_in_over() {
    let ends: [fn(&Bench); 3] = [
        |bench| assert_eq!(bench.end(Which::Key(key(1)), Some("alice")), Some(id(1))),
        |bench| assert_eq!(bench.end(Which::Id(id(1)), None), Some(id(1))),
        |bench| {
            let call = StartCall { presented: Some(key(1)), ..start(2, "alice") };
            assert_eq!(bench.start_as(call).expect("started").1, Some(id(1)));
        },
    ];
    for end in ends {
        let bench = Bench::new();
        bench.start(1, "alice");
        bench.run("UPDATE sessions SET claims = 'no json'");
        end(&bench);
        assert!(!bench.is_live(1));
    }
}

#[test]
fn a_store_error_is_an_error_and_no_absence() {
    let bench = Bench::new();
    bench.start(1, "alice");
    let check = || bench.ask(ShardCall::Check { key: key(1), end_on_replay: None });
    bench.run("UPDATE sessions SET claims = 'no json'");
    assert!(matches!(check(), ShardAnswer::Failed { .. }), "a corrupt row");
    bench.run("UPDATE sessions SET claims = NULL");
    bench.run("UPDATE secrets SET cap_level = 1");
    assert!(matches!(check(), ShardAnswer::Failed { .. }), "half a cap");
    bench.run("DROP TABLE secrets");
    assert!(matches!(check(), ShardAnswer::Failed { .. }), "a lost table");
}
