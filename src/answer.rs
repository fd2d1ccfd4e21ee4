//! The origin's answer: its command is obeyed, its headers are scrubbed.
//!
//! A login is never half done: the cookie is set only after the store has
//! committed, and what cannot be carried out turns the answer into an error.

use core::time::Duration;

use crate::admission::Admitted;
use crate::audit::Event;
use crate::command::{Command, Start};
use crate::config::Commands;
use crate::cookie;
use crate::error::Failure;
use crate::headers::{HeaderBlock, HeaderEdits, folded};
use crate::origin_proof;
use crate::path::CanonicalPath;
use crate::policy::Demand;
use crate::ports::Ports;
use crate::request::Request;
use crate::session::Session;
use crate::sessions::{NewSession, One, Sessions, Since, device};
use crate::site::Site;
use crate::token::{Minted, Token};

/// Where a start may come in the origin's answer: how far the feed is, before
/// the request is let through, lest a log-in in flight outlives a kill. Asked
/// before the verdict on the session, which must not wait for it.
pub async fn before<P: Ports>(site: &Site, ports: &P, demand: Demand) -> Option<Since> {
    if demand.commands == Commands::No {
        return None;
    }
    Some(Since::now(site, ports, site.config.bound).await)
}

/// What a start in the origin's answer goes by. A form that is sent without a
/// session is most likely a log-in, perhaps one right after the person has
/// ended all sessions: for it the feed is asked at this very time.
pub async fn since<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    admitted: &Admitted,
    known: Option<Since>,
) -> Option<Since> {
    let known = known?;
    if known.is_of_now || admitted.session().is_some() || request.is_safe() {
        return Some(known);
    }
    Some(Since::now(site, ports, Duration::ZERO).await)
}

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
    command: Option<(Command, Since)>,
    headers: &HeaderBlock,
) -> Result<HeaderEdits, Failure> {
    let mut edits = HeaderEdits { remove: ours(headers), ..HeaderEdits::default() };
    origin_proof::scrub(headers, &mut edits);
    session_cookie_stays_ours(site, ports, path, headers, &mut edits);
    if !admitted.presented().is_empty() {
        never_stored(headers, &mut edits);
    }
    let Some((command, since)) = command else {
        if let Some((caller, token)) = admitted.caller()
            && let Some(set_cookie) = caller.newer_cookie(site, ports, token).await
        {
            write_cookie(site, set_cookie, 1, &mut edits.append);
        }
        return Ok(edits);
    };
    let carried_out = carry_out(site, ports, request, admitted, since, command).await;
    if carried_out == Err(Failure::NoLiveSession) {
        let reason = "there is no live session to change".to_owned();
        ports.tell(Event::CommandRefused { path: path.as_str().to_owned(), reason });
    }
    if let Some(set_cookie) = carried_out? {
        write_cookie(site, set_cookie, admitted.presented().len(), &mut edits.append);
    }
    never_stored(headers, &mut edits);
    Ok(edits)
}

/// Carries a command out; returns the Set-Cookie value that it leads to.
async fn carry_out<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    admitted: &Admitted,
    since: Since,
    command: Command,
) -> Result<Option<String>, Failure> {
    let sessions = Sessions::new(site, ports);
    let caller = || admitted.caller().ok_or_else(|| admitted.without_caller());
    let cookie_of = |token: &Minted, session: &Session| {
        cookie::set(&site.config.cookie, token, session.absolute_expires.since(ports.time()))
    };
    match command {
        Command::Start(Start { subject, level, ttl, claims, end_others }) => {
            let presented = match admitted.presented() {
                [token] => Some(token),
                _ => None,
            };
            let begun = sessions
                .begin(NewSession {
                    subject,
                    level: level.unwrap_or(LEVEL_DEFAULT),
                    ttl,
                    claims,
                    device: device(request, ports.place()),
                    presented,
                    end_others,
                    actor: ORIGIN,
                    since,
                })
                .await?;
            let lifetime = begun.session.absolute_expires.since(begun.session.created);
            Ok(Some(cookie::set(&site.config.cookie, &begun.token, lifetime)))
        }
        Command::Rotate { level } => {
            let rotated = sessions.rotate(caller()?.1, level).await?;
            Ok(rotated.map(|(token, session)| cookie_of(&token, &session)))
        }
        Command::Update { claims } => {
            let updated = sessions.update(One::OfToken(caller()?.1), Some(claims), None, ORIGIN).await?;
            updated.map(|_| None).ok_or(Failure::NoLiveSession)
        }
        Command::End => {
            end_sessions(site, ports, admitted.presented(), ORIGIN).await?;
            Ok(Some(cookie::clear(&site.config.cookie)))
        }
        Command::EndOthers => {
            let (caller, token) = caller()?;
            let (_, token, session) = sessions.end_others(token, &caller.session.subject, ORIGIN).await?;
            Ok(Some(cookie_of(&token, &session)))
        }
        Command::EndAll => {
            sessions.end_all(&caller()?.0.session.subject, ORIGIN).await?;
            Ok(None)
        }
    }
}

/// Ends the sessions of the presented tokens. Each is ended, also if there are
/// several and none was honoured: who logs out wants nothing left.
///
/// # Errors
/// The store could not commit it: a session may still live.
pub async fn end_sessions<P: Ports>(site: &Site, ports: &P, presented: &[Token], actor: &str) -> Result<(), Failure> {
    for token in presented {
        Sessions::new(site, ports).end(One::OfToken(token), None, actor).await?;
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

/// The level of a start that names none.
pub const LEVEL_DEFAULT: u8 = 1;

/// Who gave the command, for the log.
const ORIGIN: &str = "origin";
