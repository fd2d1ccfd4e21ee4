//! Custody: values of the application's own that browsers must not have. The
//! gateway takes them out of the application's answers, keeps them sealed with
//! the session, and gives them back with each request: so an application that
//! speaks JWT has real sessions, and is not changed for it.
//!
//! See `docs/custody.md`.

mod answer;
mod holding;
mod jwt;
mod keep;
mod request;
mod seal;
mod set_cookie;
mod whose;

pub use self::answer::{LogOut, Taken, is_kept, take};
pub use self::holding::{Change, HELD_BYTES_MAX, Holding, Kind, Value};
pub use self::jwt::{Jwt, stands_for, subject_at};
pub use self::keep::{REPLACED, SECRET_GONE, put_away};
pub use self::request::{attach, fill, read_body};
pub use self::seal::{ContentKey, Owner};
pub use self::set_cookie::SetCookie;
use core::time::Duration;

use crate::audit::Event;
use crate::error::Failure;
use crate::ports::Ports;
use crate::session::{Held, Sealed, Session, Wrapped};
use crate::site::Site;
use crate::store::message::Hold;
use crate::token::{Secret, Token};

/// What a session holds, open for the length of one request.
pub struct Opened {
    key: ContentKey,
    pub holding: Holding,
    version: u64,
}

impl Opened {
    /// What a live session holds; `None`: nothing. A session of which nothing is
    /// to be kept any more, since the configuration is another, is none: the
    /// application would not know whose the request is, and could not end it.
    ///
    /// # Errors
    /// It cannot be opened: one cannot know what it is. Or there is no session.
    pub fn of<P: Ports>(
        site: &Site,
        ports: &P,
        session: &Session,
        token: &Token,
    ) -> Result<Option<Box<Self>>, Failure> {
        let Some(held) = &session.held else { return Ok(None) };
        let opened = Self::unseal(site, ports, session, token, held)?;
        if opened.holding.is_empty() { Err(Failure::NoSession) } else { Ok(Some(Box::new(opened))) }
    }

    #[inline(never)]
    fn unseal<P: Ports>(
        site: &Site,
        ports: &P,
        session: &Session,
        token: &Token,
        held: &Held,
    ) -> Result<Self, Failure> {
        let owner = owner(site, session);
        let opened = ContentKey::unwrap(&held.wrapped, token.secret(), owner).and_then(|key| {
            let mut holding = Holding::from_bytes(&key.open(&held.sealed, owner)?)?;
            holding.keep_configured(&site.config.custody);
            Some(Self { key, holding, version: held.version })
        });
        opened.ok_or_else(|| {
            ports.tell(Event::CustodyUnreadable { session: session.id.to_text() });
            Failure::StoreUnavailable
        })
    }

    fn seal<P: Ports>(&self, site: &Site, ports: &P, session: &Session) -> Result<Sealed, Failure> {
        let bytes = self.holding.to_bytes().ok_or_else(|| too_much(ports))?;
        self.key.seal(&bytes, owner(site, session), ports.random()).ok_or(Failure::Internal)
    }
}

/// What a new session holds, and for how long it can be of use.
///
/// # Errors
/// It is too much, or over already, or there is no randomness.
pub fn first<P: Ports>(
    ports: &P,
    owner: Owner<'_>,
    secret: &Secret,
    old: Option<&Secret>,
    change: &Change,
    lifetime: Duration,
) -> Result<First, Failure> {
    let now = ports.time();
    let mut holding = Holding::new(lifetime);
    holding.apply(change, None);
    let left = holding.end(now).since(now);
    if left.is_zero() {
        return Err(refuse(ports, "the token has expired already".to_owned()));
    }
    let bytes = holding.to_bytes().ok_or_else(|| too_much(ports))?;
    let random = ports.random();
    let sealed = ContentKey::new(random).and_then(|key| {
        let old_wrapped = match old {
            Some(old) => Some(key.wrap(old, owner, random)?),
            None => None,
        };
        let hold = Hold { wrapped: key.wrap(secret, owner, random)?, sealed: key.seal(&bytes, owner, random)? };
        Some(First { hold, old_wrapped, lifetime: left })
    });
    sealed.ok_or(Failure::Internal)
}

/// What a new session holds.
pub struct First {
    pub hold: Hold,
    /// The key for a secret that goes before its first, where there is one.
    pub old_wrapped: Option<Wrapped>,
    /// How long it can be of use.
    pub lifetime: Duration,
}

/// The content key of what a session holds, for a secret that is to come.
/// `Ok(None)`: it holds nothing.
///
/// # Errors
/// It cannot be opened, or there is no randomness.
pub fn rewrap<P: Ports>(
    site: &Site,
    ports: &P,
    session: &Session,
    token: &Token,
    successor: &Secret,
) -> Result<Option<Wrapped>, Failure> {
    let Some(held) = &session.held else { return Ok(None) };
    let Opened { key, .. } = Opened::unseal(site, ports, session, token, held)?;
    key.wrap(successor, owner(site, session), ports.random()).map(Some).ok_or(Failure::Internal)
}

fn owner<'a>(site: &'a Site, session: &Session) -> Owner<'a> {
    Owner { site: &site.config.site, session: session.id }
}

/// The application's tokens are larger than what a session may hold.
fn too_much<P: Ports>(ports: &P) -> Failure {
    refuse(ports, format!("the values come to more than {HELD_BYTES_MAX} bytes"))
}

/// The application's answer holds something that cannot be kept as it should.
fn refuse<P: Ports>(ports: &P, reason: String) -> Failure {
    ports.tell(Event::CustodyRefused { reason: reason.clone() });
    Failure::BadCustody(reason)
}
