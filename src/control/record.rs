//! A session as the API shows it. Never a token.

use serde::Serialize;
use serde_json::Value;

use crate::session::{Device, Session};

/// One session. Times are RFC 3339 in UTC.
#[derive(Debug, Serialize)]
pub struct Record {
    pub id: String,
    pub subject: String,
    pub level: u8,
    pub auth_time: String,
    pub created: String,
    pub last_seen: String,
    pub idle_expires: String,
    pub absolute_expires: String,
    /// An object, or null.
    pub claims: Option<Value>,
    pub device: Device,
    pub generation: u64,
    /// Whether it is the caller's own; only where the caller has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<bool>,
}

impl From<&Session> for Record {
    fn from(session: &Session) -> Self {
        Self {
            id: session.id.to_text(),
            subject: session.subject.as_str().to_owned(),
            level: session.level,
            auth_time: session.auth_time.to_rfc3339(),
            created: session.created.to_rfc3339(),
            last_seen: session.last_seen.to_rfc3339(),
            idle_expires: session.idle_expires.to_rfc3339(),
            absolute_expires: session.absolute_expires.to_rfc3339(),
            claims: session.claims.as_ref().map(crate::session::Claims::to_value),
            device: session.device.clone(),
            generation: session.generation,
            current: None,
        }
    }
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct Page {
    pub sessions: Vec<Record>,
    /// The cursor of the next page, or null.
    pub next: Option<String>,
}
