//! What a session holds for its user: values of the application's own that the
//! browser must not have, as the store keeps them. Only who has a live secret of
//! the session can open them; see `crate::custody`.

use core::fmt;

use crate::read::{read_record, read_text};
use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Serialize;

/// What is held, with the key to it as one of the session's secrets opens it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Held {
    /// Counts the changes, from 1 on, so that none overwrites another unseen.
    pub version: u64,
    pub wrapped: Wrapped,
    pub sealed: Sealed,
}

read_record!(open Held { version, wrapped, sealed });

/// The session's content key, encrypted under one of its secrets: nonce,
/// ciphertext, tag.
#[derive(Clone, Eq, PartialEq)]
pub struct Wrapped(pub [u8; WRAPPED_BYTES]);

/// Values, encrypted under the content key: nonce, ciphertext, tag.
#[derive(Clone, Eq, PartialEq)]
pub struct Sealed(pub Vec<u8>);

/// Length only: even as it is, it says nothing to anybody who reads a log.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wrapped")
    }
}

impl Serialize for Wrapped {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&Base64UrlUnpadded::encode_string(&self.0))
    }
}

read_text!(Wrapped, |text| crate::store::message::bytes(text).map(Self), "wrapped key");

impl Serialize for Sealed {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&Base64UrlUnpadded::encode_string(&self.0))
    }
}

read_text!(Sealed, sealed, "sealed values");

fn sealed(text: &str) -> Option<Sealed> {
    let bytes = Base64UrlUnpadded::decode_vec(text).ok().filter(|bytes| bytes.len() <= SEALED_BYTES_MAX);
    bytes.map(Sealed)
}

/// A nonce of 24 bytes, a key of 32, a tag of 16.
pub const WRAPPED_BYTES: usize = 72;

/// More than [`crate::custody::HELD_BYTES_MAX`] comes to.
pub const SEALED_BYTES_MAX: usize = 32 << 10;
