//! Questions and orders to a shard.

use serde::{Deserialize, Serialize};

use crate::config::MapRow;
use crate::revocation::Position;
use crate::session::{Claims, Device, Handle, KillId, Salt, Sealed, SessionId, Subject, Wrapped};
use crate::store::message::Key;
use crate::time::UnixMillis;
use crate::token::Locator;

/// A call, and where the caller believes to be.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `None` only for [`ShardCall::Probe`], which is no shard's.
    #[serde(deserialize_with = "Option::deserialize")]
    pub home: Option<Home>,
    /// Whether the answer is held until a write that was issued after the
    /// question is confirmed: an object that has been replaced and does not
    /// know it can then not answer.
    pub is_fenced: bool,
    /// Who wants it, for the audit table; `None`: nothing is written there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    pub call: ShardCall,
}

/// Who wants something of a shard, why, and from where.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct By {
    pub actor: String,
    /// The call or the command that asks for it.
    pub reason: String,
    /// The network of the client, never its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// For how long it stays in the table.
    pub keep_ms: u64,
}

/// A shard of a row of the map. A shard remembers its own and refuses another.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Home {
    pub row: MapRow,
    pub shard: u16,
}

impl Home {
    /// The shard as tokens and handles name it.
    pub fn locator(self) -> Locator {
        Locator { generation: self.row.generation, region: self.row.region, shard: self.shard }
    }
}

/// A question to a shard, or an order.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ShardCall {
    /// Touch the storage, so that the answer means something.
    Probe,
    /// Which session this secret opens. A replay ends the lineage under this
    /// kill, if there is one.
    Check {
        key: Key,
        #[serde(deserialize_with = "Option::deserialize")]
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
        #[serde(deserialize_with = "Option::deserialize")]
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

/// A session by one of its two names.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// By a secret, which must be one that is served.
    Key(Key),
    Id(SessionId),
}

/// A session to be written.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StartCall {
    pub id: SessionId,
    pub key: Key,
    pub subject: Subject,
    pub level: u8,
    #[serde(deserialize_with = "Option::deserialize")]
    pub claims: Option<Claims>,
    pub device: Device,
    pub idle_ms: u64,
    pub lifetime_ms: u64,
    /// The secret that the browser presented: its session is ended in the same
    /// commit if it is the same subject's.
    #[serde(deserialize_with = "Option::deserialize")]
    pub presented: Option<Key>,
    /// Whether the subject's other sessions end in the same commit.
    pub end_others: bool,
    #[serde(deserialize_with = "Option::deserialize")]
    pub limit: Option<Limit>,
    /// For what the start ends.
    pub lead: Lead,
    /// How far the edge knew the feed when it let the log-in through.
    #[serde(deserialize_with = "Option::deserialize")]
    pub since: Option<Position>,
    /// The old kind of session that this one is exchanged for.
    #[serde(deserialize_with = "Option::deserialize")]
    pub adopts: Option<Adopts>,
    /// What the session holds for its user from the beginning.
    #[serde(deserialize_with = "Option::deserialize")]
    pub hold: Option<Hold>,
}

/// A session of the application's old kind: as if its cookie had been the first
/// secret of the one that starts now.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Adopts {
    pub key: Key,
    /// Leads from the old cookie to the new secret.
    pub salt: Salt,
    #[serde(deserialize_with = "Option::deserialize")]
    pub wrapped: Option<Wrapped>,
    /// From the new secret's first use to the end of the old cookie.
    pub grace_ms: u64,
    /// When the old kind is over altogether.
    pub until: UnixMillis,
}

/// Ask for the right to ask the application.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimCall {
    pub key: Key,
    /// For how long nobody else may.
    pub lease_ms: u64,
    /// When the old kind is over altogether.
    pub until: UnixMillis,
}

/// What has come of asking the application.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SettleCall {
    pub key: Key,
    pub settled: Settled,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Settled {
    /// Its session is in this shard.
    Exchanged { at: Locator },
    /// The application does not know it.
    Refused,
    /// The application has given no answer.
    Unknown,
}

/// What a session is to hold.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    pub wrapped: Wrapped,
    pub sealed: Sealed,
}

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
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub max: u32,
    /// Whether the oldest make room; else the start is refused.
    pub end_oldest: bool,
    /// How many live in shards of earlier rows of the map, which take no more.
    pub elsewhere: u32,
}

/// A new secret for the session that `presented` opens.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RotateCall {
    pub presented: Key,
    pub successor: Key,
    /// What the successor was derived with. `None`: it is fresh, for this
    /// answer only, and the old secret is served as what it was.
    #[serde(deserialize_with = "Option::deserialize")]
    pub salt: Option<Salt>,
    /// The new level, and a new authentication; only with a fresh successor.
    #[serde(deserialize_with = "Option::deserialize")]
    pub level: Option<u8>,
    /// From the successor's first use to the end of the old secret.
    pub grace_ms: u64,
    /// Of the entry that tells the edges of it.
    pub refresh: Handle,
    /// The content key of what the session holds, for the successor.
    #[serde(deserialize_with = "Option::deserialize")]
    pub wrapped: Option<Wrapped>,
}

/// What is to change; `None`: stays.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateCall {
    pub of: Which,
    #[serde(deserialize_with = "Option::deserialize")]
    pub claims: Option<Claims>,
    /// May only fall.
    #[serde(deserialize_with = "Option::deserialize")]
    pub level: Option<u8>,
    /// Of the entry that tells the edges of it.
    pub refresh: Handle,
}

/// Other values for the user, whole.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
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

/// A use of the session.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RenewCall {
    pub key: Key,
    pub idle_ms: u64,
    /// The network that the use came from.
    #[serde(deserialize_with = "Option::deserialize")]
    pub prefix: Option<String>,
}

/// End one session, with all its secrets.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EndCall {
    pub of: Which,
    /// Only if it is this subject's.
    #[serde(deserialize_with = "Option::deserialize")]
    pub only: Option<Subject>,
    pub kill: KillId,
}

/// End the subject's other sessions, and give this one a fresh secret without
/// a grace: the copy that is to be got rid of may be of this very session.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EndOthersCall {
    pub presented: Key,
    pub successor: Key,
    pub lead: Lead,
    /// Requests with the old secret are refused, but for so long no replay:
    /// honest ones may be on their way.
    pub grace_ms: u64,
    /// The content key of what the session holds, for the successor.
    #[serde(deserialize_with = "Option::deserialize")]
    pub wrapped: Option<Wrapped>,
}

/// End all sessions of the subject.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EndAllCall {
    pub subject: Subject,
    /// The same in all shards.
    pub kill: KillId,
    /// Only for the lead of the shards, which keeps the receipt and publishes:
    /// the others have committed before it.
    #[serde(deserialize_with = "Option::deserialize")]
    pub lead: Option<Lead>,
}

/// What the lead shard of a kill has to know of the others.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Lead {
    pub kill: KillId,
    /// The largest generation that the others raised.
    pub at_least: u64,
    /// The rows of the map in which it has been committed, this one included.
    pub rows: Vec<MapRow>,
}

/// Live sessions of a subject, newest first.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ListCall {
    pub subject: Subject,
    /// Go on after this one.
    #[serde(deserialize_with = "Option::deserialize")]
    pub after: Option<Mark>,
    pub limit: u32,
}

/// What the audit table has, newest first.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AuditCall {
    /// Only what concerns this subject.
    #[serde(deserialize_with = "Option::deserialize")]
    pub subject: Option<Subject>,
    /// Only what concerns this session.
    #[serde(deserialize_with = "Option::deserialize")]
    pub session: Option<SessionId>,
    /// Only what is older than this one.
    #[serde(deserialize_with = "Option::deserialize")]
    pub before: Option<u64>,
    pub limit: u32,
}

/// A place in a list.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    pub created: UnixMillis,
    pub id: SessionId,
}
