//! Ends. Each is a kill: it names a lineage or a generation, never a token, so
//! that a copy which a thief has already renewed dies too.

use super::{FEED, One, Sessions, tell_store_error};
use crate::audit::{Cause, Event};
use crate::cookie;
use crate::custody;
use crate::error::{Failure, SetCookie, StoreError};
use crate::mutants::{self, Mutant};
use crate::ports::{After, Ports, Replica, Shards};
use crate::revocation::{EntryKey, Position};
use crate::session::{KillId, Session, SessionId, Subject};
use crate::store::feed::{EndSite, FeedCall};
use crate::store::message::{EndAllCall, EndCall, EndOthersCall, Home, Key, Kill, Lead, ShardAnswer, ShardCall};
use crate::time::millis;
use crate::token::{Locator, Minted, Token};

/// What a kill ended.
pub struct Ended {
    pub kill: Kill,
    /// Whether any session lived, or was ended so of late: the answer of then may
    /// have been lost.
    pub is_of_any: bool,
    /// Whether the kill is of an earlier call.
    pub is_earlier: bool,
}

/// What was ended in some shards.
#[derive(Default)]
pub(super) struct Elsewhere {
    pub count: u32,
    /// The largest generation that they raised.
    pub at_least: u64,
    is_of_any: bool,
}

impl<P: Ports> Sessions<'_, P> {
    /// Ends one session, if it is there and, where that is asked for, this
    /// subject's. `Ok(None)`: there was none, also of late.
    pub async fn end(&self, one: One<'_>, only: Option<Subject>, cause: Cause<'_>) -> Result<Option<Ended>, Failure> {
        let Some((home, of)) = self.which(one)? else { return Ok(None) };
        let kill = self.handle(home.locator())?;
        match self.order(home, ShardCall::End(EndCall { of, only, kill }), cause).await? {
            ShardAnswer::Ended { session: Some(session), .. } => {
                self.ports.memory().changed_session(session.id);
                if let One::OfToken(token) = one {
                    self.remove_record(token);
                }
                self.ports.tell(Event::SessionEnded {
                    session: session.id.to_text(),
                    subject: session.subject.map(|subject| subject.as_str().to_owned()),
                    actor: cause.actor.to_owned(),
                    reason: cause.reason.to_owned(),
                });
                Ok(Some(Ended { kill: session.kill, is_of_any: true, is_earlier: false }))
            }
            ShardAnswer::Ended { session: None, earlier } => {
                // Another isolate may have ended it, and this one not have heard of it yet.
                if let (One::OfId(id), true) = (one, earlier.is_some()) {
                    self.ports.memory().changed_session(id);
                }
                Ok(earlier.map(|kill| Ended { kill, is_of_any: true, is_earlier: true }))
            }
            other => Err(self.unexpected(&other)),
        }
    }

    /// Ends all sessions of a subject, under every row of the map. An error
    /// means that some may live: not acknowledged.
    pub async fn end_all(&self, subject: &Subject, cause: Cause<'_>) -> Result<Ended, Failure> {
        self.close(subject).await?;
        let mut homes = self.homes(subject);
        let lead = homes.pop().expect("a map has a row");
        let later = if mutants::is(Mutant::PublishedBeforeCommit) { core::mem::take(&mut homes) } else { Vec::new() };
        if mutants::is(Mutant::OneShardOnly) {
            homes.clear();
        }
        let mut told = self.lead(lead.locator(), 0)?;
        let mut ended = self.end_all_at_each(&homes, subject, told.kill, cause).await?;
        told.at_least = ended.at_least;
        let kill = self.end_all_at(lead, subject, told.kill, Some(told), cause, &mut ended).await;
        let kill = self.or_tell(kill, ended.count, subject, cause)?;
        if let Some(kill) = &kill {
            self.end_all_at_each(&later, subject, kill.id, cause).await?;
        }
        self.tell_ended(subject, ended.count, None, cause);
        let kill = kill.ok_or_else(|| self.failure(StoreError::Unreachable("a kill without a receipt".to_owned())))?;
        self.is_whole(&kill)?;
        Ok(Ended { kill, is_of_any: ended.is_of_any, is_earlier: false })
    }

    /// Ends everything of the site. The feed carries it to all shards; the
    /// receipt tells how far it has come.
    pub async fn end_site(&self, cause: Cause<'_>) -> Result<Kill, Failure> {
        let call = FeedCall::EndSite(EndSite {
            kill: self.handle(FEED)?,
            rows: self.site.config.map.clone(),
            by: self.by(cause),
        });
        let kill = self.ask_feed(&call).await?;
        let kill = kill.ok_or_else(|| self.failure(StoreError::Unreachable("a kill without a receipt".to_owned())))?;
        self.ports.memory().changed(&EntryKey::Site);
        self.ports.tell(Event::SiteEnded {
            kill: kill.id.to_text(),
            actor: cause.actor.to_owned(),
            reason: cause.reason.to_owned(),
        });
        Ok(kill)
    }

    /// Ends all other sessions of the subject whose token this is, and gives
    /// this one a fresh secret. The old one is refused from then on. An error
    /// means that others may live; the fresh secret goes with it, if there is one.
    pub async fn end_others(
        &self,
        token: &Token,
        session: &Session,
        cause: Cause<'_>,
    ) -> Result<(Ended, Minted, Session), Failure> {
        let Some(home) = self.home(token.locator())? else { return Err(Failure::NoLiveSession) };
        let subject = &session.subject;
        let successor = self.fresh_secret()?;
        let wrapped = custody::rewrap(self.site, self.ports, session, token, &successor)?;
        self.close(subject).await?;
        let elsewhere: Vec<Home> = self.homes(subject).into_iter().filter(|other| *other != home).collect();
        let mut lead = self.lead(token.locator(), 0)?;
        let ended = self.end_all_at_each(&elsewhere, subject, lead.kill, cause).await?;
        lead.at_least = ended.at_least;
        let call = EndOthersCall {
            wrapped,
            presented: Key(token.session_key()),
            successor: Key(successor.session_key()),
            lead,
            grace_ms: millis(self.site.config.rotation_grace),
        };
        let answer = self.order(home, ShardCall::EndOthers(call), cause).await;
        match self.or_tell(answer, ended.count, subject, cause)? {
            ShardAnswer::EndedOthers { session: Some(session), others, kill: Some(kill) } => {
                self.tell_ended(subject, ended.count + others, Some(session.id), cause);
                self.ports.memory().changed_subject(subject);
                self.tell_where_it_stands(&elsewhere, &kill);
                let minted = self.mint(token, &successor);
                self.is_whole(&kill).map_err(|_| {
                    let (config, now) = (&self.site.config, self.ports.time());
                    let set_cookie = cookie::set(config, &minted, &session, now);
                    Failure::EndedInPart(Some(SetCookie(Box::new([cookie::clear_other(&config.cookie), set_cookie]))))
                })?;
                Ok((Ended { kill, is_of_any: true, is_earlier: false }, minted, session))
            }
            ShardAnswer::EndedOthers { session: None, .. } => {
                self.or_tell(Err(Failure::NoLiveSession), ended.count, subject, cause)
            }
            other => Err(self.unexpected(&other)),
        }
    }

    /// The same for an application that may have taken its time, and with it the
    /// grace of the token. Whose the session's newest secret is cannot be known then:
    /// all end. `Ok(None)`: so it was.
    pub async fn end_others_late(
        &self,
        token: &Token,
        session: &Session,
        cause: Cause<'_>,
    ) -> Result<Option<(Minted, Session)>, Failure> {
        match self.end_others(token, session, cause).await {
            Err(Failure::NoLiveSession) => self.end_all(&session.subject, cause).await.map(|_| None),
            ended => ended.map(|(_, minted, session)| Some((minted, session))),
        }
    }

    /// What has ended is told of, also where the rest fails.
    pub(super) fn or_tell<T>(
        &self,
        outcome: Result<T, Failure>,
        ended: u32,
        subject: &Subject,
        cause: Cause<'_>,
    ) -> Result<T, Failure> {
        if ended > 0 && outcome.is_err() {
            self.tell_ended(subject, ended, None, cause);
        }
        outcome
    }

    pub(super) fn tell_ended(&self, subject: &Subject, count: u32, kept: Option<SessionId>, cause: Cause<'_>) {
        self.ports.tell(Event::SessionsEnded {
            subject: subject.as_str().to_owned(),
            count,
            kept: kept.map(SessionId::to_text),
            actor: cause.actor.to_owned(),
            reason: cause.reason.to_owned(),
        });
    }

    /// Another version of the Worker has sessions where this one cannot reach.
    pub(super) fn is_whole(&self, kill: &Kill) -> Result<(), Failure> {
        if kill.is_partial {
            let reason = "another version has, or had, a row of the map that this one lacks; if that lasts, deploy one that has it";
            tell_store_error(self.ports, &StoreError::Unreachable(reason.to_owned()));
            return Err(Failure::EndedInPart(None));
        }
        Ok(())
    }

    /// What the lead shard of a kill is told: it publishes for all rows.
    pub(super) fn lead(&self, at: Locator, at_least: u64) -> Result<Lead, Failure> {
        Ok(Lead { kill: self.handle(at)?, at_least, rows: self.site.config.map.clone() })
    }

    /// As a courtesy: the record proves nothing any more.
    fn remove_record(&self, token: &Token) {
        if let (Some(name), Some(replica)) =
            (self.record_name(token.locator(), &token.session_key()), self.ports.replica())
        {
            replica.delete_later(name);
        }
    }

    /// Tells the shard that takes the subject's starts where a kill stands that
    /// another one has published. If it is not told, it refuses starts for a
    /// while that need not be refused.
    fn tell_where_it_stands(&self, elsewhere: &[Home], kill: &Kill) {
        let Some(published) = &kill.published else { return };
        let Some(home) = elsewhere.iter().find(|home| home.row == self.site.config.current_row()) else { return };
        let position = Position { epoch: published.epoch, seq: published.seq };
        let message = self.message(*home, ShardCall::Stands { kill: kill.id, position });
        self.ports.shards().ask_later(home.locator(), message, |answer, _| {
            let reason = answer.err().map(|error| format!("after the answer: {error}"));
            After { tell: reason.map(|reason| Event::StoreUnavailable { reason }), put: None }
        });
    }

    pub(super) async fn end_all_at_each(
        &self,
        homes: &[Home],
        subject: &Subject,
        kill: KillId,
        cause: Cause<'_>,
    ) -> Result<Elsewhere, Failure> {
        let mut ended = Elsewhere::default();
        for home in homes {
            let rows = self.site.config.map.clone();
            let lead = mutants::is(Mutant::TwoRows).then_some(Lead { kill, at_least: 0, rows });
            let here = self.end_all_at(*home, subject, kill, lead, cause, &mut ended).await;
            self.or_tell(here, ended.count, subject, cause)?;
        }
        Ok(ended)
    }

    /// Adds what was ended in this shard; the kill where it keeps the receipt.
    async fn end_all_at(
        &self,
        home: Home,
        subject: &Subject,
        kill: KillId,
        lead: Option<Lead>,
        cause: Cause<'_>,
        ended: &mut Elsewhere,
    ) -> Result<Option<Kill>, Failure> {
        let call = ShardCall::EndAll(EndAllCall { subject: subject.clone(), kill, lead });
        match self.order(home, call, cause).await? {
            // Whatever becomes of the rest.
            ShardAnswer::EndedAll { live, generation, kill, earlier } => {
                self.ports.memory().changed_subject(subject);
                ended.count += live;
                ended.at_least = ended.at_least.max(generation);
                ended.is_of_any |= live > 0 || earlier.is_some();
                Ok(kill)
            }
            other => Err(self.unexpected(&other)),
        }
    }
}
