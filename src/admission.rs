//! Who is let through: the policy's demand, the session, and the verdict.

use crate::audit::Event;
use crate::config::Access;
use crate::cookie::{self, Presented};
use crate::error::{Failure, StoreError};
use crate::path::CanonicalPath;
use crate::policy::{self, Demand};
use crate::ports::{Clock, Ports, Sessions};
use crate::request::Request;
use crate::session::Session;
use crate::site::Site;
use crate::token::{Locator, SessionKey};

/// A request that may be forwarded. Only [`admit`] makes one, so code that
/// forwards without having admitted does not compile.
#[derive(Debug)]
pub struct Admitted {
    demand: Demand,
    with_identity: bool,
    session: Option<Session>,
    presented: Vec<(Locator, SessionKey)>,
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
        self.session.as_ref()
    }

    /// Where the presented tokens point to, whether or not their sessions
    /// live. More than one means that none is honoured.
    pub fn presented(&self) -> &[(Locator, SessionKey)] {
        &self.presented
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
) -> Result<Admitted, Failure> {
    let config = &site.config;
    refuse_cross_origin(site, ports, request, path)?;
    let demand = policy::demand(config, path, &request.method);
    let unidentified = |with_identity, presented| Admitted { demand, with_identity, session: None, presented };
    if demand.access == Access::Public || policy::is_trusted_preflight(config, request) {
        return Ok(unidentified(false, Vec::new()));
    }
    if request.is_upgrade() {
        // Forwarding it would open a channel that outlives its session.
        return Err(Failure::NotYet(
            "connections that change the protocol, such as WebSockets, are not carried on protected routes",
        ));
    }
    let presented = presented(site, ports, request, path);
    let [(locator, key)] = presented[..] else {
        return if demand.access == Access::Optional {
            Ok(unidentified(true, presented))
        } else {
            Err(Failure::NoSession)
        };
    };
    let session = match (ports.sessions().check(locator, &key).await, demand.access) {
        (Ok(session), _) => session,
        // A page that anybody may see does not fail with the store.
        (Err(error), Access::Optional) => {
            tell_store_error(ports, &error);
            None
        }
        (Err(error), _) => {
            tell_store_error(ports, &error);
            return Err(error.into());
        }
    };
    match session {
        Some(session) => {
            if demand.activity && session.wants_renewal(ports.clock().now(), config.idle_timeout) {
                ports.sessions().renew_soon(locator, &key, config.idle_timeout);
            }
            Ok(Admitted { demand, with_identity: true, session: Some(session), presented })
        }
        None if demand.access == Access::Optional => Ok(unidentified(true, presented)),
        None => Err(Failure::NoSession),
    }
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
    let origin = request.headers.get("origin").unwrap_or_default().to_owned();
    ports.tell(Event::CrossOriginRefused { path: path.as_str().to_owned(), origin });
    Err(Failure::CrossOrigin)
}

/// Where the presented tokens with good MACs point to: nowhere, to the one
/// session that is honoured, or to several, of which none is.
pub fn presented<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    path: &CanonicalPath,
) -> Vec<(Locator, SessionKey)> {
    let Some(header) = request.headers.get("cookie") else { return Vec::new() };
    let tokens = match cookie::presented(header, &site.config.cookie.name, &site.ring) {
        Presented::None => Vec::new(),
        Presented::One(token) => vec![token],
        Presented::Several(tokens) => {
            ports.tell(Event::SeveralTokens { path: path.as_str().to_owned() });
            tokens
        }
    };
    tokens.iter().map(|token| (token.locator(), token.session_key())).collect()
}

/// Writes down why the store gave no answer; the client is not told.
pub fn tell_store_error<P: Ports>(ports: &P, error: &StoreError) {
    ports.tell(match error {
        StoreError::Unreachable(reason) => Event::StoreUnavailable { reason: reason.clone() },
        StoreError::WrongRow => Event::Misconfigured {
            mistakes: vec!["map: the shard belongs to another row: rows are added, never changed".to_owned()],
        },
        StoreError::Defect => Event::Panicked { place: "session object" },
    });
}
