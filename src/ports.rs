//! What the gate needs of the world. The edge implements these over the
//! Workers runtime; tests and the simulation over their own.

// The futures never leave the isolate's one thread, so they need not be Send.
#![allow(async_fn_in_trait)]

use core::cell::Cell;
use core::future::poll_fn;
use core::pin::pin;
use core::task::{Poll, Waker};
use core::time::Duration;
use std::rc::Rc;

use futures_util::future::select;

use crate::audit::{Event, Whence};
use crate::error::{Failure, OriginError, StoreError};
use crate::headers::{HeaderBlock, HeaderEdits};
use crate::limit::Limit;
use crate::mutants::{self, Mutant};
use crate::precedent::{Asked, Precedent};
use crate::revocation::{Memory, Told};
use crate::store::feed::{FeedCall, FeedReply};
use crate::store::message::{Message, ShardAnswer};
use crate::time::UnixMillis;
use crate::token::{Locator, SessionKey};

/// The session objects of one site: the truth. `crate::sessions` knows what to
/// ask of them.
///
/// An `Err` means that one cannot know, and must never be read as absence.
pub trait Shards {
    /// Asks the shard at this place and waits for its answer.
    async fn ask(&self, at: Locator, message: &Message) -> Result<ShardAnswer, StoreError>;

    /// Asks it after the answer to the client. `then` is told what came of it,
    /// and the time, and says what is left to do.
    fn ask_later(
        &self,
        at: Locator,
        message: Message,
        then: impl FnOnce(Result<ShardAnswer, StoreError>, UnixMillis) -> After + 'static,
    );

    /// Whether a session object answers at all.
    async fn probe(&self) -> Result<(), StoreError>;
}

/// The feed of the site: the order of all kills.
pub trait Feed {
    /// Asks it and waits for its answer.
    async fn ask(&self, call: &FeedCall) -> Result<FeedReply, StoreError>;

    /// Asks it after the answer to the client. `then` is told what came of it,
    /// and the time; what it returns goes to the log.
    fn ask_later(
        &self,
        call: FeedCall,
        then: impl FnOnce(Result<FeedReply, StoreError>, UnixMillis) -> Option<Event> + 'static,
    );
}

/// The copy of session records in KV.
pub trait Replica {
    /// The record under a name; `Ok(None)`: there is none, as far as KV knows.
    async fn read(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Writes a record after the answer to the client.
    fn write_later(&self, put: Put);

    /// Removes one after the answer to the client.
    fn delete_later(&self, name: String);
}

/// A record for KV.
#[derive(Debug)]
pub struct Put {
    pub name: String,
    pub record: String,
    /// How long KV keeps it.
    pub keep: Duration,
}

/// What is left to do after something that was asked later.
#[derive(Debug, Default)]
pub struct After {
    /// For the log.
    pub tell: Option<Event>,
    pub put: Option<Put>,
}

/// Where a request comes from, as far as the platform knows.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    pub city: Option<String>,
    /// Where the request has entered: two letters, as in `cf.continent`.
    pub continent: Option<String>,
    /// The network that it comes from, and its trace.
    pub whence: Whence,
}

/// What goes to the origin: the client's request at `url`, with its headers
/// changed. Redirects are never followed.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub url: String,
    pub edits: HeaderEdits,
    /// Whether a cache shared by users may answer.
    pub shared_cache: bool,
    /// From now to the first byte of the answer; `None`: as long as it takes.
    pub timeout: Option<Duration>,
    /// In the place of the client's body.
    pub body: Option<Vec<u8>>,
    /// For requests that are like this one.
    pub precedent: Option<Precedent>,
}

/// A GET request of our own to the application. Redirects are not followed.
#[derive(Clone, Debug)]
pub struct Probe {
    pub url: String,
    pub headers: HeaderEdits,
    /// To the end of the answer.
    pub timeout: Duration,
    pub bytes_max: usize,
}

/// What it has answered.
#[derive(Clone, Debug)]
pub struct Probed {
    pub status: u16,
    /// `None`: longer than was asked for.
    pub body: Option<Vec<u8>>,
}

/// The application behind the gateway.
pub trait Origin {
    /// A request's body, never read by the gate but in its own API.
    type Body: Body;
    type Answer: Answer;

    /// Asks the application something of our own.
    async fn probe(&self, probe: &Probe) -> Result<Probed, OriginError>;

    /// Sends the request on, with its body as a stream.
    async fn send(&self, outgoing: &Outgoing, body: Self::Body) -> Result<Self::Answer, OriginError>;
}

/// A request's body.
pub trait Body: Clone {
    /// Reads it whole, at most `bytes_max` bytes.
    async fn read(self, bytes_max: usize) -> Result<Vec<u8>, BodyError>;
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyError {
    TooLong,
    /// It did not end in time.
    TooSlow,
    /// The client went away.
    Broken,
}

/// A client's body that was not read.
impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLong => Self::BodyTooLarge,
            BodyError::TooSlow => Self::BodyTimeout,
            BodyError::Broken => Self::BadRequest("the body broke off"),
        }
    }
}

/// An origin's answer; its body stays a stream.
pub trait Answer {
    fn status(&self) -> u16;

    fn headers(&self) -> &HeaderBlock;

    /// Reads the body whole, at most `bytes_max` bytes, within a time. What is
    /// passed on then is what the gate makes of it.
    async fn read(&self, bytes_max: usize, within: Duration) -> Result<Vec<u8>, BodyError>;

    /// Whether it is a WebSocket.
    fn is_web_socket(&self) -> bool;

    /// Ends what the origin has begun to send: the client does not get it.
    fn refuse(self);
}

/// A file of the pages.
#[derive(Clone, Debug)]
pub struct Asset {
    pub etag: Option<String>,
    pub body: String,
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
    type Shards: Shards;
    type Feed: Feed;
    type Replica: Replica;
    type Origin: Origin;

    fn shards(&self) -> &Self::Shards;
    fn feed(&self) -> &Self::Feed;
    /// `None`: there is no KV bound.
    fn replica(&self) -> Option<&Self::Replica>;
    fn origin(&self) -> &Self::Origin;
    fn clock(&self) -> &impl Clock;
    fn random(&self) -> &impl Random;
    /// What this isolate remembers of the site.
    fn memory(&self) -> &Rc<Memory>;
    /// The time. Each reading is shown to the memory: one that nobody has looked
    /// at can hide a step back of the clock.
    fn time(&self) -> UnixMillis {
        let now = self.clock().now();
        self.memory().observe(now);
        now
    }

    /// A file of the pages. `Ok(None)`: there is none of this name, or there are
    /// no pages at all; an error is for the log only.
    async fn asset(&self, _path: &str) -> Result<Option<Asset>, String> {
        Ok(None)
    }

    /// This request is to be served to its end, whether its client waits for that or
    /// not; else the platform gives up what nobody waits for, wherever it is.
    fn outlive_client(&self) {}

    /// Whether the platform has refused this request a call, since it has made as many as it may.
    fn is_used_up(&self) -> bool {
        false
    }

    /// The same for as long as what is returned lives.
    fn stay(&self) -> impl Sized {}

    /// What a session object has said to this very request of a session, before it was heard;
    /// it is taken.
    fn asked(&self, _key: &SessionKey) -> Option<Asked> {
        None
    }

    /// Whether this request has waited for another's question already.
    fn has_waited(&self) -> bool {
        false
    }

    /// Resolves after so long.
    async fn sleep(&self, span: Duration);

    /// Resolves once it is told, by what `begin` is given for that, and at the latest after so
    /// long. Who tells is another request, which may be given up before it does.
    async fn until_told(&self, begin: impl FnOnce(Told), at_most: Duration) {
        told_or(begin, self.sleep(at_most)).await;
    }

    /// Where this request comes from.
    fn place(&self) -> Place;
    /// Counts one more in a rate limit of the platform's; whether it is within it.
    /// `None`: there is none, or it cannot be asked.
    async fn is_within_limit(&self, limit: Limit, key: &str) -> Option<bool>;
    /// Writes an event to the log.
    fn tell(&self, event: Event);
    /// Writes down what this isolate has counted, where there is a place for it.
    fn report(&self, figures: &[u64]);
}

/// Resolves once it is told, by what `begin` is given for that, or else when `late` does.
pub async fn told_or(begin: impl FnOnce(Told), late: impl Future<Output = ()>) {
    let told = Rc::new((Cell::new(false), Cell::new(None::<Waker>)));
    let teller = Rc::clone(&told);
    begin(Box::new(move || {
        teller.0.set(true);
        if let Some(waker) = teller.1.take() {
            waker.wake();
        }
    }));
    let heard = poll_fn(|context| {
        told.1.set(Some(context.waker().clone()));
        if told.0.get() { Poll::Ready(()) } else { Poll::Pending }
    });
    select(heard, pin!(late)).await;
}

/// What the clock has shown.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    at: UnixMillis,
    steps: u64,
}

impl Reading {
    pub fn new<P: Ports>(ports: &P) -> Self {
        Self { at: ports.time(), steps: ports.memory().steps() }
    }

    /// One that was noted down.
    pub fn noted(at: UnixMillis, steps: u64) -> Self {
        Self { at, steps }
    }

    /// The time between two readings; where the clock has stepped back
    /// meanwhile, what the timer allowed at most.
    pub fn since(self, earlier: Self, at_most: Duration) -> Duration {
        self.known_since(earlier).unwrap_or(at_most)
    }

    /// The same; `None`: the clock has stepped back, and nobody knows.
    pub fn known_since(self, earlier: Self) -> Option<Duration> {
        (self.steps == earlier.steps || mutants::is(Mutant::SpanOverAStep)).then(|| self.at.since(earlier.at))
    }
}

/// The body type of a world.
pub type BodyOf<P> = <<P as Ports>::Origin as Origin>::Body;
/// The type of the origin's answers in a world.
pub type AnswerOf<P> = <<P as Ports>::Origin as Origin>::Answer;
