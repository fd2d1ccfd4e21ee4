//! Forms that are put together from pieces, with a placeholder or a copy of a token in them again
//! and again: a field of `body` has the live token or nothing, and the rest is as it was.

use proptest::prelude::*;
use proptest::sample::select;

use super::tokens::log_in;
use super::{App, HOUR, TOKENS, jwt};

const HELD: &str = "opaque-refresh-token-1";
const STANDS: &str = "warifu-held.refresh_token";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Names that some parser takes for `refresh_token`, and those that none does.
const FIELDS: [&str; 7] = [
    "refresh_token",
    "Refresh-Token",
    "refresh.token",
    "data[refresh_token]",
    "a[b][REFRESH_TOKEN]",
    "x.refresh token",
    "refresh_to\u{212a}en",
];
const OTHERS: [&str; 6] = ["grant_type", "refresh_token_type", "refreshtoken", "", "é[x]", "a&=+%b"];

/// A text as a form, of which each byte may be escaped.
fn spelt((text, escapes): (&str, u64)) -> String {
    let byte = |(at, byte): (usize, u8)| match byte {
        b' ' if escapes >> (at % 64) & 1 == 0 => "+".to_owned(),
        plain if plain.is_ascii_alphanumeric() && escapes >> (at % 64) & 1 == 0 => char::from(plain).to_string(),
        other => format!("%{other:02x}"),
    };
    text.bytes().enumerate().map(byte).collect()
}

/// A pair, and whether the gateway has to look at its value.
fn pair() -> impl Strategy<Value = (bool, &'static str, &'static str, String)> {
    let name = prop_oneof![
        select(&FIELDS[..]).prop_map(|name| (true, name)),
        select(&OTHERS[..]).prop_map(|name| (false, name)),
    ];
    let value = select(vec![HELD, STANDS, "somebody-elses", "", "a=b&c d", "warifu-held.access_token"]);
    (name, value, any::<u64>(), any::<u64>()).prop_map(|((looks, name), value, of_name, of_value)| {
        (looks, name, value, format!("{}={}", spelt((name, of_name)), spelt((value, of_value))))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn a_field_has_the_live_token_or_nothing(pairs in prop::collection::vec(pair(), 1..6), is_known in any::<bool>()) {
        let app = App::new(TOKENS);
        let access = jwt("alice", HOUR);
        let (session, _) = log_in(&app, &access, HELD);
        let cookie = ("cookie", if is_known { session.as_str() } else { "" });
        let body = pairs.iter().map(|(_, _, _, text)| text.as_str()).collect::<Vec<_>>().join("&");
        let visit = app.send("POST /api/refresh", &[cookie, FORM], &body, &[]);
        let sent = visit.body.unwrap_or_default();
        let got: Vec<(String, String)> = form_urlencoded::parse(sent.as_bytes()).into_owned().collect();
        let held = |value: &str| match value {
            STANDS if is_known => HELD.to_owned(),
            "warifu-held.access_token" if is_known => access.clone(),
            _ => String::new(),
        };
        let wanted: Vec<(String, String)> = pairs
            .iter()
            .map(|(looks, name, value, _)| ((*name).to_owned(), if *looks { held(value) } else { (*value).to_owned() }))
            .collect();
        prop_assert_eq!(got, wanted, "{}", body);
    }

    #[test]
    fn no_form_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let app = App::new(TOKENS);
        let (session, _) = log_in(&app, &jwt("alice", HOUR), HELD);
        let body = String::from_utf8_lossy(&body);
        let visit = app.send("POST /api/refresh", &[("cookie", &session), FORM], &body, &[]);
        let sent = visit.body.expect("the application gets it");
        let got = form_urlencoded::parse(sent.as_bytes()).count();
        prop_assert_eq!(got, form_urlencoded::parse(body.as_bytes()).count());
    }
}
