//! Questions and orders to a shard.

use serde::Serialize;

use crate::config::MapRow;
use crate::read::{read_choice, read_record};
use crate::revocation::Position;
use crate::session::{Claims, Device, Handle, KillId, Salt, Sealed, SessionId, Subject, Wrapped};
use crate::store::message::Key;
use crate::time::UnixMillis;
use crate::token::Locator;

/// A call, and where the caller believes to be.
#[derive(Clone, Debug, Serialize)]
pub struct Message {
    /// `None` only for [`ShardCall::Probe`], which is no shard's.
    pub home: Option<Home>,
    /// Whether the answer is held until a write that was issued after the
    /// question is confirmed: an object that has been replaced and does not
    /// know it can then not answer.
    pub is_fenced: bool,
    /// Who wants it, for the audit table; `None`: nothing is written there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    pub call: ShardCall,
}

read_record!(strict Message { home, is_fenced, call; by });

/// Who wants something of a shard, why, and from where.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct By {
    pub actor: String,
    /// The call or the command that asks for it.
    pub reason: String,
    /// The network of the client, never its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// For how long it stays in the table.
    pub keep_ms: u64,
}

read_record!(strict By { actor, reason, keep_ms; from });

/// A shard of a row of the map. A shard remembers its own and refuses another.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Home {
    pub row: MapRow,
    pub shard: u16,
}

read_record!(strict Home { row, shard });

impl Home {
    /// The shard as tokens and handles name it.
    pub fn locator(self) -> Locator {
        Locator { generation: self.row.generation, region: self.row.region, shard: self.shard }
    }
}

/// A question to a shard, or an order.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardCall {
    /// Touch the storage, so that the answer means something.
    Probe,
    /// Which session this secret opens. A replay ends the lineage under this
    /// kill, if there is one.
    Check {
        key: Key,
        end_on_replay: Option<KillId>,
    },
    Start(Box<StartCall>),
    Rotate(Box<RotateCall>),
    Update(Box<UpdateCall>),
    Renew(RenewCall),
    End(EndCall),
    EndOthers(EndOthersCall),
    EndAll(EndAllCall),
    /// Who asks the application about a session of the old kind.
    Claim(ClaimCall),
    /// What has come of that.
    Settle(SettleCall),
    /// Other values for the user, in the place of those that are held.
    Hold(Box<HoldCall>),
    /// End everything in this shard: the feed asks each for it, and publishes.
    EndSite {
        kill: KillId,
    },
    /// From now on no session of the old kind is exchanged for this subject.
    Close {
        subject: Subject,
        /// When the old kind is over altogether.
        until: UnixMillis,
    },
    /// Whether that is so.
    IsClosed {
        subject: Subject,
    },
    List(ListCall),
    Audit(AuditCall),
    Show {
        id: SessionId,
    },
    /// A later row of the map takes this subject's sessions from now on: refuse
    /// starts, and end the oldest until `keep` are left.
    Leave {
        subject: Subject,
        keep: Option<u32>,
        kill: KillId,
    },
    Receipt {
        kill: KillId,
    },
    /// Where a kill that was committed here and published elsewhere stands in
    /// the feed. Starts that were on their way before it are refused, and this
    /// tells which those are.
    Stands {
        kill: KillId,
        position: Position,
    },
}

read_choice!(strict ShardCall {
    "probe" => Probe,
    "check" => Check { key, end_on_replay },
    "start" => Start(_),
    "rotate" => Rotate(_),
    "update" => Update(_),
    "renew" => Renew(_),
    "end" => End(_),
    "end_others" => EndOthers(_),
    "end_all" => EndAll(_),
    "claim" => Claim(_),
    "settle" => Settle(_),
    "hold" => Hold(_),
    "end_site" => EndSite { kill },
    "close" => Close { subject, until },
    "is_closed" => IsClosed { subject },
    "list" => List(_),
    "audit" => Audit(_),
    "show" => Show { id },
    "leave" => Leave { subject, keep, kill },
    "receipt" => Receipt { kill },
    "stands" => Stands { kill, position },
});

/// A session by one of its two names.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// By a secret, which must be one that is served.
    Key(Key),
    Id(SessionId),
}

read_choice!(open Which {
    "key" => Key(_),
    "id" => Id(_),
});

/// A session to be written.
#[derive(Clone, Debug, Serialize)]
pub struct StartCall {
    pub id: SessionId,
    pub key: Key,
    pub subject: Subject,
    pub level: u8,
    pub claims: Option<Claims>,
    pub device: Device,
    pub idle_ms: u64,
    pub lifetime_ms: u64,
    /// The secret that the browser presented: its session is ended in the same
    /// commit if it is the same subject's.
    pub presented: Option<Key>,
    /// Whether the subject's other sessions end in the same commit.
    pub end_others: bool,
    pub limit: Option<Limit>,
    /// For what the start ends.
    pub lead: Lead,
    /// How far the edge knew the feed when it let the log-in through.
    pub since: Option<Position>,
    /// The old kind of session that this one is exchanged for.
    pub adopts: Option<Adopts>,
    /// What the session holds for its user from the beginning.
    pub hold: Option<Hold>,
}

read_record!(strict StartCall {
    id, key, subject, level, claims, device, idle_ms, lifetime_ms, presented, end_others, limit, lead, since,
    adopts, hold,
});

/// A session of the application's old kind: as if its cookie had been the first
/// secret of the one that starts now.
#[derive(Clone, Debug, Serialize)]
pub struct Adopts {
    pub key: Key,
    /// Leads from the old cookie to the new secret.
    pub salt: Salt,
    pub wrapped: Option<Wrapped>,
    /// From the new secret's first use to the end of the old cookie.
    pub grace_ms: u64,
    /// When the old kind is over altogether.
    pub until: UnixMillis,
}

read_record!(strict Adopts { key, salt, wrapped, grace_ms, until });

/// Ask for the right to ask the application.
#[derive(Clone, Debug, Serialize)]
pub struct ClaimCall {
    pub key: Key,
    /// For how long nobody else may.
    pub lease_ms: u64,
    /// When the old kind is over altogether.
    pub until: UnixMillis,
}

read_record!(strict ClaimCall { key, lease_ms, until });

/// What has come of asking the application.
#[derive(Clone, Debug, Serialize)]
pub struct SettleCall {
    pub key: Key,
    pub settled: Settled,
}

read_record!(strict SettleCall { key, settled });

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Settled {
    /// Its session is in this shard.
    Exchanged { at: Locator },
    /// The application does not know it.
    Refused,
    /// The application has given no answer.
    Unknown,
}

read_choice!(strict Settled {
    "exchanged" => Exchanged { at },
    "refused" => Refused,
    "unknown" => Unknown,
});

/// What a session is to hold.
#[derive(Clone, Debug, Serialize)]
pub struct Hold {
    pub wrapped: Wrapped,
    pub sealed: Sealed,
}

read_record!(strict Hold { wrapped, sealed });

impl ShardCall {
    /// The first kill that it may commit, so that there is something to publish.
    pub fn kill(&self) -> Option<KillId> {
        match self {
            Self::Start(start) => Some(start.lead.kill),
            Self::End(end) => Some(end.kill),
            Self::EndOthers(others) => Some(others.lead.kill),
            Self::EndAll(all) => all.lead.as_ref().map(|lead| lead.kill),
            Self::Leave { kill, .. } => Some(*kill),
            Self::Check { end_on_replay, .. } => *end_on_replay,
            Self::Probe
            | Self::Rotate(_)
            | Self::Update(_)
            | Self::Renew(_)
            | Self::Hold(_)
            | Self::Claim(_)
            | Self::Settle(_)
            | Self::Close { .. }
            | Self::IsClosed { .. }
            | Self::List(_)
            | Self::Audit(_)
            | Self::Show { .. }
            | Self::EndSite { .. }
            | Self::Stands { .. }
            | Self::Receipt { .. } => None,
        }
    }
}

/// How many sessions a subject may have.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Limit {
    pub max: u32,
    /// Whether the oldest make room; else the start is refused.
    pub end_oldest: bool,
    /// How many live in shards of earlier rows of the map, which take no more.
    pub elsewhere: u32,
}

read_record!(strict Limit { max, end_oldest, elsewhere });

/// A new secret for the session that `presented` opens.
#[derive(Clone, Debug, Serialize)]
pub struct RotateCall {
    pub presented: Key,
    pub successor: Key,
    /// What the successor was derived with. `None`: it is fresh, for this
    /// answer only, and the old secret is served as what it was.
    pub salt: Option<Salt>,
    /// The new level, and a new authentication; only with a fresh successor.
    pub level: Option<u8>,
    /// From the successor's first use to the end of the old secret.
    pub grace_ms: u64,
    /// Of the entry that tells the edges of it.
    pub refresh: Handle,
    /// The content key of what the session holds, for the successor.
    pub wrapped: Option<Wrapped>,
}

read_record!(strict RotateCall { presented, successor, salt, level, grace_ms, refresh, wrapped });

/// What is to change; `None`: stays.
#[derive(Clone, Debug, Serialize)]
pub struct UpdateCall {
    pub of: Which,
    pub claims: Option<Claims>,
    /// May only fall.
    pub level: Option<u8>,
    /// Of the entry that tells the edges of it.
    pub refresh: Handle,
}

read_record!(strict UpdateCall { of, claims, level, refresh });

/// Other values for the user, whole.
#[derive(Clone, Debug, Serialize)]
pub struct HoldCall {
    pub presented: Key,
    /// The version that they were made from; if there is a later one, nothing
    /// is written.
    pub base: u64,
    pub sealed: Sealed,
    /// From now to the session's end, whatever it was before.
    pub lifetime_ms: u64,
    pub idle_ms: u64,
    /// Of the entry that tells the edges of it.
    pub refresh: Handle,
}

read_record!(strict HoldCall { presented, base, sealed, lifetime_ms, idle_ms, refresh });

/// A use of the session.
#[derive(Clone, Debug, Serialize)]
pub struct RenewCall {
    pub key: Key,
    pub idle_ms: u64,
    /// The network that the use came from.
    pub prefix: Option<String>,
}

read_record!(strict RenewCall { key, idle_ms, prefix });

/// End one session, with all its secrets.
#[derive(Clone, Debug, Serialize)]
pub struct EndCall {
    pub of: Which,
    /// Only if it is this subject's.
    pub only: Option<Subject>,
    pub kill: KillId,
}

read_record!(strict EndCall { of, only, kill });

/// End the subject's other sessions, and give this one a fresh secret without
/// a grace: the copy that is to be got rid of may be of this very session.
#[derive(Clone, Debug, Serialize)]
pub struct EndOthersCall {
    pub presented: Key,
    pub successor: Key,
    pub lead: Lead,
    /// Requests with the old secret are refused, but for so long no replay:
    /// honest ones may be on their way.
    pub grace_ms: u64,
    /// The content key of what the session holds, for the successor.
    pub wrapped: Option<Wrapped>,
}

read_record!(strict EndOthersCall { presented, successor, lead, grace_ms, wrapped });

/// End all sessions of the subject.
#[derive(Clone, Debug, Serialize)]
pub struct EndAllCall {
    pub subject: Subject,
    /// The same in all shards.
    pub kill: KillId,
    /// Only for the lead of the shards, which keeps the receipt and publishes:
    /// the others have committed before it.
    pub lead: Option<Lead>,
}

read_record!(strict EndAllCall { subject, kill, lead });

/// What the lead shard of a kill has to know of the others.
#[derive(Clone, Debug, Serialize)]
pub struct Lead {
    pub kill: KillId,
    /// The largest generation that the others raised.
    pub at_least: u64,
    /// The rows of the map in which it has been committed, this one included.
    pub rows: Vec<MapRow>,
}

read_record!(strict Lead { kill, at_least, rows });

/// Live sessions of a subject, newest first.
#[derive(Clone, Debug, Serialize)]
pub struct ListCall {
    pub subject: Subject,
    /// Go on after this one.
    pub after: Option<Mark>,
    pub limit: u32,
}

read_record!(strict ListCall { subject, after, limit });

/// What the audit table has, newest first.
#[derive(Clone, Debug, Serialize)]
pub struct AuditCall {
    /// Only what concerns this subject.
    pub subject: Option<Subject>,
    /// Only what concerns this session.
    pub session: Option<SessionId>,
    /// Only what is older than this one.
    pub before: Option<u64>,
    pub limit: u32,
}

read_record!(strict AuditCall { subject, session, before, limit });

/// A place in a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Mark {
    pub created: UnixMillis,
    pub id: SessionId,
}

read_record!(strict Mark { created, id });
