//! A shard's answers.

use serde::{Deserialize, Serialize};

use crate::revocation::Epoch;
use crate::session::{KillId, Salt, Served, Session, SessionId, Subject};
use crate::time::UnixMillis;
use crate::token::Locator;

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
        /// Whether there is nothing more to be learnt of a secret that opens
        /// nothing: it is dead and known to be, or a replay that was told of.
        is_final: bool,
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
    /// The feed may not know this row of the map yet, so a kill may miss what
    /// starts here.
    Unannounced,
    /// The subject or the site was ended while the log-in was on its way.
    KilledMeanwhile,
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
    /// What the secret opens after it.
    Renewed {
        #[serde(deserialize_with = "Option::deserialize")]
        found: Option<Found>,
        /// Whether it was written, which is not for each that asks.
        is_written: bool,
    },
    /// The session with what it holds now; `None`: the presented secret opens
    /// none that holds anything.
    Holding {
        #[serde(deserialize_with = "Option::deserialize")]
        session: Option<Session>,
    },
    /// Something else is held by now, as this has it; nothing was written.
    HeldMeanwhile {
        session: Session,
    },
    Claimed {
        claimed: Claimed,
    },
    /// What is to be exchanged was already, for a session that is or was here.
    AdoptedBefore,
    /// Whether all that the subject has of the old kind was ended; a start that
    /// is asked for then is refused.
    Closed {
        closed: bool,
    },
    Noted,
    Ended {
        #[serde(deserialize_with = "Option::deserialize")]
        session: Option<Placed>,
    },
    /// `None`: the presented secret opens no session.
    EndedOthers {
        #[serde(deserialize_with = "Option::deserialize")]
        session: Option<Session>,
        others: u32,
        #[serde(deserialize_with = "Option::deserialize")]
        kill: Option<Kill>,
    },
    EndedAll {
        /// How many lived.
        live: u32,
        generation: u64,
        /// Where this shard keeps the receipt.
        #[serde(deserialize_with = "Option::deserialize")]
        kill: Option<Kill>,
    },
    Sessions {
        sessions: Vec<Session>,
        /// Whether there are more after these.
        more: bool,
    },
    Audit {
        events: Vec<Audited>,
        /// The next page is older than this one; 0: there is none.
        reached: u64,
    },
    EndedSite {
        generation: u64,
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
    /// The kill that it tells of.
    pub(in crate::store) fn kill_mut(&mut self) -> Option<&mut Kill> {
        match self {
            Self::Ended { session } => session.as_mut().map(|placed| &mut placed.kill),
            Self::EndedOthers { kill, .. } | Self::EndedAll { kill, .. } => kill.as_mut(),
            _ => None,
        }
    }

    /// Its name, for the log; the rest holds what is people's own.
    pub fn kind(&self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(object)) => object.keys().next().cloned().unwrap_or_default(),
            Ok(serde_json::Value::String(name)) => name,
            _ => String::new(),
        }
    }
}

/// Whose it is to ask the application about a session of the old kind.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Claimed {
    /// Who has claimed it.
    Granted,
    /// Somebody else, at this moment.
    Asked,
    /// Nobody's any more: its session is, or was, in this shard.
    Exchanged { at: Locator },
    /// Nobody's for a while: the application does not know it.
    Refused,
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

/// A row of the audit table.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Audited {
    /// Its number in the shard.
    pub seq: u64,
    pub at: UnixMillis,
    pub event: String,
    #[serde(deserialize_with = "Option::deserialize")]
    pub session: Option<SessionId>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub subject: Option<String>,
    pub actor: String,
    pub reason: String,
    #[serde(deserialize_with = "Option::deserialize")]
    pub from: Option<String>,
}

/// A session that was ended, and whose it was.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Placed {
    pub id: SessionId,
    /// `None` where the row could not be read.
    #[serde(deserialize_with = "Option::deserialize")]
    pub subject: Option<Subject>,
    pub kill: Kill,
}

/// What was killed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KillScope {
    Session,
    Subject,
    Site,
}

impl KillScope {
    /// As the store keeps it.
    pub(in crate::store) fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Subject => "subject",
            Self::Site => "site",
        }
    }

    pub(in crate::store) fn parse(text: &str) -> Option<Self> {
        [Self::Session, Self::Subject, Self::Site].into_iter().find(|scope| scope.as_str() == text)
    }
}

/// A kill as its shard committed it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Kill {
    pub id: KillId,
    pub scope: KillScope,
    pub committed: UnixMillis,
    /// `None`: the feed does not have it yet.
    #[serde(deserialize_with = "Option::deserialize")]
    pub published: Option<Published>,
    /// The feed knows a row of the map under which this was not committed: the
    /// subject may live on there.
    pub is_partial: bool,
    /// Only of a kill of the site.
    #[serde(deserialize_with = "Option::deserialize")]
    pub progress: Option<Progress>,
}

/// How many shards have committed a kill of the site.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Progress {
    pub done: u32,
    pub total: u32,
}

/// Where a kill stands in the feed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Published {
    pub epoch: Epoch,
    pub seq: u64,
    /// The feed's commit.
    pub accepted: UnixMillis,
    /// The largest bound of any live version of the Worker.
    pub bound_ms: u64,
    /// From this answer on, until no edge can still accept.
    pub quiesced_in_ms: u64,
}
