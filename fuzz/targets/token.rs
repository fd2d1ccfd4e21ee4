//! Tokens: a text is one only if its bytes, written again, are that text, and
//! one of the keys has signed them.
#![no_main]

use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use warifu::token::{KeyRing, Locator, Secret};
use warifu_fuzz::{KEYS, KEYS_BEFORE, reached};

static RING: LazyLock<KeyRing> = LazyLock::new(|| KeyRing::read(KEYS, "default").expect("keys"));
static RING_BEFORE: LazyLock<KeyRing> = LazyLock::new(|| KeyRing::read(KEYS_BEFORE, "default").expect("keys"));
static RING_OF_ANOTHER: LazyLock<KeyRing> = LazyLock::new(|| KeyRing::read(KEYS, "other").expect("keys"));

/// A genuine token, and what is done to it.
#[derive(Arbitrary, Debug)]
struct Forged {
    secret: [u8; 32],
    generation: u8,
    region: u8,
    shard: u16,
    by: u8,
    changes: Vec<Change>,
}

#[derive(Arbitrary, Debug)]
enum Change {
    /// Another character.
    Put(u8, u8),
    Insert(u8, char),
    Drop(u8),
    /// Another byte, and base64 again.
    Byte(u8, u8),
}

fuzz_target!(|data: &[u8]| {
    // `=` is no character of a token: what follows is the recipe of a forged one.
    let Some(recipe) = data.strip_prefix(b"=") else {
        agrees(&String::from_utf8_lossy(data));
        return;
    };
    let Ok(forged) = Forged::arbitrary(&mut Unstructured::new(recipe)) else { return };
    let locator = Locator { generation: forged.generation, region: forged.region, shard: forged.shard };
    let ring = [&RING, &RING_BEFORE, &RING_OF_ANOTHER][usize::from(forged.by) % 3];
    let is_ours = forged.by % 3 < 2;
    let minted = ring.mint(locator, &Secret::new(forged.secret));
    let genuine = minted.expose();
    assert_eq!(agrees(genuine), is_ours);
    let text = changed(genuine, &forged.changes);
    if is_ours && text == genuine {
        let token = RING.verify(&text).expect("genuine");
        assert_eq!(token.locator(), locator);
        assert_eq!(token.session_key(), Secret::new(forged.secret).session_key());
        return;
    }
    reached!("a forged token");
    assert!(!agrees(&text), "{text:?} verifies");
});

fn changed(genuine: &str, changes: &[Change]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text: Vec<char> = genuine.chars().collect();
    for change in changes.iter().take(4) {
        let length = text.len().max(1);
        match change {
            Change::Put(at, to) if !text.is_empty() => {
                text[usize::from(*at) % length] = char::from(ALPHABET[usize::from(*to) % 64]);
            }
            Change::Insert(at, c) => text.insert(usize::from(*at) % length, *c),
            Change::Drop(at) if !text.is_empty() => drop(text.remove(usize::from(*at) % length)),
            Change::Byte(at, to) => {
                let Ok(mut bytes) = Base64UrlUnpadded::decode_vec(&text.iter().collect::<String>()) else { continue };
                let length = bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(usize::from(*at) % length) {
                    *byte = *to;
                }
                text = Base64UrlUnpadded::encode_string(&bytes).chars().collect();
            }
            _ => {}
        }
    }
    text.into_iter().collect()
}

/// Compares with the table in `src/token.rs`, read once more.
fn agrees(text: &str) -> bool {
    let expected = read(text);
    let found = RING.verify(text);
    assert_eq!(found.is_some(), expected.is_some(), "{text:?}");
    let (Some(bytes), Some(token)) = (expected, found) else { return false };
    reached!("a genuine token");
    assert_eq!(Base64UrlUnpadded::encode_string(&bytes), text, "one token has one text");
    assert_eq!((token.kid(), token.locator().to_bytes().as_slice()), (bytes[1], &bytes[2..6]));
    assert_eq!(token.session_key().as_bytes()[..], Sha256::digest(&bytes[6..38])[..]);
    assert_eq!(token.is_current(), bytes[1] == 2);
    true
}

fn read(text: &str) -> Option<Vec<u8>> {
    let keys: serde_json::Value = serde_json::from_str(KEYS).expect("JSON");
    let mut bits = 0_u32;
    let mut held = 0;
    let mut bytes = Vec::new();
    for c in text.bytes() {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xFF) as u8);
        }
    }
    if text.len() != 72 || bytes[0] != 1 {
        return None;
    }
    reached!("a token of this version");
    let key = keys.as_array()?.iter().find(|key| key["kid"] == bytes[1])?["key"].as_str()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&Base64UrlUnpadded::decode_vec(key).ok()?).ok()?;
    mac.update(b"warifu/1 token\0default\0");
    mac.update(&bytes[..38]);
    (mac.finalize().into_bytes()[..16] == bytes[38..]).then_some(bytes)
}
