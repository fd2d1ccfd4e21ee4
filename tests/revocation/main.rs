//! What an edge concludes from the feed: the window and the cached verdicts.
#![cfg(not(target_arch = "wasm32"))]

mod memory;
mod verdicts;
mod window;

use warifu::revocation::{Entry, EntryKey, Epoch, FeedAnswer, Position};
use warifu::session::{Device, Session, SessionId, Subject};
use warifu::time::UnixMillis;

pub const NOW: UnixMillis = UnixMillis(1_750_000_000_000);

pub fn at(ms: u64) -> UnixMillis {
    UnixMillis(NOW.0 + ms)
}

pub fn epoch(number: u8) -> Epoch {
    Epoch([number; 8])
}

pub fn position(number: u8, seq: u64) -> Position {
    Position { epoch: epoch(number), seq }
}

pub fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

pub fn subject(number: u8) -> Subject {
    Subject::parse(&format!("subject {number}")).expect("a subject")
}

/// A feed's answer with the entries after `since`.
pub fn answer(number: u8, low: u64, since: u64, keys: &[EntryKey]) -> FeedAnswer {
    let entries: Vec<Entry> = keys.iter().zip(since + 1..).map(|(key, seq)| Entry { seq, key: key.clone() }).collect();
    FeedAnswer { epoch: epoch(number), low, high: since + entries.len() as u64, age_ms: 0, entries }
}

pub fn session(number: u8) -> Session {
    Session {
        id: id(number),
        subject: subject(number),
        level: 1,
        auth_time: NOW,
        created: NOW,
        last_seen: NOW,
        idle_expires: at(33 * 60_000),
        absolute_expires: at(12 * 3_600_000),
        claims: None,
        device: Device::default(),
        generation: 0,
        held: None,
    }
}
