//! Moving in: a session of the application's old kind is exchanged for one of
//! ours, at its first request.
//!
//! The old cookie is made a secret by a hash, and the new session begins with
//! it as a secret that has just been rotated. So whatever is right for a
//! rotation is right here: all requests that race get the same new secret, a
//! lost answer logs nobody out, and who comes with a copy later is a replay.

use core::time::Duration;

use serde_json::Value as Json;

use super::begin::Outcome;
use super::{NewSession, Sessions, Since, device, home_of};
use crate::audit::{Cause, Event};
use crate::config::{Adopt, MapRow};
use crate::cookie;
use crate::custody::{self, Change, Jwt, Kind, Value};
use crate::error::{Failure, OriginError};
use crate::forward;
use crate::lookup::{self, AT_ONCE};
use crate::mutants::{self, Mutant};
use crate::ports::{Origin, Ports, Probed};
use crate::read;
use crate::request::Request;
use crate::revocation::AtOnce;
use crate::session::Subject;
use crate::store::message::{ClaimCall, Claimed, Home, Key, SettleCall, Settled, ShardAnswer, ShardCall};
use crate::time::{UnixMillis, millis};
use crate::token::{Secret, Token};

impl<P: Ports> Sessions<'_, P> {
    /// The token that a session of the old kind stands for, which is exchanged
    /// if nobody has done so yet. `Ok(None)`: it is none, or none any more.
    ///
    /// # Errors
    /// One cannot know: the store, or the application, gave no answer.
    pub async fn adopt(&self, adopt: &Adopt, request: &Request, cookie: &str) -> Result<Option<Token>, Failure> {
        let (ports, config) = (self.ports, &self.site.config);
        let began = ports.time();
        if began >= adopt.until {
            return Ok(None);
        }
        let old = Secret::of_cookie(&cookie::canonical(cookie), &config.site);
        let key = old.session_key();
        let memory = ports.memory();
        let question = memory.question(began);
        if memory.is_dead(&key, began) {
            return Ok(None);
        }
        let home = self.home_of_claim(&key);
        let lease = config.origin_timeout + LEASE_MORE;
        // Who has the claim and is given up with its client keeps all others waiting.
        ports.outlive_client();
        let moving_in = memory.moving_in();
        let Some(mine) = moving_in.begin(&key, AtOnce { takes: lease, ..AT_ONCE }, began) else {
            return Err(lookup::too_many(ports));
        };
        let mut pause = PAUSE;
        loop {
            // The first of this isolate asks for all of them.
            if let Some(first) = moving_in.before(&mine, ports.time(), lease) {
                while moving_in.goes_on(first, ports.time(), lease) {
                    self.wait(began, lease, &mut pause).await?;
                }
                if memory.is_dead(&key, ports.time()) {
                    return Ok(None);
                }
            }
            let claim = ClaimCall { key: Key(key), lease_ms: millis(lease), until: adopt.until };
            let claimed = match self.ask(home, ShardCall::Claim(claim)).await? {
                ShardAnswer::Claimed { claimed } => claimed,
                other => return Err(self.unexpected(&other)),
            };
            match claimed {
                Claimed::Exchanged { at } => return Ok(Some(self.site.ring.present(at, old))),
                Claimed::Refused => {
                    memory.keep_dead(&question, key, ports.time());
                    return Ok(None);
                }
                Claimed::Asked => self.wait(began, lease, &mut pause).await?,
                Claimed::Granted => break,
            }
        }
        let since = Since::known(self.site, ports, config.bound).await;
        let exchanged = self.exchange(adopt, request, cookie, &old, since).await;
        let settled = match &exchanged {
            Ok(Some(at)) => Settled::Exchanged { at: at.locator() },
            Ok(None) => Settled::Refused,
            Err(_) => Settled::Unknown,
        };
        let noted = self.ask(home, ShardCall::Settle(SettleCall { key: Key(key), settled })).await;
        let Some(at) = exchanged? else { return Ok(None) };
        noted?;
        Ok(Some(self.site.ring.present(at.locator(), old)))
    }

    /// Waits a moment, and longer each time; for no longer than a claim lasts.
    async fn wait(&self, began: UnixMillis, lease: Duration, pause: &mut Duration) -> Result<(), Failure> {
        if self.ports.time().since(began) > lease {
            return Err(Failure::StoreUnavailable);
        }
        self.ports.sleep(*pause).await;
        *pause = (*pause * 2).min(PAUSE_MAX);
        Ok(())
    }

    /// Sees to it that what the subject has of the old kind opens nothing from
    /// now on: whoever ends all, or all others, means those too.
    pub(super) async fn close(&self, subject: &Subject) -> Result<(), Failure> {
        let Some(adopt) = &self.site.config.adopt else { return Ok(()) };
        if self.ports.time() >= adopt.until || mutants::is(Mutant::OldKindForgotten) {
            return Ok(());
        }
        for home in self.homes(subject) {
            let call = ShardCall::Close { subject: subject.clone(), until: adopt.until };
            match self.ask(home, call).await? {
                ShardAnswer::Noted => {}
                other => return Err(self.unexpected(&other)),
            }
        }
        Ok(())
    }

    /// Asks the application whose it is, and begins a session; where that is.
    async fn exchange(
        &self,
        adopt: &Adopt,
        request: &Request,
        cookie: &str,
        old: &Secret,
        since: Since,
    ) -> Result<Option<Home>, Failure> {
        let Some(subject) = self.probe(adopt, request, cookie).await? else { return Ok(None) };
        if self.is_closed(&subject).await? {
            return Ok(None);
        }
        let home = home_of(self.site.config.current_row(), &subject);
        let is_kept = self.site.config.custody.cookies.contains(&adopt.cookie);
        let change = || {
            // By the token's own word, as when the application renews it.
            let named = Jwt::read(cookie).and_then(|jwt| jwt.subject(&self.site.config.custody.subject));
            let value = Value::new(Kind::Cookie, &*adopt.cookie, cookie, None);
            Change { set: vec![value], subject: Some(named.unwrap_or_else(|| subject.clone())), ..Change::default() }
        };
        let hold = is_kept.then(change);
        let new = NewSession {
            subject,
            level: crate::answer::LEVEL_DEFAULT,
            ttl: None,
            claims: None,
            device: device(request, self.ports.place()),
            presented: None,
            end_others: false,
            hold,
            adopts: Some(old),
            cause: ADOPT,
            since,
        };
        match self.begin_or_not(new).await? {
            Outcome::Begun(_) | Outcome::Before => Ok(Some(home)),
            Outcome::Closed => Ok(None),
        }
    }

    /// Whether all that the subject has of the old kind was ended under an
    /// earlier row of the map; the newest says so at the start.
    async fn is_closed(&self, subject: &Subject) -> Result<bool, Failure> {
        let mut older = self.homes(subject);
        older.pop();
        for home in older {
            match self.ask(home, ShardCall::IsClosed { subject: subject.clone() }).await? {
                ShardAnswer::Closed { closed: true } => {
                    self.tell_closed(subject);
                    return Ok(true);
                }
                ShardAnswer::Closed { closed: false } => {}
                other => return Err(self.unexpected(&other)),
            }
        }
        Ok(false)
    }

    /// Writes down why somebody whom the application knows has to log in. Who
    /// comes with the cookie again is not asked about it for a while, so that it
    /// stays rare.
    pub(super) fn tell_closed(&self, subject: &Subject) {
        let (subject, actor) = (subject.as_str().to_owned(), ADOPT.actor.to_owned());
        self.ports.tell(Event::StartRefused { subject, reason: "closed", actor });
    }

    /// Whose a session of the old kind is; `None`: nobody's.
    pub async fn probe(&self, adopt: &Adopt, request: &Request, cookie: &str) -> Result<Option<Subject>, Failure> {
        let probe = forward::compose_probe(self.site, self.ports, request, adopt, cookie)?;
        let without_answer = |error: OriginError| {
            let (failure, reason) = error.told();
            if let Some(reason) = reason {
                self.ports.tell(Event::OriginUnreachable { reason: format!("asked who somebody is: {reason}") });
            }
            failure
        };
        let Probed { status, body } = self.ports.origin().probe(&probe).await.map_err(without_answer)?;
        // RFC 9110, section 15.5.9, RFC 8470 and RFC 6585: it was not looked at.
        if status >= 500 || matches!(status, 408 | 425 | 429) {
            let said = || OriginError::Unreachable(format!("status {status}"));
            return Err(without_answer(OriginError::of_status(status).unwrap_or_else(said)));
        }
        let Some(body) = body.filter(|_| (200..300).contains(&status)) else { return Ok(None) };
        let document: Option<Json> = read::bytes(&body).ok();
        Ok(document.and_then(|document| custody::subject_at(&document, &adopt.subject)))
    }

    /// The shard that keeps who asks: of the first row of the map, so that it
    /// stays the same while rows are added.
    fn home_of_claim(&self, key: &crate::token::SessionKey) -> Home {
        let row = self.site.config.map.first().copied().unwrap_or(MapRow::DEFAULT);
        let [a, b, c, d, ..] = *key.as_bytes();
        let shard = u32::from_be_bytes([a, b, c, d]) % row.shards;
        Home { row, shard: u16::try_from(shard).unwrap_or(0) }
    }
}

/// How much longer than the application's answer the right to ask it lasts.
const LEASE_MORE: Duration = Duration::from_secs(5);

/// Between two questions whether somebody else has an answer: at first, for an application that
/// answers at once, and at most.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_millis(800);

/// Who starts it, and why.
const ADOPT: Cause<'static> = Cause { actor: "adopt", reason: "old_cookie" };
