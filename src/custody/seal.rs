//! How what is held is sealed: nobody but who has the token can open it.
//!
//! The values are encrypted under a content key, which is random and the
//! session's own. The content key is encrypted once for each live secret of the
//! session, under a key derived from that secret. So a rotation, which makes a
//! new secret, need not touch the values, and a copy of the store opens nothing:
//! the secrets are in the browsers only.
//!
//! Both times XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a random
//! nonce of 24 bytes, over the site and the session as associated data: what is
//! of one session cannot be passed off as another's.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::ports::Random;
use crate::session::{Sealed, SessionId, Wrapped};
use crate::token::Secret;

/// Whose the values are.
#[derive(Clone, Copy)]
pub struct Owner<'a> {
    pub site: &'a str,
    pub session: SessionId,
}

/// The key to the values of one session; zeroed on drop.
pub struct ContentKey(Zeroizing<[u8; KEY_BYTES]>);

impl ContentKey {
    /// A new one. `None`: there is no randomness to be had.
    pub fn new(random: &impl Random) -> Option<Self> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        random.fill(&mut *key).then_some(Self(key))
    }

    /// As who has this secret can open it. `None`: there is no randomness.
    pub fn wrap(&self, secret: &Secret, owner: Owner<'_>, random: &impl Random) -> Option<Wrapped> {
        let bytes = encrypt(&wrapping_key(secret), &*self.0, &about(b"warifu/1 wrapped", owner), random)?;
        bytes.try_into().ok().map(Wrapped)
    }

    /// What this secret can open; `None`: it is of another secret or session,
    /// or somebody has changed it.
    pub fn unwrap(wrapped: &Wrapped, secret: &Secret, owner: Owner<'_>) -> Option<Self> {
        let plain = decrypt(&wrapping_key(secret), &wrapped.0, &about(b"warifu/1 wrapped", owner))?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if plain.len() != KEY_BYTES {
            return None;
        }
        key.copy_from_slice(&plain);
        Some(Self(key))
    }

    /// `None`: there is no randomness.
    pub fn seal(&self, plain: &[u8], owner: Owner<'_>, random: &impl Random) -> Option<Sealed> {
        encrypt(&self.0, plain, &about(b"warifu/1 held", owner), random).map(Sealed)
    }

    /// `None`: another key's or session's, or somebody has changed it.
    pub fn open(&self, sealed: &Sealed, owner: Owner<'_>) -> Option<Zeroizing<Vec<u8>>> {
        decrypt(&self.0, &sealed.0, &about(b"warifu/1 held", owner))
    }
}

fn wrapping_key(secret: &Secret) -> Zeroizing<[u8; KEY_BYTES]> {
    secret.derive(None, b"warifu/1 custody")
}

/// Nonce, ciphertext, tag.
fn encrypt(key: &[u8; KEY_BYTES], plain: &[u8], about: &[u8], random: &impl Random) -> Option<Vec<u8>> {
    let mut nonce = [0; NONCE_BYTES];
    if !random.fill(&mut nonce) {
        return None;
    }
    let sealed = cipher(key).encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: about }).ok()?;
    Some([nonce.as_slice(), &sealed].concat())
}

fn decrypt(key: &[u8; KEY_BYTES], sealed: &[u8], about: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    cipher(key).decrypt(&XNonce::from(*nonce), Payload { msg: rest, aad: about }).ok().map(Zeroizing::new)
}

/// Zeroed on drop, too (the feature `zeroize` of its crate).
fn cipher(key: &[u8; KEY_BYTES]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.into())
}

/// The associated data: what it is, of which site and session.
fn about(label: &[u8], owner: Owner<'_>) -> Vec<u8> {
    [label, &[0], owner.site.as_bytes(), &[0], owner.session.as_bytes()].concat()
}

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
