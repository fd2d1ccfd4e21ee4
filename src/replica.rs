//! The copy of session records in KV: for requests that enter far from their
//! session's region, whose own look-up would go around the world.
//!
//! It decides nothing. KV may show a record that is minutes old, so a record
//! carries how far the feed was before its session object was asked, and counts
//! only where the edge holds every entry of the feed since then. Nor is KV
//! believed to say who wrote a record: one of the keys that sign tokens vouches
//! for it and for its name. A record that is malformed, foreign or too old is
//! passed over, and the object is asked.

use core::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Serialize;

use crate::config::{Config, Replica};
use crate::read::read_record;
use crate::revocation::Position;
use crate::session::Session;
use crate::store::message::bytes;
use crate::time::UnixMillis;
use crate::token::{KeyRing, Locator, SessionKey, Voucher};

/// What is kept in KV for one secret, as JSON.
#[derive(Debug, Serialize)]
pub struct Record {
    /// Of this form; other ones are passed over.
    v: u8,
    /// How far the feed was before the object was asked.
    pub position: Position,
    /// When the object was asked, by the clock of the edge that wrote it.
    pub confirmed: UnixMillis,
    pub session: Session,
}

read_record!(strict Record { v, position, confirmed, session });

impl Record {
    pub fn new(position: Position, confirmed: UnixMillis, session: Session) -> Self {
        Self { v: VERSION, position, confirmed, session }
    }

    pub fn to_text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// As KV keeps it under this name: `<kid>.<MAC in base64url>.<JSON>`.
    pub fn seal(&self, voucher: &Voucher, name: &str) -> Option<String> {
        let text = self.to_text()?;
        let mac = Base64UrlUnpadded::encode_string(&voucher.mac(name, &text));
        Some(format!("{}.{mac}.{text}", voucher.kid))
    }

    /// What KV has under this name, if we have written it there. `None`: it is
    /// somebody else's, or of a key that is there no more, or of another version.
    pub fn open(ring: &KeyRing, name: &str, sealed: &str) -> Option<Self> {
        if sealed.len() > RECORD_BYTES_MAX {
            return None;
        }
        let (kid, rest) = sealed.split_once('.')?;
        let (mac, text) = rest.split_once('.')?;
        let mac = bytes(mac)?;
        ring.vouches(kid.parse().ok()?, name, text, &mac).then(|| Self::parse(text))?
    }

    /// The JSON of it. `None`: malformed, or of another version.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > RECORD_BYTES_MAX {
            return None;
        }
        serde_json::from_str(text).ok().filter(|record: &Self| record.v == VERSION)
    }

    /// Whether the object was asked at most `horizon` ago. Two machines' clocks
    /// are compared here, which is about expiry and never about revocation.
    pub fn is_recent(&self, now: UnixMillis, horizon: Duration) -> bool {
        self.confirmed <= now.plus(CLOCK_SKEW_MAX) && now.since(self.confirmed) <= horizon
    }
}

/// The key in KV: `2/<site>/<session key in base64url>`. A session key is the
/// hash of a secret, so nothing of use to a thief stands in KV.
pub fn name(site: &str, key: &SessionKey) -> String {
    format!("{VERSION}/{site}/{}", Base64UrlUnpadded::encode_string(key.as_bytes()))
}

/// Whether there is a copy of sessions of this place: nothing is far from a
/// region that is not known.
pub fn is_written(config: &Config, at: Locator) -> bool {
    match config.replica {
        Replica::Off => false,
        Replica::Always => true,
        Replica::Away => at.region != AUTO,
    }
}

/// Whether the copy is read for a session of this place; `continent` says where
/// the request has entered, in two letters, as the platform knows it.
pub fn is_read(config: &Config, at: Locator, continent: impl FnOnce() -> Option<String>) -> bool {
    match config.replica {
        Replica::Off => false,
        Replica::Always => true,
        Replica::Away => {
            let Some((_, near)) = CONTINENTS.iter().find(|(region, _)| *region == at.region) else { return false };
            continent().is_some_and(|continent| continent != *near)
        }
    }
}

/// The region that is chosen by the platform.
const AUTO: u8 = 0;

/// The continent of each of the others.
const CONTINENTS: [(u8, &str); 9] =
    [(1, "NA"), (2, "NA"), (3, "SA"), (4, "EU"), (5, "EU"), (6, "AS"), (7, "OC"), (8, "AF"), (9, "AS")];

/// 1 had nobody to vouch for it.
const VERSION: u8 = 2;

/// Longer than any record is.
const RECORD_BYTES_MAX: usize = 64 << 10;

/// δ: how far the clocks of two machines are apart.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(2);
