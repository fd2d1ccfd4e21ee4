//! What the gate needs of the world. The edge implements these over the
//! Workers runtime; tests and the simulation over their own.

// The futures never leave the isolate's one thread, so they need not be Send.
#![allow(async_fn_in_trait)]

use core::time::Duration;

use crate::audit::Event;
use crate::config::MapRow;
use crate::error::{OriginError, StoreError};
use crate::headers::{HeaderBlock, HeaderEdits};
use crate::session::{Claims, Session, SessionId, Subject};
use crate::time::UnixMillis;
use crate::token::{Locator, SessionKey};

/// The session objects of one site: the truth.
///
/// `Ok(None)` means that there is no such session; `Err` means that one cannot
/// know, and must never be read as absence.
pub trait Sessions {
    /// The live session under this key.
    async fn check(&self, at: Locator, key: &SessionKey) -> Result<Option<Session>, StoreError>;

    /// Commits a new session. Returns it once it is durable.
    async fn start(&self, row: MapRow, start: &NewSession) -> Result<Started, StoreError>;

    /// Ends the session under this key; its id if there was one.
    async fn end(&self, at: Locator, key: &SessionKey) -> Result<Option<SessionId>, StoreError>;

    /// Writes down that the session is in use, after the answer. A lost renewal
    /// costs at worst an early idle expiry, and the next request sends it again.
    fn renew_soon(&self, at: Locator, key: &SessionKey, idle_timeout: Duration);

    /// Whether a session object answers at all.
    async fn probe(&self) -> Result<(), StoreError>;
}

/// A session to be committed.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub id: SessionId,
    pub locator: Locator,
    pub key: SessionKey,
    pub subject: Subject,
    pub level: u8,
    pub claims: Option<Claims>,
    pub idle_timeout: Duration,
    /// From now to the absolute expiry.
    pub lifetime: Duration,
    /// The session that the browser presented: ended in the same commit if it
    /// is the same subject's.
    pub presented: Option<SessionKey>,
}

/// A committed session, and the one that it replaced.
#[derive(Clone, Debug)]
pub struct Started {
    pub session: Session,
    pub replaced: Option<SessionId>,
}

/// What goes to the origin: the client's request at `url`, with its headers
/// changed. Redirects are never followed.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub url: String,
    pub edits: HeaderEdits,
    /// Whether a cache shared by users may answer.
    pub shared_cache: bool,
}

/// The application behind the gateway.
pub trait Origin {
    /// A request's body, never read by the gate but in its own API.
    type Body: Body;
    type Answer: Answer;

    /// Sends the request on, with its body as a stream.
    async fn send(&self, outgoing: &Outgoing, body: Self::Body) -> Result<Self::Answer, OriginError>;
}

/// A request's body.
pub trait Body {
    /// Reads it whole, at most `bytes_max` bytes.
    async fn read(self, bytes_max: usize) -> Result<Vec<u8>, BodyError>;
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyError {
    TooLong,
    /// The client went away.
    Broken,
}

/// An origin's answer; its body stays a stream.
pub trait Answer {
    fn headers(&self) -> &HeaderBlock;
}

/// The wall clock of this machine.
pub trait Clock {
    fn now(&self) -> UnixMillis;
}

/// The CSPRNG. `false` means that there is no randomness to be had.
pub trait Random {
    #[must_use]
    fn fill(&self, bytes: &mut [u8]) -> bool;
}

/// All of the above, for one request.
pub trait Ports {
    type Sessions: Sessions;
    type Origin: Origin;

    fn sessions(&self) -> &Self::Sessions;
    fn origin(&self) -> &Self::Origin;
    fn clock(&self) -> &impl Clock;
    fn random(&self) -> &impl Random;
    /// Writes an event to the log.
    fn tell(&self, event: Event);
}

/// The body type of a world.
pub type BodyOf<P> = <<P as Ports>::Origin as Origin>::Body;
/// The type of the origin's answers in a world.
pub type AnswerOf<P> = <<P as Ports>::Origin as Origin>::Answer;
