//! Answers that are put together from pieces, with a token in them again and again, as the
//! application might write it: none of it is left, and the rest is as it was.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use super::{App, HOUR, TOKENS, jwt};

/// The second is of an alphabet in which JSON can spell a sign in several ways.
const REFRESH: [&str; 2] = ["opaque-refresh-token-1", "a/b+SECRET/6789=="];
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A text as JSON, of which each sign may be escaped.
fn literal(pieces: Vec<(String, u64)>) -> String {
    let sign = |(at, sign): (usize, char), escapes: u64| match sign {
        _ if escapes >> (at % 64) & 1 == 1 => format!("\\u{:04x}", u32::from(sign)),
        '"' | '\\' => format!("\\{sign}"),
        '/' if escapes % 3 == 1 => "\\/".to_owned(),
        _ => sign.to_string(),
    };
    let spelt =
        |(text, escapes): (String, u64)| text.chars().enumerate().map(|at| sign(at, escapes)).collect::<String>();
    format!("\"{}\"", pieces.into_iter().map(spelt).collect::<String>())
}

/// Mostly as it is, mostly escaped, or here and there.
fn escapes() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(0), 1 => Just(1), 1 => Just(u64::MAX), 1 => any::<u64>(), 1 => Just(1 << 20)]
}

fn text(access: &str) -> impl Strategy<Value = String> + use<> {
    let pieces: Vec<String> = [access, REFRESH[0], REFRESH[1], &access[..20], "x", ":", "\"", "\\", "u0065", "é", "{}"]
        .map(str::to_owned)
        .to_vec();
    prop::collection::vec((select(pieces), escapes()), 0..3).prop_map(literal)
}

fn value(access: &str) -> impl Strategy<Value = String> + use<> {
    let leaf = prop_oneof![
        3 => text(access),
        1 => select(vec!["1.50", "null", "true", "[]", "{}"]).prop_map(str::to_owned),
    ];
    let access = access.to_owned();
    leaf.prop_recursive(2, 6, 3, move |inner| {
        let member = (text(&access), inner.clone()).prop_map(|(name, value)| format!("{name} :{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(" ,"))),
            prop::collection::vec(member, 0..3).prop_map(|members| format!("{{{}}}", members.join(", "))),
        ]
    })
}

/// An answer to a log-in: one token is there for sure, another one may be.
fn answer(access: &str) -> impl Strategy<Value = String> + use<> {
    let token = |name: &'static str, tokens: Vec<String>| {
        (select(tokens), escapes()).prop_map(move |token| format!("\"{name}\": {}", literal(vec![token])))
    };
    let refresh = token("refresh_token", REFRESH.map(str::to_owned).to_vec());
    let other = (text(access), value(access)).prop_map(|(name, value)| format!("{name}: {value}"));
    let more = prop::collection::vec(prop_oneof![2 => other, 1 => refresh], 0..4);
    (token("access_token", vec![access.to_owned()]), more, any::<prop::sample::Index>()).prop_map(
        |(first, mut more, at)| {
            more.insert(at.index(more.len() + 1), first);
            format!("{{{}}}", more.join(",\n "))
        },
    )
}

/// The texts of a JSON text, also those that a parser passes over since their names come twice.
fn texts(json: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = json;
    while let Some(begin) = rest.find('"') {
        let bytes = rest.as_bytes();
        let mut end = begin + 1;
        while bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        found.push(serde_json::from_str(&rest[begin..=end]).expect("a text"));
        rest = &rest[end + 1..];
    }
    found
}

/// What the page is to get, but for members that are named after a token.
fn without(value: &Value, held: &[(String, String)]) -> Value {
    let shown = |text: &str| held.iter().fold(text.to_owned(), |text, (token, stands)| text.replace(token, stands));
    match value {
        Value::String(text) => shown(text).into(),
        Value::Array(items) => items.iter().map(|item| without(item, held)).collect(),
        // A name that has a token in it is no application's own.
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| !held.iter().any(|(token, _)| name.contains(token)));
            Value::Object(kept.map(|(name, field)| (name.clone(), without(field, held))).collect())
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn nothing_of_a_token_is_left_in_an_answer(body in answer(&jwt("alice", HOUR))) {
        let access = jwt("alice", HOUR);
        let sent: Value = serde_json::from_str(&body).expect("the pieces make JSON");
        let app = App::new(TOKENS);
        let visit = app.ask("POST /api/login", &[], &[JSON, (":body", &body)]);
        prop_assert_eq!(visit.seen.status, None, "{}", visit.seen.body);
        let seen: Value = serde_json::from_str(&visit.seen.body).expect("JSON");
        let held: Vec<(String, String)> = ["access_token", "refresh_token"]
            .into_iter()
            .filter_map(|name| Some((sent[name].as_str()?.to_owned(), seen[name].as_str()?.to_owned())))
            .collect();
        prop_assert_eq!(&held[0].0, &access);
        for text in texts(&visit.seen.body) {
            prop_assert!(!held.iter().any(|(token, _)| text.contains(token)), "{text} of {body}");
        }
        prop_assert!(held.iter().all(|(token, stands)| token != stands));
        // Members that are named after a token are gone, or are named after what stands for it.
        let stands: Vec<_> = held.iter().map(|(_, stands)| (stands.clone(), stands.clone())).collect();
        prop_assert_eq!(without(&seen, &stands), without(&sent, &held), "{}", body);
    }
}
