//! Ends. Each is a kill: it names a lineage or a generation, never a token, so
//! that a copy which a thief has already renewed dies too.

use super::{One, Sessions, locator_of};
use crate::audit::Event;
use crate::error::Failure;
use crate::ports::Ports;
use crate::session::{KillId, Session, Subject};
use crate::store::message::{EndCall, EndOthersCall, Home, Key, Kill, KillScope, ShardAnswer, ShardCall};
use crate::time::millis;
use crate::token::{Minted, Token};

/// What a kill ended.
pub struct Ended {
    pub kill: Kill,
    /// How many sessions lived.
    pub count: u32,
}

impl<P: Ports> Sessions<'_, P> {
    /// Ends one session, if it is there and, where that is asked for, this
    /// subject's. `Ok(None)`: there was none.
    pub async fn end(&self, one: One<'_>, only: Option<Subject>, actor: &str) -> Result<Option<Ended>, Failure> {
        let Some((home, of)) = self.which(one)? else { return Ok(None) };
        let kill = self.handle(locator_of(home))?;
        match self.ask(home, ShardCall::End(EndCall { of, only, kill })).await? {
            ShardAnswer::Ended { session: Some(session) } => {
                let actor = actor.to_owned();
                self.ports.tell(Event::SessionEnded { session: session.id.to_text(), actor });
                Ok(Some(self.ended(kill, KillScope::Session, 1)))
            }
            ShardAnswer::Ended { session: None } => Ok(None),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Ends all sessions of a subject, under every row of the map. An error
    /// means that some may live: not acknowledged.
    pub async fn end_all(&self, subject: &Subject, actor: &str) -> Result<Ended, Failure> {
        let mut homes = self.homes(subject);
        let lead = homes.pop().expect("a map has a row");
        let (mut count, at_least) = self.end_all_at_each(&homes, subject).await?;
        let kill = self.handle(locator_of(lead))?;
        count += self.end_all_at(lead, subject, Some(kill), at_least).await?.0;
        self.ports.tell(Event::SessionsEnded {
            subject: subject.as_str().to_owned(),
            count,
            kept: None,
            actor: actor.to_owned(),
        });
        Ok(self.ended(kill, KillScope::Subject, count))
    }

    /// Ends all other sessions of the subject whose token this is, and gives
    /// this one a fresh secret. The old one is refused from then on.
    pub async fn end_others(
        &self,
        token: &Token,
        subject: &Subject,
        actor: &str,
    ) -> Result<(Ended, Minted, Session), Failure> {
        let Some(home) = self.home(token.locator())? else { return Err(Failure::NoLiveSession) };
        let elsewhere: Vec<Home> = self.homes(subject).into_iter().filter(|other| *other != home).collect();
        let (count, at_least) = self.end_all_at_each(&elsewhere, subject).await?;
        let successor = self.fresh_secret()?;
        let kill = self.handle(token.locator())?;
        let call = EndOthersCall {
            presented: Key(token.session_key()),
            successor: Key(successor.session_key()),
            kill,
            at_least,
            grace_ms: millis(self.site.config.rotation_grace),
        };
        match self.ask(home, ShardCall::EndOthers(call)).await? {
            ShardAnswer::EndedOthers { session: Some(session), others } => {
                self.ports.tell(Event::SessionsEnded {
                    subject: subject.as_str().to_owned(),
                    count: count + others,
                    kept: Some(session.id.to_text()),
                    actor: actor.to_owned(),
                });
                let minted = self.mint(token, &successor);
                Ok((self.ended(kill, KillScope::Subject, count + others), minted, session))
            }
            ShardAnswer::EndedOthers { session: None, .. } => Err(Failure::NoLiveSession),
            other => Err(self.unexpected(&other)),
        }
    }

    async fn end_all_at_each(&self, homes: &[Home], subject: &Subject) -> Result<(u32, u64), Failure> {
        let (mut count, mut at_least) = (0, 0);
        for home in homes {
            let (live, generation) = self.end_all_at(*home, subject, None, 0).await?;
            count += live;
            at_least = at_least.max(generation);
        }
        Ok((count, at_least))
    }

    /// How many lived in this shard, and the generation that ended them.
    pub(super) async fn end_all_at(
        &self,
        home: Home,
        subject: &Subject,
        kill: Option<KillId>,
        at_least: u64,
    ) -> Result<(u32, u64), Failure> {
        let call = ShardCall::EndAll { subject: subject.clone(), kill, at_least };
        match self.ask(home, call).await? {
            ShardAnswer::EndedAll { live, generation } => Ok((live, generation)),
            other => Err(self.unexpected(&other)),
        }
    }

    fn ended(&self, id: KillId, scope: KillScope, count: u32) -> Ended {
        Ended { kill: Kill { id, scope, committed: self.now() }, count }
    }
}
