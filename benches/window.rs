//! What the warm check of a token costs, natively, and how that grows with the
//! window of the feed: an empty one beside one of a hundred thousand entries.
//!
//! Read the ratio: the two take turns within one run.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};
use std::{array, env};

use warifu::revocation::{Entry, EntryKey, Epoch, FeedAnswer, Known, Memory};
use warifu::session::{Device, Served, Session, SessionId, Subject};
use warifu::time::UnixMillis;
use warifu::token::{KeyRing, Locator, Secret};

const KEYS: &str = r#"[{"kid":1,"key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]"#;
const NOW: UnixMillis = UnixMillis(1_750_000_000_000);
const B: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_mins(30);
const SESSIONS: u32 = 1_000;
const ENTRIES: u32 = 100_000;

fn main() {
    let is_measured = env::args().any(|argument| argument == "--bench");
    let (rounds, checks) = if is_measured { (201, 5_000) } else { (2, 10) };
    let ring = KeyRing::read(KEYS, "default").expect("a ring");
    let tokens: Vec<String> =
        (0..SESSIONS).map(|number| ring.mint(LOCATOR, &secret(number)).expose().to_owned()).collect();
    let memories = [0, ENTRIES].map(memory_that_knows_all);
    let mut times: [Vec<f64>; 2] = array::from_fn(|_| Vec::new());
    let mut ratios = Vec::new();
    for round in 0..=rounds {
        let mut took = [0.0; 2];
        for turn in 0..2 {
            // Each is as often the first.
            let index = (turn + round) % 2;
            let began = Instant::now();
            for check in 0..checks {
                let token = ring.verify(black_box(&tokens[check % tokens.len()])).expect("a good MAC");
                let known = memories[index].look(&token.session_key(), NOW, B, IDLE);
                assert!(matches!(black_box(known), Known::Live(..)));
            }
            took[index] = began.elapsed().as_secs_f64() * 1e9 / checks as f64;
        }
        // The first round fills caches.
        if round > 0 {
            times.iter_mut().zip(took).for_each(|(times, took)| times.push(took));
            ratios.push(took[1] / took[0]);
        }
    }
    let [empty, full] = times.map(|mut times| spread(&mut times));
    println!("the warm check of a token (MAC, SHA-256, verdict, window), medians of {rounds} rounds of {checks}");
    println!("  window of 0 entries: {empty} ns; of {ENTRIES}: {full} ns; ratio {}", spread(&mut ratios));
}

/// One in fourteen windows of this size has an entry with the hash of a session
/// of ours, which is then asked for in vain; that is not what is measured.
fn memory_that_knows_all(entries: u32) -> Memory {
    let is_known =
        |memory: &Memory, number| matches!(memory.look(&secret(number).session_key(), NOW, B, IDLE), Known::Live(..));
    let mut drawn = std::iter::repeat_with(|| memory(entries)).take(DRAWS_MAX);
    drawn
        .find(|memory| (0..SESSIONS).all(|number| is_known(memory, number)))
        .expect("a window in which no hash is that of a session")
}

/// Each of them failing by chance: once in 10^9 runs.
const DRAWS_MAX: usize = 8;

/// An isolate that has all sessions in memory, and then this many entries about
/// others in its window.
fn memory(entries: u32) -> Memory {
    let memory = Memory::default();
    memory.polled(&memory.poll(UnixMillis(NOW.0 - 2)), answer(0));
    for number in 0..SESSIONS {
        let question = memory.question(NOW);
        memory.keep(&question, secret(number).session_key(), Rc::new(session(number)), Served::Current);
    }
    memory.polled(&memory.poll(UnixMillis(NOW.0 - 1)), answer(entries));
    let held = memory.holdings();
    assert_eq!((held.entries, held.verdicts), (entries as usize, SESSIONS as usize));
    memory
}

fn answer(count: u32) -> FeedAnswer {
    let key = |number| match number % 2 {
        0 => EntryKey::Session(id(SESSIONS + number)),
        _ => EntryKey::Subject(Subject::parse(&format!("somebody else {number}")).expect("a subject")),
    };
    let entries: Vec<Entry> = (0..count).map(|number| Entry { seq: u64::from(number) + 1, key: key(number) }).collect();
    FeedAnswer { epoch: Epoch([1; 8]), low: 0, high: u64::from(count), age_ms: 0, entries }
}

fn session(number: u32) -> Session {
    Session {
        id: id(number),
        subject: Subject::parse(&format!("3f9a7c52-8f0e-4d6b-9a51-{number:012}")).expect("a subject"),
        level: 1,
        auth_time: NOW,
        created: NOW,
        last_seen: NOW,
        idle_expires: NOW.plus(IDLE),
        absolute_expires: NOW.plus(IDLE),
        claims: None,
        device: Device::default(),
        generation: 0,
        held: None,
    }
}

fn id(number: u32) -> SessionId {
    let mut bytes = [0; 16];
    bytes[4..8].copy_from_slice(&number.to_be_bytes());
    SessionId::from_bytes(bytes)
}

fn secret(number: u32) -> Secret {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Secret::new(bytes)
}

/// The median, and in brackets the quartiles.
fn spread(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    let at = |part: usize| values[(values.len() - 1) * part / 4];
    format!("{:.2} ({:.2}–{:.2})", at(2), at(1), at(3))
}

const LOCATOR: Locator = Locator { generation: 1, region: 0, shard: 7 };
