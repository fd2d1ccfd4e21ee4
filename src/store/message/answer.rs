//! A shard's answers.

use serde::{Deserialize, Serialize};

use crate::session::{KillId, Salt, Served, Session, SessionId, Subject};
use crate::time::UnixMillis;

/// A shard's answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardAnswer {
    Alive,
    /// The live session that a secret opens, or none.
    Checked {
        #[serde(deserialize_with = "Option::deserialize")]
        found: Option<Found>,
        /// The session of which this secret is an old one, used after its grace.
        #[serde(deserialize_with = "Option::deserialize")]
        replayed: Option<SessionId>,
        /// Whether the session was ended for it.
        ended: bool,
    },
    /// The live session of this id, or none.
    Shown {
        #[serde(deserialize_with = "Option::deserialize")]
        session: Option<Session>,
    },
    Started {
        session: Session,
        /// The presented session, if it was ended.
        #[serde(deserialize_with = "Option::deserialize")]
        replaced: Option<SessionId>,
        /// Those that made room.
        evicted: Vec<SessionId>,
        /// How many others were ended, as asked for.
        ended_others: u32,
    },
    /// As many sessions as there may be live already.
    LimitReached,
    /// So many of the sessions elsewhere have to end first.
    MakeRoom {
        excess: u32,
    },
    /// A later row of the map has taken the subject over.
    Moved,
    /// `None`: the presented secret opens no session.
    Rotated {
        #[serde(deserialize_with = "Option::deserialize")]
        rotated: Option<Rotated>,
    },
    /// `None`: there is no such session.
    Updated {
        #[serde(deserialize_with = "Option::deserialize")]
        session: Option<Session>,
    },
    /// A level is not raised without a new secret.
    NeedsRotation,
    Renewed,
    Ended {
        #[serde(deserialize_with = "Option::deserialize")]
        session: Option<Placed>,
    },
    /// `None`: the presented secret opens no session.
    EndedOthers {
        #[serde(deserialize_with = "Option::deserialize")]
        session: Option<Session>,
        others: u32,
    },
    EndedAll {
        /// How many lived.
        live: u32,
        generation: u64,
    },
    Sessions {
        sessions: Vec<Session>,
        /// Whether there are more after these.
        more: bool,
    },
    Left {
        live: u32,
    },
    Receipt {
        #[serde(deserialize_with = "Option::deserialize")]
        kill: Option<Kill>,
    },
    /// The shard belongs to another row of the map.
    WrongRow,
    /// A defect of our own.
    Panicked,
    /// The storage failed; the text is for the log.
    Failed {
        reason: String,
    },
}

impl ShardAnswer {
    /// Its name, for the log; the rest holds what is people's own.
    pub fn kind(&self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(object)) => object.keys().next().cloned().unwrap_or_default(),
            Ok(serde_json::Value::String(name)) => name,
            _ => String::new(),
        }
    }
}

/// A live session, and how the presented secret stands to it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Found {
    pub session: Session,
    pub served: Served,
}

/// A session after a rotation.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Rotated {
    pub session: Session,
    /// Whether this call wrote the new secret.
    pub is_new: bool,
    /// What leads from the presented secret to the newest. `None` where the
    /// new secret is fresh, or where the presented one may have no successor.
    #[serde(deserialize_with = "Option::deserialize")]
    pub salt: Option<Salt>,
}

/// A session that was ended, and whose it was.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Placed {
    pub id: SessionId,
    /// `None` where the row could not be read.
    #[serde(deserialize_with = "Option::deserialize")]
    pub subject: Option<Subject>,
}

/// What was killed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KillScope {
    Session,
    Subject,
    Site,
}

/// A kill as its shard committed it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Kill {
    pub id: KillId,
    pub scope: KillScope,
    pub committed: UnixMillis,
}
