//! One session of the model: all that has happened to its secrets. What an old
//! one is good for is worked out from that each time.

use std::time::Duration;

use super::warifu;
use warifu::session::{Salt, Session};
use warifu::store::message::Key;
use warifu::time::UnixMillis;

/// A session and its secrets, the oldest first.
pub struct Lineage {
    pub session: Session,
    pub secrets: Vec<Secret>,
}

pub struct Secret {
    pub key: Key,
    /// The grace that its first use leaves to those before it, if they have any.
    grace: Option<Duration>,
    /// Its first use as the newest.
    used: Option<UnixMillis>,
    /// How the next one came; `None`: this is the newest.
    left: Option<Left>,
}

struct Left {
    how: How,
    /// When the feed had it; `None`: it has not, so no edge knows.
    told: Option<UnixMillis>,
}

pub enum How {
    Derived(Salt),
    /// The level and the time of authentication before.
    Raised(u8, UnixMillis),
    /// All before are refused from then on; and are a replay from the second on.
    Cut(UnixMillis, UnixMillis),
}

impl Lineage {
    pub fn new(session: Session, key: Key) -> Self {
        Self { session, secrets: vec![Secret { key, grace: None, used: None, left: None }] }
    }

    pub fn use_newest(&mut self, now: UnixMillis) {
        self.newest().used.get_or_insert(now);
    }

    /// The feed has all that there was to say of it.
    pub fn tell(&mut self, now: UnixMillis) {
        for left in self.secrets.iter_mut().filter_map(|secret| secret.left.as_mut()) {
            left.told.get_or_insert(now);
        }
    }

    /// Until when an old secret is served, and from when on it is a replay;
    /// `None` for the newest. Without an end until the edges are told.
    pub fn end_of_grace(&self, secret: usize) -> Option<(UnixMillis, UnixMillis)> {
        let left = self.secrets[secret].left.as_ref()?;
        let longest = left.told.map_or(UnixMillis(u64::MAX), |told| told.plus(GRACE_MAX));
        let uses = self.secrets[secret + 1..].iter().filter_map(|next| Some(next.used?.plus(next.grace?)));
        let end = uses.fold(longest, UnixMillis::min);
        let first_cut = self.secrets[secret..].iter().find_map(|one| match one.left.as_ref()?.how {
            How::Cut(refused, replayed) => Some((refused, replayed)),
            _ => None,
        });
        Some(first_cut.filter(|(at, _)| *at < end).unwrap_or((end, end)))
    }

    /// The salt of a secret's successor: for the immediate predecessor of the
    /// newest only, never over a raise, and not until the edges are told.
    pub fn salt(&self, secret: usize) -> Option<Salt> {
        match &self.secrets[secret].left {
            Some(Left { how: How::Derived(salt), told: Some(_) }) if secret + 2 == self.secrets.len() => Some(*salt),
            _ => None,
        }
    }

    /// How many salts are kept, to be handed out now or once the edges are told.
    pub fn salts(&self, now: UnixMillis) -> usize {
        let is_kept = |secret: &usize| {
            let is_derived = matches!(&self.secrets[*secret].left, Some(Left { how: How::Derived(_), .. }));
            is_derived && self.end_of_grace(*secret).is_some_and(|(end, _)| now < end)
        };
        self.secrets.len().checked_sub(2).filter(is_kept).iter().count()
    }

    /// The session as a secret opens it: no stronger than it was before any
    /// raise that came after the secret.
    pub fn seen_with(&self, secret: usize) -> Session {
        let mut seen = self.session.clone();
        for left in self.secrets[secret..].iter().filter_map(|one| one.left.as_ref()) {
            if let How::Raised(level, auth_time) = left.how {
                seen.level = seen.level.min(level);
                seen.auth_time = seen.auth_time.min(auth_time);
            }
        }
        seen
    }

    fn newest(&mut self) -> &mut Secret {
        self.secrets.last_mut().expect("a session has a secret")
    }

    pub fn append(&mut self, key: Key, grace: Option<Duration>, how: How) {
        self.newest().left = Some(Left { how, told: None });
        self.secrets.push(Secret { key, grace, used: None, left: None });
        let forgotten = self.secrets.len().saturating_sub(1 + OLD_SECRETS_MAX);
        self.secrets.drain(..forgotten);
    }
}

const GRACE_MAX: Duration = Duration::from_mins(5);
const OLD_SECRETS_MAX: usize = 32;
