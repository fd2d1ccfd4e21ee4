//! What a session is called, and whose it is.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::read::read_text;
use crate::token::Locator;

/// A public handle of 16 bytes: the locator of a shard (4 bytes) and 12 random
/// ones; 22 characters of base64url. No credential, so it may be logged.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Handle([u8; HANDLE_BYTES]);

/// A session's handle: its *lineage*, which survives rotations.
pub type SessionId = Handle;

/// A kill's handle, by which its receipt is found; the locator is that of the
/// shard that keeps the receipt.
pub type KillId = Handle;

impl Handle {
    pub fn new(locator: Locator, random: [u8; 12]) -> Self {
        let mut bytes = [0; HANDLE_BYTES];
        bytes[..4].copy_from_slice(&locator.to_bytes());
        bytes[4..].copy_from_slice(&random);
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; HANDLE_BYTES] {
        &self.0
    }

    pub fn from_bytes(bytes: [u8; HANDLE_BYTES]) -> Self {
        Self(bytes)
    }

    /// The shard that it names.
    pub fn locator(&self) -> Locator {
        Locator::from_bytes([self.0[0], self.0[1], self.0[2], self.0[3]])
    }

    pub fn to_text(self) -> String {
        Base64UrlUnpadded::encode_string(&self.0)
    }

    /// Reads the 22 characters.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; HANDLE_BYTES];
        let read = Base64UrlUnpadded::decode(text, &mut bytes).map(<[u8]>::len);
        (read == Ok(HANDLE_BYTES)).then_some(Self(bytes))
    }

    /// The handle of the `number`th thing that one call does besides its own.
    #[must_use]
    pub fn nth(self, number: u32) -> Self {
        let mut bytes = self.0;
        let [.., a, b, c, d] = &mut bytes;
        let last = u32::from_be_bytes([*a, *b, *c, *d]).wrapping_add(number).to_be_bytes();
        [*a, *b, *c, *d] = last;
        Self(bytes)
    }
}

impl Serialize for Handle {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.to_text())
    }
}

read_text!(Handle, Self::parse, "handle");

/// Who a session belongs to: 1–255 bytes of UTF-8 without control characters
/// or white space at the ends.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Subject(String);

impl Subject {
    pub fn parse(text: &str) -> Option<Self> {
        let fits =
            (1..=SUBJECT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control) && text.trim() == text;
        fits.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The subject's home shard in a row of the map: the first 8 bytes of
    /// SHA-256, big-endian, modulo the number of shards.
    pub fn home_shard(&self, shards: u32) -> u16 {
        let hash: [u8; 32] = Sha256::digest(self.0.as_bytes()).into();
        let number = hash[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        u16::try_from(number % u64::from(shards.clamp(1, 65_536))).expect("below 65,536")
    }
}

read_text!(Subject, Self::parse, "subject");

/// What is asked of a subject, for messages.
pub const SUBJECT_FORM: &str = "1 to 255 bytes of UTF-8 without control characters or white space at the ends";

const HANDLE_BYTES: usize = 16;
const SUBJECT_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_names_its_shard_and_reads_back() {
        let locator = Locator { generation: 2, region: 4, shard: 513 };
        let handle = Handle::new(locator, [255; 12]);
        assert_eq!((handle.locator(), handle.to_text().len()), (locator, 22));
        assert_eq!(Handle::parse(&handle.to_text()), Some(handle));
        assert_eq!((handle.nth(0), handle.nth(1).locator()), (handle, locator));
        assert_ne!(handle.nth(1), handle.nth(2));
        for bad in ["", "AAAA", &"A".repeat(21), &"A".repeat(23), &"=".repeat(22), &"B".repeat(22)] {
            assert_eq!(Handle::parse(bad), None, "{bad:?}");
        }
    }
}
