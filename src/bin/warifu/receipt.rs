//! The receipt of an end: how far it has come, and the wait for the rest.

use core::time::Duration;
use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use warifu::time::show_span;

use crate::failure::Failure;
use crate::gateway::{Gateway, Hints};
use crate::text::{self, absolute, time, visible};

/// How far it is to come before it is shown.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Until {
    Now,
    Published,
    Quiesced,
}

/// A receipt, as far as it is shown. What is not known yet is null.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Receipt {
    kill_id: Option<String>,
    state: Option<String>,
    committed_at: Option<Timestamp>,
    accepted_at: Option<Timestamp>,
    bound_ms: Option<u64>,
    refused_everywhere_by: Option<Timestamp>,
    progress: Option<Progress>,
}

#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
struct Progress {
    done: u32,
    total: u32,
}

impl Receipt {
    /// It is done, whatever the receipt looks like.
    fn read(answer: &Value) -> Self {
        Self::deserialize(answer).unwrap_or_default()
    }

    fn is_at(&self, until: Until) -> bool {
        match until {
            Until::Now => true,
            Until::Published => self.state.as_deref() != Some("committed"),
            Until::Quiesced => !matches!(self.state.as_deref(), Some("committed" | "published")),
        }
    }
}

/// Asks for the receipt anew.
pub fn ask(gateway: &Gateway, id: &str) -> Result<Value, Failure> {
    let hints = Hints { not_found: "the gateway has no receipt of this id; it keeps them for a day", unknown: None };
    gateway.get(&format!("revocations/{id}"), hints)
}

/// Asks again until the receipt has come so far. Returns the last one in any
/// case: what has been ended stays ended.
pub fn follow(gateway: &Gateway, answer: Value, until: Until) -> (Value, Result<(), Failure>) {
    let mut last = answer;
    let mut receipt = Receipt::read(&last);
    let mut shown = Shown::default();
    let mut moved = Instant::now();
    let mut pause = PAUSE_MIN;
    let mut failures = 0;
    while !receipt.is_at(until) {
        let Some(id) = receipt.kill_id.clone().filter(|id| crate::sessions::id(id).is_ok()) else { break };
        if moved.elapsed() >= patience(&receipt) {
            shown.clear();
            return (last, Err(stuck(&id)));
        }
        shown.tell(&receipt);
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
        match ask(gateway, &id) {
            Ok(answer) => {
                let next = Receipt::read(&answer);
                if next.progress != receipt.progress || next.state != receipt.state {
                    moved = Instant::now();
                }
                (last, receipt, failures) = (answer, next, 0);
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
pub fn warn(answer: &Value) {
    let receipt = Receipt::read(answer);
    if receipt.state.as_deref() == Some("committed") && receipt.progress.is_none() {
        crate::remark("note: the feed could not be reached, so other edges may go on accepting it");
        if let Some(id) = receipt.kill_id {
            crate::remark(&format!("hint: it is tried again; see warifu kill receipt {} --wait", visible(&id)));
        }
    }
}

/// For how long nothing needs to change.
fn patience(receipt: &Receipt) -> Duration {
    match receipt.state.as_deref() {
        Some("published") => PATIENCE + Duration::from_millis(receipt.bound_ms.unwrap_or_default()),
        _ => PATIENCE,
    }
}

fn stuck(id: &str) -> Failure {
    Failure::Refused(
        format!("it has come no further for {}", show_span(PATIENCE)),
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
        if receipt.state.as_deref() == Some("published") {
            if !self.is_waiting {
                self.clear();
                let until = receipt.refused_everywhere_by.map(not_before).map(time).unwrap_or_default();
                crate::remark(&format!("waiting until {until}: no edge can accept it then"));
                self.is_waiting = true;
            }
            return;
        }
        let id = receipt.kill_id.as_deref().unwrap_or_default();
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
pub fn for_people(answer: &Value) -> String {
    let receipt = Receipt::read(answer);
    let now = text::now();
    let at = |time: Option<Timestamp>| time.map(|time| absolute(time, now));
    let state = receipt.state.map(|state| match state.as_str() {
        "committed" if receipt.progress.is_some() => "committed: not in all shards yet".to_owned(),
        "committed" => "committed: its own shards refuse it".to_owned(),
        "published" => "published: every edge refuses it within the bound".to_owned(),
        "quiesced" => "quiesced: no edge can still accept it".to_owned(),
        _ => state,
    });
    text::pairs([
        ("receipt", receipt.kill_id),
        ("state", state),
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
