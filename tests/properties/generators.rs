//! What the properties are tried on: texts that come close to what they are about. Drawn from all
//! texts alike, hardly one would be as long as a token, have the cookie's name, or be JSON.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use warifu::command::{Nonce, parse};
use warifu::cookie::{for_origin, is_forged};
use warifu::site::{Secrets, Sites};
use warifu::token::{KeyRing, Locator, Secret};

use crate::{KEYS, NAME, ring};

/// Paths made of what has broken gates before.
pub fn tricky_path() -> impl Strategy<Value = String> {
    let pieces = select(vec![
        "/", "//", ".", "..", "%2e", "%2E", "%2f", "%5c", "\\", ";", "%3b", "%25", "%252f", "%2561", "%00", "%7f", "a",
        "admin", "%61", "%C3%A4", "%ff", "%", "%4", "%zz", "~", "|", " ", "?", "#", "\u{e4}", "*", "@", "+", "%20",
    ]);
    prop::collection::vec(pieces, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// A token of the same number under another key, such as that of another site.
fn foreign() -> String {
    let key = KEYS.replace("AAECAwQ", "QAECAwQ");
    let other = KeyRing::read(&key, "default").expect("keys");
    other.mint(Locator { generation: 1, region: 0, shard: 1 }, &Secret::new([7; 32])).expose().to_owned()
}

/// Texts that nobody has minted: most are as long as a token and made of its signs, many have its
/// version and the number of a key that is there.
pub fn no_token() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => any::<String>(),
        1 => "[A-Za-z0-9_-]{70,74}",
        3 => "AQE[AQgw][A-Za-z0-9_-]{68}",
        1 => Just(foreign()),
        1 => ("AQE[AQgw][A-Za-z0-9_-]{68}", 0usize..72, "[ -~\u{e4}\u{fffd}]").prop_map(|(mut text, at, sign)| {
            text.replace_range(at..=at, &sign);
            text
        }),
    ]
}

/// Cookie headers with the name of ours, and without a token that we have minted.
pub fn tokenless_cookies() -> impl Strategy<Value = String> {
    let genuine = ring().mint(Locator { generation: 1, region: 0, shard: 1 }, &Secret::new([7; 32]));
    let (genuine, lower) = (genuine.expose().to_owned(), NAME.to_ascii_lowercase());
    let cut = format!("{NAME}={}", &genuine[..71]);
    let split = format!("{NAME}={} {}", &genuine[..40], &genuine[40..]);
    let quoted = format!("{NAME}=\"{genuine}\"");
    let others = [format!("{NAME}2={genuine}"), format!("x{NAME}={genuine}"), format!("{lower}={genuine}")];
    let pair = prop_oneof![
        3 => no_token().prop_map(|text| format!("{NAME}={}", text.replace(['\r', '\n'], ""))),
        1 => select([vec![cut, split, quoted, format!("{NAME} ={genuine}2")], others.to_vec()].concat()),
        1 => "[ -~=\u{fffd}]{0,40}",
    ];
    (prop::collection::vec(pair, 0..6), select(vec!["; ", ";", ";  ", " ;", ";;", "; = ; "]))
        .prop_map(|(pairs, between)| pairs.join(between))
}

/// Cookie headers that hold names of kept cookies, and what parsers take for their ends.
pub fn names_in_pairs() -> impl Strategy<Value = String> {
    let pieces = select(vec![
        "sid",
        "s",
        "id",
        "SID",
        "_",
        "-",
        "__Host-id",
        "..Host.id",
        "=",
        "=",
        "=",
        "%3d",
        "; ",
        ";",
        " ",
        ",",
        "[",
        "\"",
        "\0",
        "%00",
        "\u{1}",
        "%20",
        "\u{2003}",
        "\u{e4}",
        "\u{fffd}",
        "%ff",
        "x",
    ]);
    prop::collection::vec(pieces, 3..16).prop_map(|pieces| pieces.concat())
}

/// Dictionaries of a command's members, most of which fit together, and some noise.
pub fn command() -> impl Strategy<Value = String> {
    let action =
        select(vec!["do=start, sub=\"42\"", "do=rotate", "do=update, claims=:e30=:", "do=end", "do=end-others"]);
    let member = select(vec![
        "level=1",
        "level=256",
        "level=1.0",
        "ttl=3600",
        "ttl=0",
        "claims=:W10=:",
        "claims=:e30=:",
        "end-others",
        "end-others=?0",
        "sub=%\"%c3%a4\"",
        "sub=42",
        "do=end-all",
        "do=(end)",
        "do=end;p",
        "x=1",
        "nonce=\"another\"",
        "nonce",
        "\"",
        "%",
        "\u{e4}",
    ]);
    prop_oneof![
        6 => (action, prop::collection::vec(member, 0..3)).prop_map(|(action, more)| [vec![action], more].concat().join(", ")),
        1 => any::<String>(),
    ]
}

/// A valid configuration with some of its keys, and keys of its routes, changed to any JSON.
pub fn configuration() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2i64..100_000).prop_map(Value::from),
        select(vec![
            "",
            "*",
            "30m",
            "2s",
            "0s",
            "-1s",
            "required",
            "strict",
            "continue",
            "always",
            "http://a.test",
            "/a/*",
            "__Host-x",
            "x y"
        ])
        .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let key = || {
        select(vec![
            "origin",
            "routes",
            "cookie",
            "bound",
            "idle_timeout",
            "absolute_timeout",
            "limits",
            "map",
            "custody",
            "adopt",
            "name",
            "path",
            "access",
            "on_outage",
            "methods",
            "commands",
            "generation",
            "shards",
            "hosts",
            "sites",
            "orign",
        ])
    };
    let value = leaf.prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..4).prop_map(|pairs| Value::Object(table(pairs))),
        ]
    });
    let (some, routes) =
        (prop::collection::vec((key(), value.clone()), 0..3), prop::collection::vec((key(), value), 0..2));
    (some, routes).prop_map(|(some, route)| {
        let mut all = table(vec![("origin", json!("http://origin.test"))]);
        let mut one = table(vec![("path", json!("/account")), ("access", json!("required"))]);
        one.extend(table(route));
        all.insert("routes".to_owned(), json!([one]));
        all.extend(table(some));
        Value::Object(all).to_string()
    })
}

fn table(pairs: Vec<(&str, Value)>) -> Map<String, Value> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// How many of a hundred texts are such.
fn of_hundred(strategy: &impl Strategy<Value = String>, is_such: impl Fn(&str) -> bool) -> usize {
    let mut runner = TestRunner::deterministic();
    let mut drawn = || strategy.new_tree(&mut runner).expect("a text").current();
    (0..400).filter(|_| is_such(&drawn())).count() / 4
}

/// Else the properties hold, and say nothing.
#[test]
fn the_generators_come_close() {
    let ring = ring();
    assert!(of_hundred(&no_token(), |text| text.len() == 72) > 40, "as long as a token");
    assert!(of_hundred(&no_token(), |text| ring.has_key_of(text)) > 30, "nothing is wrong but the MAC");
    assert!(of_hundred(&tokenless_cookies(), |header| is_forged(Some(header), NAME, ring)) > 20, "under our name");
    let is_cut =
        |header: &str| for_origin(header, NAME, &["sid".to_owned(), "id".to_owned()]).is_none_or(|rest| rest != header);
    let cut = of_hundred(&names_in_pairs(), is_cut);
    assert!(cut > 5, "under a kept name: {cut}");
    for (many, is_such) in [(10, true), (30, false)] {
        assert!(of_hundred(&command(), |header| parse(header, Nonce::NotSent).is_ok() == is_such) > many, "{is_such}");
        let is_valid = |text: &str| Sites::read(text, Secrets { keys: Some(KEYS), ..Secrets::default() }).is_ok();
        assert!(of_hundred(&configuration(), |text| is_valid(text) == is_such) > many, "{is_such}");
    }
}
