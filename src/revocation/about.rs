//! What entries of the feed, changes of one's own and sessions are about, made
//! comparable.

use core::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::collections::HashMap;
use std::hash::RandomState;

use super::EntryKey;
use crate::session::SessionId;

/// Kinds of keys; a kill and a refresh of a lineage come to the same.
#[derive(Hash)]
pub enum About<'a> {
    Session(SessionId),
    Subject(&'a str),
    Site,
}

impl<'a> From<&'a EntryKey> for About<'a> {
    fn from(key: &'a EntryKey) -> Self {
        match key {
            EntryKey::Session(id) | EntryKey::Refresh(id) => Self::Session(*id),
            EntryKey::Subject(subject) => Self::Subject(subject.as_str()),
            EntryKey::Site => Self::Site,
        }
    }
}

/// A key's hash: two keys of one hash come together once in four thousand
/// million, and then one is asked for in vain.
pub type Hashed = u32;

/// The key of one window's hashes; no secret, since in WebAssembly it is made of
/// addresses.
#[derive(Default)]
pub struct Hashing(RandomState);

impl Hashing {
    pub fn hash(&self, about: &About<'_>) -> Hashed {
        #[allow(clippy::cast_possible_truncation, reason = "a part of a hash is a hash")]
        return self.0.hash_one(about) as Hashed;
    }
}

/// A table of what is known by such hashes.
pub type Table<V> = HashMap<Hashed, V, BuildHasherDefault<Spread>>;

/// Spreads a hash over the bits that a table looks at.
#[derive(Default)]
pub struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, hash: u32) {
        self.0 = (self.0 ^ u64::from(hash)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
