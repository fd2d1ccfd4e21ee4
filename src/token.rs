//! The session token: what the browser holds, and the keys that vouch for it.
//!
//! 54 bytes, then base64url without padding (72 characters):
//!
//! | bytes | field |
//! |---|---|
//! | 1 | version (1) |
//! | 1 | kid, the id of the MAC key |
//! | 4 | locator: map generation 1, region 1, shard 2 (big-endian) |
//! | 32 | secret, from the CSPRNG |
//! | 16 | HMAC-SHA-256, first 128 bits, over `warifu/1 token` ‖ 0 ‖ site ‖ 0 ‖ all bytes before |
//!
//! A wrong MAC never causes a store read. There is no algorithm field.

use base64ct::{Base64UrlUnpadded, Encoding};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::config::Mistake;
use crate::keys::{self, KEY_BYTES};
use crate::read::read_record;
use crate::session::Salt;

/// Where a session lives: a shard of one generation of the map.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
pub struct Locator {
    pub generation: u8,
    /// Code of the location hint, see [`crate::config::REGIONS`].
    pub region: u8,
    pub shard: u16,
}

read_record!(open Locator { generation, region, shard });

impl Locator {
    pub fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.shard.to_be_bytes();
        [self.generation, self.region, high, low]
    }

    pub fn from_bytes([generation, region, high, low]: [u8; 4]) -> Self {
        Self { generation, region, shard: u16::from_be_bytes([high, low]) }
    }
}

/// The 32 secret bytes of a token. Zeroed on drop; cannot be shown or compared.
pub struct Secret([u8; SECRET_BYTES]);

impl Secret {
    /// Wraps bytes that come from the CSPRNG.
    pub fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// What stands for a cookie of the application's own: HKDF-SHA-256 of it,
    /// for `warifu/1 adopted` and the site.
    pub fn of_cookie(value: &str, site: &str) -> Self {
        let mut secret = Self([0; SECRET_BYTES]);
        Hkdf::<Sha256>::new(None, value.as_bytes())
            .expand_multi_info(&[ADOPTED_LABEL, &[0], site.as_bytes()], &mut secret.0)
            .expect("RFC 5869, section 2.3: up to 255 hashes can be had");
        secret
    }

    /// The only form in which a store sees a secret.
    pub fn session_key(&self) -> SessionKey {
        SessionKey(Sha256::digest(self.0).into())
    }

    /// The secret that follows this one: HKDF-SHA-256 (RFC 5869) of it, with
    /// the salt, for `warifu/1 successor`. Everybody who has this secret and
    /// the salt gets the same one, and it is stored nowhere.
    #[must_use]
    pub fn successor(&self, salt: &Salt) -> Self {
        Self(*self.derive(Some(salt), SUCCESSOR_LABEL))
    }

    /// HKDF-SHA-256 (RFC 5869) of the secret, for one purpose.
    pub fn derive(&self, salt: Option<&Salt>, label: &[u8]) -> Zeroizing<[u8; SECRET_BYTES]> {
        let mut derived = Zeroizing::new([0; SECRET_BYTES]);
        Hkdf::<Sha256>::new(salt.map(|salt| salt.0.as_slice()), &self.0)
            .expand(label, &mut *derived)
            .expect("RFC 5869, section 2.3: up to 255 hashes can be had");
        derived
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// SHA-256 of a token's secret: what rows are keyed by. A copy of the store
/// yields no usable token.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// A token whose MAC was good. Only [`KeyRing::verify`] makes one.
pub struct Token {
    kid: u8,
    locator: Locator,
    secret: Secret,
    key: SessionKey,
    current: bool,
}

/// Without its secret.
impl core::fmt::Debug for Token {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Token").field("locator", &self.locator).finish_non_exhaustive()
    }
}

impl Token {
    pub fn kid(&self) -> u8 {
        self.kid
    }

    pub fn locator(&self) -> Locator {
        self.locator
    }

    pub fn session_key(&self) -> SessionKey {
        self.key
    }

    /// Which shard is asked, and under which key.
    pub fn place(&self) -> (Locator, SessionKey) {
        (self.locator, self.key)
    }

    /// The secret, to mint from; it stays in the gate.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Whether the newest key signed it.
    pub fn is_current(&self) -> bool {
        self.current
    }
}

/// A token for the browser; the text is zeroed on drop.
pub struct Minted(Zeroizing<String>);

impl Minted {
    /// The 72 characters, for the Set-Cookie header and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The MAC keys of one site, newest first: the first signs, all verify.
pub struct KeyRing(Vec<MacKey>);

struct MacKey {
    kid: u8,
    /// Keyed, and fed with the label and the site.
    mac: Hmac<Sha256>,
    /// The same for records of KV, whose names have the site.
    records: Hmac<Sha256>,
}

/// Vouches for records of KV, under the newest key.
#[derive(Clone)]
pub struct Voucher {
    pub kid: u8,
    records: Hmac<Sha256>,
}

impl Voucher {
    /// HMAC-SHA-256 over `warifu/2 record` ‖ 0 ‖ name ‖ 0 ‖ text.
    pub fn mac(&self, name: &str, text: &str) -> [u8; RECORD_MAC_BYTES] {
        over(&self.records, name, text).finalize().into_bytes().into()
    }
}

impl core::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let kids: Vec<u8> = self.0.iter().map(|key| key.kid).collect();
        f.debug_tuple("KeyRing").field(&kids).finish()
    }
}

impl KeyRing {
    /// Reads `WARIFU_KEYS`: `[{"kid":2,"key":"<base64url of 32 bytes>"},…]`.
    ///
    /// # Errors
    /// Every mistake, with its key; never a key's bytes.
    pub fn read(text: &str, site: &str) -> Result<Self, Vec<Mistake>> {
        let keys = keys::read(text, "WARIFU_KEYS")?;
        let of = |key: &keys::Key| MacKey {
            kid: key.kid,
            mac: keyed(&key.bytes, MAC_LABEL).chain_update(site).chain_update([0]),
            records: keyed(&key.bytes, RECORD_LABEL),
        };
        Ok(Self(keys.iter().map(of).collect()))
    }

    /// The token that this text is, if one of the keys signed it. MACs are
    /// compared in constant time.
    pub fn verify(&self, text: &str) -> Option<Token> {
        if text.len() != TOKEN_CHARS {
            return None;
        }
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        Base64UrlUnpadded::decode(text, &mut *bytes).ok()?;
        let (covered, tag) = bytes.split_at(TOKEN_BYTES - MAC_BYTES);
        let [version, kid, generation, region, high, low, found @ ..] = covered else { return None };
        if *version != VERSION {
            return None;
        }
        let at = self.0.iter().position(|key| key.kid == *kid)?;
        self.0[at].mac.clone().chain_update(covered).verify_truncated_left(tag).ok()?;
        let mut secret = Secret([0; SECRET_BYTES]);
        secret.0.copy_from_slice(found);
        Some(Token {
            kid: *kid,
            locator: Locator::from_bytes([*generation, *region, *high, *low]),
            key: secret.session_key(),
            secret,
            current: at == 0,
        })
    }

    /// What vouches for records of KV from now on.
    pub fn voucher(&self) -> Voucher {
        Voucher { kid: self.0[0].kid, records: self.0[0].records.clone() }
    }

    /// Whether the key of this number has vouched for the record. MACs are
    /// compared in constant time.
    pub fn vouches(&self, kid: u8, name: &str, text: &str, mac: &[u8; RECORD_MAC_BYTES]) -> bool {
        let key = self.0.iter().find(|key| key.kid == kid);
        key.is_some_and(|key| over(&key.records, name, text).verify_slice(mac).is_ok())
    }

    /// Whether this text has the form of a token, and names a key that is here.
    pub fn has_key_of(&self, text: &str) -> bool {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        text.len() == TOKEN_CHARS
            && Base64UrlUnpadded::decode(text, &mut *bytes).is_ok()
            && bytes[0] == VERSION
            && self.0.iter().any(|key| key.kid == bytes[1])
    }

    /// A token that nobody has presented, for a secret that is known: what is
    /// exchanged has none of its own.
    pub fn present(&self, locator: Locator, secret: Secret) -> Token {
        Token { kid: self.0[0].kid, locator, key: secret.session_key(), secret, current: true }
    }

    /// A token under the newest key.
    pub fn mint(&self, locator: Locator, secret: &Secret) -> Minted {
        let key = &self.0[0];
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        let (covered, tag) = bytes.split_at_mut(TOKEN_BYTES - MAC_BYTES);
        covered[0] = VERSION;
        covered[1] = key.kid;
        covered[2..6].copy_from_slice(&locator.to_bytes());
        covered[6..].copy_from_slice(&secret.0);
        let full = key.mac.clone().chain_update(&*covered).finalize().into_bytes();
        tag.copy_from_slice(&full[..MAC_BYTES]);
        Minted(Zeroizing::new(Base64UrlUnpadded::encode_string(&*bytes)))
    }
}

/// No label is the beginning of another: what is said under one key for one
/// purpose is worth nothing for another.
fn keyed(key: &[u8; KEY_BYTES], label: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key)
        .expect("RFC 2104, section 3: a key can be of any length")
        .chain_update(label)
        .chain_update([0])
}

fn over(records: &Hmac<Sha256>, name: &str, text: &str) -> Hmac<Sha256> {
    records.clone().chain_update(name).chain_update([0]).chain_update(text)
}

const MAC_LABEL: &[u8] = b"warifu/1 token";
const RECORD_LABEL: &[u8] = b"warifu/2 record";
const ADOPTED_LABEL: &[u8] = b"warifu/1 adopted";
const SUCCESSOR_LABEL: &[u8] = b"warifu/1 successor";
const VERSION: u8 = 1;
const MAC_BYTES: usize = 16;

/// Length of what vouches for a record of KV.
pub const RECORD_MAC_BYTES: usize = 32;

/// Length of a token's secret.
pub const SECRET_BYTES: usize = 32;
const TOKEN_BYTES: usize = 54;
/// Length of a token as text.
pub const TOKEN_CHARS: usize = 72;
