//! The sessions of a site, as the gate asks for them: which shard, which
//! question, and what its answer means. Everything here goes over
//! [`crate::ports::Shards`], and whatever keeps a question from being answered
//! is written down and comes back as a [`Failure`].

mod adopting;
mod begin;
mod ending;
mod rotation;
mod trail;

use core::time::Duration;
use std::rc::Rc;

use crate::audit::{Cause, Event};
use crate::config::{Fence, MapRow, OnReplay};
use crate::custody;
use crate::error::{Failure, StoreError};
use crate::mutants::{self, Mutant};
use crate::ports::{After, Feed, Place, Ports, Put, Random, Shards};
use crate::replica;
use crate::request::Request;
use crate::revocation::{Memory, Question};
use crate::session::{Claims, Device, Handle, KillId, Sealed, Served, Session, SessionId, Subject, prefix};
use crate::site::Site;
use crate::store::feed::{FeedCall, FeedReply};
use crate::store::message::{
    By, Found, HoldCall, Home, Key, Kill, ListCall, Mark, Message, RenewCall, ShardAnswer, ShardCall, UpdateCall, Which,
};
use crate::time::millis;
use crate::token::{Locator, SessionKey, Token, Voucher};

pub use self::begin::{Begun, NewSession, Since};
pub use self::ending::Ended;
pub use self::trail::{Trail, TrailMark};

/// The sessions of one site, for one request.
pub struct Sessions<'a, P> {
    site: &'a Site,
    ports: &'a P,
}

/// One session, by what the caller has of it.
#[derive(Clone, Copy)]
pub enum One<'a> {
    OfToken(&'a Token),
    OfId(SessionId),
}

/// A live session, and how the presented secret stands to it.
pub struct Verdict {
    pub session: Rc<Session>,
    pub served: Served,
}

/// Why a token is looked at.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Look {
    /// Somebody has come with it.
    Use,
    /// Of who came while it was served, once more. That it is no longer served is
    /// news, and no copy.
    Again,
}

/// What a session object says of a token.
pub enum Checked {
    Live(Verdict),
    /// No live session; `is_final`: and nothing more is to be learnt by asking
    /// again.
    Nothing {
        is_final: bool,
    },
}

impl<'a, P: Ports> Sessions<'a, P> {
    pub fn new(site: &'a Site, ports: &'a P) -> Self {
        Self { site, ports }
    }

    /// What a token of this place and session key opens.
    pub async fn check(&self, (at, key): (Locator, SessionKey), look: Look) -> Result<Checked, Failure> {
        let Some(home) = self.home(at)? else { return Ok(Checked::Nothing { is_final: true }) };
        let is_use = look == Look::Use || mutants::is(Mutant::LookIsUse);
        let end_on_replay = match self.site.config.on_replay {
            OnReplay::End if is_use => Some(self.handle(at)?),
            _ => None,
        };
        // Without anybody's name the shard writes nothing down.
        let by = if is_use { self.by(CHECK) } else { None };
        let call = ShardCall::Check { key: Key(key), end_on_replay };
        match self.send(home, Message { by, ..self.message(home, call) }).await? {
            ShardAnswer::Checked { found, replayed, ended, is_final } => {
                // A use that comes later is a replay, and has to be seen.
                let is_final = is_final && (is_use || replayed.is_none());
                if let Some(session) = replayed.filter(|_| is_use) {
                    self.ports.memory().changed_session(session);
                    self.ports.tell(Event::TokenReplayed { session: session.to_text(), ended });
                }
                let verdict = |Found { session, served }| Verdict { session: Rc::new(session), served };
                Ok(found.map(verdict).map_or(Checked::Nothing { is_final }, Checked::Live))
            }
            other => Err(self.unexpected(&other)),
        }
    }

    /// Writes down, after the answer, that the session is in use. A lost
    /// renewal costs at worst an early idle expiry, and the next request sends
    /// it again.
    pub fn renew_later(&self, token: &Token, id: SessionId, request: &Request) {
        let Ok(Some(home)) = self.home(token.locator()) else { return };
        let call = RenewCall {
            key: Key(token.session_key()),
            idle_ms: millis(self.site.config.idle_timeout),
            prefix: address(request).and_then(prefix),
        };
        let message = self.message(home, ShardCall::Renew(call));
        let memory = Rc::clone(self.ports.memory());
        let place = self.record_place(token.locator(), &token.session_key());
        let keep = self.site.config.replica_horizon;
        let (key, question) = (token.session_key(), memory.question(self.ports.time()));
        memory.tally().store_calls.add();
        self.ports.shards().ask_later(token.locator(), message, move |answer, now| {
            memory.observe(now);
            if answer.as_ref().is_err_and(|error| *error != StoreError::UsedUp) {
                memory.tally().store_failures.add();
            }
            match answer {
                Ok(ShardAnswer::Renewed { found: Some(Found { session, served }), is_written }) => {
                    let session = memory.keep(&question, key, Rc::new(session), served);
                    let copies = is_written && served == Served::Current;
                    let put = place.filter(|_| copies).and_then(|at| put(&memory, &question, at, &session, keep));
                    return After { put, tell: None };
                }
                Ok(ShardAnswer::Renewed { found: None, .. }) => {
                    memory.changed_session(id);
                    None
                }
                Ok(other) => Some(format!("an answer of another kind: {}", other.kind())),
                // Its connection is over, and the next one renews.
                Err(StoreError::UsedUp) => None,
                Err(error) => Some(error.to_string()),
            }
            .map_or_else(After::default, |reason| {
                let tell = Some(Event::StoreUnavailable { reason: format!("after the answer: {reason}") });
                After { tell, put: None }
            })
        });
    }

    /// The live session of this id, whichever of its secrets is served.
    pub async fn show(&self, id: SessionId, cause: Cause<'_>) -> Result<Option<Session>, Failure> {
        let Some(home) = self.home_by_handle(id) else { return Ok(None) };
        match self.order(home, ShardCall::Show { id }, cause).await? {
            ShardAnswer::Shown { session } => Ok(session),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Whether a session lives, whichever of its secrets is served. Nobody is named
    /// who looks, so nothing is written down.
    pub async fn lives(&self, id: SessionId) -> Result<bool, Failure> {
        let Some(home) = self.home_by_handle(id) else { return Ok(false) };
        match self.ask(home, ShardCall::Show { id }).await? {
            ShardAnswer::Shown { session } => Ok(session.is_some()),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Changes claims, or lets the level fall. `Ok(None)`: there is no such
    /// session.
    pub async fn update(
        &self,
        of: One<'_>,
        claims: Option<Claims>,
        level: Option<u8>,
        cause: Cause<'_>,
    ) -> Result<Option<Session>, Failure> {
        let Some((home, of)) = self.which(of)? else { return Ok(None) };
        let refresh = self.handle(home.locator())?;
        let call = ShardCall::Update(Box::new(UpdateCall { of, claims, level, refresh }));
        match self.order(home, call, cause).await? {
            ShardAnswer::Updated { session } => {
                if let Some(session) = &session {
                    self.ports.memory().changed_session(session.id);
                    self.ports.tell(Event::SessionUpdated {
                        session: session.id.to_text(),
                        subject: session.subject.as_str().to_owned(),
                        actor: cause.actor.to_owned(),
                        reason: cause.reason.to_owned(),
                    });
                }
                Ok(session)
            }
            ShardAnswer::NeedsRotation => Err(Failure::NeedsRotation),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Puts other values in the place of those that a session holds, for
    /// `lifetime` from now. `Ok(Err(_))`: somebody else has meanwhile, and this
    /// is what is there now.
    pub async fn hold(
        &self,
        token: &Token,
        session: &Session,
        base: u64,
        sealed: Sealed,
        lifetime: Duration,
    ) -> Result<Result<Session, Session>, Failure> {
        let Some(home) = self.home(token.locator())? else { return Err(Failure::NoLiveSession) };
        let call = HoldCall {
            presented: Key(token.session_key()),
            base,
            sealed,
            lifetime_ms: millis(lifetime),
            idle_ms: millis(self.site.config.idle_timeout),
            refresh: self.handle(home.locator())?,
        };
        match self.ask(home, ShardCall::Hold(Box::new(call))).await? {
            ShardAnswer::Holding { session: Some(session) } => {
                self.ports.memory().changed_session(session.id);
                Ok(Ok(session))
            }
            // Ended meanwhile, or its secret was replaced: what the application has just said goes
            // with it.
            ShardAnswer::Holding { session: None } => {
                self.ports.memory().changed_session(session.id);
                Err(Failure::NoLiveSession)
            }
            ShardAnswer::HeldMeanwhile { session } => Ok(Err(session)),
            other => Err(self.unexpected(&other)),
        }
    }

    /// A page of the subject's live sessions, the newest first: those of the
    /// newest row of the map, then those of the earlier ones. `after` is the
    /// last one of the page before.
    pub async fn list(
        &self,
        subject: &Subject,
        after: Option<(u8, Mark)>,
        limit: u32,
        cause: Cause<'_>,
    ) -> Result<(Vec<Session>, Option<(u8, Mark)>), Failure> {
        let mut found: Vec<Session> = Vec::new();
        let map = &self.site.config.map;
        let is_later = |row: &&MapRow| after.is_some_and(|(generation, _)| row.generation > generation);
        for (index, row) in map.iter().enumerate().rev().filter(|(_, row)| !is_later(row)) {
            let mark = after.filter(|(generation, _)| row.generation == *generation).map(|(_, mark)| mark);
            let left = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(limit));
            let call = ListCall { subject: subject.clone(), after: mark, limit: left };
            let more = match self.order(home_of(*row, subject), ShardCall::List(call), cause).await? {
                ShardAnswer::Sessions { sessions, more } => {
                    found.extend(sessions);
                    more
                }
                other => return Err(self.unexpected(&other)),
            };
            let is_full = found.len() >= limit as usize;
            if more || (is_full && index > 0) {
                let last = found.last().map(|last| (row.generation, Mark { created: last.created, id: last.id }));
                return Ok((found, last));
            }
        }
        Ok((found, None))
    }

    /// The kill of this handle, while its receipt is kept.
    pub async fn receipt(&self, kill: KillId) -> Result<Option<Kill>, Failure> {
        if kill.locator() == FEED {
            return self.ask_feed(&FeedCall::Receipt { kill }).await;
        }
        let Some(home) = self.home_by_handle(kill) else { return Ok(None) };
        match self.ask(home, ShardCall::Receipt { kill }).await? {
            // The feed got it later, and found that it was not whole: nobody goes on
            // with it, so whoever waits for it has to know.
            ShardAnswer::Receipt { kill } => {
                kill.as_ref().map_or(Ok(()), |kill| self.is_whole(kill))?;
                Ok(kill)
            }
            other => Err(self.unexpected(&other)),
        }
    }

    /// Asks the feed about a kill of the site.
    async fn ask_feed(&self, call: &FeedCall) -> Result<Option<Kill>, Failure> {
        match self.ports.feed().ask(call).await.map_err(|error| self.failure(error))? {
            FeedReply::Receipt { kill } => Ok(kill),
            other => Err(self.failure(StoreError::Unreachable(format!("an answer of another kind: {}", other.kind())))),
        }
    }

    /// The shard and the name of a session.
    fn which(&self, one: One<'_>) -> Result<Option<(Home, Which)>, Failure> {
        Ok(match one {
            One::OfToken(token) => self.home(token.locator())?.map(|home| (home, Which::Key(Key(token.session_key())))),
            One::OfId(id) => self.home_by_handle(id).map(|home| (home, Which::Id(id))),
        })
    }

    /// The shard that a handle names, which anybody may have made up.
    fn home_by_handle(&self, handle: Handle) -> Option<Home> {
        let at = handle.locator();
        self.row(at.generation).and_then(|row| shard_of(row, at))
    }

    fn row(&self, generation: u8) -> Option<MapRow> {
        self.site.config.map.iter().find(|row| row.generation == generation).copied()
    }

    /// Whether the subject's sessions live there.
    pub fn is_home_of(&self, subject: &Subject, at: Locator) -> bool {
        self.homes(subject).into_iter().any(|home| home.locator() == at)
    }

    /// Where the subject's sessions live, one shard for each row of the map;
    /// the last takes new ones.
    fn homes(&self, subject: &Subject) -> Vec<Home> {
        self.site.config.map.iter().map(|row| home_of(*row, subject)).collect()
    }

    /// Whether a locator names a shard of the map.
    pub(crate) fn has_home(&self, at: Locator) -> bool {
        self.row(at.generation).and_then(|row| shard_of(row, at)).is_some()
    }

    /// The shard that a locator names. `Ok(None)`: of a row of the map that is
    /// no longer configured, so none of its sessions counts.
    fn home(&self, at: Locator) -> Result<Option<Home>, Failure> {
        let Some(row) = self.row(at.generation) else {
            let is_later = at.generation > self.site.config.current_row().generation;
            return if is_later { Err(self.failure(StoreError::NewerRow(at.generation))) } else { Ok(None) };
        };
        shard_of(row, at).map(Some).ok_or_else(|| self.failure(StoreError::WrongRow))
    }

    async fn ask(&self, home: Home, call: ShardCall) -> Result<ShardAnswer, Failure> {
        self.send(home, self.message(home, call)).await
    }

    async fn send(&self, home: Home, message: Message) -> Result<ShardAnswer, Failure> {
        let tally = self.ports.memory().tally();
        tally.store_calls.add();
        self.ports.shards().ask(home.locator(), &message).await.map_err(|error| {
            // Nothing is wrong with the store where the platform has sent nothing.
            if error == StoreError::UsedUp {
                return error.into();
            }
            tally.store_failures.add();
            self.failure(error)
        })
    }

    /// Asks for something that is written down in the shard's audit table, where
    /// one is kept.
    async fn order(&self, home: Home, call: ShardCall, cause: Cause<'_>) -> Result<ShardAnswer, Failure> {
        let message = Message { by: self.by(cause), ..self.message(home, call) };
        self.send(home, message).await
    }

    /// Asks about what was, for which no object need prove that it is current.
    async fn ask_unfenced(&self, home: Home, call: ShardCall, by: Option<By>) -> Result<ShardAnswer, Failure> {
        self.send(home, Message { home: Some(home), is_fenced: false, by, call }).await
    }

    /// Who asks, as the shards write it down; `None`: they do not.
    fn by(&self, cause: Cause<'_>) -> Option<By> {
        let keep = self.site.config.audit_retention;
        (!keep.is_zero() && cause.reason != custody::REPLACED).then(|| By {
            actor: cause.actor.to_owned(),
            reason: cause.reason.to_owned(),
            from: self.ports.place().whence.from,
            keep_ms: millis(keep),
        })
    }

    /// The name of a secret's record in KV, where records are kept.
    pub(crate) fn record_name(&self, at: Locator, key: &SessionKey) -> Option<String> {
        let config = &self.site.config;
        self.ports.replica()?;
        replica::is_written(config, at).then(|| replica::name(&config.site, key))
    }

    /// The same, with what vouches for the record.
    fn record_place(&self, at: Locator, key: &SessionKey) -> Option<(String, Voucher)> {
        self.record_name(at, key).map(|name| (name, self.site.ring.voucher()))
    }

    fn message(&self, home: Home, call: ShardCall) -> Message {
        Message { home: Some(home), is_fenced: self.site.config.fence == Fence::Write, by: None, call }
    }

    /// Writes down why the store gave no answer; the client is not told.
    pub(crate) fn failure(&self, error: StoreError) -> Failure {
        tell_store_error(self.ports, &error);
        error.into()
    }

    /// An answer to another question: nothing can be concluded from it.
    fn unexpected(&self, answer: &ShardAnswer) -> Failure {
        self.failure(StoreError::Unreachable(format!("an answer of another kind: {}", answer.kind())))
    }

    /// A new handle of a shard.
    fn handle(&self, at: Locator) -> Result<Handle, Failure> {
        let mut random = [0; 12];
        if !self.ports.random().fill(&mut random) {
            return Err(Failure::Internal);
        }
        Ok(Handle::new(at, random))
    }
}

/// The record of what a session object has said, for KV.
fn put(
    memory: &Memory,
    question: &Question,
    (name, voucher): (String, Voucher),
    session: &Session,
    keep: Duration,
) -> Option<Put> {
    let record = memory.record(question, session)?.seal(&voucher, &name)?;
    Some(Put { name, record, keep })
}

/// Writes down why the store gave no answer; the client is not told.
pub fn tell_store_error<P: Ports>(ports: &P, error: &StoreError) {
    ports.tell(match error {
        StoreError::Unreachable(_) | StoreError::UsedUp => Event::StoreUnavailable { reason: error.to_string() },
        StoreError::WrongRow => Event::Misconfigured {
            mistakes: vec!["map: the shard belongs to another row: rows are added, never changed".to_owned()],
        },
        StoreError::NewerRow(generation) => Event::StoreUnavailable {
            reason: format!(
                "this version lacks generation {generation} of the map; if that lasts, deploy one that has it"
            ),
        },
        StoreError::Defect(place) => Event::Panicked { place },
    });
}

/// Whoever comes with a secret: if it is an old one, nobody knows who.
const CHECK: Cause<'static> = Cause { actor: "unknown", reason: "check" };

/// What is known of the browser and the place of a request.
pub fn device(request: &Request, place: Place) -> Device {
    let prefix = address(request).and_then(prefix);
    Device {
        user_agent: request.headers.get("user-agent").map(str::to_owned),
        country: place.country,
        city: place.city,
        first_prefix: prefix.clone(),
        last_prefix: prefix,
    }
    .bounded()
}

/// The client's address, as the platform tells it.
pub fn address(request: &Request) -> Option<&str> {
    request.headers.get("cf-connecting-ip")
}

fn home_of(row: MapRow, subject: &Subject) -> Home {
    Home { row, shard: subject.home_shard(row.shards) }
}

/// The locator of kills whose receipts the feed keeps: of no row of any map.
const FEED: Locator = Locator { generation: 0, region: 0, shard: 0 };

/// The shard that a locator names, if the row has it.
fn shard_of(row: MapRow, at: Locator) -> Option<Home> {
    (row.region == at.region && u32::from(at.shard) < row.shards).then_some(Home { row, shard: at.shard })
}
