//! The log of the feed, and what its kills rest on.

use std::collections::BTreeMap;

use warifu::revocation::{Entry, EntryKey, FeedAnswer};

use crate::executor::Micros;
use crate::history::{History, Published};

/// I3 and a part of I2, when an entry becomes durable.
pub fn at_publication(history: &mut History, entry: &Published, minimum: Option<u64>) {
    if let Some(says) = i3_the_log_is_dense(history, entry) {
        history.violate(entry.at, "I3", says);
    }
    if let Some(says) = i2_the_number_covers_all_shards(history, entry, minimum) {
        history.violate(entry.at, "I2", says);
    }
}

/// I3: numbers are dense and grow by one, also over restarts and restores.
fn i3_the_log_is_dense(history: &History, entry: &Published) -> Option<String> {
    (entry.seq != history.feed_high + 1)
        .then(|| format!("entry {} of epoch {} after {}", entry.seq, entry.epoch.to_text(), history.feed_high))
}

/// I2: the number of a kill is the largest that a shard has raised for it.
fn i2_the_number_covers_all_shards(history: &History, entry: &Published, minimum: Option<u64>) -> Option<String> {
    let kill = history.kills.get(&entry.id).filter(|_| entry.kind == "subject")?;
    let largest = kill.raised.values().max()?;
    (Some(*largest) > minimum).then(|| format!("a shard raised {largest} for a kill below {minimum:?}"))
}

/// I3 at an edge: what an answer says of a position is what stands there.
pub fn at_poll(history: &mut History, answer: &FeedAnswer, now: Micros) {
    let known: BTreeMap<u64, &Published> =
        history.published.iter().filter(|entry| entry.epoch == answer.epoch).map(|entry| (entry.seq, entry)).collect();
    let is_other = |entry: &&Entry| known.get(&entry.seq).is_some_and(|durable| !is_same(durable, &entry.key));
    let other = answer.entries.iter().find(is_other).map(|entry| entry.seq);
    if let Some(seq) = other {
        history.violate(now, "I3", format!("an edge was told another entry {seq} than the log has"));
    }
}

fn is_same(durable: &Published, key: &EntryKey) -> bool {
    let (kind, target) = match key {
        EntryKey::Session(id) => ("session", id.to_text()),
        EntryKey::Refresh(id) => ("refresh", id.to_text()),
        EntryKey::Subject(subject) => ("subject", subject.as_str().to_owned()),
        EntryKey::Site => ("site", String::new()),
    };
    durable.kind == kind && durable.target == target
}
