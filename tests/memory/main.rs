//! What an isolate's memory of a site takes, measured where it matters: in
//! wasm, by the pages that the allocator has asked for, which never shrink.
#![cfg(target_arch = "wasm32")]

use std::rc::Rc;
use std::time::Duration;

use warifu::revocation::{Entry, EntryKey, Epoch, FeedAnswer, Known, Memory};
use warifu::session::{Claims, Device, Served, Session, SessionId, Subject};
use warifu::time::UnixMillis;
use warifu::token::SessionKey;
use wasm_bindgen_test::wasm_bindgen_test;

const NOW: UnixMillis = UnixMillis(1_750_000_000_000);
const B: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_mins(30);

fn bytes_held() -> usize {
    core::arch::wasm32::memory_size::<0>() << 16
}

fn id(number: u32) -> SessionId {
    let mut bytes = [0; 16];
    bytes[4..8].copy_from_slice(&number.to_be_bytes());
    SessionId::from_bytes(bytes)
}

/// Keys are hashes; a multiplication is as good here.
fn key(number: u32) -> SessionKey {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    SessionKey::from_bytes(bytes)
}

/// As large as sessions commonly are, with claims.
fn session(number: u32) -> Session {
    let text = |text: &str| Some(text.to_owned());
    Session {
        id: id(number),
        subject: Subject::parse(&format!("3f9a7c52-8f0e-4d6b-9a51-{number:012}")).expect("a subject"),
        level: 1,
        auth_time: NOW,
        created: NOW,
        last_seen: NOW,
        idle_expires: NOW.plus(IDLE),
        absolute_expires: NOW.plus(Duration::from_hours(12)),
        claims: Claims::parse(r#"{"roles":["user","editor"],"tenant":"acme","plan":"pro"}"#),
        device: Device {
            user_agent: text(
                "Mozilla/5.0 (Linux; Android 14; Pixel 8 Pro) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/131.0.6778.135 Mobile Safari/537.36",
            ),
            country: text("JP"),
            city: text("Kyoto"),
            first_prefix: text("203.0.113.0/24"),
            last_prefix: text("2001:db8:1::/48"),
        },
        generation: 0,
        held: None,
    }
}

fn answer(since: u64, keys: impl Iterator<Item = EntryKey>) -> FeedAnswer {
    let entries: Vec<Entry> = keys.zip(since + 1..).map(|(key, seq)| Entry { seq, key }).collect();
    FeedAnswer { epoch: Epoch([1; 8]), low: 0, high: since + entries.len() as u64, age_ms: 0, entries }
}

fn begun() -> Memory {
    let memory = Memory::default();
    memory.polled(&memory.poll(NOW), answer(0, core::iter::empty()));
    memory
}

#[wasm_bindgen_test]
fn a_million_sessions_pass_through_a_bounded_memory() {
    let memory = begun();
    let before = bytes_held();
    for number in 0..1_000_000 {
        let question = memory.question(NOW);
        memory.keep(&question, key(number), Rc::new(session(number)), Served::Current);
    }
    let verdicts = memory.holdings().verdicts;
    let taken = (bytes_held() - before) >> 10;
    wasm_bindgen_test::console_log!("{verdicts} verdicts after a million sessions: {taken} KiB");
    assert!(taken <= 32 << 10, "{taken} KiB");
    assert!(verdicts >= 10_000, "{verdicts} are kept");
    assert!(matches!(memory.look(&key(999_999), NOW, B, IDLE), Known::Live(..)), "the newest is there");
    assert!(matches!(memory.look(&key(1), NOW, B, IDLE), Known::Nothing), "the oldest is asked for again");
}

#[wasm_bindgen_test]
fn a_hundred_thousand_entries_take_less_than_four_megabytes() {
    let memory = begun();
    // Room that the answers themselves take for a moment is there already.
    drop(answer(0, (0..1_000).map(|number| EntryKey::Session(id(number)))));
    let before = bytes_held();
    for part in 0..100 {
        let poll = memory.poll(NOW.plus(Duration::from_millis(part + 1)));
        let first = u32::try_from(part).expect("small") * 1_000;
        memory.polled(&poll, answer(part * 1_000, (first..first + 1_000).map(|number| EntryKey::Session(id(number)))));
    }
    let taken = (bytes_held() - before) >> 10;
    wasm_bindgen_test::console_log!("{} entries: {taken} KiB", memory.holdings().entries);
    assert_eq!(memory.holdings().entries, 100_000);
    assert!(taken <= 4 << 10, "{taken} KiB");
}
