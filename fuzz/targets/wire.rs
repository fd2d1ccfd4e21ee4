//! What the parts of warifu say to each other, and what stands in KV: JSON of
//! another version, or of a broken one. A call with something unknown is
//! refused, and so is an answer in which something is missing.
#![no_main]

use core::fmt::Debug;

use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use warifu::replica::Record;
use warifu::revocation::FeedAnswer;
use warifu::session::Session;
use warifu::store::feed::{FeedCall, FeedReply};
use warifu::store::message::{Message, ShardAnswer};
use warifu_fuzz::{json, reached};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { json::mutate(data, size, max_size, seed) });

fuzz_target!(|text: &str| -> Corpus {
    let mut is_one = record(text);
    if reads_back::<FeedAnswer>(text, false) {
        reached!("a feed's answer");
        is_one = true;
    }
    if reads_back::<FeedReply>(text, false) {
        reached!("a feed's reply");
        is_one = true;
    }
    if reads_back::<ShardAnswer>(text, false) {
        reached!("a shard's answer");
        is_one = true;
    }
    if reads_back::<FeedCall>(text, true) {
        reached!("a call to the feed");
        is_one = true;
    }
    if reads_back::<Message>(text, true) {
        reached!("a call to a shard");
        is_one = true;
    }
    if let Ok(answer) = serde_json::from_str::<ShardAnswer>(text) {
        assert!(!answer.kind().is_empty());
    }
    // Thousands of ways to be none would crowd the others out.
    if is_one { Corpus::Keep } else { Corpus::Reject }
});

/// Whether the text is one of these. If so, what is written of it reads back as
/// the same; and without any one of its members it is none, however it came.
fn reads_back<T: DeserializeOwned + Serialize + Debug>(text: &str, is_call: bool) -> bool {
    let Ok(read) = serde_json::from_str::<T>(text) else { return false };
    let value = serde_json::to_value(&read).expect("a record has text keys only");
    let again: T = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"));
    assert_eq!(serde_json::to_value(&again).expect("as before"), value);
    assert_eq!(format!("{again:?}"), format!("{read:?}"));
    let is = |value: &Value| serde_json::from_value::<T>(value.clone()).is_ok();
    for (holder, key) in members(&value) {
        let less = changed(&value, &holder, |table| drop(table.remove(&key)));
        assert!(!is(&less), "{less} lacks {key:?} and is taken");
    }
    let is_named = value.as_object().is_some_and(|outer| outer.len() == 1);
    let holder = members(&value).last().map(|(holder, _)| holder.clone());
    // `{"left": …, "more": null}` names two variants.
    if let Some(holder) = holder.filter(|holder| !holder.is_empty() || !is_named) {
        let more = changed(&value, &holder, |table| drop(table.insert("of_a_later_version".to_owned(), Value::Null)));
        assert_eq!(is(&more), !is_call, "{more}");
    }
    true
}

/// The members of the message and of what it is about: where each stands, and
/// its name.
fn members(value: &Value) -> Vec<(Vec<String>, String)> {
    let Value::Object(outer) = value else { return Vec::new() };
    let mut found: Vec<_> = outer.keys().map(|key| (Vec::new(), key.clone())).collect();
    let holder = match outer.iter().next() {
        // `{"polled": {…}}`
        Some((name, Value::Object(inner))) if outer.len() == 1 => Some((vec![name.clone()], inner)),
        _ => None,
    };
    if let Some((holder, inner)) = holder {
        found.extend(inner.keys().map(|key| (holder.clone(), key.clone())));
    }
    found
}

fn changed(value: &Value, holder: &[String], change: impl FnOnce(&mut Map<String, Value>)) -> Value {
    let mut value = value.clone();
    let mut table = &mut value;
    for key in holder {
        table = &mut table[key];
    }
    change(table.as_object_mut().expect("a table"));
    value
}

fn record(text: &str) -> bool {
    let Some(record) = Record::parse(text) else { return false };
    reached!("a record");
    assert!(text.len() <= 16 << 10);
    session(&record.session);
    let written = record.to_text().expect("a record");
    let again = Record::parse(&written).expect("what is written reads back");
    assert_eq!((again.position, again.confirmed, again.session), (record.position, record.confirmed, record.session));
    let value: Value = serde_json::from_str(&written).expect("JSON");
    assert_eq!(value["v"], 2);
    for (holder, key) in members(&value) {
        let less = changed(&value, &holder, |table| drop(table.remove(&key)));
        assert!(Record::parse(&less.to_string()).is_none(), "a record without {key:?}");
    }
    let more = changed(&value, &[], |table| drop(table.insert("more".to_owned(), Value::Null)));
    assert!(Record::parse(&more.to_string()).is_none());
    true
}

fn session(session: &Session) {
    let subject = session.subject.as_str();
    assert!((1..=255).contains(&subject.len()) && subject.trim() == subject && !subject.contains(char::is_control));
    assert!(
        session.claims.as_ref().is_none_or(|claims| claims.as_str().len() <= 2_048 && claims.to_value().is_object())
    );
    assert_eq!(session.id.to_text().len(), 22);
}
