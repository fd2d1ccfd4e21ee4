//! The start of a session, in the newest row of the map.

use core::time::Duration;

use zeroize::Zeroizing;

use super::ending::Elsewhere;
use super::{Sessions, put};
use crate::audit::{Cause, Event};
use crate::config::{Config, OnLimit};
use crate::cookie;
use crate::custody::{self, Change, Owner};
use crate::error::{Failure, StoreError};
use crate::lookup;
use crate::mutants::{self, Mutant};
use crate::ports::{Ports, Random, Reading, Replica};
use crate::revocation::{AtOnce, Position, START_MAX};
use crate::session::{Claims, Device, Held, Session, SessionId, Subject};
use crate::site::Site;
use crate::store::message::{Adopts, EndCall, Hold, Home, Key, Kill, Limit, ShardAnswer, ShardCall, StartCall, Which};
use crate::time::{UnixMillis, millis};
use crate::token::{Minted, SECRET_BYTES, Secret, SessionKey, Token};

/// A session to start.
pub struct NewSession<'a> {
    pub subject: Subject,
    pub level: u8,
    /// Instead of `absolute_timeout`.
    pub ttl: Option<Duration>,
    pub claims: Option<Claims>,
    pub device: Device,
    /// The token of the browser: its session is ended if it is the same
    /// subject's. Nothing of it goes into the new one.
    pub presented: Option<&'a Token>,
    /// Whether the subject's other sessions end too.
    pub end_others: bool,
    /// Values of the application's own that it holds from the beginning.
    pub hold: Option<Change>,
    /// The session of the application's old kind that it is exchanged for.
    pub adopts: Option<&'a Secret>,
    /// Who starts it.
    pub cause: Cause<'a>,
    /// When the log-in was let through, and how far the feed was known then.
    pub since: Since,
}

/// From when on a kill of the subject refuses a start that is on its way.
#[derive(Clone, Copy, Debug)]
pub struct Since {
    pub at: Reading,
    /// `None`: the feed could not be reached.
    pub position: Option<Position>,
    /// Whether the feed was asked then; else it is known of a moment before.
    pub is_of_now: bool,
}

impl Since {
    /// Asks the feed.
    pub async fn now<P: Ports>(site: &Site, ports: &P) -> Self {
        let at = Reading::new(ports);
        Self { at, position: lookup::ask_position(site, ports).await, is_of_now: true }
    }

    /// Asks it, unless it was asked less than `fresh` ago; for what strangers send, as many
    /// at a time as they like. So where some ask already, or where it has just given no
    /// answer, this goes by what is known: that is old at worst, which refuses too much.
    ///
    /// The others' answer would do for who came before they asked. But a promise of one
    /// request must not be waited for by another on Workers, and to look for it by a timer
    /// would cost each log-in of a busy moment more than a rare 409. Only who knows nothing
    /// at all does so, since a new shard takes nothing from them.
    pub async fn known<P: Ports>(site: &Site, ports: &P, fresh: Duration) -> Self {
        let (at, memory) = (Reading::new(ports), ports.memory());
        let mut patience = LOOKS_MAX;
        loop {
            let position = lookup::known_position(ports, fresh);
            if position.is_some() {
                return Self { at, position, is_of_now: false };
            }
            let (now, position) = (ports.time(), memory.position());
            let is_away = memory.is_feed_away(now);
            let asking = if is_away { None } else { memory.asking_feed().begin(&FEED_KEY, ASKING_MAX, now) };
            if let Some(_asking) = asking {
                return Self { at, ..Self::now(site, ports).await };
            }
            if is_away || position.is_some() || patience == 0 {
                return Self { at, position, is_of_now: false };
            }
            patience -= 1;
            ports.sleep(LOOK_PAUSE).await;
        }
    }
}

/// Questions to the feed of one isolate at a time. All are about the same.
const ASKING_MAX: AtOnce = AtOnce { all: 4, of_one: 4, takes: Duration::from_secs(30) };
const FEED_KEY: SessionKey = SessionKey::from_bytes([0; 32]);

/// Looks for what others have been told, and the time between them: together longer than
/// an answer of the feed may take.
const LOOKS_MAX: u32 = 25;
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// A committed session, and the only copy of its token.
pub struct Begun {
    pub session: Session,
    pub token: Minted,
}

impl Begun {
    /// The Set-Cookie value for the browser, for all of the session's time.
    pub fn set_cookie(&self, config: &Config) -> String {
        cookie::set(config, &self.token, &self.session, self.session.created)
    }
}

/// What a shard has committed.
struct Started {
    session: Session,
    ended_others: u32,
    kill: Option<Kill>,
}

/// What has come of a start.
pub(super) enum Outcome {
    Begun(Box<Begun>),
    /// What was to be exchanged was exchanged before.
    Before,
    /// All that the subject has of the old kind was ended.
    Closed,
}

impl<P: Ports> Sessions<'_, P> {
    /// Mints a session and commits it. Where the subject has sessions under
    /// earlier rows of the map, those shards leave the subject to this one
    /// first, so that no two count its sessions.
    pub async fn begin(&self, new: NewSession<'_>) -> Result<Begun, Failure> {
        match self.begin_or_not(new).await? {
            Outcome::Begun(begun) => Ok(*begun),
            Outcome::Before | Outcome::Closed => Err(Failure::Internal),
        }
    }

    /// The same, where it may be that what is to be exchanged is no longer.
    pub(super) async fn begin_or_not(&self, new: NewSession<'_>) -> Result<Outcome, Failure> {
        let config = &self.site.config;
        let mut homes = self.homes(&new.subject);
        let home = homes.pop().expect("a map has a row");
        let (secret, salt) = match new.adopts {
            None => (self.fresh_secret()?, None),
            Some(old) => {
                let salt = self.salt()?;
                (old.successor(&salt), Some(salt))
            }
        };
        let at = home.locator();
        let id = self.handle(at)?;
        let mut lifetime = new.ttl.unwrap_or(config.absolute_timeout);
        let (mut hold, mut old_wrapped) = (None, None);
        if let Some(change) = &new.hold {
            let owner = Owner { site: &config.site, session: id };
            let first = custody::first(self.ports, owner, &secret, new.adopts, change, lifetime)?;
            lifetime = first.lifetime;
            (hold, old_wrapped) = (Some(first.hold), first.old_wrapped);
        }
        let adopts = new.adopts.zip(salt).map(|(old, salt)| Adopts {
            key: Key(old.session_key()),
            salt,
            wrapped: old_wrapped,
            grace_ms: millis(config.rotation_grace),
            until: config.adopt.as_ref().map_or(UnixMillis(0), |adopt| adopt.until),
        });
        let mut start = StartCall {
            id,
            hold,
            adopts,
            key: Key(secret.session_key()),
            subject: new.subject,
            level: new.level,
            claims: new.claims,
            device: new.device,
            idle_ms: millis(config.idle_timeout),
            lifetime_ms: millis(lifetime),
            presented: new.presented.map(|token| Key(token.session_key())),
            end_others: new.end_others,
            limit: None,
            lead: self.lead(at, 0)?,
            since: new.since.position,
        };
        self.is_in_time(&start.subject, new.since, new.cause)?;
        let mut elsewhere = Elsewhere::default();
        if new.end_others {
            self.close(&start.subject).await?;
            elsewhere = self.end_all_at_each(&homes, &start.subject, start.lead.kill, new.cause).await?;
            start.lead.at_least = elsewhere.at_least;
        } else if let Some(token) = new.presented.filter(|token| token.locator() != at) {
            self.end_presented(token, &start.subject, new.cause).await?;
        }
        let question = self.ports.memory().question(self.ports.time());
        let kept = start.hold.clone().map(|Hold { wrapped, sealed }| Held { version: 1, wrapped, sealed });
        let subject = start.subject.clone();
        let committed = self.commit(home, &homes, start, new.cause).await;
        let Started { mut session, ended_others, kill } =
            match self.or_tell(committed, elsewhere.count, &subject, new.cause)? {
                Ok(started) => started,
                Err(outcome) => return Ok(outcome),
            };
        // It is written down where it was committed, whatever comes after.
        let ended_others = elsewhere.count + ended_others;
        self.ports.tell(Event::SessionStarted {
            session: session.id.to_text(),
            subject: session.subject.as_str().to_owned(),
            level: session.level,
            actor: new.cause.actor.to_owned(),
            reason: new.cause.reason.to_owned(),
        });
        if ended_others > 0 {
            self.tell_ended(&session.subject, ended_others, Some(session.id), new.cause);
        }
        if ended_others > 0 || new.presented.is_some() || config.max_sessions > 0 {
            self.ports.memory().changed_subject(&session.subject);
        }
        session.held = kept;
        // Others may live under a row that this version lacks: nobody is told that they do
        // not. Whoever logs in does so once more, and the token of this session is in no
        // browser then.
        if let Some(kill) = &kill {
            self.ports.memory().changed_subject(&session.subject);
            self.is_whole(kill)?;
        }
        // What has become of it on the way back nobody knows: without a
        // position, the shard has gone by the time that it took.
        self.is_in_time(&session.subject, new.since, new.cause)?;
        // The shard has to see the first use of what an old cookie was exchanged for: it is what
        // ends the grace of that.
        let place = self.record_place(at, &secret.session_key()).filter(|_| new.adopts.is_none());
        if let (Some(place), Some(replica)) = (place, self.ports.replica())
            && let Some(put) = put(self.ports.memory(), &question, place, &session, config.replica_horizon)
        {
            replica.write_later(put);
        }
        Ok(Outcome::Begun(Box::new(Begun { session, token: self.site.ring.mint(at, &secret) })))
    }

    /// A shard remembers late kills only for so long. How long a start has taken
    /// over a step of the clock nobody knows.
    fn is_in_time(&self, subject: &Subject, since: Since, cause: Cause<'_>) -> Result<(), Failure> {
        let took = Reading::new(self.ports).known_since(since.at);
        if took.is_some_and(|took| took <= START_MAX) || mutants::is(Mutant::LateStart) {
            return Ok(());
        }
        Err(self.killed_meanwhile(subject, cause))
    }

    fn killed_meanwhile(&self, subject: &Subject, cause: Cause<'_>) -> Failure {
        let (subject, actor) = (subject.as_str().to_owned(), cause.actor.to_owned());
        self.ports.tell(Event::StartRefused { subject, reason: "killed_meanwhile", actor });
        // So that the next try goes by what is known after the kill.
        if self.ports.memory().is_poll_due(self.ports.time(), Duration::ZERO) {
            lookup::poll_later(self.site, self.ports);
        }
        Failure::KilledMeanwhile
    }

    /// Asks until there is room, or it is clear that there will be none.
    async fn commit(
        &self,
        home: Home,
        older: &[Home],
        mut start: StartCall,
        cause: Cause<'_>,
    ) -> Result<Result<Started, Outcome>, Failure> {
        let config = &self.site.config;
        let mut elsewhere =
            if config.max_sessions > 0 { self.leave(older, &start.subject, None, cause).await? } else { 0 };
        for _ in 0..ROUNDS_MAX {
            start.limit = (config.max_sessions > 0).then_some(Limit {
                max: config.max_sessions,
                end_oldest: config.on_limit == OnLimit::EndOldest,
                elsewhere,
            });
            match self.order(home, ShardCall::Start(Box::new(start.clone())), cause).await? {
                ShardAnswer::Started { session, replaced, evicted, ended_others, kill } => {
                    if let Some(replaced) = replaced {
                        self.tell_replaced(replaced, &session.subject, cause);
                    }
                    self.tell_evicted(evicted, &session.subject);
                    return Ok(Ok(Started { session, ended_others, kill }));
                }
                ShardAnswer::AdoptedBefore => return Ok(Err(Outcome::Before)),
                ShardAnswer::Closed { closed: true } => {
                    self.tell_closed(&start.subject);
                    return Ok(Err(Outcome::Closed));
                }
                ShardAnswer::MakeRoom { excess } => {
                    let keep = elsewhere.saturating_sub(excess);
                    elsewhere = self.leave(older, &start.subject, Some(keep), cause).await?;
                }
                ShardAnswer::KilledMeanwhile => return Err(self.killed_meanwhile(&start.subject, cause)),
                ShardAnswer::LimitReached => {
                    let subject = start.subject.as_str().to_owned();
                    let actor = cause.actor.to_owned();
                    self.ports.tell(Event::StartRefused { subject, reason: "max_sessions", actor });
                    return Err(Failure::SessionLimit);
                }
                ShardAnswer::Unannounced => {
                    let reason = "the feed is out of reach, and does not know this row of the map yet".to_owned();
                    return Err(self.failure(StoreError::Unreachable(reason)));
                }
                // A later version of the Worker has a row that this one does
                // not know.
                ShardAnswer::Moved => {
                    return Err(self.failure(StoreError::NewerRow(home.row.generation.saturating_add(1))));
                }
                other => return Err(self.unexpected(&other)),
            }
        }
        Err(self.failure(StoreError::Unreachable("no room could be made for a session".to_owned())))
    }

    /// Takes the subject over from earlier rows; how many of its sessions live
    /// there then. The oldest end until at most `keep` are left.
    async fn leave(
        &self,
        older: &[Home],
        subject: &Subject,
        keep: Option<u32>,
        cause: Cause<'_>,
    ) -> Result<u32, Failure> {
        let mut live = 0;
        // The newest of them keep theirs first.
        for home in older.iter().rev() {
            let call = ShardCall::Leave {
                subject: subject.clone(),
                keep: keep.map(|keep| keep.saturating_sub(live)),
                kill: self.handle(home.locator())?,
            };
            match self.order(*home, call, cause).await? {
                ShardAnswer::Left { live: here, ended } => {
                    self.tell_evicted(ended.unwrap_or_default(), subject);
                    if keep.is_some() {
                        self.ports.memory().changed_subject(subject);
                    }
                    live += here;
                }
                other => return Err(self.unexpected(&other)),
            }
        }
        Ok(live)
    }

    /// They made room.
    fn tell_evicted(&self, sessions: Vec<SessionId>, subject: &Subject) {
        for session in sessions {
            self.ports.tell(Event::SessionEnded {
                session: session.to_text(),
                subject: Some(subject.as_str().to_owned()),
                actor: "limit".to_owned(),
                reason: "max_sessions".to_owned(),
            });
        }
    }

    /// Ends the presented session in another shard, if it is this subject's.
    async fn end_presented(&self, token: &Token, subject: &Subject, cause: Cause<'_>) -> Result<(), Failure> {
        let Some(home) = self.home(token.locator())? else { return Ok(()) };
        let call = EndCall {
            of: Which::Key(Key(token.session_key())),
            only: Some(subject.clone()),
            kill: self.handle(token.locator())?,
        };
        match self.order(home, ShardCall::End(call), cause).await? {
            ShardAnswer::Ended { session, .. } => {
                if let Some(ended) = session {
                    self.ports.memory().changed_session(ended.id);
                    self.tell_replaced(ended.id, subject, cause);
                }
                Ok(())
            }
            other => Err(self.unexpected(&other)),
        }
    }

    fn tell_replaced(&self, session: SessionId, subject: &Subject, cause: Cause<'_>) {
        self.ports.tell(Event::SessionReplaced {
            session: session.to_text(),
            subject: subject.as_str().to_owned(),
            actor: cause.actor.to_owned(),
            reason: cause.reason.to_owned(),
        });
    }

    /// A secret from the CSPRNG.
    pub(super) fn fresh_secret(&self) -> Result<Secret, Failure> {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        if !self.ports.random().fill(&mut *bytes) {
            return Err(Failure::Internal);
        }
        Ok(Secret::new(*bytes))
    }
}

/// Times that room is made; sessions elsewhere only become fewer.
const ROUNDS_MAX: u32 = 3;
