//! Events for the log: what happened to sessions, and refusals for cause.
//! One JSON object a line, with stable names and without secrets.

use serde::Serialize;

/// One thing that happened.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    SessionStarted {
        session: String,
        subject: String,
        level: u8,
    },
    /// `actor` is `user` (logout) or `origin` (a command).
    SessionEnded {
        session: String,
        actor: &'static str,
    },
    /// A start in a browser that presented a live session of the same subject.
    SessionReplaced {
        session: String,
    },
    /// Two different tokens with good MACs in one request: none was honoured.
    SeveralTokens {
        path: String,
    },
    /// A command from a route without `commands = true`, or in answer to a
    /// request that another site caused.
    CommandIgnored {
        path: String,
        reason: &'static str,
    },
    /// A command that could not be obeyed.
    CommandRefused {
        path: String,
        reason: String,
    },
    /// The origin's answer would have written the session cookie.
    CookieRefused {
        path: String,
    },
    /// The login page itself wants a session, so nobody can log in.
    LoginNeedsSession {
        path: String,
    },
    CrossOriginRefused {
        path: String,
        origin: String,
    },
    StoreUnavailable {
        reason: String,
    },
    OriginUnreachable {
        reason: String,
    },
    /// Expired sessions could not be removed; it is tried again.
    SweepFailed {
        reason: String,
    },
    /// A defect of our own; the panic itself stands in the log before it.
    Panicked {
        place: &'static str,
    },
    /// The platform threw where it should not.
    Threw {
        reason: String,
    },
    Misconfigured {
        mistakes: Vec<String>,
    },
}

impl Event {
    /// The line for the log.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| r#"{"event":"unwritable"}"#.to_owned())
    }
}
