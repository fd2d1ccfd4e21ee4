//! Events for the log: what happened to sessions, and refusals for cause.
//! One JSON object a line, with stable names and without secrets.

use serde::Serialize;

use crate::session::prefix;
use crate::time::UnixMillis;

/// One thing that happened.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// `actor` is `origin` (a command), `custody`, `adopt`, or `admin:<id>`;
    /// `reason`, here as everywhere, what has asked for it.
    SessionStarted {
        session: String,
        subject: String,
        level: u8,
        actor: String,
        reason: String,
    },
    /// A new secret; `level` where it changed with it.
    SessionRotated {
        session: String,
        subject: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        level: Option<u8>,
        actor: String,
        reason: String,
    },
    SessionUpdated {
        session: String,
        subject: String,
        actor: String,
        reason: String,
    },
    /// `actor` is `user`, `origin`, `custody`, `admin:<id>`, or `limit` (it made
    /// room). An end by a replay is told of as `TokenReplayed`.
    SessionEnded {
        session: String,
        /// `None` where its row could not be read.
        #[serde(skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        actor: String,
        reason: String,
    },
    /// A start that was not to be; `reason` is the key of the configuration,
    /// `killed_meanwhile`, or, of who would have moved in, `closed`.
    StartRefused {
        subject: String,
        reason: &'static str,
        actor: String,
    },
    /// A start in a browser that presented a live session of the same subject.
    SessionReplaced {
        session: String,
        subject: String,
        actor: String,
        reason: String,
    },
    /// Everything of the site is being ended.
    SiteEnded {
        kill: String,
        actor: String,
        reason: String,
    },
    /// Sessions of one subject; `kept` is the one that stays, if one does.
    SessionsEnded {
        subject: String,
        count: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        kept: Option<String>,
        actor: String,
        reason: String,
    },
    /// An old secret was used after its grace: somebody has a copy. `ended`:
    /// the session is over by that, and no `SessionEnded` comes.
    TokenReplayed {
        session: String,
        ended: bool,
    },
    /// An admin call that was refused: no key, an unknown one, one without the
    /// scope, or from a browser elsewhere.
    AdminRefused {
        call: Short,
        reason: &'static str,
        /// Whose it is, where the key is one of ours.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// An admin call that was let through.
    AdminCalled {
        call: Short,
        key: String,
    },
    /// Two different tokens with good MACs in one request: none was honoured.
    SeveralTokens {
        path: Short,
    },
    /// A command from a route without `commands`, one that nothing shows to be
    /// the origin's own, or in answer to a request that another site caused.
    CommandIgnored {
        path: Short,
        reason: &'static str,
    },
    /// A command that could not be obeyed.
    CommandRefused {
        path: Short,
        reason: Short,
    },
    /// The origin's answer would have written the session cookie.
    CookieRefused {
        path: Short,
    },
    /// The application has set the cookie of its old kind of session; that
    /// Set-Cookie was removed.
    OldCookieRefused {
        path: Short,
    },
    /// Something to be held came where there is no session to hold it.
    CustodyIgnored {
        path: Short,
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
        path: Short,
    },
    /// Too many from one network; told of once a minute for each.
    RateLimited {
        limit: &'static str,
    },
    CrossOriginRefused {
        path: Short,
        origin: Short,
    },
    /// A WebSocket or an event stream was cut.
    ConnectionCut {
        /// Left out where nobody has said yet whose it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<String>,
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

/// Of a text that others have written as long as they liked, the beginning.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Short(String);

impl Short {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Short {
    fn from(text: &str) -> Self {
        let end = text.floor_char_boundary(SHORT_BYTES);
        Self([&text[..end], if end < text.len() { "…" } else { "" }].concat())
    }
}

const SHORT_BYTES: usize = 256;

/// Who does something, and what asks for it: the command or the call.
#[derive(Clone, Copy, Debug)]
pub struct Cause<'a> {
    pub actor: &'a str,
    pub reason: &'a str,
}

/// What is known of a request that an event is told of.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Whence {
    /// The site; `None`: it is of none, or nobody knows.
    pub site: Option<String>,
    /// The network of the client, never its address.
    pub from: Option<String>,
    /// The trace that the request is part of.
    pub trace: Option<String>,
}

impl Whence {
    /// From the client's address, and the header `traceparent`.
    pub fn new(address: Option<&str>, traceparent: Option<&str>) -> Self {
        let trace = traceparent.and_then(trace_of).map(str::to_owned);
        Self { site: None, from: address.and_then(prefix), trace }
    }

    /// What is of a site, and of no request.
    pub fn of(site: &str) -> Self {
        Self { site: Some(site.to_owned()).filter(|site| !site.is_empty()), ..Self::default() }
    }
}

/// The trace id of a `traceparent` (W3C Trace Context, section 3.2): 32
/// lower-case hex digits, not all of them zero. Later versions may add fields
/// at the end; ff is no version.
fn trace_of(traceparent: &str) -> Option<&str> {
    let mut fields = traceparent.split('-');
    let [version, trace, parent, flags] = [fields.next()?, fields.next()?, fields.next()?, fields.next()?];
    let is_hex = |field: &str, length| {
        field.len() == length && field.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let is_some = |field: &str| field.bytes().any(|b| b != b'0');
    let is_valid = is_hex(version, 2)
        && version != "ff"
        && is_hex(trace, 32)
        && is_some(trace)
        && is_hex(parent, 16)
        && is_some(parent)
        && is_hex(flags, 2)
        && (version != "00" || fields.next().is_none());
    is_valid.then_some(trace)
}

/// The names of what an isolate counts: of all events, but for those that only
/// objects tell of, or what goes on after an answer.
pub const COUNTED: &str = "admin_called admin_refused command_ignored command_refused cookie_refused cross_origin_refused \
    custody_ignored custody_refused custody_unreadable feed_failed login_needs_session misconfigured \
    old_cookie_refused origin_unreachable panicked rate_limited session_ended session_replaced \
    session_rotated session_started session_updated sessions_ended several_tokens site_ended \
    start_refused store_unavailable threw token_replayed";

/// The name of the event of a line.
pub fn name_of(line: &str) -> &str {
    line.strip_prefix(r#"{"event":""#).and_then(|rest| rest.split('"').next()).unwrap_or_default()
}

impl Event {
    /// The line for the log: the event, when it was, and of which request.
    pub fn to_line(&self, at: UnixMillis, whence: &Whence) -> String {
        let mut line = serde_json::to_string(self).unwrap_or_else(|_| r#"{"event":"unwritable"}"#.to_owned());
        line.pop();
        for (name, value) in [
            ("at", Some(&at.to_rfc3339())),
            ("site", whence.site.as_ref()),
            ("from", whence.from.as_ref()),
            ("trace", whence.trace.as_ref()),
        ] {
            if let Some(value) = value {
                // None of these has a sign that JSON would have to escape.
                line.push_str(&[",\"", name, "\":\"", value, "\""].concat());
            }
        }
        line.push('}');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn a_line_says_when_and_from_where() {
        let whence = Whence::new(Some("203.0.113.77"), Some(&format!("00-{TRACE}-b7ad6b7169203331-01")));
        let event = Event::SessionReplaced {
            session: "s".to_owned(),
            subject: "al\"ice".to_owned(),
            actor: "origin".to_owned(),
            reason: "do=start".to_owned(),
        };
        assert_eq!(
            event.to_line(UnixMillis(0), &whence),
            format!(
                r#"{{"event":"session_replaced","session":"s","subject":"al\"ice","actor":"origin","reason":"do=start","at":"1970-01-01T00:00:00.000Z","from":"203.0.113.0/24","trace":"{TRACE}"}}"#
            )
        );
        let line = event.to_line(UnixMillis(0), &Whence::default());
        assert!(line.ends_with(r#""at":"1970-01-01T00:00:00.000Z"}"#), "{line}");
        let line = event.to_line(UnixMillis(0), &Whence { site: Some("shop".to_owned()), ..whence });
        assert!(line.ends_with(&format!(r#""site":"shop","from":"203.0.113.0/24","trace":"{TRACE}"}}"#)), "{line}");
        assert_eq!((Whence::of(""), Whence::of("shop").site.as_deref()), (Whence::default(), Some("shop")));
    }

    #[test]
    fn a_trace_is_taken_from_a_valid_traceparent_only() {
        for good in [format!("00-{TRACE}-b7ad6b7169203331-01"), format!("cc-{TRACE}-b7ad6b7169203331-00-what-else")] {
            assert_eq!(trace_of(&good), Some(TRACE), "{good}");
        }
        for bad in [
            String::new(),
            TRACE.to_owned(),
            format!("00-{TRACE}-b7ad6b7169203331"),
            format!("00-{TRACE}-b7ad6b7169203331-01-more"),
            format!("ff-{TRACE}-b7ad6b7169203331-01"),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()),
            format!("00-{}\"-b7ad6b7169203331-01", &TRACE[1..]),
        ] {
            assert_eq!(trace_of(&bad), None, "{bad}");
        }
    }
}
