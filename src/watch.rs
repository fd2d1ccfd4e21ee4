//! What outlives its request: a WebSocket or an event stream is cut when its
//! session is over.
//!
//! The verdict is sought again and again, in the way of requests: in memory,
//! while the window of the feed is fresh, and at the session object else. All
//! connections of an isolate share its window, so there is one poll for all of
//! them. What cannot be proven for the bound and [`SLACK`] is cut too.

use core::pin::pin;
use core::time::Duration;
use std::cell::Cell;
use std::rc::Rc;

use futures_util::future::{Either, select};

use crate::admission::{self, Admitted};
use crate::config::{BOUND_MIN, OnEnd};
use crate::error::Failure;
use crate::headers::HeaderBlock;
use crate::lookup;
use crate::mutants::{self, Mutant};
use crate::policy::Demand;
use crate::ports::{Ports, Reading};
use crate::request::Request;
use crate::revocation::Known;
use crate::session::{Served, Session, SessionId};
use crate::sessions::{Look, Verdict};
use crate::site::Site;
use crate::token::Token;

/// A connection that is open on behalf of a session. It goes by the secret that
/// opened it, or that the browser has got with it: a thief's copy of an older one
/// must not live on in a socket.
pub struct Watched {
    token: Token,
    /// What the answer brings, where `token` has a grace meanwhile: it goes by this one once that
    /// is over. Not before: to ask a shard about it is to use it, which ends the grace, and nobody
    /// knows whether the browser has got the answer.
    newer: Option<Token>,
    demand: Demand,
    request: Request,
    /// `None`: not known yet.
    session: Cell<Option<SessionId>>,
    /// From before the verdict was sought that it opens on.
    sought: Reading,
}

/// Why a connection is cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The session has ended or expired, its secret was replaced, or the log-in
    /// is too old for the route.
    Over,
    /// Nobody could say for too long.
    Unknown,
    /// It has made as many calls as the platform lets it make.
    UsedUp,
}

impl End {
    /// What a WebSocket is closed with.
    pub fn close(self) -> (u16, &'static str) {
        match self {
            Self::Over => (4401, "the session has ended"),
            // RFC 6455, section 7.4, and its registry: "Try Again Later", "Service Restart".
            Self::Unknown => (1013, "the session cannot be checked at the moment"),
            Self::UsedUp => (1012, "the platform lets this connection last no longer; connect again"),
        }
    }
}

impl Watched {
    /// The connection that this request may open; `None`: its end is no matter
    /// of ours. The answer may bring a newer token, beside which the presented one can have
    /// a grace, and `vouched` is from before the store did so for it.
    pub fn new(
        request: &Request,
        admitted: Admitted,
        newer: Option<Token>,
        has_grace: bool,
        vouched: Option<Reading>,
    ) -> Option<Self> {
        let demand = admitted.demand();
        if demand.on_end != OnEnd::Close {
            return None;
        }
        // Without a grace a newer token can be of another session.
        let goes_on = newer.is_none() || (has_grace && !mutants::is(Mutant::NewerAtOnce));
        let session = Cell::new(admitted.session().filter(|_| goes_on).map(|session| session.id));
        let (presented, sought) = admitted.into_token().unzip();
        let (token, newer) = match presented.filter(|_| goes_on) {
            Some(presented) => (presented, newer),
            None => (newer?, None),
        };
        Some(Self { token, newer, demand, request: request.clone(), session, sought: vouched.or(sought)? })
    }

    /// Whose it is, once that is known.
    pub fn session(&self) -> Option<SessionId> {
        self.session.get()
    }
}

/// Whether an answer goes on for as long as somebody listens.
pub fn is_event_stream(headers: &HeaderBlock) -> bool {
    headers.media_type().is_some_and(|found| EVENT_STREAMS.contains(&found.as_str()))
}

/// Whether what the origin has granted may still be opened: it may have taken
/// long for that, or the verdict itself has, and the session may have ended.
///
/// # Errors
/// It has, or nobody can say.
pub async fn may_open<P: Ports>(site: &Site, ports: &P, watched: &mut Watched) -> Result<(), Failure> {
    let mut watch = Watch::new(site, ports, watched);
    if watch.age < watch.patience {
        return Ok(());
    }
    let start = Reading::new(ports);
    match watch.look_in_time().await {
        Looked::Over => Err(Failure::NoSession),
        Looked::Nothing => Err(Failure::StoreUnavailable),
        Looked::Proven { .. } => {
            watched.sought = start;
            Ok(())
        }
    }
}

/// Resolves once the connection is to be cut. `was_used` says whether the
/// client has sent anything since it was last asked.
pub async fn until_end<P: Ports>(site: &Site, ports: &P, watched: &Watched, was_used: impl Fn() -> bool) -> End {
    let mut watch = Watch::new(site, ports, watched);
    let Watch { bound, patience, .. } = watch;
    let tick = (bound / 2).min(TICK_MAX);
    loop {
        match watch.look_in_time().await {
            Looked::Over => return End::Over,
            // What a client sends is use of its session, as a request is.
            Looked::Proven { session } if was_used() => {
                let Watched { request, demand, .. } = watched;
                admission::renew(site, ports, request, watch.token, &session, *demand, ports.time());
            }
            Looked::Proven { .. } | Looked::Nothing => {}
        }
        if ports.is_used_up() {
            return End::UsedUp;
        }
        if watch.age >= patience && !mutants::is(Mutant::OpenWithoutProof) {
            return End::Unknown;
        }
        let (end, pause) = (Reading::new(ports), tick.min(patience.saturating_sub(watch.age)));
        ports.sleep(pause).await;
        while mutants::is(Mutant::OpenUnwatched) {
            ports.sleep(tick).await;
        }
        watch.age += Reading::new(ports).since(end, pause);
    }
}

/// One connection under watch.
struct Watch<'a, P> {
    site: &'a Site,
    ports: &'a P,
    watched: &'a Watched,
    /// What it goes by now, and then.
    token: &'a Token,
    newer: Option<&'a Token>,
    bound: Duration,
    /// For how long it may go on without a proof.
    patience: Duration,
    /// For how long nobody has vouched for the session.
    age: Duration,
    /// Whether its secret was the newest then.
    is_current: bool,
}

enum Looked {
    Proven {
        session: Rc<Session>,
    },
    Over,
    /// Nothing has been learnt.
    Nothing,
}

/// The same, with what it is worth.
enum Found {
    Proven {
        session: Rc<Session>,
        /// Of the proof, when the look began.
        age: Duration,
        is_current: bool,
    },
    Over,
    Nothing,
}

impl<'a, P: Ports> Watch<'a, P> {
    fn new(site: &'a Site, ports: &'a P, watched: &'a Watched) -> Self {
        // With no bound at all, requests ask the object each time; what is open
        // cannot, and has a second for the cut.
        let bound = site.config.bound.max(BOUND_MIN);
        let without = if watched.demand.continues { bound.max(site.config.continue_for) } else { bound };
        let patience = without + SLACK;
        // The verdict may have rested on a window that was as old as it may be.
        let age = bound + Reading::new(ports).since(watched.sought, patience);
        let (token, newer) = (&watched.token, watched.newer.as_ref());
        Self { site, ports, watched, token, newer, bound, patience, age, is_current: true }
    }

    /// Looks, and keeps how old the proof is then. An object that hangs must
    /// not keep open what nobody vouches for.
    async fn look_in_time(&mut self) -> Looked {
        let ports = self.ports;
        let start = Reading::new(ports);
        let left = self.patience.saturating_sub(self.age).max(LOOK_MIN);
        let found = match select(pin!(self.look()), pin!(ports.sleep(left))).await {
            Either::Left((found, _)) => found,
            Either::Right(_) => Found::Nothing,
        };
        let looked = match found {
            Found::Over => Looked::Over,
            Found::Nothing => Looked::Nothing,
            Found::Proven { session, age, is_current } => {
                self.watched.session.set(Some(session.id));
                (self.age, self.is_current) = (age, is_current);
                Looked::Proven { session }
            }
        };
        self.age += Reading::new(ports).since(start, left);
        looked
    }

    async fn look(&mut self) -> Found {
        loop {
            let found = self.look_once().await;
            match self.newer {
                Some(newer) if matches!(found, Found::Over) => {
                    (self.token, self.newer, self.is_current) = (newer, None, true);
                }
                _ => return found,
            }
        }
    }

    async fn look_once(&self) -> Found {
        let Self { site, ports, token, bound, .. } = *self;
        let memory = ports.memory();
        let at = ports.time();
        if memory.is_poll_due(at, bound) {
            lookup::poll_later(site, ports);
        }
        match memory.look(&token.session_key(), at, bound, site.config.idle_timeout) {
            Known::Live(session, proof) => return self.judged(session, at.since(proof), true),
            Known::Dead => return Found::Over,
            Known::Nothing => {}
        }
        // An old secret's yes is not remembered, and without a window none is:
        // then the object is asked as rarely as may be. Where that leads to another
        // question, there must be time for both.
        let is_fresh = memory.window_age(at).is_some_and(|age| age <= bound);
        let rest = if self.newer.is_some() { bound / 2 } else { bound };
        if self.age < rest && !(is_fresh && self.is_current) {
            return Found::Nothing;
        }
        match lookup::ask(site, ports, token.place(), Look::Again, Some(bound)).await {
            Ok(Some(Verdict { session, served })) => self.judged(session, Duration::ZERO, served == Served::Current),
            Ok(None) => Found::Over,
            Err(_) => Found::Nothing,
        }
    }

    fn judged(&self, session: Rc<Session>, age: Duration, is_current: bool) -> Found {
        if self.watched.demand.is_met_by(&session, self.ports.time()).is_err() {
            return Found::Over;
        }
        Found::Proven { session, age, is_current }
    }
}

/// How much longer than the bound a connection may go on without a proof; of
/// the second that is promised, the rest is for the cut itself.
pub const SLACK: Duration = Duration::from_millis(350);

/// What a look gets in any case.
const LOOK_MIN: Duration = Duration::from_millis(350);

/// Between two looks, at most.
const TICK_MAX: Duration = Duration::from_millis(500);

/// The media types of streams without an end (HTML, section 9.2; the others are
/// conventions).
const EVENT_STREAMS: [&str; 4] =
    ["text/event-stream", "application/x-ndjson", "application/json-seq", "multipart/x-mixed-replace"];
