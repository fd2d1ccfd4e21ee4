//! Who is let through: the policy's demand, the session, and the verdict.

use std::rc::Rc;

use futures_util::FutureExt;

use crate::audit::Event;
use crate::config::Access;
use crate::cookie::{self, Presented};
use crate::custody::Opened;
use crate::error::Failure;
use crate::limit::{self, Limit};
use crate::lookup;
use crate::path::CanonicalPath;
use crate::policy::{self, Demand};
use crate::ports::{Ports, Reading};
use crate::precedent::{Asked, Precedent};
use crate::request::Request;
use crate::session::{Served, Session};
use crate::sessions::{Look, Sessions, Verdict};
use crate::site::Site;
use crate::time::UnixMillis;
use crate::token::Token;

/// A request that may be forwarded. Only [`admit`] makes one, or [`by_precedent`] of one that
/// was, so code that forwards without having admitted does not compile.
pub struct Admitted {
    demand: Demand,
    with_identity: bool,
    caller: Option<Caller>,
    in_doubt: bool,
    /// Whether the token is that of a session of the application's old kind.
    adopted: bool,
    presented: Vec<Token>,
}

/// Somebody with a live session.
pub struct Caller {
    pub session: Rc<Session>,
    served: Served,
    /// Whether this request is written down as a use of the session.
    is_renewed: bool,
    /// From before the verdict was sought.
    sought: Reading,
    /// What the session holds.
    opened: Option<Box<Opened>>,
}

impl Admitted {
    pub fn demand(&self) -> Demand {
        self.demand
    }

    /// Whether identity headers go with the request, empty ones included.
    pub fn with_identity(&self) -> bool {
        self.with_identity
    }

    /// The live session, where there is one.
    pub fn session(&self) -> Option<&Session> {
        self.caller.as_ref().map(|caller| &*caller.session)
    }

    /// The live session with the token that opens it.
    pub fn caller(&self) -> Option<(&Caller, &Token)> {
        self.caller.as_ref().zip(self.presented.first())
    }

    /// Why there is no live session to change: there is none, or one cannot
    /// know.
    pub fn without_caller(&self) -> Failure {
        if self.in_doubt { Failure::StoreUnavailable } else { Failure::NoLiveSession }
    }

    /// The token of the live session, and when the verdict on it was sought.
    pub fn into_token(self) -> Option<(Token, Reading)> {
        self.caller.zip(self.presented.into_iter().next()).map(|(caller, token)| (token, caller.sought))
    }

    /// What the live session holds.
    pub fn take_opened(&mut self) -> Option<Opened> {
        self.caller.as_mut()?.opened.take().map(|opened| *opened)
    }

    /// Goes on as nobody's, where that is allowed: a page that anybody may see does not fail with
    /// the store.
    ///
    /// # Errors
    /// It is not.
    fn disown(&mut self, failure: Failure) -> Result<(), Failure> {
        self.caller = None;
        if self.demand.access == Access::Optional { Ok(()) } else { Err(failure) }
    }

    /// Looks once more, where there is somebody, after something that took its time. It is no use
    /// of the session, which was when the request came.
    ///
    /// # Errors
    /// It is no longer let through.
    pub async fn look_again<P: Ports>(&mut self, site: &Site, ports: &P, request: &Request) -> Result<(), Failure> {
        let Some(Caller { is_renewed, .. }) = self.caller else { return Ok(()) };
        match identify(site, ports, request, &self.presented, self.demand, Look::Again).await {
            Ok(caller) => {
                self.caller = Some(Caller { is_renewed, ..caller });
                Ok(())
            }
            Err(failure) => {
                self.in_doubt = failure != Failure::NoSession;
                self.disown(failure)
            }
        }
    }

    /// Whether the next request like this is admitted alike, if the verdict on its session is
    /// still the same: nothing is in doubt, moves in, was written down or is to be replaced.
    pub fn is_settled(&self) -> bool {
        let is_current = |caller: &Caller| caller.served == Served::Current && !caller.is_renewed;
        self.caller.as_ref().is_none_or(is_current)
            && !self.in_doubt
            && !self.adopted
            && self.presented.len() == usize::from(self.caller.is_some())
    }

    /// Whether it came with a session of the application's old kind, and lives.
    pub fn is_adopted(&self) -> bool {
        self.adopted && self.caller.is_some()
    }

    /// The presented tokens, whether or not their sessions live. More than one
    /// means that none is honoured.
    pub fn presented(&self) -> &[Token] {
        &self.presented
    }

    /// The token, where one alone was presented.
    pub fn only_token(&self) -> Option<&Token> {
        match self.presented() {
            [token] => Some(token),
            _ => None,
        }
    }
}

impl Caller {
    /// The Set-Cookie value that the browser should get with the answer, if it
    /// presented an old secret, or one under an older key.
    pub async fn newer_cookie<P: Ports>(&self, site: &Site, ports: &P, token: &Token) -> Option<String> {
        // Re-minting goes along with renewals, so that it stays rare.
        if self.served == Served::Current && !self.is_renewed {
            return None;
        }
        let sessions = Sessions::new(site, ports);
        let (minted, session) = sessions.newer_token(token, &self.served).boxed_local().await?;
        Some(cookie::set(&site.config, &minted, &session, ports.time()))
    }
}

/// Decides on one request whose path is canonical.
///
/// # Errors
/// Why it is not let through.
pub async fn admit<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    path: &CanonicalPath,
    demand: Demand,
) -> Result<Admitted, Failure> {
    refuse_cross_origin(site, ports, request, path)?;
    let without_caller = |with_identity, in_doubt, adopted, presented| Admitted {
        demand,
        with_identity,
        caller: None,
        in_doubt,
        adopted,
        presented,
    };
    if demand.access == Access::Public || policy::is_trusted_preflight(&site.config, request) {
        return Ok(without_caller(false, false, false, Vec::new()));
    }
    let mut presented = presented(site, ports, request, path);
    if presented.is_empty() && cookie::is_forged(request.headers.get("cookie"), &site.config.cookie.name, &site.ring) {
        ports.memory().tally().bad_macs.add();
        lookup::report_if_due(ports, ports.time());
        // Where one can log in, everybody can.
        if demand.access != Access::Optional {
            limit::count(site, ports, request, Limit::BadMacs).boxed_local().await?;
        }
    }
    let mut found = identify(site, ports, request, &presented, demand, Look::Use).await;
    let mut adopted = false;
    if site.config.adopt.is_some() && matches!(found, Err(Failure::NoSession)) && presented.len() <= 1 {
        match adopt(site, ports, request).boxed_local().await {
            Ok(None) => {}
            Ok(Some(token)) => {
                presented = vec![token];
                adopted = true;
                found = identify(site, ports, request, &presented, demand, Look::Use).boxed_local().await;
            }
            Err(failure) => found = Err(failure),
        }
    }
    match found {
        Ok(caller) => Ok(Admitted { caller: Some(caller), ..without_caller(true, false, adopted, presented) }),
        // A page that anybody may see does not fail with the store.
        Err(failure) if demand.access == Access::Optional => {
            Ok(without_caller(true, failure != Failure::NoSession, adopted, presented))
        }
        Err(failure) => Err(failure),
    }
}

/// The same for a request that a precedent has stood for, at the time when it was sent on:
/// what has ended or changed since is another's matter, as it is for what waits for its answer
/// otherwise.
///
/// # Errors
/// It is no request like that.
pub fn by_precedent(
    site: &Site,
    request: &Request,
    precedent: &Precedent,
    sought: Reading,
) -> Result<Admitted, Failure> {
    let (caller, presented) = match precedent.caller() {
        None => (None, Vec::new()),
        Some((key, session)) => {
            let header = request.headers.get("cookie").unwrap_or_default();
            let Presented::One(token) = cookie::presented(header, &site.config.cookie.name, &site.ring) else {
                return Err(Failure::Internal);
            };
            if token.session_key() != *key {
                return Err(Failure::Internal);
            }
            let session = Rc::clone(session);
            (Some(Caller { session, served: Served::Current, is_renewed: false, sought, opened: None }), vec![token])
        }
    };
    Ok(Admitted {
        demand: precedent.demand,
        with_identity: precedent.with_identity(),
        caller,
        in_doubt: false,
        adopted: false,
        presented,
    })
}

/// The token of a session of the application's old kind, which moves in.
async fn adopt<P: Ports>(site: &Site, ports: &P, request: &Request) -> Result<Option<Token>, Failure> {
    let Some(adopt) = site.config.adopt.as_ref().filter(|_| policy::comes_with_cookies(&site.config, request)) else {
        return Ok(None);
    };
    let value = request.headers.get("cookie").and_then(|header| cookie::only(header, &adopt.cookie));
    match value {
        Some(value) => Sessions::new(site, ports).adopt(adopt, request, value).await,
        None => Ok(None),
    }
}

/// The live session of the one token that was presented, if it is as strong
/// as is demanded.
///
/// # Errors
/// There is none, or one cannot know.
pub async fn identify<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    presented: &[Token],
    demand: Demand,
    look: Look,
) -> Result<Caller, Failure> {
    let [token] = presented else { return Err(Failure::NoSession) };
    let (sought, found) = match ports.asked(&token.session_key()) {
        Some(Asked { sought, said, .. }) => (sought, lookup::counted(ports.memory(), said)),
        None => (Reading::new(ports), lookup::look_up(site, ports, token, demand, look).await),
    };
    let Some(Verdict { session, served }) = found? else { return Err(Failure::NoSession) };
    let opened = Opened::of(site, ports, &session, token)?;
    let now = ports.time();
    let is_renewed = look == Look::Use && renew(site, ports, request, token, &session, demand, now);
    demand.is_met_by(&session, now)?;
    Ok(Caller { session, served, is_renewed, sought, opened })
}

/// Writes down a use of the session, where it counts and is due: later, and
/// once for many. Whether it does.
pub fn renew<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    token: &Token,
    session: &Session,
    demand: Demand,
    now: UnixMillis,
) -> bool {
    let is_due = demand.activity
        && session.wants_renewal(now, site.config.idle_timeout)
        && ports.memory().may_renew(&token.session_key(), now);
    if is_due {
        Sessions::new(site, ports).renew_later(token, session.id, request);
    }
    is_due
}

/// Refuses what another site must not send, and writes it down.
///
/// # Errors
/// The request is such a one.
pub fn refuse_cross_origin<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    path: &CanonicalPath,
) -> Result<(), Failure> {
    if !policy::is_forbidden_cross_origin(&site.config, request) {
        return Ok(());
    }
    Err(cross_origin(ports, request, path))
}

/// Writes down that a request of another site was refused; not each, since
/// anybody can send them.
pub fn cross_origin<P: Ports>(ports: &P, request: &Request, path: &CanonicalPath) -> Failure {
    limit::tell_or_count(ports, limit::is_told(ports, request), "cross_origin_refused", || {
        // A request without the header is written down as from nowhere.
        let origin = request.headers.get("origin").unwrap_or_default().into();
        ports.tell(Event::CrossOriginRefused { path: path.as_str().into(), origin });
    });
    Failure::CrossOrigin
}

/// The presented tokens with good MACs: none, the one whose session counts, or
/// several, of which none does.
pub fn presented<P: Ports>(site: &Site, ports: &P, request: &Request, path: &CanonicalPath) -> Vec<Token> {
    let Some(header) = request.headers.get("cookie") else { return Vec::new() };
    match cookie::presented(header, &site.config.cookie.name, &site.ring) {
        Presented::None => Vec::new(),
        Presented::One(token) => vec![token],
        Presented::Several(tokens) => {
            // Who has two tokens can do so with each request.
            limit::tell_or_count(ports, limit::is_told(ports, request), "several_tokens", || {
                ports.tell(Event::SeveralTokens { path: path.as_str().into() });
            });
            tokens
        }
    }
}
