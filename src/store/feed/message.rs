//! What edges and shards say to the feed: JSON, as to the shards.

use serde::Serialize;

use crate::config::MapRow;
use crate::error::{FEED_OBJECT, StoreError};
use crate::read::{read_choice, read_record};
use crate::revocation::{EntryKey, Epoch, FeedAnswer, Position};
use crate::session::{Handle, KillId};
use crate::store::message::{By, Kill};
use crate::time::UnixMillis;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedCall {
    Poll(Poll),
    Append(Append),
    /// End everything of the site, in all shards of these rows of the map.
    EndSite(EndSite),
    /// How far the kill of the site has come.
    Receipt {
        kill: KillId,
    },
}

read_choice!(strict FeedCall {
    "poll" => Poll(_),
    "append" => Append(_),
    "end_site" => EndSite(_),
    "receipt" => Receipt { kill },
});

#[derive(Clone, Debug, Serialize)]
pub struct EndSite {
    pub kill: KillId,
    pub rows: Vec<MapRow>,
    /// Who wants it; each shard notes it with its part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
}

read_record!(strict EndSite { kill, rows; by });

/// An edge asks for what came after a position.
#[derive(Clone, Debug, Serialize)]
pub struct Poll {
    pub since: Option<Position>,
    /// The bound that the edge goes by, for the receipts.
    pub bound_ms: u64,
    /// Its largest `continue_for` in use.
    pub continue_ms: u64,
    /// The rows of the map that the edge knows: from now on a kill that lacks
    /// one of them is not the whole kill, and starts may use them.
    pub rows: Vec<MapRow>,
    /// Whoever begins anew gets the entries of so long: records of KV are as old.
    pub back_ms: u64,
}

read_record!(strict Poll { since, bound_ms, continue_ms, rows, back_ms });

/// A shard publishes what it has committed.
#[derive(Clone, Debug, Serialize)]
pub struct Append {
    pub entries: Vec<NewEntry>,
}

read_record!(strict Append { entries });

#[derive(Clone, Debug, Serialize)]
pub struct NewEntry {
    /// Of the kill or refresh: an entry is added once.
    pub id: Handle,
    pub key: EntryKey,
    /// Sessions of a lower generation are dead.
    pub min_generation: Option<u64>,
    /// The rows of the map under which it has been committed; all that the
    /// feed knows, for a kill that reaches beyond one shard.
    pub rows: Vec<MapRow>,
}

read_record!(strict NewEntry { id, key, min_generation, rows });

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedReply {
    Polled(FeedAnswer),
    Appended {
        epoch: Epoch,
        /// The largest bound of any live version of the Worker.
        bound_ms: u64,
        entries: Vec<Appended>,
    },
    /// `None`: the feed knows no such kill.
    Receipt {
        kill: Option<Kill>,
    },
    /// A defect of our own.
    Panicked,
    Failed {
        reason: String,
    },
}

read_choice!(open FeedReply {
    "polled" => Polled(_),
    "appended" => Appended { epoch, bound_ms, entries },
    "receipt" => Receipt { kill },
    "panicked" => Panicked,
    "failed" => Failed { reason },
});

impl FeedReply {
    /// What whoever asked goes by.
    ///
    /// # Errors
    /// It is none that counts.
    pub fn heard(self) -> Result<Self, StoreError> {
        match self {
            Self::Panicked => Err(StoreError::Defect(FEED_OBJECT)),
            Self::Failed { reason } => Err(StoreError::Unreachable(reason)),
            reply => Ok(reply),
        }
    }

    /// Its name, for the log; the rest holds what is people's own.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Polled(_) => "polled",
            Self::Appended { .. } => "appended",
            Self::Receipt { .. } => "receipt",
            Self::Panicked => "panicked",
            Self::Failed { .. } => "failed",
        }
    }
}

/// An entry in the feed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Appended {
    pub id: Handle,
    pub seq: u64,
    pub accepted: UnixMillis,
    /// Whether the kill was committed under every row of the map that the feed
    /// knows; else the subject may live on under another.
    pub is_whole: bool,
}

read_record!(open Appended { id, seq, accepted, is_whole });
