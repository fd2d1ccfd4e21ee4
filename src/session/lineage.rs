//! The secrets of one session, one after the other: which of them is served,
//! as what, and for how long.
//!
//! A rotation gives the session a new secret. The old one goes on working for a
//! grace, so that a lost answer logs nobody out, and afterwards is a replay.
//! Within the grace it may be given its successor, which is derived from it and
//! a salt, so that all requests that race get the same one and none is stored.

use serde::Serialize;

use crate::read::{read_choice, read_text};
use crate::time::UnixMillis;

/// What turns an old secret into its successor; worthless without the secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Salt(pub [u8; SALT_BYTES]);

/// What the store knows of one secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// Until when it is served; `None`: it is the session's newest.
    pub serves_until: Option<UnixMillis>,
    /// From when on its use is a replay; where the grace was cut to nothing,
    /// honest requests may still be on their way.
    pub replay_from: Option<UnixMillis>,
    /// Leads to the newest secret; only the immediate predecessor has it, and
    /// never where the step between them raised something.
    pub salt: Option<Salt>,
    /// What this secret is served as, where the session has since risen.
    pub cap: Option<Cap>,
    /// The grace that this secret's first use leaves to its predecessors, in
    /// milliseconds; `None`: it has been used, or has no predecessor.
    pub grace_ms: Option<u64>,
    /// Whether it has a successor of which the edges have not been told: it is
    /// served, without an end, and nobody gets the successor.
    pub waits: bool,
}

/// The strength at which an old secret was left behind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cap {
    pub level: u8,
    pub auth_time: UnixMillis,
}

/// What a presented secret is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    Current,
    /// Old, and served; with the salt of its successor if it may have that.
    InGrace {
        successor: Option<Salt>,
    },
    /// Old, and refused.
    Retired {
        is_replay: bool,
    },
}

impl Link {
    /// The first secret of a session.
    pub const FIRST: Self =
        Self { serves_until: None, replay_from: None, salt: None, cap: None, grace_ms: None, waits: false };

    pub fn standing(&self, now: UnixMillis) -> Standing {
        if self.waits {
            return Standing::InGrace { successor: None };
        }
        match self.serves_until {
            None => Standing::Current,
            Some(until) if now < until => Standing::InGrace { successor: self.salt },
            Some(until) => Standing::Retired { is_replay: now >= self.replay_from.unwrap_or(until) },
        }
    }
}

/// How a served secret stands, as the gate is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Served {
    Current,
    /// `salt`: base64url, or null.
    InGrace {
        salt: Option<Salt>,
    },
}

read_choice!(open Served {
    "current" => Current,
    "in_grace" => InGrace { salt },
});

impl Serialize for Salt {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use base64ct::{Base64UrlUnpadded, Encoding};
        to.serialize_str(&Base64UrlUnpadded::encode_string(&self.0))
    }
}

read_text!(Salt, |text| crate::store::message::bytes(text).map(Self), "salt");

/// Old secrets of a session that are remembered, so that their use is seen to
/// be a replay; older ones are simply unknown.
pub const OLD_SECRETS_MAX: u32 = 32;

/// Length of a salt.
pub const SALT_BYTES: usize = 16;
