//! The Cookie header. A fuzzer cannot make a MAC, so some bytes of the input
//! stand for the session cookie's name and for genuine tokens.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use warifu::cookie::{Presented, canonical, is_session_cookie, presented, without_session};
use warifu::token::{KeyRing, Locator, Secret};
use warifu_fuzz::{KEYS, KEYS_BEFORE, NAME, reached};

struct Genuine {
    ring: KeyRing,
    /// Texts with a good MAC, and whose session each is.
    tokens: Vec<(String, u8)>,
}

static GENUINE: LazyLock<Genuine> = LazyLock::new(|| {
    // A site of our own: tokens of the test vectors are genuine elsewhere.
    let ring = KeyRing::read(KEYS, "fuzz").expect("keys");
    let before = KeyRing::read(KEYS_BEFORE, "fuzz").expect("keys");
    let mint = |ring: &KeyRing, number: u8, shard: u16| {
        let locator = Locator { generation: 1, region: 4, shard };
        (ring.mint(locator, &Secret::new([number; 32])).expose().to_owned(), number)
    };
    // The third is the first one's session under the older key.
    Genuine { tokens: vec![mint(&ring, 1, 1), mint(&ring, 2, 2), mint(&before, 1, 1)], ring }
});

fuzz_target!(|data: &str| {
    let header = expand(data);
    agrees(&header);
    what_is_left(&header);
    what_a_browser_keeps(&header);
    assert!(canonical(&header).is_ascii());
});

/// `\x01` is the name, `\x02` to `\x04` are genuine tokens, `\x05` and `\x06`
/// are the first with a character changed, or lost.
fn expand(data: &str) -> String {
    let tokens = &GENUINE.tokens;
    let mut header = String::new();
    for c in data.chars() {
        match c {
            '\x01' => header.push_str(NAME),
            '\x02' => header.push_str(&tokens[0].0),
            '\x03' => header.push_str(&tokens[1].0),
            '\x04' => header.push_str(&tokens[2].0),
            '\x05' => header.push_str(&tokens[0].0.replacen('A', "B", 1)),
            '\x06' => header.push_str(&tokens[0].0[1..]),
            other => header.push(other),
        }
    }
    header
}

/// The sessions of the header's pairs, by comparison with what is genuine.
fn sessions(header: &str) -> Vec<u8> {
    let mut values = Vec::new();
    for (index, piece) in header.split(';').enumerate() {
        let piece = if index > 0 && piece.starts_with(' ') { &piece[1..] } else { piece };
        if piece.starts_with(NAME) && piece.as_bytes().get(NAME.len()) == Some(&b'=') {
            values.push(&piece[NAME.len() + 1..]);
        }
    }
    if values.len() > 4 {
        reached!("more than are looked at");
        return Vec::new();
    }
    let mut found = Vec::new();
    for value in values {
        let session = GENUINE.tokens.iter().find(|(text, _)| text == value).map(|(_, session)| *session);
        found.extend(session.filter(|session| !found.contains(session)));
    }
    found
}

fn agrees(header: &str) {
    let expected = sessions(header);
    let key = |session: u8| Secret::new([session; 32]).session_key();
    match presented(header, NAME, &GENUINE.ring) {
        Presented::None => assert!(expected.is_empty(), "a token was missed"),
        Presented::One(token) => {
            reached!("one");
            assert_eq!(expected.len(), 1, "a token too few or too many");
            assert_eq!(token.session_key(), key(expected[0]));
        }
        Presented::Several(tokens) => {
            reached!("several");
            let found: Vec<_> = tokens.iter().map(warifu::token::Token::session_key).collect();
            assert_eq!(found, expected.into_iter().map(key).collect::<Vec<_>>());
        }
    }
}

/// The origin gets all other pairs as they were, and nothing of ours.
fn what_is_left(header: &str) {
    let left = without_session(header, NAME);
    if !header.contains(NAME) {
        assert_eq!(left.as_deref(), Some(header), "untouched");
        return;
    }
    let mut kept = Vec::new();
    for (index, piece) in header.split(';').enumerate() {
        let piece = if index > 0 && piece.starts_with(' ') { &piece[1..] } else { piece };
        if !piece.contains(NAME) && !piece.contains('\u{FFFD}') {
            kept.push(piece);
        }
    }
    assert_eq!(left, (!kept.is_empty()).then(|| kept.join("; ")));
    let Some(left) = left else { return };
    reached!("others are left");
    assert!(!left.contains(NAME));
    assert!(matches!(presented(&left, NAME, &GENUINE.ring), Presented::None));
    assert_eq!(without_session(&left, NAME).as_deref(), Some(left.as_str()), "idempotent");
}

/// What a browser would send back of this Set-Cookie value of the origin's
/// opens no session, or the value is known to be ours. RFC 6265bis, section
/// 5.6, in the older reading, which takes a nameless cookie for its value.
fn what_a_browser_keeps(set_cookie: &str) {
    let white = [' ', '\t'];
    let pair = set_cookie.split(';').next().unwrap_or_default();
    let (name, value) = pair.split_once('=').unwrap_or(("", pair));
    let (name, value) = (name.trim_matches(white), value.trim_matches(white));
    let sent = if name.is_empty() { value.to_owned() } else { format!("{name}={value}") };
    if !sessions(&sent).is_empty() {
        reached!("a Set-Cookie of ours");
        assert!(is_session_cookie(set_cookie, NAME), "the origin can write the session cookie: {set_cookie:?}");
    }
}
