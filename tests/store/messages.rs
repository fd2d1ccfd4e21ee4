//! What the gate and a shard say to each other: an older or newer version at
//! the other end must not be misunderstood.

use serde_json::{Value, from_value, json, to_value};
use warifu::store::message::{
    EndCall, EndOthersCall, ListCall, Message, RenewCall, ShardAnswer, ShardCall, StartCall, Which,
};

use crate::{
    AFTER_ALL, Bench, HOME, NOW, end_all, end_all_here, handle, id, key, lead, limit, rotate_call, start, subject,
    update_call,
};

/// One of each call.
fn calls() -> Vec<ShardCall> {
    let mut full = start(1, "alice");
    full.limit = Some(limit(3, true));
    full.presented = Some(key(2));
    vec![
        ShardCall::Probe,
        ShardCall::Check { key: key(1), end_on_replay: Some(handle(1)) },
        ShardCall::Start(Box::new(full)),
        ShardCall::Rotate(Box::new(rotate_call(1, 2))),
        ShardCall::Update(Box::new(update_call(Which::Id(id(1)), None, Some(1)))),
        ShardCall::Renew(RenewCall { key: key(1), idle_ms: 1, prefix: None }),
        ShardCall::End(EndCall { of: Which::Key(key(1)), only: Some(subject("alice")), kill: handle(1) }),
        ShardCall::EndOthers(EndOthersCall {
            presented: key(1),
            successor: key(2),
            lead: lead(handle(1), 0),
            grace_ms: 1,
            wrapped: None,
        }),
        end_all_here("alice", handle(1)),
        end_all("alice", handle(1)),
        ShardCall::EndSite { kill: handle(2) },
        ShardCall::Stands { kill: handle(2), position: AFTER_ALL },
        ShardCall::List(ListCall { subject: subject("alice"), after: None, limit: 1 }),
        ShardCall::Show { id: id(1) },
        ShardCall::Leave { subject: subject("alice"), keep: None, kill: handle(1) },
        ShardCall::Receipt { kill: handle(1) },
    ]
}

fn is_read(call: &Value) -> bool {
    from_value::<Message>(json!({ "home": HOME, "is_fenced": false, "call": call })).is_ok()
}

/// The name of a call and its members, if it has any.
fn members(call: &Value) -> Option<(String, Vec<String>)> {
    let (name, inner) = call.as_object()?.iter().next()?;
    Some((name.clone(), inner.as_object()?.keys().cloned().collect()))
}

/// A shard of 0.1.0 does not tell of the kill that came with a start.
#[test]
fn a_start_is_read_with_the_kill_and_without() {
    let bench = Bench::new();
    bench.start(1, "alice");
    let call = StartCall { end_others: true, ..start(2, "alice") };
    let mut told = to_value(bench.ask(ShardCall::Start(Box::new(call)))).expect("JSON");
    let kill = |told: &Value| match from_value::<ShardAnswer>(told.clone()) {
        Ok(ShardAnswer::Started { kill, .. }) => kill.map(|kill| kill.is_partial),
        other => panic!("{other:?}"),
    };
    assert_eq!(kill(&told), Some(false));
    told["started"].as_object_mut().expect("members").remove("kill");
    assert_eq!(kill(&told), None);
    let without = to_value(bench.ask(ShardCall::Start(Box::new(start(3, "bob"))))).expect("JSON");
    assert!(without["started"].get("kill").is_none(), "where nothing else ended there is none");
}

/// Nor of what it has ended to make room.
#[test]
fn room_that_was_made_is_read_with_what_made_it_and_without() {
    let bench = Bench::new();
    bench.start(1, "alice");
    let leave = |keep| ShardCall::Leave { subject: subject("alice"), keep, kill: handle(1) };
    let told = |keep| to_value(bench.ask(leave(keep))).expect("JSON");
    assert_eq!(told(None), json!({ "left": { "live": 1 } }));
    let with = told(Some(0));
    let left = |told: &Value| match from_value::<ShardAnswer>(told.clone()) {
        Ok(ShardAnswer::Left { live, ended }) => (live, ended),
        other => panic!("{other:?}"),
    };
    assert_eq!(left(&with), (0, Some(vec![id(1)])));
    assert_eq!(left(&json!({ "left": { "live": 0 } })), (0, None));
}

/// Nor of what it has ended before.
#[test]
fn an_end_is_read_with_what_was_before_and_without() {
    let bench = Bench::new();
    bench.start(1, "alice");
    let of = || ShardCall::End(EndCall { of: Which::Id(id(1)), only: None, kill: handle(1) });
    let told = |call| to_value(bench.ask(call)).expect("JSON");
    let first = told(of());
    assert!(first["ended"].get("earlier").is_none(), "{first}");
    bench.start(2, "alice");
    let all = told(end_all("alice", handle(2)));
    assert!(all["ended_all"].get("earlier").is_none(), "{all}");
    for (mut again, name) in [(told(of()), "ended"), (told(end_all("alice", handle(3))), "ended_all")] {
        let has_earlier = |told: &Value| match from_value::<ShardAnswer>(told.clone()) {
            Ok(ShardAnswer::Ended { earlier, .. }) => earlier.is_some(),
            Ok(ShardAnswer::EndedAll { earlier, .. }) => earlier.is_some(),
            other => panic!("{other:?}"),
        };
        assert!(has_earlier(&again));
        again[name].as_object_mut().expect("members").remove("earlier");
        assert!(!has_earlier(&again));
    }
}

#[test]
fn every_call_is_read_back_and_none_with_a_member_more_or_less() {
    for call in calls() {
        let call = to_value(call).expect("JSON");
        assert!(is_read(&call), "{call}");
        let Some((name, members)) = members(&call) else { continue };
        for member in members {
            let mut without = call.clone();
            without[&name].as_object_mut().expect("an object").remove(&member);
            assert!(!is_read(&without), "{name} without {member}");
        }
        let mut with = call.clone();
        with[&name]["unheard_of"] = 1.into();
        assert!(!is_read(&with), "{name} with a member that nobody knows");
    }
}

#[test]
fn a_message_is_a_place_and_a_call() {
    let call = to_value(ShardCall::Show { id: id(1) }).expect("JSON");
    let home = to_value(HOME).expect("JSON");
    let read = |message: Value| from_value::<Message>(message);
    for is_fenced in [false, true] {
        let message = read(json!({ "home": home, "is_fenced": is_fenced, "call": call })).expect("a message");
        assert_eq!((message.home, message.is_fenced), (Some(HOME), is_fenced));
    }
    assert!(read(json!({ "is_fenced": false, "call": call })).is_err(), "no place");
    assert!(read(json!({ "home": home, "call": call })).is_err(), "nobody knows whether it is to be fenced");
    assert!(read(json!({ "home": home, "is_fenced": 0, "call": call })).is_err());
    assert!(read(json!({ "home": home, "is_fenced": false, "call": call, "trace": 1 })).is_err());
    assert!(read(json!({ "home": home, "is_fenced": false, "call": "burn" })).is_err());
    for (member, bad) in [("shard", json!(65_536)), ("shard", json!(-1)), ("row", json!({})), ("site", json!(1))] {
        let mut other = home.clone();
        other[member] = bad;
        assert!(read(json!({ "home": other, "is_fenced": false, "call": call })).is_err(), "{member}");
    }
}

/// Puts another text for every key, handle and salt of every call.
#[test]
fn a_key_or_handle_of_another_form_is_refused() {
    let bad = [
        String::new(),
        "A".repeat(21),
        "A".repeat(21) + "B",
        "A".repeat(23),
        "A".repeat(42),
        "A".repeat(44),
        "=".repeat(43),
        "A".repeat(42) + "=",
        "A".repeat(42) + "+",
        "A".repeat(42) + "B",
        "\u{5272}".repeat(14) + "A",
    ];
    let mut places = 0;
    for call in calls() {
        let call = to_value(call).expect("JSON");
        let Some((name, members)) = members(&call) else { continue };
        for member in members {
            let inner = &call[&name][&member];
            let within = ["/key", "/id", "/kill"].into_iter().find(|within| inner.pointer(within).is_some());
            let place = format!("/{name}/{member}{}", within.unwrap_or_default());
            let text = call.pointer(&place).and_then(Value::as_str);
            if !text.is_some_and(|text| [22, 43].contains(&text.len())) {
                continue;
            }
            places += 1;
            for other in bad.iter().map(|bad| json!(bad)).chain([json!(1), json!([])]) {
                let mut changed = call.clone();
                *changed.pointer_mut(&place).expect("it is there") = other;
                assert!(!is_read(&changed), "{changed}");
            }
        }
    }
    assert_eq!(places, 26, "each of them was tried");
}

#[test]
fn what_no_session_can_have_is_refused() {
    let start = to_value(ShardCall::Start(Box::new(start(1, "alice")))).expect("JSON");
    let bad = [
        ("subject", json!("")),
        ("subject", json!(" alice")),
        ("subject", json!("a\nb")),
        ("subject", json!("a".repeat(256))),
        ("level", json!(256)),
        ("level", json!(-1)),
        ("claims", json!({ "plan": "gold" })),
        ("claims", json!("[1]")),
        ("claims", json!(format!("{{\"a\":\"{}\"}}", "a".repeat(2_048)))),
        ("idle_ms", json!(1.5)),
        ("limit", json!({ "max": 1, "end_oldest": true })),
        ("limit", json!({ "max": 1, "end_oldest": true, "elsewhere": 0, "newest": 1 })),
        ("device", json!("Firefox")),
        ("since", json!(1)),
        ("since", json!({ "epoch": "0707070707070707" })),
        ("since", json!({ "epoch": "07", "seq": 1 })),
        ("since", json!({ "epoch": "0707070707070707", "seq": -1 })),
        ("lead", json!(null)),
    ];
    for (member, value) in bad {
        let mut changed = start.clone();
        changed["start"][member] = value;
        assert!(!is_read(&changed), "{changed}");
    }
}

#[test]
fn an_answer_may_have_a_member_more_but_none_less() {
    let bench = Bench::new();
    bench.start(1, "alice");
    for call in calls() {
        let answer = to_value(bench.ask(call)).expect("JSON");
        assert!(from_value::<ShardAnswer>(answer.clone()).is_ok(), "{answer}");
        let Some((name, members)) = members(&answer) else { continue };
        let mut with = answer.clone();
        with[&name]["new"] = 1.into();
        assert!(from_value::<ShardAnswer>(with).is_ok(), "{name}");
        for member in members {
            let mut without = answer.clone();
            without[&name].as_object_mut().expect("an object").remove(&member);
            assert!(from_value::<ShardAnswer>(without).is_err(), "{name} without {member}");
        }
    }
    for bad in [json!("else"), json!({}), json!({ "shown": {} }), json!({ "shown": { "session": {} } }), json!(null)] {
        assert!(from_value::<ShardAnswer>(bad.clone()).is_err(), "{bad}");
    }
}

/// What a text of JSON can do that no call of ours does.
#[test]
fn numbers_at_the_end_of_their_range_break_nothing() {
    let bench = Bench::new();
    let mut call = start(1, "alice");
    (call.idle_ms, call.lifetime_ms) = (u64::MAX, u64::MAX);
    let session = bench.start_as(call).expect("started").0;
    assert!(session.is_live(NOW));
    assert!(bench.is_live(1));
    let rotated = bench.rotate_as(warifu::store::message::RotateCall { grace_ms: u64::MAX, ..rotate_call(1, 2) });
    assert!(rotated.expect("alive").is_new && bench.is_live(2) && bench.is_live(1));
    bench.renew_for(2, u64::MAX);
    assert!(bench.is_live(2));
}
