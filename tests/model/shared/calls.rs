//! What calls are made of: names, handles, secrets.

use super::operation::AtMost;
use super::random::mixed;
use super::warifu;
use warifu::config::MapRow;
use warifu::revocation::{Epoch, Position};
use warifu::session::{Handle, KillId, SALT_BYTES, Salt, Subject};
use warifu::store::message::{Home, Key, Lead, Limit};
use warifu::token::{Locator, SessionKey};

pub const HOME: Home = Home { row: MapRow::DEFAULT, shard: 7 };

/// Of the feed that the driver plays.
pub const EPOCH: Epoch = Epoch([7; 8]);

/// Later than all that a sequence ends.
pub const AFTER_ALL: Position = Position { epoch: EPOCH, seq: 1 << 40 };

pub fn subject(number: u8) -> Subject {
    let name = ["alice", "bob", "\u{5272}\u{7b26}"][usize::from(number)];
    Subject::parse(name).expect("a subject")
}

pub fn limit(of: AtMost) -> Limit {
    Limit { max: of.max, end_oldest: of.end_oldest, elsewhere: of.elsewhere }
}

/// What leads a kill in the only row of the map.
pub fn lead(kill: KillId) -> Lead {
    Lead { kill, at_least: 0, rows: vec![MapRow::DEFAULT] }
}

/// In no order: a later one is as likely to be the lower.
pub fn handle(number: u32) -> Handle {
    let mut random = [0; 12];
    random[..8].copy_from_slice(&mixed(u64::from(number)).to_be_bytes());
    Handle::new(Locator { generation: 1, region: 0, shard: 7 }, random)
}

/// A secret. As much of one as a shard gets to see: it knows only the keys, so
/// numbers do for secrets and no hash is needed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Secret(u64);

impl Secret {
    pub fn fresh(number: u32) -> Self {
        Self(mixed(u64::from(number)))
    }

    pub fn salt(number: u32) -> Salt {
        let mut salt = [0; SALT_BYTES];
        salt[..8].copy_from_slice(&mixed(u64::from(number)).to_be_bytes());
        Salt(salt)
    }

    /// The secret that a salt leads to.
    pub fn successor(self, salt: Salt) -> Self {
        let mut first = [0; 8];
        first.copy_from_slice(&salt.0[..8]);
        Self(mixed(self.0 ^ u64::from_be_bytes(first)))
    }

    pub fn key(self) -> Key {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&mixed(!self.0).to_be_bytes());
        Key(SessionKey::from_bytes(key))
    }
}
