//! What the gate and a session object say to each other: JSON, so that two
//! versions of the Worker can read each other's while one replaces the other.
//!
//! A call with a member that this version does not know is refused: it would be
//! obeyed by half. In an answer a member may be new, but none may be missing:
//! an absent `session` is not the answer that there is none.

mod answer;
mod call;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Serialize;

pub use self::answer::{Audited, Claimed, Found, Kill, KillScope, Placed, Progress, Published, Rotated, ShardAnswer};
pub use self::call::{
    Adopts, AuditCall, By, ClaimCall, EndAllCall, EndCall, EndOthersCall, Hold, HoldCall, Home, Lead, Limit, ListCall,
    Mark, Message, RenewCall, RotateCall, SettleCall, Settled, ShardCall, StartCall, UpdateCall, Which,
};
use crate::read::read_text;
use crate::token::SessionKey;

/// A session key in base64url.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Key(pub SessionKey);

impl Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&Base64UrlUnpadded::encode_string(self.0.as_bytes()))
    }
}

read_text!(Key, |text| bytes(text).map(|bytes| Self(SessionKey::from_bytes(bytes))), "key");

/// Bytes of a fixed length, in base64url.
pub(crate) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let read = Base64UrlUnpadded::decode(text, &mut bytes).map(<[u8]>::len);
    (read == Ok(N)).then_some(bytes)
}
