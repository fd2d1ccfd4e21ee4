//! Signatures of forwarded requests (RFC 9421), so that the origin can tell
//! what came through the gateway from what somebody sent it directly.
//!
//! Label `warifu`, algorithm `hmac-sha256`. Covered are the method, the
//! authority, the path, the query and all identity headers, as the origin sees
//! them: a copied signature fits no other path, method or person.

use core::cell::{Cell, OnceCell};
use core::fmt::Write;

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sfv::Parser;
use sfv::visitor::Ignored;
use sha2::Sha256;

use crate::config::Mistake;
use crate::keys;
use crate::ports::Random;
use crate::time::UnixMillis;

/// Signs with the newest of `WARIFU_ORIGIN_KEYS`.
pub struct Signer {
    /// The kid, in decimal.
    keyid: String,
    mac: Hmac<Sha256>,
    /// Different in each isolate, drawn with the first signature.
    isolate: OnceCell<[u8; 8]>,
    /// How many nonces this isolate has given out.
    given: Cell<u64>,
}

impl core::fmt::Debug for Signer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Signer").field("keyid", &self.keyid).finish_non_exhaustive()
    }
}

/// The two headers' members, to be added to the client's own.
pub struct Signed {
    pub signature_input: String,
    pub signature: String,
}

impl Signer {
    /// Reads `WARIFU_ORIGIN_KEYS`, of the form of `WARIFU_KEYS`.
    ///
    /// # Errors
    /// Every mistake; never a key's bytes.
    pub fn read(text: &str) -> Result<Self, Vec<Mistake>> {
        let keys = keys::read(text, "WARIFU_ORIGIN_KEYS")?;
        Ok(Self::new(keys[0].kid.to_string(), &*keys[0].bytes))
    }

    /// A signer with a key of any length.
    pub fn new(keyid: String, key: &[u8]) -> Self {
        let mac = Hmac::new_from_slice(key).expect("RFC 2104, section 3: a key can be of any length");
        Self { keyid, mac, isolate: OnceCell::new(), given: Cell::new(0) }
    }

    /// Signs `components`, names (in lower case, derived ones with `@`) and
    /// values as the origin will see them. `None`: there is no randomness to be
    /// had.
    pub fn sign(&self, components: &[(&str, &str)], now: UnixMillis, random: &impl Random) -> Option<Signed> {
        let created = now.as_unix_seconds();
        let nonce = self.nonce(random)?;
        let mut params = String::with_capacity(384);
        push_list(&mut params, components);
        write!(
            params,
            ";created={created};expires={};nonce=\"{}\";keyid=\"{}\";alg=\"hmac-sha256\";tag=\"warifu\"",
            created + EXPIRES_SECONDS,
            Base64UrlUnpadded::encode_string(&nonce),
            self.keyid,
        )
        .expect("a String takes all");
        let signature = self.mac_of(components, &params);
        Some(Signed { signature_input: format!("{LABEL}={params}"), signature: format!("{LABEL}=:{signature}:") })
    }

    /// A value that is given out once: random bytes of this isolate, and a
    /// number.
    fn nonce(&self, random: &impl Random) -> Option<[u8; 16]> {
        if self.isolate.get().is_none() {
            let mut bytes = [0; 8];
            if !random.fill(&mut bytes) {
                return None;
            }
            self.isolate.set(bytes).ok();
        }
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(self.isolate.get()?);
        nonce[8..].copy_from_slice(&self.given.replace(self.given.get() + 1).to_be_bytes());
        Some(nonce)
    }

    /// The signature in base64, over the base of section 2.5.
    pub fn mac_of(&self, components: &[(&str, &str)], params: &str) -> String {
        let mut mac = self.mac.clone();
        for (name, value) in components {
            for part in ["\"", name, "\": ", value, "\n"] {
                mac.update(part.as_bytes());
            }
        }
        mac.update(b"\"@signature-params\": ");
        mac.update(params.as_bytes());
        Base64::encode_string(&mac.finalize().into_bytes())
    }
}

/// The covered components: `("@method" "@path")`.
fn push_list(params: &mut String, components: &[(&str, &str)]) {
    for (index, (name, _)) in components.iter().enumerate() {
        params.push_str(if index == 0 { "(\"" } else { " \"" });
        params.push_str(name);
        params.push('"');
    }
    params.push(')');
}

/// A client's `Signature` or `Signature-Input` without what could pass for
/// ours; `None`: nothing is left, or it is no Dictionary (RFC 9651), so that an
/// origin may read something in it that we do not.
pub fn without_ours(header: &str) -> Option<String> {
    Parser::new(header).parse_dictionary_with_visitor(Ignored).ok()?;
    let kept: Vec<&str> = members(header).filter(|member| key_of(member) != LABEL).collect();
    (!kept.is_empty()).then(|| kept.join(", "))
}

/// The members of a well-formed Dictionary: the text between its commas, which
/// can else stand only in strings. A Display String, `%"…"`, is one in which a
/// backslash escapes nothing (RFC 9651, section 4.2.10).
fn members(header: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped, mut has_escapes) = (false, false, true);
    let mut before = ' ';
    let parts = header.split(move |c: char| {
        let earlier = core::mem::replace(&mut before, c);
        if is_escaped {
            is_escaped = false;
            return false;
        }
        match c {
            '"' => {
                is_quoted = !is_quoted;
                has_escapes = earlier != '%';
            }
            '\\' => is_escaped = is_quoted && has_escapes,
            _ => {}
        }
        c == ',' && !is_quoted
    });
    parts.map(|part| part.trim_matches([' ', '\t'])).filter(|part| !part.is_empty())
}

fn key_of(member: &str) -> &str {
    member.split(['=', ';']).next().unwrap_or_default()
}

/// Our members of `Signature` and `Signature-Input`, in requests and answers.
pub const LABEL: &str = "warifu";

/// A signature is good for so long; the clocks of gateway and origin may differ.
const EXPIRES_SECONDS: u64 = 60;
