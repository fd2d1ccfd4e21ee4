//! What is compared with a secret, each with what an attacker sends: right but
//! for one byte. How long that takes must not tell which byte it was.
//!
//! `benches/timing.rs` measures them natively; `src/edge/test_timing.rs` puts
//! them into the Worker for tests, where `tests/timing` traces them.

use std::hint::black_box;

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

// The Worker for tests has the crate under this name too.
use super::warifu;
use warifu::admin_keys::AdminKeys;
use warifu::command::{self, Nonce};
use warifu::custody::{ContentKey, Owner};
use warifu::ports::Random;
use warifu::session::{SessionId, Wrapped};
use warifu::signed_command::{Signed, Verifier};
use warifu::time::UnixMillis;
use warifu::token::{KeyRing, Locator, Secret};

/// Runs a comparison: whether what was sent is accepted.
pub type Compare = Box<dyn Fn() -> bool>;

pub struct Subject {
    #[cfg_attr(target_arch = "wasm32", allow(dead_code, reason = "numbers cross more easily"))]
    pub name: &'static str,
    /// In how many places what is sent can be wrong.
    pub places: usize,
    /// Wrong in this place; `None`: right.
    pub prepare: fn(Option<usize>) -> Compare,
}

/// The last two are mistakes, which have to be found.
pub const SUBJECTS: [Subject; 8] = [
    Subject { name: "a token's MAC", places: 16, prepare: token },
    Subject { name: "an administrator's key", places: 32, prepare: admin_key },
    Subject { name: "the nonce of a command", places: 22, prepare: nonce },
    Subject { name: "the signature of a command", places: 32, prepare: signature },
    Subject { name: "the tag of what custody holds", places: 16, prepare: sealed },
    Subject { name: "the MAC of a record in KV", places: 32, prepare: record },
    Subject { name: "planted: a loop that stops", places: 16, prepare: planted_loop },
    Subject { name: "planted: ==", places: 16, prepare: planted_equality },
];

/// Of these, how many are mistakes.
#[cfg_attr(target_arch = "wasm32", allow(dead_code, reason = "for the native harness"))]
pub const PLANTED: usize = 2;

/// A good one has bytes that differ.
const KEY: [u8; 32] = *b"0123456789abcdefghijklmnopqrstuv";
const NOW: UnixMillis = UnixMillis(1_750_000_000_000);

fn keys() -> String {
    format!(r#"[{{"kid":7,"key":"{}"}}]"#, Base64UrlUnpadded::encode_string(&KEY))
}

fn damage(bytes: &mut [u8], wrong: Option<usize>) {
    if let Some(place) = wrong {
        bytes[place] ^= 1;
    }
}

fn token(wrong: Option<usize>) -> Compare {
    let ring = KeyRing::read(&keys(), "default").expect("a ring");
    let mut bytes = [0; 54];
    let minted = ring.mint(Locator { generation: 1, region: 0, shard: 3 }, &Secret::new([7; 32]));
    Base64UrlUnpadded::decode(minted.expose(), &mut bytes).expect("a token");
    damage(&mut bytes[38..], wrong);
    let text = Base64UrlUnpadded::encode_string(&bytes);
    Box::new(move || ring.verify(black_box(&text)).is_some())
}

/// What is sent is hashed, so the damage is done to what it is held against.
fn admin_key(wrong: Option<usize>) -> Compare {
    let mut hash: [u8; 32] = Sha256::digest(b"a key of an operator").into();
    damage(&mut hash, wrong);
    let hash = base16ct::lower::encode_string(&hash);
    let keys = AdminKeys::read(&format!(r#"[{{"id":"ops","sha256":"{hash}","scopes":["mint"]}}]"#)).expect("keys");
    Box::new(move || keys.find(black_box("a key of an operator")).is_some())
}

fn nonce(wrong: Option<usize>) -> Compare {
    let nonce = "QUJDREVGR0hJSktMTU5PUA".to_owned();
    let mut sent = nonce.clone().into_bytes();
    damage(&mut sent, wrong);
    let header = format!("do=end, nonce=\"{}\"", String::from_utf8(sent).expect("ASCII"));
    Box::new(move || command::parse(black_box(&header), Nonce::Wanted(&nonce)).is_ok())
}

fn signature(wrong: Option<usize>) -> Compare {
    let verifier = Verifier::read(&keys()).expect("keys");
    let covered =
        r#"("@status" "warifu-command" "@method";req "@authority";req "@path";req "@query";req "warifu-nonce";req)"#;
    let parameters = format!(r#"{covered};created=1750000000;expires=1750000060;keyid="7";tag="warifu-command""#);
    let base = format!(
        "\"@status\": 200\n\"warifu-command\": do=end\n\"@method\";req: POST\n\"@authority\";req: app.example\n\
         \"@path\";req: /login\n\"@query\";req: ?\n\"warifu-nonce\";req: n\n\"@signature-params\": {parameters}"
    );
    let mac = Hmac::<Sha256>::new_from_slice(&KEY).expect("RFC 2104, section 3: a key can be of any length");
    let mut bytes: [u8; 32] = mac.chain_update(base).finalize().into_bytes().into();
    damage(&mut bytes, wrong);
    let input = format!("warifu={parameters}");
    let signature = format!("warifu=:{}:", Base64::encode_string(&bytes));
    Box::new(move || {
        let signed = Signed {
            status: 200,
            command: "do=end",
            method: "POST",
            authority: "app.example",
            path: "/login",
            query: "?",
            nonce: "n",
            input: Some(&input),
            signature: Some(black_box(&signature)),
        };
        verifier.verify(&signed, NOW).is_ok()
    })
}

fn sealed(wrong: Option<usize>) -> Compare {
    let session = SessionId::new(Locator { generation: 1, region: 0, shard: 3 }, [5; 12]);
    let owner = Owner { site: "default", session };
    let secret = Secret::new([7; 32]);
    let key = ContentKey::new(&Sevens).expect("randomness");
    let Wrapped(mut bytes) = key.wrap(&secret, owner, &Sevens).expect("randomness");
    let tag = bytes.len() - 16;
    damage(&mut bytes[tag..], wrong);
    let wrapped = Wrapped(bytes);
    Box::new(move || ContentKey::unwrap(black_box(&wrapped), &secret, owner).is_some())
}

fn record(wrong: Option<usize>) -> Compare {
    let ring = KeyRing::read(&keys(), "default").expect("a ring");
    let mut mac = ring.voucher().mac("2/default/a", "{}");
    damage(&mut mac, wrong);
    Box::new(move || ring.vouches(7, "2/default/a", "{}", black_box(&mac)))
}

struct Sevens;

impl Random for Sevens {
    fn fill(&self, bytes: &mut [u8]) -> bool {
        bytes.fill(7);
        true
    }
}

/// A MAC that is compared as one writes it without thinking.
fn planted(wrong: Option<usize>, equal: fn(&[u8], &[u8]) -> bool) -> Compare {
    let mac = || Hmac::<Sha256>::new_from_slice(&KEY).expect("RFC 2104, section 3: a key can be of any length");
    let computed = move || -> [u8; 32] { mac().chain_update(b"a message").finalize().into_bytes().into() };
    let mut sent = computed()[..16].to_vec();
    damage(&mut sent, wrong);
    Box::new(move || equal(black_box(&computed()[..16]), black_box(&sent)))
}

fn planted_loop(wrong: Option<usize>) -> Compare {
    planted(wrong, |computed, sent| computed.iter().zip(sent).all(|(one, other)| one == other))
}

fn planted_equality(wrong: Option<usize>) -> Compare {
    planted(wrong, |computed, sent| computed == sent)
}
