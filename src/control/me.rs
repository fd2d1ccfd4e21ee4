//! The user's own calls: who am I, where am I logged in, end that.
//!
//! Only for the caller's own subject: what is somebody else's is not there.

use super::Call;
use super::input::Query;
use super::receipt::{self, wants_quiet};
use super::record::Record;
use super::sessions::{handle_of, page};
use crate::admission::{self, Caller};
use crate::answer::write_cookie;
use crate::audit::Cause;
use crate::cookie;
use crate::error::Failure;
use crate::limit::{self, Own};
use crate::path::CanonicalPath;
use crate::policy::Demand;
use crate::ports::Ports;
use crate::request::Request;
use crate::response::OwnResponse;
use crate::sessions::{Ended, Look, One, Sessions};
use crate::site::Site;
use crate::token::Token;

pub async fn answer<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    path: &CanonicalPath,
    call: Call,
    handle: &str,
    cause: Cause<'_>,
) -> Result<OwnResponse, Failure> {
    refuse_other_sites(site, ports, request, path)?;
    let presented = admission::presented(site, ports, request, path);
    let caller = admission::identify(site, ports, request, &presented, Demand::UNMATCHED, Look::Use).await?;
    let token = &presented[0];
    match call {
        Call::EndMyOthers => {
            limit::count_own(ports, caller.session.id, Own::Others)?;
            end_others(site, ports, request, &caller, &presented, cause).await
        }
        Call::NotMe => not_me(site, ports, request, &caller, cause).await,
        _ => {
            let mut answer = look_or_end(site, ports, request, &caller, call, handle, cause).await?;
            if let Some(set_cookie) = caller.newer_cookie(site, ports, token).await {
                write_cookie(site, set_cookie, &presented, &mut answer.headers);
            }
            Ok(answer)
        }
    }
}

/// Another site can cause a request with the cookie, and must learn nothing
/// and end nothing: stricter than for the application's own pages.
fn refuse_other_sites<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    path: &CanonicalPath,
) -> Result<(), Failure> {
    admission::refuse_cross_origin(site, ports, request, path)?;
    let fetch_site = request.headers.get("sec-fetch-site");
    if fetch_site.is_none_or(|site| matches!(site, "same-origin" | "none")) {
        return Ok(());
    }
    Err(admission::cross_origin(ports, request, path))
}

async fn look_or_end<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    caller: &Caller,
    call: Call,
    handle: &str,
    cause: Cause<'_>,
) -> Result<OwnResponse, Failure> {
    let subject = &caller.session.subject;
    match call {
        Call::Me => {
            Query::read(request, &[])?;
            let mut record = Record::from(&*caller.session);
            record.current = Some(true);
            Ok(OwnResponse::json(200, &record))
        }
        Call::MySessions => {
            let query = Query::read(request, &["cursor"])?;
            let page = page(site, ports, subject, query.get("cursor"), Some(caller.session.id), cause).await?;
            Ok(OwnResponse::json(200, &page))
        }
        _ => {
            let waits = wants_quiet(&Query::read(request, &["wait"])?)?;
            let id = handle_of(handle)?;
            // The handle may be made up, and must not wake any shard but those
            // that this subject has.
            let sessions = Sessions::new(site, ports);
            if !sessions.is_home_of(subject, id.locator()) {
                return Err(Failure::NotFound);
            }
            // One that does not live is looked for among the kills of late. What lives can be ended
            // however many there are, and whatever somebody else does with this session.
            let own = caller.session.id;
            let counted = limit::count_own(ports, own, Own::Named);
            if let Err(refused) = &counted
                && !sessions.lives(id).await?
            {
                return Err(refused.clone());
            }
            let ended = sessions.end(One::OfId(id), Some(subject.clone()), cause).await;
            if counted.is_ok() && !matches!(&ended, Ok(None | Some(Ended { is_earlier: true, .. }))) {
                limit::uncount_own(ports, own, Own::Named);
            }
            let ended = ended?.ok_or(Failure::NotFound)?;
            Ok(receipt::answer(site, ports, ended.kill, waits).await)
        }
    }
}

/// All others end, and this one gets a fresh secret: the copy may be of it. The
/// answer is not held back: until it arrives, the browser has nothing but a cookie
/// that is refused, and that makes its other tabs look like somebody with a copy.
async fn end_others<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    caller: &Caller,
    presented: &[Token],
    cause: Cause<'_>,
) -> Result<OwnResponse, Failure> {
    wants_quiet(&Query::read(request, &["wait"])?)?;
    let sessions = Sessions::new(site, ports);
    let ended = sessions.end_others(&presented[0], &caller.session, cause).await;
    let (ended, minted, session) = ended.map_err(|failure| match failure {
        Failure::NoLiveSession => Failure::NoSession,
        other => other,
    })?;
    let set_cookie = cookie::set(&site.config, &minted, &session, ports.time());
    let mut answer = receipt::answer(site, ports, ended.kill, false).await;
    write_cookie(site, set_cookie, presented, &mut answer.headers);
    Ok(answer)
}

/// All end, this one too: a thief may hold a copy of it.
async fn not_me<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    caller: &Caller,
    cause: Cause<'_>,
) -> Result<OwnResponse, Failure> {
    let waits = wants_quiet(&Query::read(request, &["wait"])?)?;
    let ended = Sessions::new(site, ports).end_all(&caller.session.subject, cause).await?;
    let answer = if request.is_navigation() {
        OwnResponse::empty(303).with("location", site.config.login.clone())
    } else {
        receipt::answer(site, ports, ended.kill, waits).await
    };
    Ok(answer.with("clear-site-data", "\"cache\""))
}
