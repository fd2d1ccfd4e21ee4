//! A shard's answers.

use serde::Serialize;

use crate::error::{SESSION_OBJECT, StoreError};
use crate::read::{Choice, read_choice, read_record};
use crate::revocation::Epoch;
use crate::session::{KillId, Salt, Served, Session, SessionId, Subject};
use crate::time::UnixMillis;
use crate::token::Locator;

/// A shard's answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardAnswer {
    Alive,
    /// The live session that a secret opens, or none.
    Checked {
        found: Option<Found>,
        /// The session of which this secret is an old one, used after its grace.
        replayed: Option<SessionId>,
        /// Whether the session was ended for it.
        ended: bool,
        /// Whether there is nothing more to be learnt of a secret that opens
        /// nothing: it is dead and known to be, or a replay that was told of.
        is_final: bool,
    },
    /// The live session of this id, or none.
    Shown {
        session: Option<Session>,
    },
    Started {
        session: Session,
        /// The presented session, if it was ended.
        replaced: Option<SessionId>,
        /// Those that made room.
        evicted: Vec<SessionId>,
        /// How many others were ended, as asked for.
        ended_others: u32,
        /// The kill that ended them. Shards of 0.1.0 do not tell.
        #[serde(skip_serializing_if = "Option::is_none")]
        kill: Option<Kill>,
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
        rotated: Option<Rotated>,
    },
    /// `None`: there is no such session.
    Updated {
        session: Option<Session>,
    },
    /// A level is not raised without a new secret.
    NeedsRotation,
    /// What the secret opens after it.
    Renewed {
        found: Option<Found>,
        /// Whether it was written, which is not for each that asks.
        is_written: bool,
    },
    /// The session with what it holds now; `None`: the presented secret opens
    /// none that holds anything.
    Holding {
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
        session: Option<Placed>,
        /// Of what none lives any more: the kill that has ended it of late.
        /// Shards of 0.1.0 do not tell.
        #[serde(skip_serializing_if = "Option::is_none")]
        earlier: Option<Kill>,
    },
    /// `None`: the presented secret opens no session.
    EndedOthers {
        session: Option<Session>,
        others: u32,
        kill: Option<Kill>,
    },
    EndedAll {
        /// How many lived.
        live: u32,
        generation: u64,
        /// Where this shard keeps the receipt.
        kill: Option<Kill>,
        /// Where none lived: when the last ones were ended so, if that was of
        /// late. Shards of 0.1.0 do not tell.
        #[serde(skip_serializing_if = "Option::is_none")]
        earlier: Option<UnixMillis>,
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
        /// Those that made room. Shards of 0.1.0 do not tell.
        #[serde(skip_serializing_if = "Option::is_none")]
        ended: Option<Vec<SessionId>>,
    },
    Receipt {
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

read_choice!(open ShardAnswer {
    "alive" => Alive,
    "checked" => Checked { found, replayed, ended, is_final },
    "shown" => Shown { session },
    "started" => Started { session, replaced, evicted, ended_others; kill },
    "limit_reached" => LimitReached,
    "make_room" => MakeRoom { excess },
    "moved" => Moved,
    "unannounced" => Unannounced,
    "killed_meanwhile" => KilledMeanwhile,
    "rotated" => Rotated { rotated },
    "updated" => Updated { session },
    "needs_rotation" => NeedsRotation,
    "renewed" => Renewed { found, is_written },
    "holding" => Holding { session },
    "held_meanwhile" => HeldMeanwhile { session },
    "claimed" => Claimed { claimed },
    "adopted_before" => AdoptedBefore,
    "closed" => Closed { closed },
    "noted" => Noted,
    "ended" => Ended { session; earlier },
    "ended_others" => EndedOthers { session, others, kill },
    "ended_all" => EndedAll { live, generation, kill; earlier },
    "sessions" => Sessions { sessions, more },
    "audit" => Audit { events, reached },
    "ended_site" => EndedSite { generation },
    "left" => Left { live; ended },
    "receipt" => Receipt { kill },
    "wrong_row" => WrongRow,
    "panicked" => Panicked,
    "failed" => Failed { reason },
});

impl ShardAnswer {
    /// What whoever asked goes by.
    ///
    /// # Errors
    /// It is none that counts.
    pub fn heard(self) -> Result<Self, StoreError> {
        match self {
            Self::WrongRow => Err(StoreError::WrongRow),
            Self::Panicked => Err(StoreError::Defect(SESSION_OBJECT)),
            Self::Failed { reason } => Err(StoreError::Unreachable(reason)),
            answer => Ok(answer),
        }
    }

    /// The kill that it tells of.
    pub(in crate::store) fn kill_mut(&mut self) -> Option<&mut Kill> {
        match self {
            Self::Ended { session, earlier } => session.as_mut().map(|placed| &mut placed.kill).or(earlier.as_mut()),
            Self::Started { kill, .. } | Self::EndedOthers { kill, .. } | Self::EndedAll { kill, .. } => kill.as_mut(),
            _ => None,
        }
    }

    /// Its name, for the log; the rest holds what is people's own.
    pub fn kind(&self) -> &'static str {
        self.name()
    }
}

/// Whose it is to ask the application about a session of the old kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
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

read_choice!(open Claimed {
    "granted" => Granted,
    "asked" => Asked,
    "exchanged" => Exchanged { at },
    "refused" => Refused,
});

/// A live session, and how the presented secret stands to it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Found {
    pub session: Session,
    pub served: Served,
}

read_record!(open Found { session, served });

/// A session after a rotation.
#[derive(Clone, Debug, Serialize)]
pub struct Rotated {
    pub session: Session,
    /// Whether this call wrote the new secret.
    pub is_new: bool,
    /// What leads from the presented secret to the newest. `None` where the
    /// new secret is fresh, or where the presented one may have no successor.
    pub salt: Option<Salt>,
}

read_record!(open Rotated { session, is_new, salt });

/// A row of the audit table.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Audited {
    /// Its number in the shard.
    pub seq: u64,
    pub at: UnixMillis,
    pub event: String,
    pub session: Option<SessionId>,
    pub subject: Option<String>,
    pub actor: String,
    pub reason: String,
    pub from: Option<String>,
}

read_record!(open Audited { seq, at, event, session, subject, actor, reason, from });

/// A session that was ended, and whose it was.
#[derive(Clone, Debug, Serialize)]
pub struct Placed {
    pub id: SessionId,
    /// `None` where the row could not be read.
    pub subject: Option<Subject>,
    pub kill: Kill,
}

read_record!(open Placed { id, subject, kill });

/// What was killed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KillScope {
    Session,
    Subject,
    Site,
}

read_choice!(open KillScope {
    "session" => Session,
    "subject" => Subject,
    "site" => Site,
});

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
#[derive(Clone, Debug, Serialize)]
pub struct Kill {
    pub id: KillId,
    pub scope: KillScope,
    pub committed: UnixMillis,
    /// `None`: the feed does not have it yet.
    pub published: Option<Published>,
    /// The feed knows a row of the map under which this was not committed: the
    /// subject may live on there.
    pub is_partial: bool,
    /// Only of a kill of the site.
    pub progress: Option<Progress>,
}

read_record!(open Kill { id, scope, committed, published, is_partial, progress });

/// How many shards have committed a kill of the site.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Progress {
    pub done: u32,
    pub total: u32,
}

read_record!(open Progress { done, total });

/// Where a kill stands in the feed.
#[derive(Clone, Debug, Serialize)]
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

read_record!(open Published { epoch, seq, accepted, bound_ms, quiesced_in_ms });
