//! What a session is, and its lifetimes. Pure: no store, no clock.

mod claims;
mod device;
mod held;
mod lineage;
mod names;

use core::time::Duration;

use serde::Serialize;

pub use self::claims::{CLAIMS_FORM, Claims};
pub use self::device::{Device, prefix};
pub use self::held::{Held, SEALED_BYTES_MAX, Sealed, WRAPPED_BYTES, Wrapped};
pub use self::lineage::{Cap, Link, OLD_SECRETS_MAX, SALT_BYTES, Salt, Served, Standing};
pub use self::names::{Handle, KillId, SUBJECT_FORM, SessionId, Subject};
use crate::mutants::{self, Mutant};
use crate::read::read_record;
use crate::time::UnixMillis;

/// A live session, as the store knows it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Session {
    pub id: SessionId,
    pub subject: Subject,
    /// Strength of the authentication, 0–255; what each number means is the application's.
    pub level: u8,
    pub auth_time: UnixMillis,
    pub created: UnixMillis,
    /// The last renewal: at most a tenth of the idle timeout behind the last use.
    pub last_seen: UnixMillis,
    pub idle_expires: UnixMillis,
    pub absolute_expires: UnixMillis,
    pub claims: Option<Claims>,
    pub device: Device,
    /// The shard's number of kills when it started; a kill of its subject or
    /// of the site ends all that have a lower one than the kill's.
    pub generation: u64,
    /// What it holds for its user; only where a secret has opened it.
    pub held: Option<Held>,
}

read_record!(open Session {
    id, subject, level, auth_time, created, last_seen, idle_expires, absolute_expires, claims, device, generation,
    held,
});

impl Session {
    /// Both timeouts always apply.
    pub fn is_live(&self, now: UnixMillis) -> bool {
        now < self.idle_expires && now < self.absolute_expires
    }

    /// The session as a secret that was left behind is served: never stronger.
    #[must_use]
    pub fn capped(mut self, cap: Option<Cap>) -> Self {
        if let Some(cap) = cap {
            self.level = self.level.min(cap.level);
            self.auth_time = self.auth_time.min(cap.auth_time);
        }
        self
    }

    /// Whether a use at `now` is to be written down: the last that was is long
    /// enough ago, or it was under a shorter idle timeout, by which the session
    /// would end though it is in use.
    pub fn wants_renewal(&self, now: UnixMillis, idle_timeout: Duration) -> bool {
        let step = idle_timeout / RENEWALS_PER_IDLE_TIMEOUT;
        let expires = idle_expiry(now, idle_timeout).min(self.absolute_expires);
        now.since(self.last_seen) >= step || expires.since(self.idle_expires) >= step
    }
}

/// When a session that was used at `now` expires for idleness. The slack of one
/// throttle step is there so that nobody in use is logged out early.
pub fn idle_expiry(now: UnixMillis, idle_timeout: Duration) -> UnixMillis {
    let slack =
        if mutants::is(Mutant::IdleWithoutSlack) { Duration::ZERO } else { idle_timeout / RENEWALS_PER_IDLE_TIMEOUT };
    now.plus(idle_timeout).plus(slack)
}

/// Renewals are written at most this often per idle timeout.
pub const RENEWALS_PER_IDLE_TIMEOUT: u32 = 10;
