//! What a session is, and its lifetimes. Pure: no store, no clock.

use core::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};

use crate::time::UnixMillis;
use crate::token::Locator;

/// A session's public handle: safe to log, no credential. The locator of its
/// shard (4 bytes) and 12 random bytes; 22 characters of base64url.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SessionId([u8; SESSION_ID_BYTES]);

impl SessionId {
    pub fn new(locator: Locator, random: [u8; 12]) -> Self {
        let mut bytes = [0; SESSION_ID_BYTES];
        bytes[..4].copy_from_slice(&locator.to_bytes());
        bytes[4..].copy_from_slice(&random);
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; SESSION_ID_BYTES] {
        &self.0
    }

    pub fn from_bytes(bytes: [u8; SESSION_ID_BYTES]) -> Self {
        Self(bytes)
    }

    pub fn to_text(self) -> String {
        Base64UrlUnpadded::encode_string(&self.0)
    }
}

/// Who a session belongs to: 1–255 bytes of UTF-8 without control characters
/// or white space at the ends.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
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
        use sha2::{Digest, Sha256};
        let hash: [u8; 32] = Sha256::digest(self.0.as_bytes()).into();
        let number = hash[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        u16::try_from(number % u64::from(shards.clamp(1, 65_536))).expect("below 65,536")
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("no subject"))
    }
}

/// Facts about its user that travel with a session: a JSON object as text.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Claims(String);

impl Claims {
    /// Takes the text as it is if it is one JSON object of at most 2 KiB.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() <= CLAIMS_BYTES_MAX
            && serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok();
        fits.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("no claims"))
    }
}

/// A live session, as the store knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    pub id: SessionId,
    pub subject: Subject,
    /// Strength of the authentication, 0–255; what each number means is the application's.
    pub level: u8,
    pub auth_time: UnixMillis,
    pub created: UnixMillis,
    /// The last renewal: at most a tenth of the idle timeout behind the last use.
    pub last_seen: UnixMillis,
    pub idle_expires: UnixMillis,
    pub absolute_expires: UnixMillis,
    pub claims: Option<Claims>,
}

impl Session {
    /// Both timeouts always apply.
    pub fn is_live(&self, now: UnixMillis) -> bool {
        now < self.idle_expires && now < self.absolute_expires
    }

    /// Whether a use at `now` is to be written down.
    pub fn wants_renewal(&self, now: UnixMillis, idle_timeout: Duration) -> bool {
        now.since(self.last_seen) >= idle_timeout / RENEWALS_PER_IDLE_TIMEOUT
    }
}

/// When a session that was used at `now` expires for idleness. The slack of one
/// throttle step is there so that nobody in use is logged out early.
pub fn idle_expiry(now: UnixMillis, idle_timeout: Duration) -> UnixMillis {
    now.plus(idle_timeout).plus(idle_timeout / RENEWALS_PER_IDLE_TIMEOUT)
}

/// Renewals are written at most this often per idle timeout.
pub const RENEWALS_PER_IDLE_TIMEOUT: u32 = 10;

const SESSION_ID_BYTES: usize = 16;
const SUBJECT_BYTES_MAX: usize = 255;
const CLAIMS_BYTES_MAX: usize = 2_048;
