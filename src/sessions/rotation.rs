//! New secrets, and the tokens that carry them to the browser.

use std::rc::Rc;

use super::{Checked, Look, Sessions, Verdict};
use crate::audit::{Cause, Event};
use crate::custody;
use crate::error::Failure;
use crate::mutants::{self, Mutant};
use crate::ports::{Ports, Random};
use crate::session::{SALT_BYTES, Salt, Served, Session};
use crate::store::message::{Key, RotateCall, Rotated, ShardAnswer, ShardCall};
use crate::time::millis;
use crate::token::{Minted, Secret, Token};

impl<P: Ports> Sessions<'_, P> {
    /// Gives the session a new secret; with a level, also a new authentication.
    /// Returns the token that the browser is to have, if it may have one.
    pub async fn rotate(
        &self,
        token: &Token,
        session: &Session,
        level: Option<u8>,
        cause: Cause<'_>,
    ) -> Result<Option<(Minted, Session)>, Failure> {
        let Some(home) = self.home(token.locator())? else { return Err(Failure::NoLiveSession) };
        let (successor, salt) = if level.is_some() && !mutants::is(Mutant::SuccessorAfterRaise) {
            (self.fresh_secret()?, None)
        } else {
            let salt = self.salt()?;
            (token.secret().successor(&salt), Some(salt))
        };
        let call = RotateCall {
            presented: Key(token.session_key()),
            successor: Key(successor.session_key()),
            salt,
            level,
            grace_ms: millis(self.site.config.rotation_grace),
            refresh: self.handle(home.locator())?,
            wrapped: custody::rewrap(self.site, self.ports, session, token, &successor)?,
        };
        let rotated = match self.order(home, ShardCall::Rotate(Box::new(call)), cause).await? {
            ShardAnswer::Rotated { rotated: Some(rotated) } => rotated,
            ShardAnswer::Rotated { rotated: None } => return Err(Failure::NoLiveSession),
            other => return Err(self.unexpected(&other)),
        };
        let Rotated { session, is_new, salt } = rotated;
        self.ports.memory().changed_session(session.id);
        if is_new {
            self.ports.tell(Event::SessionRotated {
                session: session.id.to_text(),
                subject: session.subject.as_str().to_owned(),
                level,
                actor: cause.actor.to_owned(),
                reason: cause.reason.to_owned(),
            });
        }
        let secret = match (level, salt) {
            (Some(_), _) => Some(successor),
            (None, Some(salt)) => Some(token.secret().successor(&salt)),
            (None, None) => None,
        };
        Ok(secret.map(|secret| (self.mint(token, &secret), session)))
    }

    /// The token that the browser should have instead of the one it presented:
    /// the successor within the grace, or the same secret under the newest key.
    /// Asks once more, since the origin may have taken long: a browser that has
    /// logged in anew meanwhile must not get an older session back.
    pub async fn newer_token(&self, token: &Token, served: &Served) -> Option<(Minted, Rc<Session>)> {
        if *served == Served::Current && token.is_current() {
            return None;
        }
        let Ok(Checked::Live(Verdict { session, served })) = self.check(token.place(), Look::Again).await else {
            return None;
        };
        let secret = match served {
            Served::Current => return Some((self.mint(token, token.secret()), session)),
            Served::InGrace { salt } => token.secret().successor(&salt?),
        };
        Some((self.mint(token, &secret), session))
    }

    pub(super) fn salt(&self) -> Result<Salt, Failure> {
        let mut salt = Salt([0; SALT_BYTES]);
        if self.ports.random().fill(&mut salt.0) { Ok(salt) } else { Err(Failure::Internal) }
    }

    pub(super) fn mint(&self, token: &Token, secret: &Secret) -> Minted {
        self.site.ring.mint(token.locator(), secret)
    }
}
