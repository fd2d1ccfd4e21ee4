//! As much of a JWT as custody needs: whose it is, and until when.
//!
//! The signature is not checked, and need not be: the token has come from the
//! origin itself, over the connection to it. Nobody is let in on what stands in
//! a token; the origin checks it each time that it gets it.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Map, Value, json};

use crate::read;
use crate::session::Subject;
use crate::time::UnixMillis;

/// The claims of a JWT (RFC 7519) in its compact form.
pub struct Jwt(Map<String, Value>);

impl Jwt {
    /// `None`: not three parts, or no JSON object in the second.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || object(header).is_none() {
            return None;
        }
        object(claims).map(Self)
    }

    /// Whose it is: a text or a whole number at the pointer (RFC 6901).
    pub fn subject(&self, pointer: &str) -> Option<Subject> {
        subject_at(&Value::Object(self.0.clone()), pointer)
    }

    /// Section 4.1.4: `exp`, in seconds since 1970, which may have a fraction.
    pub fn expires(&self) -> Option<UnixMillis> {
        let seconds = self.0.get("exp")?.as_f64().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds))?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        Some(UnixMillis((seconds * 1000.0) as u64))
    }

    /// A token of the same shape that opens nothing: whose it is, until when,
    /// and what it stands for, without a signature. Its algorithm is none that
    /// anybody knows: there are those who believe `none`.
    pub fn placeholder(&self, name: &str) -> String {
        let mut claims = Map::new();
        for kept in ["sub", "exp"] {
            claims.extend(self.0.get(kept).map(|value| (kept.to_owned(), value.clone())));
        }
        claims.insert(STANDS_FOR.to_owned(), name.into());
        let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        format!("{}.{}.", part(&json!({"alg": PLACEHOLDER, "typ": "JWT"})), part(&Value::Object(claims)))
    }
}

/// What stands in the place of a token that is no JWT.
pub fn plain_placeholder(name: &str) -> String {
    format!("{PLAIN}{name}")
}

/// The name of the value that a placeholder stands for. A client can make one
/// up: that is worth no more than the session that it comes with.
pub fn stands_for(text: &str) -> Option<String> {
    if let Some(name) = text.strip_prefix(PLAIN) {
        return Some(name.to_owned());
    }
    let Jwt(claims) = Jwt::read(text)?;
    claims.get(STANDS_FOR)?.as_str().map(str::to_owned)
}

/// The subject at a pointer into a JSON document.
pub fn subject_at(document: &Value, pointer: &str) -> Option<Subject> {
    match document.pointer(pointer)? {
        Value::String(text) => Subject::parse(text),
        Value::Number(number) if !number.is_f64() => Subject::parse(&number.to_string()),
        _ => None,
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = Base64UrlUnpadded::decode_vec(part).ok()?;
    read::bytes(&bytes).ok()
}

const PLACEHOLDER: &str = "warifu-placeholder";

/// The claim of a placeholder that says what it stands for.
const STANDS_FOR: &str = "warifu";
const PLAIN: &str = "warifu-held.";

/// The year 9999.
const SECONDS_MAX: f64 = 253_402_300_799.0;
