//! The origin's answer: its command is obeyed, its headers are scrubbed.
//!
//! A login is never half done: the cookie is set only after the store has
//! committed, and what cannot be carried out turns the answer into an error.

use zeroize::Zeroizing;

use crate::admission::{Admitted, tell_store_error};
use crate::audit::Event;
use crate::command::{self, Command, Start};
use crate::cookie;
use crate::error::Failure;
use crate::headers::{HeaderBlock, HeaderEdits, folded};
use crate::path::CanonicalPath;
use crate::policy;
use crate::ports::{NewSession, Ports, Random, Sessions};
use crate::request::Request;
use crate::session::SessionId;
use crate::site::Site;
use crate::token::{Locator, SECRET_BYTES, Secret, SessionKey};

/// Obeys the answer's command, if it has one that counts, and returns the
/// changes to its headers.
///
/// # Errors
/// What kept the command from being carried out; the origin's answer must then
/// not reach the client.
pub async fn obey<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    path: &CanonicalPath,
    admitted: &Admitted,
    headers: &HeaderBlock,
) -> Result<HeaderEdits, Failure> {
    let mut edits = HeaderEdits { remove: ours(headers), ..HeaderEdits::default() };
    session_cookie_stays_ours(site, ports, path, headers, &mut edits);
    if !admitted.presented().is_empty() {
        never_stored(headers, &mut edits);
    }
    let Some(header) = headers.get("warifu-command") else { return Ok(edits) };
    let path_text = || path.as_str().to_owned();
    if !admitted.demand().commands {
        ports.tell(Event::CommandIgnored { path: path_text(), reason: "the route has no commands = true" });
        return Ok(edits);
    }
    let command = command::parse(header).map_err(|refusal| {
        ports.tell(Event::CommandRefused { path: path_text(), reason: refusal.explain() });
        Failure::BadCommand(refusal.explain())
    })?;
    match command {
        Command::Start(_) if !policy::may_start_session(&site.config, request) => {
            ports.tell(Event::CommandIgnored { path: path_text(), reason: "another site caused the request" });
            return Ok(edits);
        }
        Command::Start(start) => {
            let set_cookie = begin(site, ports, admitted, start).await?;
            write_cookie(site, set_cookie, admitted.presented().len(), &mut edits.append);
        }
        Command::End => {
            end_sessions(ports, admitted.presented(), "origin").await?;
            write_cookie(site, cookie::clear(&site.config.cookie), admitted.presented().len(), &mut edits.append);
        }
    }
    never_stored(headers, &mut edits);
    Ok(edits)
}

/// Mints a session and commits it; returns the Set-Cookie value. Nothing of a
/// presented token goes into the new one.
async fn begin<P: Ports>(site: &Site, ports: &P, admitted: &Admitted, start: Start) -> Result<String, Failure> {
    let config = &site.config;
    let row = config.current_row();
    let locator =
        Locator { generation: row.generation, region: row.region, shard: start.subject.home_shard(row.shards) };
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    let mut handle = [0; 12];
    if !ports.random().fill(&mut *secret) || !ports.random().fill(&mut handle) {
        return Err(Failure::Internal);
    }
    let secret = Secret::new(*secret);
    let new = NewSession {
        id: SessionId::new(locator, handle),
        locator,
        key: secret.session_key(),
        subject: start.subject,
        level: start.level.unwrap_or(1),
        claims: start.claims,
        idle_timeout: config.idle_timeout,
        lifetime: start.ttl.unwrap_or(config.absolute_timeout),
        presented: match admitted.presented() {
            [(_, key)] => Some(*key),
            _ => None,
        },
    };
    let started = ports.sessions().start(row, &new).await.map_err(|error| {
        tell_store_error(ports, &error);
        Failure::from(error)
    })?;
    let session = started.session;
    if let Some(replaced) = started.replaced {
        ports.tell(Event::SessionReplaced { session: replaced.to_text() });
    }
    ports.tell(Event::SessionStarted {
        session: session.id.to_text(),
        subject: session.subject.as_str().to_owned(),
        level: session.level,
    });
    let lifetime = session.absolute_expires.since(session.created);
    Ok(cookie::set(&config.cookie, &site.ring.mint(locator, &secret), lifetime))
}

/// Ends the sessions of the presented tokens. Each is ended, also if there are
/// several and none was honoured: who logs out wants nothing left.
///
/// # Errors
/// The store could not commit it: a session may still live.
pub async fn end_sessions<P: Ports>(
    ports: &P,
    presented: &[(Locator, SessionKey)],
    actor: &'static str,
) -> Result<(), Failure> {
    for (locator, key) in presented {
        let ended = ports.sessions().end(*locator, key).await.map_err(|error| {
            tell_store_error(ports, &error);
            Failure::from(error)
        })?;
        if let Some(session) = ended {
            ports.tell(Event::SessionEnded { session: session.to_text(), actor });
        }
    }
    Ok(())
}

/// Adds the Set-Cookie of a start or an end. Where the browser sent several
/// tokens, the cookie that the configuration no longer writes is removed too.
pub fn write_cookie(site: &Site, set_cookie: String, presented: usize, to: &mut Vec<(String, String)>) {
    if presented > 1 {
        to.push(("set-cookie".to_owned(), cookie::clear_other(&site.config.cookie)));
    }
    to.push(("set-cookie".to_owned(), set_cookie));
}

/// Takes the session cookie out of what the origin sets, on every route: an
/// origin that passes on other people's headers must not write it.
fn session_cookie_stays_ours<P: Ports>(
    site: &Site,
    ports: &P,
    path: &CanonicalPath,
    headers: &HeaderBlock,
    edits: &mut HeaderEdits,
) {
    let name = &site.config.cookie.name;
    let is_ours = |value: &str| cookie::is_session_cookie(value, name);
    let set: Vec<&str> = headers.iter().filter(|(name, _)| *name == "set-cookie").map(|(_, value)| value).collect();
    if !set.iter().any(|value| is_ours(value)) {
        return;
    }
    ports.tell(Event::CookieRefused { path: path.as_str().to_owned() });
    edits.remove.push("set-cookie".to_owned());
    let others = set.into_iter().filter(|value| !is_ours(value));
    edits.append.extend(others.map(|value| ("set-cookie".to_owned(), value.to_owned())));
}

/// Headers of the answer that are meant for warifu only.
fn ours(headers: &HeaderBlock) -> Vec<String> {
    headers.iter().map(|(name, _)| name).filter(|name| folded(name).starts_with("warifu-")).map(str::to_owned).collect()
}

/// What belongs to one person must not be kept by a cache for the next one.
fn never_stored(headers: &HeaderBlock, edits: &mut HeaderEdits) {
    let said = headers.get("cache-control").is_some_and(|value| {
        value.split(',').any(|directive| {
            let directive = directive.trim().to_ascii_lowercase();
            directive == "no-store" || directive == "private"
        })
    });
    if !said && !edits.set.iter().any(|(name, _)| name == "cache-control") {
        edits.set("cache-control", "no-store");
    }
}
