//! What the feed consists of, and how an edge reads it.

use serde::Serialize;

use crate::read::{read_choice, read_record, read_text};
use crate::session::{SessionId, Subject};

/// One incarnation of the feed object: drawn at random, in memory, when it
/// wakes. A restart, a loss and a restore from an older copy all begin a new
/// one, and no two copies share one. Epochs are compared, never ordered.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Epoch(pub [u8; 8]);

impl Epoch {
    /// 16 hex digits.
    pub fn to_text(self) -> String {
        base16ct::lower::encode_string(&self.0)
    }

    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 8];
        let read = base16ct::lower::decode(text, &mut bytes).map(<[u8]>::len);
        (read == Ok(8)).then_some(Self(bytes))
    }
}

impl Serialize for Epoch {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.to_text())
    }
}

read_text!(Epoch, Self::parse, "epoch");

/// A place in the feed. Two are comparable only within one epoch.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Position {
    pub epoch: Epoch,
    pub seq: u64,
}

read_record!(open Position { epoch, seq });

/// What an entry is about.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKey {
    /// A lineage has ended.
    Session(SessionId),
    /// The subject's sessions of a lower generation have ended.
    Subject(Subject),
    /// All of the site's.
    Site,
    /// What is cached of a lineage is out of date: ask again.
    Refresh(SessionId),
}

read_choice!(open EntryKey {
    "session" => Session(_),
    "subject" => Subject(_),
    "site" => Site,
    "refresh" => Refresh(_),
});

/// One entry of the feed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Entry {
    pub seq: u64,
    pub key: EntryKey,
}

read_record!(open Entry { seq, key });

/// The feed's answer to a poll: all entries after the one that was asked for,
/// or after `low` where it cannot go on from there.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct FeedAnswer {
    pub epoch: Epoch,
    /// Entries up to this one have been forgotten.
    pub low: u64,
    /// The newest entry.
    pub high: u64,
    /// How old the answer is: 0 from the feed itself, more from a relay.
    pub age_ms: u64,
    pub entries: Vec<Entry>,
}

read_record!(open FeedAnswer { epoch, low, high, age_ms, entries });
