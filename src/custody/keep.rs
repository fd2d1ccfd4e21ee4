//! What was taken out of an answer is put away, before the client gets the
//! answer: with the session that is there, or with a new one.

use crate::admission::Caller;
use crate::answer::{LEVEL_DEFAULT, Visit, Written};
use crate::audit::{Cause, Event};
use crate::cookie;
use crate::custody::{LogOut, Opened, Taken};
use crate::error::Failure;
use crate::limit::{self, Limit};
use crate::policy;
use crate::ports::Ports;
use crate::session::{Session, Subject};
use crate::sessions::{Checked, Look, NewSession, One, Sessions, device};
use crate::site::Site;
use crate::token::Token;

/// Puts away what was taken; returns what that does to the browser's cookie.
///
/// # Errors
/// It could not be kept: the client must not get the answer.
pub async fn put_away<P: Ports>(
    visit: &Visit<'_, P>,
    opened: Option<Opened>,
    finds: Taken,
) -> Result<Option<Written>, Failure> {
    let Visit { site, ports, admitted, .. } = *visit;
    match (finds.log_out, admitted.caller(), &opened) {
        (LogOut::No, _, _) if finds.change.is_empty() => others_only(visit, &finds).await,
        (LogOut::Cleared { .. } | LogOut::ByPath, Some((caller, _)), _) if finds.ends_others => {
            end_all(site, ports, &caller.session).await.map(Some)
        }
        // What it clears ends a session only where it was held.
        (LogOut::ByPath, Some((caller, token)), _) | (LogOut::Cleared { .. }, Some((caller, token)), Some(_)) => {
            let held = opened.filter(|_| finds.log_out == LogOut::Cleared { is_sure: false });
            end(visit, caller, token, held.as_ref()).await
        }
        _ => keep(visit, opened, finds).await,
    }
}

/// There is nothing to be kept; the person's other sessions may be to end.
async fn others_only<P: Ports>(visit: &Visit<'_, P>, finds: &Taken) -> Result<Option<Written>, Failure> {
    let Visit { site, ports, admitted, .. } = *visit;
    match admitted.caller() {
        _ if !finds.ends_others => Ok(None),
        Some((caller, token)) => end_others(site, ports, token, &caller.session).await,
        None if admitted.without_caller() == Failure::StoreUnavailable => Err(Failure::StoreUnavailable),
        None => Ok(None),
    }
}

/// What was set is kept with the session that is there, if it is the same person's, or with a
/// new one.
async fn keep<P: Ports>(
    visit: &Visit<'_, P>,
    opened: Option<Opened>,
    finds: Taken,
) -> Result<Option<Written>, Failure> {
    let Visit { site, ports, request, admitted, .. } = *visit;
    match (finds.change.subject.clone(), admitted.caller(), opened) {
        (subject, Some((caller, token)), Some(opened))
            if subject.as_ref().is_none_or(|subject| opened.holding.is_of(subject)) =>
        {
            replace(visit, caller, token, opened, finds).await
        }
        (Some(subject), _, _) if policy::may_start_session(&site.config, request) => {
            start(visit, subject, finds).await.map(Some)
        }
        (Some(_), _, _) => Ok(ignore(visit, "another site caused the request")),
        (None, None, _) if admitted.without_caller() == Failure::StoreUnavailable => Err(Failure::StoreUnavailable),
        (None, caller, _) => {
            ignore(visit, "no session to keep it with");
            match caller.filter(|_| finds.ends_others) {
                Some((caller, token)) => end_others(site, ports, token, &caller.session).await,
                None => Ok(None),
            }
        }
    }
}

fn ignore<P: Ports>(visit: &Visit<'_, P>, reason: &'static str) -> Option<Written> {
    visit.ports.tell(Event::CustodyIgnored { path: visit.path.as_str().into(), reason });
    None
}

/// Whether the session still holds what the request had.
async fn is_held<P: Ports>(site: &Site, ports: &P, token: &Token, opened: &Opened) -> Result<bool, Failure> {
    Ok(match Sessions::new(site, ports).check(token.place(), Look::Again).await? {
        Checked::Live(verdict) => verdict.session.held.as_ref().is_none_or(|held| held.version == opened.version),
        Checked::Nothing { .. } => false,
    })
}

/// Ends the session, where it `held` still is what the request had; also where its secret was
/// replaced while the application took its time. A late answer about one that has ended must not
/// take away the cookie of a log-in that has come since.
async fn end<P: Ports>(
    visit: &Visit<'_, P>,
    caller: &Caller,
    token: &Token,
    held: Option<&Opened>,
) -> Result<Option<Written>, Failure> {
    let Visit { site, ports, .. } = *visit;
    if let Some(held) = held
        && !is_held(site, ports, token, held).await?
    {
        return Ok(ignore(visit, HELD_NO_LONGER));
    }
    let cause = Cause { actor: CUSTODY, reason: "cleared" };
    let sessions = Sessions::new(site, ports);
    // By its id, one that ended before is found too.
    let is_over = sessions.end(One::OfToken(token), None, cause).await?.is_some()
        || (sessions.lives(caller.session.id).await?
            && sessions.end(One::OfId(caller.session.id), None, cause).await?.is_some());
    Ok(if is_over { Some(Written::Cookie(cookie::clear(&site.config.cookie))) } else { ignore(visit, HELD_NO_LONGER) })
}

async fn start<P: Ports>(visit: &Visit<'_, P>, subject: Subject, finds: Taken) -> Result<Written, Failure> {
    let Visit { site, ports, request, admitted, since, .. } = *visit;
    limit::count(site, ports, request, Limit::Starts).await?;
    let begun = Sessions::new(site, ports)
        .begin(NewSession {
            subject,
            level: LEVEL_DEFAULT,
            ttl: None,
            claims: None,
            device: device(request, ports.place()),
            presented: admitted.only_token(),
            end_others: finds.ends_others,
            hold: Some(finds.change),
            adopts: None,
            cause: Cause { actor: CUSTODY, reason: "set" },
            since: since.ok_or(Failure::Internal)?,
        })
        .await?;
    Ok(Written::Cookie(begun.set_cookie(&site.config)))
}

/// Ends all of the person's sessions: the others are to end, and so is this one, as where
/// the application has whoever changes the password log in again.
async fn end_all<P: Ports>(site: &Site, ports: &P, session: &Session) -> Result<Written, Failure> {
    let cause = Cause { actor: CUSTODY, reason: "ends_others" };
    Sessions::new(site, ports).end_all(&session.subject, cause).await?;
    Ok(Written::Cookie(cookie::clear(&site.config.cookie)))
}

/// Ends the person's other sessions; this one gets a secret that no copy leads to, or ends too.
async fn end_others<P: Ports>(
    site: &Site,
    ports: &P,
    token: &Token,
    session: &Session,
) -> Result<Option<Written>, Failure> {
    let cause = Cause { actor: CUSTODY, reason: "ends_others" };
    let stays = Sessions::new(site, ports).end_others_late(token, session, cause).await?;
    let cookie_of = |(minted, session)| Written::Cookie(cookie::set(&site.config, &minted, &session, ports.time()));
    Ok(Some(stays.map_or(Written::Ended, cookie_of)))
}

/// Other values for the session that is there. Where one was replaced that may
/// be good for one use, the browser gets a new secret with them: what it sends
/// from now on, no edge can answer by what it remembers.
async fn replace<P: Ports>(
    visit: &Visit<'_, P>,
    caller: &Caller,
    token: &Token,
    mut opened: Opened,
    finds: Taken,
) -> Result<Option<Written>, Failure> {
    let Visit { site, ports, .. } = *visit;
    let sessions = Sessions::new(site, ports);
    let mut current = None;
    for _ in 0..ROUNDS_MAX {
        let known: &Session = current.as_ref().unwrap_or(&caller.session);
        let applied = opened.holding.apply(&finds.change, site.config.custody.cookies.first().map(String::as_str));
        if !applied.has_changed {
            return if finds.ends_others { end_others(site, ports, token, known).await } else { Ok(None) };
        }
        if opened.holding.is_empty() {
            return if finds.ends_others {
                end_all(site, ports, known).await.map(Some)
            } else {
                end(visit, caller, token, None).await
            };
        }
        let sealed = opened.seal(site, ports, known)?;
        let lifetime = opened.holding.end(known.created).since(ports.time());
        let held = match sessions.hold(token, known, opened.version, sealed, lifetime).await {
            Err(Failure::NoLiveSession) if finds.ends_others => return end_others(site, ports, token, known).await,
            Err(Failure::NoLiveSession) if sessions.lives(known.id).await? => {
                return Ok(ignore(visit, SECRET_GONE));
            }
            held => held?,
        };
        match held {
            Ok(kept) if finds.ends_others => return end_others(site, ports, token, &kept).await,
            Ok(kept) if applied.uses_up => return Ok(rotated(site, ports, token, &kept).await),
            // The cookie outlives what was held first; no answer writes it again, lest
            // a late one brings an older session back.
            Ok(_) => return Ok(None),
            Err(meanwhile) => {
                let held = meanwhile.held.as_ref().ok_or(Failure::NoLiveSession)?;
                opened = Opened::unseal(site, ports, &meanwhile, token, held)?;
                current = Some(meanwhile);
            }
        }
    }
    Err(Failure::StoreUnavailable)
}

/// The values are kept by now: where there is no new secret to be had, the
/// answer goes on without.
async fn rotated<P: Ports>(site: &Site, ports: &P, token: &Token, session: &Session) -> Option<Written> {
    let cause = Cause { actor: CUSTODY, reason: REPLACED };
    let (minted, session) = Sessions::new(site, ports).rotate(token, session, None, cause).await.ok()??;
    Some(Written::Rotated(cookie::set(&site.config, &minted, &session, ports.time())))
}

/// Times that another answer may come first.
const ROUNDS_MAX: u32 = 4;

/// Another value that may be good for one use only. As often as the application likes, and so in
/// the log only: what happened to sessions must not be pushed out of the audit table by it.
pub const REPLACED: &str = "replaced";

/// Why a late answer leaves its session as it is.
pub const SECRET_GONE: &str = "the secret of its session was replaced meanwhile";

const HELD_NO_LONGER: &str = "what it clears is held no longer";

/// Who did it: what the application's answer has set, replaced or cleared.
const CUSTODY: &str = "custody";
