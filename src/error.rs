//! What can go wrong, who is to blame, and what the client is told.
//!
//! *Cannot know* is not *no session*: a store out of reach is 503, and the
//! cookie is never touched.

use core::fmt;
use core::time::Duration;

/// Everything that keeps a request from being forwarded or answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Failure {
    /// The client's path or headers are malformed; the text is shown.
    BadRequest(&'static str),
    /// The client's body or query is; the text is shown.
    BadInput(String),
    /// The text says which limit, and is shown.
    HeadersTooLarge(String),
    /// Too many of a kind from one network, or with one session; when there is room for one more,
    /// and what may be said of the limit.
    RateLimited {
        seconds: u32,
        detail: Option<&'static str>,
    },
    /// A host that this gateway does not serve.
    Misdirected,
    /// The application was asked for on the operators' own host.
    AdminHost,
    CrossOrigin,
    /// No, unknown, killed or expired session where one is needed.
    NoSession,
    NotFound,
    /// The methods that are allowed, for the Allow header.
    MethodNotAllowed(String),
    /// The session is not strong or not fresh enough.
    StepUp {
        level: u8,
        max_auth_age: Option<Duration>,
    },
    /// No admin key, or an unknown one.
    BadAdminKey,
    /// The admin key is not good for this; the scope that it lacks.
    MissingScope(&'static str),
    /// An administrator's call from a browser that is not on `admin_host`.
    AdminHostOnly,
    /// A level is to rise without a new secret.
    NeedsRotation,
    /// The subject has as many sessions as it may have.
    SessionLimit,
    /// The subject or the site was killed while the log-in was on its way.
    KilledMeanwhile,
    /// A command that changes a session, and none is there.
    NoLiveSession,
    BodyTooLarge,
    BodyTimeout,
    /// A session object cannot be reached: one cannot know.
    StoreUnavailable,
    /// Not all that was to end is known to have ended. Where a session stays, it
    /// has a new secret by now. Its old one is refused, so without the new one
    /// the browser would be logged out by what it is told to repeat.
    EndedInPart(Option<SetCookie>),
    OriginUnreachable,
    /// The origin did not begin to answer in time.
    OriginTimeout,
    /// The origin's command cannot be read or obeyed; the text says why.
    BadCommand(String),
    /// The origin's answer holds a token that cannot be kept as it should; the
    /// text says why.
    BadCustody(String),
    /// The configuration is invalid; the log says how.
    Misconfigured,
    /// A defect of our own.
    Internal,
}

/// The Set-Cookies that go with a refusal, in this order. Boxed, since failures are returned
/// everywhere.
#[derive(Clone, Eq, PartialEq)]
pub struct SetCookie(pub Box<[String; 2]>);

/// Without the token in it.
impl fmt::Debug for SetCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetCookie").finish_non_exhaustive()
    }
}

/// Who has to act.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Blame {
    Client,
    Configuration,
    Store,
    Origin,
    Ourselves,
}

/// How a failure looks from outside (RFC 9457 problem details).
#[derive(Debug)]
pub struct Problem {
    pub status: u16,
    /// Stable; listed in `docs/errors.md`.
    pub code: &'static str,
    pub title: &'static str,
    pub blame: Blame,
}

impl Failure {
    /// The one map from failures to what the client sees.
    pub fn problem(&self) -> Problem {
        use Blame::{Client, Configuration, Origin, Ourselves, Store};
        let (status, code, title, blame) = match self {
            Self::BadRequest(_) | Self::BadInput(_) => (400, "bad_request", "The request is malformed", Client),
            Self::NoSession => (401, "no_session", "A session is needed here", Client),
            Self::BadAdminKey => (401, "bad_admin_key", "A valid admin key is needed here", Client),
            Self::StepUp { .. } => (403, "step_up_required", "A stronger or fresher log-in is needed here", Client),
            Self::MissingScope(_) => (403, "missing_scope", "The admin key is not good for this", Client),
            Self::AdminHostOnly => {
                (403, "admin_host_only", "From a browser, this is taken on the operators' own host only", Client)
            }
            Self::CrossOrigin => (403, "cross_origin", "Requests from other sites are refused here", Client),
            Self::NotFound => (404, "not_found", "There is nothing here", Client),
            Self::MethodNotAllowed(_) => (405, "method_not_allowed", "This method is not allowed here", Client),
            Self::BodyTimeout => (408, "body_timeout", "The body did not end in time", Client),
            Self::NeedsRotation => (409, "needs_rotation", "A level rises only with a new secret", Client),
            Self::SessionLimit => (409, "session_limit", "There are as many sessions as there may be", Client),
            Self::KilledMeanwhile => {
                (409, "killed_meanwhile", "The sessions were ended while this log-in was on its way", Client)
            }
            Self::NoLiveSession => (409, "no_live_session", "There is no live session to change", Client),
            Self::BodyTooLarge => (413, "body_too_large", "The body is too large", Client),
            Self::Misdirected | Self::AdminHost => (421, "misdirected", "This host is not served here", Client),
            Self::HeadersTooLarge(_) => (431, "headers_too_large", "The request's headers are too large", Client),
            Self::RateLimited { .. } => (429, "rate_limited", "There were too many of these", Client),
            Self::Internal => (500, "internal", "Something went wrong on our side", Ourselves),
            Self::Misconfigured => (500, "misconfigured", "The gateway is not configured correctly", Configuration),
            Self::OriginUnreachable => (502, "origin_unreachable", "The application cannot be reached", Origin),
            Self::OriginTimeout => (504, "origin_unreachable", "The application did not answer in time", Origin),
            Self::BadCommand(_) => (502, "bad_command", "The application gave a command that cannot be obeyed", Origin),
            Self::BadCustody(_) => (502, "bad_custody", "The application gave a token that cannot be kept", Origin),
            Self::EndedInPart(_) => (503, "ended_in_part", "Not all is known to have ended", Store),
            Self::StoreUnavailable => (503, "store_unavailable", "Sessions cannot be checked at the moment", Store),
        };
        Problem { status, code, title, blame }
    }

    /// What to add to the title. Never the text of an internal error.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::BadRequest(text) => Some(text),
            Self::BadCommand(text) | Self::BadCustody(text) | Self::BadInput(text) | Self::HeadersTooLarge(text) => {
                Some(text)
            }
            Self::MissingScope(scope) => Some(scope),
            Self::NeedsRotation => Some("the application raises it with do=rotate, level=…, in answer to the user"),
            Self::AdminHost => Some("this host is admin_host, the operators' own; the application is not served on it"),
            Self::KilledMeanwhile => Some("log in once more"),
            Self::EndedInPart(_) => Some(
                "another version of the gateway knows of shards that this one does not, or did a minute ago; end it \
                 once more",
            ),
            Self::Misdirected => Some("the host is in no list hosts of the configuration"),
            // Where, and not what: that is for whoever can read the log.
            Self::Misconfigured => Some("the Worker's log says what is wrong, in the event misconfigured"),
            Self::RateLimited { detail, .. } => *detail,
            _ => None,
        }
    }
}

/// What the log calls the two objects.
pub const SESSION_OBJECT: &str = "session object";
pub const FEED_OBJECT: &str = "feed object";

/// Why an object gave no answer that counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StoreError {
    /// No answer, or one that cannot be read. The text is for the log only.
    Unreachable(String),
    /// The platform lets this invocation of the Worker make no more calls: it counts them for as
    /// long as that lasts, which is as long as its connection is open.
    UsedUp,
    /// The shard belongs to another row of the map than the one it was asked
    /// under: a configuration that must not serve.
    WrongRow,
    /// The token is of a row of the map that this version does not know: not yet, or
    /// not any more.
    NewerRow(u8),
    /// The code of this object panicked.
    Defect(&'static str),
}

impl StoreError {
    /// What the platform throws in the place of an answer. Its words are all that tells what it
    /// has not sent from what was lost.
    pub fn thrown(reason: String) -> Self {
        if reason.starts_with("Too many subrequests") { Self::UsedUp } else { Self::Unreachable(reason) }
    }
}

/// For the log.
impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(reason) => f.write_str(reason),
            Self::UsedUp => f.write_str("the platform lets this invocation make no more calls"),
            Self::WrongRow => f.write_str("the shard belongs to another row of the map"),
            Self::NewerRow(generation) => write!(f, "row {generation} of the map is not known here"),
            Self::Defect(place) => write!(f, "the {place} panicked"),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unreachable(_) | StoreError::UsedUp | StoreError::NewerRow(_) => Self::StoreUnavailable,
            StoreError::WrongRow => Self::Misconfigured,
            StoreError::Defect(_) => Self::Internal,
        }
    }
}

/// Why the origin gave no answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OriginError {
    /// The text is for the log only.
    Unreachable(String),
    /// Its answer did not begin in time.
    TimedOut,
    /// The platform answered in its place, with this status.
    Platform(u16),
    /// The platform cannot send a GET or HEAD request with a body.
    BodyNotCarried,
}

impl OriginError {
    /// What an answer's status says of an application that gave none. Deployed, `fetch` throws
    /// nothing then: it answers with a page of Cloudflare's, which names the application's
    /// host. These statuses are Cloudflare's; RFC 9110 has none of them.
    pub fn of_status(status: u16) -> Option<Self> {
        matches!(status, 520..=527 | 530).then_some(Self::Platform(status))
    }

    /// What the client is told, and what the log is.
    pub fn told(self) -> (Failure, Option<String>) {
        match self {
            Self::Unreachable(reason) => (Failure::OriginUnreachable, Some(reason)),
            Self::TimedOut => (Failure::OriginTimeout, Some("no answer in time (origin_timeout)".to_owned())),
            Self::Platform(status) => {
                let is_late = matches!(status, 522 | 524);
                let failure = if is_late { Failure::OriginTimeout } else { Failure::OriginUnreachable };
                (failure, Some(format!("Cloudflare answered {status} for the origin")))
            }
            Self::BodyNotCarried => (Failure::BadRequest("a GET or HEAD request with a body is not carried"), None),
        }
    }
}

/// Seconds that a client is asked to wait when the store is out of reach.
pub const RETRY_AFTER_SECONDS: u32 = 2;
