//! What a session holds, as the gate has it for the length of one request:
//! cookies and tokens of the application's own.

use core::time::Duration;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::config::Custody;
use crate::custody::jwt::Jwt;
use crate::read::{self, Members, Read, Unread, read_choice};
use crate::session::Subject;
use crate::time::{UnixMillis, millis};

/// All values of one session.
#[derive(Clone, Serialize)]
pub struct Holding {
    values: Vec<Value>,
    /// Whose they are, by the application's own word; a command may have given
    /// the session another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Subject>,
    /// From its start to the session's end, as far as that does not depend on
    /// what is held; in milliseconds.
    lifetime_ms: u64,
}

/// One of them.
#[derive(Clone, Serialize)]
pub struct Value {
    pub kind: Kind,
    /// The cookie's name; of a token the last part of the pointer to it.
    pub name: String,
    pub value: Zeroizing<String>,
    /// When it is worth nothing any more, as far as it can be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<UnixMillis>,
    /// A cookie's Path (RFC 6265, section 5.2.4); `/` unless the origin said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// How a value came, and goes back.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Cookie,
    /// The one that is sent as `Authorization: Bearer`.
    Bearer,
    /// Another token, which is sent in a body where the page puts it.
    Token,
}

read_choice!(open Kind {
    "cookie" => Cookie,
    "bearer" => Bearer,
    "token" => Token,
});

impl Read for Value {
    fn read(value: serde_json::Value) -> Result<Self, Unread> {
        let mut members = Members::of(value)?;
        Ok(Self {
            kind: members.take("kind")?,
            name: members.take("name")?,
            value: members.take("value")?,
            expires: members.take_if_there("expires")?,
            path: members.take_if_there("path")?,
        })
    }
}

impl Read for Holding {
    fn read(value: serde_json::Value) -> Result<Self, Unread> {
        let mut members = Members::of(value)?;
        Ok(Self {
            values: members.take("values")?,
            subject: members.take_if_there("subject")?,
            lifetime_ms: members.take("lifetime_ms")?,
        })
    }
}

/// What an answer changes.
#[derive(Default)]
pub struct Change {
    /// Whose it is, where the value that says so is among them.
    pub subject: Option<Subject>,
    pub set: Vec<Value>,
    /// Names of cookies that the origin clears.
    pub cleared: Vec<String>,
}

impl Value {
    /// A value with its end: a JWT says that itself.
    pub fn new(kind: Kind, name: impl Into<String>, value: &str, expires: Option<UnixMillis>) -> Self {
        let said = Jwt::read(value).and_then(|jwt| jwt.expires());
        let expires = said.into_iter().chain(expires).min();
        Self { kind, name: name.into(), value: Zeroizing::new(value.to_owned()), expires, path: None }
    }

    /// Whether it goes with each request, and so is no refresh token.
    fn is_access(&self, first: Option<&str>) -> bool {
        self.kind == Kind::Bearer || (self.kind == Kind::Cookie && first == Some(&*self.name))
    }

    /// A value that the origin checks by its signature, so that an earlier one
    /// is as good until it expires; others may be used up.
    fn is_jwt(&self) -> bool {
        Jwt::read(&self.value).is_some()
    }

    fn is_replaced_by(&self, other: &Self) -> bool {
        self.kind == other.kind && (self.kind == Kind::Bearer || self.name == other.name)
    }

    fn is_good(&self, now: UnixMillis) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

impl Change {
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.cleared.is_empty()
    }
}

impl Holding {
    /// Nothing yet.
    pub fn new(lifetime: Duration) -> Self {
        Self { values: Vec::new(), subject: None, lifetime_ms: millis(lifetime) }
    }

    /// Reads what was sealed.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        read::bytes(bytes).ok()
    }

    /// What is to be sealed. `None`: it is more than may be held.
    pub fn to_bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = Zeroizing::new(serde_json::to_vec(self).ok()?);
        (bytes.len() <= HELD_BYTES_MAX).then_some(bytes)
    }

    /// Takes a change in; `first` is the cookie that says who it is. Returns
    /// whether anything has changed, and whether something that may be used up
    /// has.
    pub fn apply(&mut self, change: &Change, first: Option<&str>) -> Applied {
        let mut applied = Applied::default();
        if change.subject.is_some() && self.subject != change.subject {
            self.subject.clone_from(&change.subject);
            applied.has_changed = true;
        }
        for value in &change.set {
            let known = self.values.iter_mut().find(|known| known.is_replaced_by(value));
            match known {
                Some(known) if *known.value == *value.value && known.path == value.path => {
                    applied.has_changed |= known.expires != value.expires;
                    known.expires = value.expires;
                }
                Some(known) => {
                    applied.has_changed = true;
                    applied.uses_up |= !(value.is_access(first) && known.is_jwt() && value.is_jwt());
                    *known = value.clone();
                }
                None => {
                    applied.has_changed = true;
                    self.values.push(value.clone());
                }
            }
        }
        applied.has_changed |= self.keep(&|value| value.kind != Kind::Cookie || !change.cleared.contains(&value.name));
        applied
    }

    /// The cookies for a request to this path (RFC 6265, section 5.4), as in a
    /// Cookie header.
    pub fn cookies(&self, path: &str, now: UnixMillis) -> Vec<String> {
        let mut matching: Vec<&Value> = self
            .values
            .iter()
            .filter(|value| value.kind == Kind::Cookie && value.is_good(now))
            .filter(|value| value.path.as_deref().is_none_or(|under| path_matches(path, under)))
            .collect();
        // "Cookies with longer paths are listed before cookies with shorter paths."
        matching.sort_by_key(|value| core::cmp::Reverse(value.path.as_deref().map_or(1, str::len)));
        matching.into_iter().map(|value| format!("{}={}", value.name, &*value.value)).collect()
    }

    /// The token for `Authorization`.
    pub fn bearer(&self, now: UnixMillis) -> Option<&str> {
        self.values
            .iter()
            .find(|value| value.kind == Kind::Bearer && value.is_good(now))
            .map(|value| value.value.as_str())
    }

    /// The token that a placeholder of this name stands for.
    pub fn token(&self, name: &str) -> Option<&str> {
        self.values
            .iter()
            .find(|value| value.kind != Kind::Cookie && value.name == name)
            .map(|value| value.value.as_str())
    }

    /// Forgets what is not to be kept any more: the browser may have its own of that name by now.
    pub fn keep_configured(&mut self, custody: &Custody) {
        self.keep(&|value| match value.kind {
            Kind::Cookie => custody.cookies.contains(&value.name),
            Kind::Bearer | Kind::Token => custody.has_tokens(),
        });
    }

    /// Whether something was there that is not kept.
    fn keep(&mut self, is_kept: &dyn Fn(&Value) -> bool) -> bool {
        let before = self.values.len();
        self.values.retain(|value| is_kept(value));
        self.values.len() < before
    }

    /// Whether this cookie is a JWT.
    pub fn is_jwt(&self, cookie: &str) -> bool {
        self.values.iter().any(|value| value.kind == Kind::Cookie && value.name == cookie && value.is_jwt())
    }

    /// When the session that has it ends: with the last value that is worth
    /// anything, where that is known of all.
    pub fn end(&self, created: UnixMillis) -> UnixMillis {
        let ends = self.values.iter().map(|value| value.expires).collect::<Option<Vec<_>>>();
        let of_values = ends.and_then(|ends| ends.into_iter().max());
        of_values.into_iter().chain([created.plus(Duration::from_millis(self.lifetime_ms))]).min().unwrap_or(created)
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whose the values are, if this one is among them.
    pub fn whose(&self, value: &Value) -> Option<&Subject> {
        let mut values = self.values.iter();
        let is_held = values.any(|known| known.is_replaced_by(value) && *known.value == *value.value);
        self.subject.as_ref().filter(|_| is_held)
    }

    /// Whether the values are this person's.
    pub fn is_of(&self, subject: &Subject) -> bool {
        self.subject.as_ref() == Some(subject)
    }
}

/// What a change came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Applied {
    pub has_changed: bool,
    /// Whether a value was replaced that may be good for one use only.
    pub uses_up: bool,
}

/// RFC 6265, section 5.1.4.
fn path_matches(path: &str, under: &str) -> bool {
    path == under || path.strip_prefix(under).is_some_and(|rest| under.ends_with('/') || rest.starts_with('/'))
}

/// Of all values of a session with their names, as JSON.
pub const HELD_BYTES_MAX: usize = 16 << 10;
