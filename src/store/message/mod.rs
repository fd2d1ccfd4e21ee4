//! What the gate and a session object say to each other: JSON, so that two
//! versions of the Worker can read each other's while one replaces the other.
//!
//! A call with a member that this version does not know is refused: it would be
//! obeyed by half. In an answer a member may be new, but none may be missing:
//! an absent `session` is not the answer that there is none.

mod answer;
mod call;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};

pub use self::answer::{Audited, Claimed, Found, Kill, KillScope, Placed, Progress, Published, Rotated, ShardAnswer};
pub use self::call::{
    Adopts, AuditCall, By, ClaimCall, EndAllCall, EndCall, EndOthersCall, Hold, HoldCall, Home, Lead, Limit, ListCall,
    Mark, Message, RenewCall, RotateCall, SettleCall, Settled, ShardCall, StartCall, UpdateCall, Which,
};
use crate::token::SessionKey;

/// A session key in base64url.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Key(pub SessionKey);

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

/// Bytes of a fixed length, in base64url.
pub(crate) fn bytes<'de, const N: usize, D: serde::Deserializer<'de>>(from: D) -> Result<[u8; N], D::Error> {
    let text = String::deserialize(from)?;
    let mut bytes = [0; N];
    match Base64UrlUnpadded::decode(&text, &mut bytes).map(<[u8]>::len) {
        Ok(length) if length == N => Ok(bytes),
        _ => Err(serde::de::Error::custom("not base64url of the right length")),
    }
}
