//! The receipt of an end: how far it has come, and the wait for the rest.

use core::time::Duration;
use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use warifu::time::show_span;

use crate::failure::Failure;
use crate::gateway::{Gateway, Hints};
use crate::text::{self, absolute, time};

/// How far it is to come before it is shown.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Until {
    Now,
    Published,
    Quiesced,
}

/// A receipt, as far as it is shown. What is not known yet is null.
#[derive(Deserialize)]
struct Receipt {
    #[serde(deserialize_with = "id_of")]
    kill_id: String,
    state: State,
    committed_at: Option<Timestamp>,
    accepted_at: Option<Timestamp>,
    bound_ms: Option<u64>,
    refused_everywhere_by: Option<Timestamp>,
    progress: Option<Progress>,
}

#[derive(Clone, Copy, Deserialize, Eq, PartialEq, PartialOrd)]
#[serde(rename_all = "snake_case")]
enum State {
    Committed,
    Published,
    Quiesced,
}

#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
struct Progress {
    done: u32,
    total: u32,
}

/// What a gateway answers to an end. Whatever else answers must not be taken for it: that
/// something has ended is what people go by.
pub struct Answer {
    json: Value,
    receipt: Receipt,
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        let receipt = Receipt::deserialize(&json).map_err(D::Error::custom)?;
        Ok(Self { json, receipt })
    }
}

impl Answer {
    /// As it came.
    pub fn json(&self) -> &Value {
        &self.json
    }
}

fn id_of<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    crate::sessions::id(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

impl Receipt {
    fn is_at(&self, until: Until) -> bool {
        match until {
            Until::Now => true,
            Until::Published => self.state >= State::Published,
            Until::Quiesced => self.state == State::Quiesced,
        }
    }
}

/// Asks for the receipt anew.
pub fn ask(gateway: &Gateway, id: &str) -> Result<Answer, Failure> {
    let hints = Hints { not_found: "the gateway has no receipt of this id; it keeps them for a day", unknown: None };
    gateway.get(&format!("revocations/{id}"), hints)
}

/// Asks again until the receipt has come so far. Returns the last one in any
/// case: what has been ended stays ended.
pub fn follow(gateway: &Gateway, answer: Answer, until: Until) -> (Answer, Result<(), Failure>) {
    let mut last = answer;
    let mut shown = Shown::default();
    let mut moved = Instant::now();
    let mut pause = PAUSE_MIN;
    let mut failures = 0;
    while !last.receipt.is_at(until) {
        let patience = patience(&last.receipt);
        if moved.elapsed() >= patience {
            shown.clear();
            let stuck = stuck(&last.receipt.kill_id, patience);
            return (last, Err(stuck));
        }
        shown.tell(&last.receipt);
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
        match ask(gateway, &last.receipt.kill_id) {
            Ok(next) => {
                if next.receipt.progress != last.receipt.progress || next.receipt.state != last.receipt.state {
                    moved = Instant::now();
                }
                (last, failures) = (next, 0);
            }
            Err(failure) => {
                failures += 1;
                if failures >= FAILURES_MAX {
                    shown.clear();
                    return (last, Err(failure));
                }
            }
        }
    }
    shown.clear();
    (last, Ok(()))
}

/// Says that the end is no promise yet, if it is none.
pub fn warn(Answer { receipt, .. }: &Answer) {
    if receipt.state == State::Committed && receipt.progress.is_none() {
        crate::remark("note: the feed could not be reached, so other edges may go on accepting it");
        crate::remark(&format!("hint: it is tried again; see warifu kill receipt {} --wait", receipt.kill_id));
    }
}

/// For how long nothing needs to change.
fn patience(receipt: &Receipt) -> Duration {
    match receipt.state {
        State::Published => PATIENCE + Duration::from_millis(receipt.bound_ms.unwrap_or_default()),
        _ => PATIENCE,
    }
}

fn stuck(id: &str, patience: Duration) -> Failure {
    Failure::Refused(
        format!("it has come no further for {}", show_span(patience)),
        Some(format!("the gateway goes on by itself; see how far with warifu kill receipt {id}")),
    )
}

/// What is shown while it goes on: on a terminal, one line that changes.
#[derive(Default)]
struct Shown {
    line: String,
    is_waiting: bool,
}

impl Shown {
    fn tell(&mut self, receipt: &Receipt) {
        if receipt.state == State::Published {
            if !self.is_waiting {
                self.clear();
                let until = receipt.refused_everywhere_by.map(not_before).map(time).unwrap_or_default();
                crate::remark(&format!("waiting until {until}: no edge can accept it then"));
                self.is_waiting = true;
            }
            return;
        }
        let id = &receipt.kill_id;
        let line = match receipt.progress {
            Some(Progress { done, total }) => format!("{id}: {done} of {total} shards have done it"),
            None => format!("{id}: waiting until the feed has it"),
        };
        if line != self.line && std::io::stderr().is_terminal() {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K{line}");
            self.line = line;
        }
    }

    fn clear(&mut self) {
        if !self.line.is_empty() {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
            self.line.clear();
        }
    }
}

/// Rows for people.
pub fn for_people(Answer { receipt, .. }: &Answer) -> String {
    let now = text::now();
    let at = |time: Option<Timestamp>| time.map(|time| absolute(time, now));
    let state = match receipt.state {
        State::Committed if receipt.progress.is_some() => "committed: not in all shards yet",
        State::Committed => "committed: its own shards refuse it",
        State::Published => "published: every edge refuses it within the bound",
        State::Quiesced => "quiesced: no edge can still accept it",
    };
    text::pairs([
        ("receipt", Some(receipt.kill_id.clone())),
        ("state", Some(state.to_owned())),
        ("shards", receipt.progress.map(|Progress { done, total }| format!("{done} of {total}"))),
        ("committed", at(receipt.committed_at)),
        ("accepted", at(receipt.accepted_at)),
        ("bound", receipt.bound_ms.map(|bound| show_span(Duration::from_millis(bound)))),
        ("refused everywhere by", at(receipt.refused_everywhere_by.map(not_before))),
    ])
}

/// The next whole second: what is shown must not be too early.
fn not_before(at: Timestamp) -> Timestamp {
    let more = i64::from(at.subsec_nanosecond() > 0);
    Timestamp::from_second(at.as_second() + more).unwrap_or(at)
}

const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A shard that is out of reach holds a kill of the site up.
const PATIENCE: Duration = Duration::from_mins(1);
const FAILURES_MAX: u32 = 3;
