//! Events for the log: what happened to sessions, and refusals for cause.
//! One JSON object a line, with stable names and without secrets.

use serde::Serialize;

/// One thing that happened.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// `actor` is `origin` (a command) or `admin:<id>`.
    SessionStarted {
        session: String,
        subject: String,
        level: u8,
        actor: String,
    },
    /// A new secret; `level` where it changed with it.
    SessionRotated {
        session: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        level: Option<u8>,
    },
    SessionUpdated {
        session: String,
        actor: String,
    },
    /// `actor` is `user`, `origin`, `admin:<id>`, `limit` (it made room), or
    /// `replay` (an old secret of it was used).
    SessionEnded {
        session: String,
        actor: String,
    },
    /// A start that was not to be; `reason` is the key of the configuration, or
    /// `killed_meanwhile`.
    StartRefused {
        subject: String,
        reason: &'static str,
        actor: String,
    },
    /// A start in a browser that presented a live session of the same subject.
    SessionReplaced {
        session: String,
    },
    /// Everything of the site is being ended.
    SiteEnded {
        kill: String,
        actor: String,
    },
    /// Sessions of one subject; `kept` is the one that stays, if one does.
    SessionsEnded {
        subject: String,
        count: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        kept: Option<String>,
        actor: String,
    },
    /// An old secret was used after its grace: somebody has a copy.
    TokenReplayed {
        session: String,
        ended: bool,
    },
    /// An admin call that was refused: no key, an unknown one, one without the
    /// scope, or from a browser elsewhere.
    AdminRefused {
        call: String,
        reason: &'static str,
    },
    /// An admin call that was let through.
    AdminCalled {
        call: String,
        key: String,
    },
    /// Two different tokens with good MACs in one request: none was honoured.
    SeveralTokens {
        path: String,
    },
    /// A command from a route without `commands`, one that nothing shows to be
    /// the origin's own, or in answer to a request that another site caused.
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
    /// The application has set the cookie of its old kind of session; that
    /// Set-Cookie was removed.
    OldCookieRefused {
        path: String,
    },
    /// Something to be held came where there is no session to hold it.
    CustodyIgnored {
        path: String,
        reason: &'static str,
    },
    /// Something to be held cannot be kept as it should.
    CustodyRefused {
        reason: String,
    },
    /// What a session holds does not open with the token that was presented.
    CustodyUnreadable {
        session: String,
    },
    /// The login page itself wants a session, so nobody can log in.
    LoginNeedsSession {
        path: String,
    },
    CrossOriginRefused {
        path: String,
        origin: String,
    },
    /// A WebSocket or an event stream was cut.
    ConnectionCut {
        session: String,
        reason: &'static str,
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
    /// The feed gave no answer that counts, or a kill of the site could not go
    /// on; it is tried again.
    FeedFailed {
        reason: String,
    },
    /// KV could not be written; nothing depends on it.
    ReplicaFailed {
        reason: String,
    },
    /// An alarm could not be set: what it was for waits for the next one.
    AlarmFailed {
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
