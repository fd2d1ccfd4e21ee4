//! The administrators' keys: `WARIFU_ADMIN_KEYS`, a JSON list of
//! `{"id":"ops","sha256":"<hex>","scopes":["revoke",…]}`.
//!
//! The gateway keeps SHA-256 of a key's text, never the key: who reads the
//! secret cannot call with it.

use ctutils::CtEq;
use sha2::{Digest, Sha256};

use crate::config::Mistake;
use crate::read::{self, read_record};

/// What a key can be good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    SessionsRead,
    SessionsWrite,
    Mint,
    Revoke,
    Verify,
    Metrics,
}

impl Scope {
    pub const ALL: [Self; 6] =
        [Self::SessionsRead, Self::SessionsWrite, Self::Mint, Self::Revoke, Self::Verify, Self::Metrics];

    pub const fn name(self) -> &'static str {
        match self {
            Self::SessionsRead => "sessions:read",
            Self::SessionsWrite => "sessions:write",
            Self::Mint => "mint",
            Self::Revoke => "revoke",
            Self::Verify => "verify",
            Self::Metrics => "metrics",
        }
    }
}

/// One administrator's key.
pub struct AdminKey {
    id: String,
    hash: [u8; 32],
    scopes: Vec<Scope>,
}

impl AdminKey {
    /// Whose it is, as the log names them.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn is_good_for(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }
}

/// All keys; none, where the secret is not set.
#[derive(Default)]
pub struct AdminKeys(Vec<AdminKey>);

impl core::fmt::Debug for AdminKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.0.iter().map(AdminKey::id)).finish()
    }
}

impl AdminKeys {
    /// Reads `WARIFU_ADMIN_KEYS`.
    ///
    /// # Errors
    /// Every mistake, with its key.
    pub fn read(text: &str) -> Result<Self, Vec<Mistake>> {
        struct Entry {
            id: String,
            sha256: String,
            scopes: Vec<String>,
        }
        read_record!(strict Entry { id, sha256, scopes });
        let mistake = |key: String, says: String| Mistake { key, says };
        // The parser's own message could quote a key that was put here by mistake.
        let entries: Vec<Entry> =
            read::text(text).map_err(|_| vec![mistake("WARIFU_ADMIN_KEYS".to_owned(), ADMIN_KEYS_FORM.to_owned())])?;
        let mut mistakes = Vec::new();
        let mut keys: Vec<AdminKey> = Vec::with_capacity(entries.len());
        for (index, entry) in entries.into_iter().enumerate() {
            let at = |member: &str| format!("WARIFU_ADMIN_KEYS[{index}].{member}");
            if !is_admin_id(&entry.id) {
                mistakes.push(mistake(at("id"), format!("it must be {ADMIN_ID_FORM}")));
            }
            if keys.iter().any(|earlier| earlier.id == entry.id) {
                mistakes.push(mistake(at("id"), "it is that of an earlier entry; each must be its own".to_owned()));
            }
            let mut hash = [0; 32];
            if base16ct::mixed::decode(&entry.sha256, &mut hash).map(<[u8]>::len) != Ok(32) {
                mistakes.push(mistake(at("sha256"), "it must be the SHA-256 of the key, 64 hex digits".to_owned()));
            } else if keys.iter().any(|earlier| earlier.hash == hash) {
                mistakes.push(mistake(at("sha256"), "it is that of an earlier key; each must be its own".to_owned()));
            }
            let mut scopes = Vec::with_capacity(entry.scopes.len());
            for name in &entry.scopes {
                let scope = Scope::ALL.into_iter().find(|scope| scope.name() == name);
                if scope.is_none() {
                    let known: Vec<&str> = Scope::ALL.into_iter().map(Scope::name).collect();
                    // What was found could be a key that was put here by mistake.
                    mistakes.push(mistake(at("scopes"), format!("an unknown one; allowed: {}", known.join(", "))));
                }
                scopes.extend(scope);
            }
            keys.push(AdminKey { id: entry.id, hash, scopes });
        }
        if mistakes.is_empty() { Ok(Self(keys)) } else { Err(mistakes) }
    }

    /// The key that this text is. All are compared, each in constant time.
    pub fn find(&self, key: &str) -> Option<&AdminKey> {
        let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let mut found = None;
        for known in &self.0 {
            if known.hash.ct_eq(&hash).to_bool() {
                found = Some(known);
            }
        }
        found
    }
}

/// Whether a key may be called so.
pub fn is_admin_id(text: &str) -> bool {
    (1..=ID_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// What `WARIFU_ADMIN_KEYS` has to look like.
pub const ADMIN_KEYS_FORM: &str = "it must be a JSON list: \
     [{\"id\":\"ops\",\"sha256\":\"<hex>\",\"scopes\":[\"sessions:read\",\"revoke\"]}]";

/// What is asked of an id, for messages.
pub const ADMIN_ID_FORM: &str = "1 to 64 of A-Z a-z 0-9 . _ -";

const ID_CHARS_MAX: usize = 64;
