//! What the gate and a session object say to each other: JSON, so that two
//! versions of the Worker can read each other's while one replaces the other.
//!
//! A call with a member that this version does not know is refused: it would be
//! obeyed by half. In an answer a member may be new, but none may be missing:
//! an absent `session` is not the answer that there is none.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};

use crate::config::MapRow;
use crate::ports::NewSession;
use crate::session::{Claims, Session, SessionId, Subject};
use crate::time::{UnixMillis, millis};
use crate::token::SessionKey;

/// A question to a shard.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum ShardCall {
    /// Touch the storage, so that the answer means something.
    Probe,
    Check {
        key: Key,
    },
    Start(Box<StartCall>),
    End {
        key: Key,
    },
    Renew {
        key: Key,
        idle_ms: u64,
    },
}

/// A session to be written.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StartCall {
    pub row: MapRow,
    pub shard: u16,
    pub id: Handle,
    pub key: Key,
    pub subject: Subject,
    pub level: u8,
    #[serde(deserialize_with = "Option::deserialize")]
    pub claims: Option<Claims>,
    pub idle_ms: u64,
    pub lifetime_ms: u64,
    #[serde(deserialize_with = "Option::deserialize")]
    pub presented: Option<Key>,
}

impl StartCall {
    /// The call that commits a session under a row of the map.
    pub fn new(row: MapRow, start: &NewSession) -> Self {
        Self {
            row,
            shard: start.locator.shard,
            id: Handle(start.id),
            key: Key(start.key),
            subject: start.subject.clone(),
            level: start.level,
            claims: start.claims.clone(),
            idle_ms: millis(start.idle_timeout),
            lifetime_ms: millis(start.lifetime),
            presented: start.presented.map(Key),
        }
    }
}

/// A shard's answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum ShardAnswer {
    Alive,
    /// The live session, or none.
    Session {
        #[serde(deserialize_with = "Option::deserialize")]
        session: Option<Record>,
    },
    Started {
        session: Record,
        #[serde(deserialize_with = "Option::deserialize")]
        replaced: Option<Handle>,
    },
    Ended {
        #[serde(deserialize_with = "Option::deserialize")]
        session: Option<Handle>,
    },
    Renewed,
    /// The shard belongs to another row of the map.
    WrongRow,
    /// A defect of our own.
    Panicked,
    /// The storage failed; the text is for the log.
    Failed {
        reason: String,
    },
}

/// A session key in base64url.
#[derive(Clone, Copy, Debug)]
pub struct Key(pub SessionKey);

/// A session id in base64url.
#[derive(Clone, Copy, Debug)]
pub struct Handle(pub SessionId);

impl Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&Base64UrlUnpadded::encode_string(self.0.as_bytes()))
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        bytes(from).map(|bytes| Self(SessionKey::from_bytes(bytes)))
    }
}

impl Serialize for Handle {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0.to_text())
    }
}

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        bytes(from).map(|bytes| Self(SessionId::from_bytes(bytes)))
    }
}

fn bytes<'de, const N: usize, D: serde::Deserializer<'de>>(from: D) -> Result<[u8; N], D::Error> {
    let text = String::deserialize(from)?;
    let mut bytes = [0; N];
    match Base64UrlUnpadded::decode(&text, &mut bytes).map(<[u8]>::len) {
        Ok(length) if length == N => Ok(bytes),
        _ => Err(serde::de::Error::custom("not base64url of the right length")),
    }
}

/// A session on its way from the shard to the gate.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Record {
    pub id: Handle,
    pub subject: Subject,
    pub level: u8,
    pub auth_time: UnixMillis,
    pub created: UnixMillis,
    pub last_seen: UnixMillis,
    pub idle_expires: UnixMillis,
    pub absolute_expires: UnixMillis,
    #[serde(deserialize_with = "Option::deserialize")]
    pub claims: Option<Claims>,
}

impl From<Session> for Record {
    fn from(session: Session) -> Self {
        let Session { id, subject, level, auth_time, created, last_seen, idle_expires, absolute_expires, claims } =
            session;
        Self { id: Handle(id), subject, level, auth_time, created, last_seen, idle_expires, absolute_expires, claims }
    }
}

impl From<Record> for Session {
    fn from(record: Record) -> Self {
        let Record { id, subject, level, auth_time, created, last_seen, idle_expires, absolute_expires, claims } =
            record;
        Self { id: id.0, subject, level, auth_time, created, last_seen, idle_expires, absolute_expires, claims }
    }
}
