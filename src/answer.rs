//! The origin's answer: its command is obeyed, its headers are scrubbed.
//!
//! A login is never half done: the cookie is set only after the store has
//! committed, and what cannot be carried out turns the answer into an error.

use core::time::Duration;

use futures_util::FutureExt;

use crate::admission::Admitted;
use crate::audit::{Cause, Event};
use crate::command::{Command, Start};
use crate::config::{Access, Commands};
use crate::cookie;
use crate::custody::{self, Opened, Taken};
use crate::error::Failure;
use crate::headers::{HeaderBlock, HeaderEdits, folds_to_start};
use crate::limit::{self, Limit};
use crate::origin_proof;
use crate::path::CanonicalPath;
use crate::policy::Demand;
use crate::ports::{Ports, Reading};
use crate::request::Request;
use crate::session::Session;
use crate::sessions::{Checked, Look, NewSession, One, Sessions, Since, device};
use crate::site::Site;
use crate::token::{Minted, Token};

/// Where a start may come in the origin's answer: how far the feed is, before
/// the request is let through, lest a log-in in flight outlives a kill. Asked
/// before the verdict on the session, which must not wait for it.
pub async fn before<P: Ports>(site: &Site, ports: &P, demand: Demand) -> Option<Since> {
    if demand.commands == Commands::No {
        // Where any answer may start a session, the feed is not asked for each
        // request: what is known of it is old at worst, which refuses too much.
        let may_start = !site.config.custody.is_off() && demand.access != Access::Public;
        return may_start.then(|| Since {
            at: Reading::new(ports),
            position: ports.memory().position(),
            is_of_now: false,
        });
    }
    Some(Since::known(site, ports, site.config.bound).boxed_local().await)
}

/// What a start in the origin's answer goes by. A form that is sent without a
/// session is most likely a log-in, perhaps one right after the person has
/// ended all sessions: for it the feed is asked at this very time. So it is
/// where nothing is known of the feed: a page can be the way back from a log-in
/// elsewhere, and a shard that has no session yet takes none from who has not
/// asked the feed.
pub async fn since<P: Ports>(
    site: &Site,
    ports: &P,
    request: &Request,
    admitted: &Admitted,
    known: Option<Since>,
) -> Option<Since> {
    let known = known?;
    if known.is_of_now || admitted.session().is_some() {
        return Some(known);
    }
    // Not for each page while the feed gives no answer.
    let is_lost = known.position.is_none() && ports.memory().is_poll_due(ports.time(), site.config.bound);
    if request.is_safe() && !is_lost {
        return Some(known);
    }
    Some(Since::known(site, ports, Duration::ZERO).boxed_local().await)
}

/// A request that was let through, for its answer.
pub struct Visit<'a, P> {
    pub site: &'a Site,
    pub ports: &'a P,
    pub request: &'a Request,
    pub path: &'a CanonicalPath,
    pub admitted: &'a Admitted,
    pub since: Option<Since>,
}

/// What becomes of an answer.
pub struct Obeyed {
    pub edits: HeaderEdits,
    /// In the place of its body, where that was read.
    pub body: Option<Vec<u8>>,
    /// Whether something was done that the client has to hear of: a command was carried
    /// out, or the session's cookie is written. The store has vouched for the session
    /// meanwhile, or has ended it.
    pub is_done: bool,
    /// What the browser has from now on, where it gets another token.
    pub newer: Option<Token>,
    /// Whether the one that it has come with is served beside that for a while: the answer
    /// can be lost.
    pub has_grace: bool,
}

/// Obeys the answer's command, if it has one that counts, and puts away what was
/// taken out of it.
///
/// # Errors
/// What kept that from being carried out; the origin's answer must then not
/// reach the client.
pub async fn obey<P: Ports>(
    visit: &Visit<'_, P>,
    command: Option<Command>,
    opened: Option<Opened>,
    finds: Taken,
    headers: &HeaderBlock,
) -> Result<Obeyed, Failure> {
    let Visit { site, ports, admitted, .. } = *visit;
    let mut edits = HeaderEdits { remove: ours(headers), ..HeaderEdits::default() };
    origin_proof::scrub(headers, &mut edits);
    cookies_stay_ours(visit, headers, &mut edits);
    if !admitted.presented().is_empty() || finds.body.is_some() {
        never_stored(headers, &mut edits);
    }
    if finds.body.is_some() {
        edits.remove.push("content-length".to_owned());
        edits.body_is_another();
    }
    let (mut finds, body) = finds.without_body();
    let is_commanded = command.is_some();
    let written = match command {
        Some(command) => {
            // An application that gives commands says itself what is to end.
            finds.ends_others = false;
            carry_out(visit, command, &mut finds).boxed_local().await.inspect_err(|failure| {
                if *failure == Failure::NoLiveSession {
                    refused(visit, "there is no live session to change");
                }
            })?
        }
        None => Written::Nothing,
    };
    let kept = if finds.is_nothing() { None } else { custody::put_away(visit, opened, finds).boxed_local().await? };
    let written = kept.unwrap_or(written);
    let has_grace = matches!(written, Written::Nothing | Written::Rotated(_));
    let has_ended = matches!(written, Written::Ended);
    let (set_cookie, old_kind_is_over) = match written {
        Written::Cookie(set_cookie) | Written::Rotated(set_cookie) => (Some(set_cookie), true),
        Written::Ended => (None, true),
        Written::Nothing => {
            let newer = match admitted.caller() {
                Some((caller, token)) => caller.newer_cookie(site, ports, token).await,
                None => None,
            };
            let moves_in = newer.is_some() && admitted.is_adopted();
            (newer, moves_in)
        }
    };
    let is_done = is_commanded || has_ended || set_cookie.is_some();
    let newer = set_cookie.as_deref().and_then(|set_cookie| cookie::token_of(set_cookie, &site.ring));
    if let Some(set_cookie) = set_cookie {
        write_cookie(site, set_cookie, admitted.presented(), &mut edits.append);
        never_stored(headers, &mut edits);
    } else if admitted.with_identity() && admitted.presented().is_empty() {
        // What was made for nobody must not be shown to the person who has logged in since
        // (RFC 9110, section 12.5.5). To say it twice does no harm.
        edits.append.push(("vary".to_owned(), "Cookie".to_owned()));
    }
    // What has not moved in yet would let the person in again at the next request, or
    // somebody else than who has just logged in. Where nothing takes its place it stays.
    if old_kind_is_over {
        old_kind_goes(visit, &mut edits);
    }
    Ok(Obeyed { edits, body, is_done, newer, has_grace })
}

/// What a command, or what custody takes, did to the browser's cookie.
pub enum Written {
    /// There was none that counts, or it leads to no new secret: then the browser gets what
    /// any answer would give it.
    Nothing,
    /// The session is over. The cookie stays as it is.
    Ended,
    Cookie(String),
    /// The same, with a new secret for the session. The one before has its grace.
    Rotated(String),
}

/// Carries a command out. A start takes along what is to be held; beside an end
/// nothing was taken.
async fn carry_out<P: Ports>(visit: &Visit<'_, P>, command: Command, finds: &mut Taken) -> Result<Written, Failure> {
    let Visit { site, ports, request, admitted, since, .. } = *visit;
    if !finds.change.is_empty() && !matches!(command, Command::Start(_)) {
        let says = "only do=start, do=end and do=end-all can come with values that custody takes".to_owned();
        refused(visit, &says);
        return Err(Failure::BadCommand(says));
    }
    let sessions = Sessions::new(site, ports);
    let caller = || admitted.caller().ok_or_else(|| admitted.without_caller());
    let cookie_of = |token: &Minted, session: &Session| cookie::set(&site.config, token, session, ports.time());
    match command {
        Command::Start(Start { subject, level, ttl, claims, end_others }) => {
            limit::count(site, ports, request, Limit::Starts).await?;
            let hold = core::mem::take(finds).change;
            let begun = sessions
                .begin(NewSession {
                    subject,
                    level: level.unwrap_or(LEVEL_DEFAULT),
                    ttl,
                    claims,
                    device: device(request, ports.place()),
                    presented: admitted.only_token(),
                    end_others,
                    hold: (!hold.set.is_empty()).then_some(hold),
                    adopts: None,
                    cause: by_origin("do=start"),
                    since: since.ok_or(Failure::Internal)?,
                })
                .await?;
            Ok(Written::Cookie(begun.set_cookie(&site.config)))
        }
        Command::Rotate { level } => {
            let (caller, token) = caller()?;
            let rotated = match sessions.rotate(token, &caller.session, level, by_origin("do=rotate")).await {
                Err(Failure::NoLiveSession) if sessions.lives(caller.session.id).await? => {
                    refused(visit, custody::SECRET_GONE);
                    None
                }
                rotated => rotated?,
            };
            Ok(rotated.map_or(Written::Nothing, |(token, session)| Written::Rotated(cookie_of(&token, &session))))
        }
        Command::Update { claims } => {
            let (caller, token) = caller()?;
            // The second where its secret was replaced while the application took its time.
            for one in [One::OfToken(token), One::OfId(caller.session.id)] {
                if sessions.update(one, Some(claims.clone()), None, by_origin("do=update")).await?.is_some() {
                    return Ok(Written::Nothing);
                }
            }
            Err(Failure::NoLiveSession)
        }
        Command::End => {
            let cause = by_origin("do=end");
            // Who was let in came while the secret was served, and the answer may be late.
            let look = if admitted.caller().is_some() { Look::Again } else { Look::Use };
            let is_over = end_sessions(site, ports, admitted.presented(), cause, look).await?;
            // Its secret may have been replaced while the application took its time.
            if let Some((caller, _)) = admitted.caller().filter(|_| !is_over)
                && sessions.end(One::OfId(caller.session.id), None, cause).await?.is_none_or(|ended| ended.is_earlier)
            {
                // Or it has ended, and the browser's cookie may be that of a newer log-in.
                return Ok(Written::Ended);
            }
            Ok(Written::Cookie(cookie::clear(&site.config.cookie)))
        }
        Command::EndOthers => {
            let (caller, token) = caller()?;
            let stays = sessions.end_others_late(token, &caller.session, by_origin("do=end-others")).await?;
            Ok(stays.map_or(Written::Ended, |(token, session)| Written::Cookie(cookie_of(&token, &session))))
        }
        Command::EndAll => {
            sessions.end_all(&caller()?.0.session.subject, by_origin("do=end-all")).await?;
            Ok(Written::Ended)
        }
    }
}

fn refused<P: Ports>(visit: &Visit<'_, P>, reason: &str) {
    visit.ports.tell(Event::CommandRefused { path: visit.path.as_str().into(), reason: reason.into() });
}

/// Ends the sessions of the presented tokens. Each is ended, also if there are
/// several and none was honoured: who logs out wants nothing left. Whether one was
/// there to be ended. With [`Look::Use`] a secret whose grace is over is a replay, as at any
/// other use: whoever has taken the session over has the newer one.
///
/// # Errors
/// The store could not commit it: a session may still live.
pub async fn end_sessions<P: Ports>(
    site: &Site,
    ports: &P,
    presented: &[Token],
    cause: Cause<'_>,
    look: Look,
) -> Result<bool, Failure> {
    let sessions = Sessions::new(site, ports);
    let memory = ports.memory();
    let mut is_over = false;
    let mut left = Vec::new();
    for token in presented {
        let (key, question) = (token.session_key(), memory.question(ports.time()));
        // There is nothing to end by what opens nothing. Who keeps it must not have the store
        // asked as often as they like.
        if memory.is_dead(&key, ports.time()) {
            continue;
        }
        let ended = sessions.end(One::OfToken(token), None, cause).await?;
        is_over |= ended.is_some();
        if ended.is_some() {
            memory.keep_dead(&question, key, ports.time());
        } else {
            left.push((token, question));
        }
    }
    // After all have ended: two can be of one session, of which the older is no copy's.
    for (token, question) in left.into_iter().filter(|_| look == Look::Use) {
        if let Checked::Nothing { is_final: true } = sessions.check(token.place(), look).await? {
            memory.keep_dead(&question, token.session_key(), ports.time());
        }
    }
    Ok(is_over)
}

/// Adds the Set-Cookie of the session's cookie, new or cleared. Where the browser sent a
/// token, that may be in the cookie which the configuration no longer writes: that one is
/// removed, or both would come with the next request, and none be honoured. And removed
/// first, since there are browsers to which it is the same one.
pub fn write_cookie(site: &Site, set_cookie: String, presented: &[Token], to: &mut Vec<(String, String)>) {
    if !presented.is_empty() {
        to.push(("set-cookie".to_owned(), cookie::clear_other(&site.config.cookie)));
    }
    to.push(("set-cookie".to_owned(), set_cookie));
}

/// Takes a cookie of the old kind that the browser may have. The application's own way to
/// do that does not get through to it.
fn old_kind_goes<P>(visit: &Visit<'_, P>, edits: &mut HeaderEdits) {
    if let Some(adopt) = &visit.site.config.adopt
        && adopt.may_be_with(visit.request.headers.get("cookie"))
    {
        edits.append.push(("set-cookie".to_owned(), adopt.clear()));
    }
}

/// Takes the session cookie out of what the origin sets, on every route: an
/// origin that passes on other people's headers must not write it. And what is
/// kept from browsers.
fn cookies_stay_ours<P: Ports>(visit: &Visit<'_, P>, headers: &HeaderBlock, edits: &mut HeaderEdits) {
    let Visit { site, ports, path, .. } = *visit;
    let is_session = |value: &str| cookie::is_session_cookie(value, &site.config.cookie.name);
    let is_ours = |value: &&str| is_session(value) || custody::is_kept(&site.config, value);
    let set: Vec<&str> = headers.iter().filter(|(name, _)| *name == "set-cookie").map(|(_, value)| value).collect();
    if !set.iter().any(is_ours) {
        return;
    }
    if set.iter().any(|value| is_session(value)) {
        ports.tell(Event::CookieRefused { path: path.as_str().into() });
    }
    if set.iter().any(|value| site.config.adopt.as_ref().is_some_and(|adopt| adopt.is_set_by(value))) {
        ports.tell(Event::OldCookieRefused { path: path.as_str().into() });
    }
    edits.remove.push("set-cookie".to_owned());
    let others = set.into_iter().filter(|value| !is_ours(value));
    edits.append.extend(others.map(|value| ("set-cookie".to_owned(), value.to_owned())));
}

/// Headers of the answer that are meant for warifu only.
fn ours(headers: &HeaderBlock) -> Vec<String> {
    headers.iter().map(|(name, _)| name).filter(|name| folds_to_start(name, "warifu-")).map(str::to_owned).collect()
}

/// What belongs to one person must not be kept by a cache for the next one. Where a
/// field is for some caches only, they go by that (RFC 9213, section 2.2: "it MUST ignore
/// the Cache-Control and Expires header fields in that response").
fn never_stored(headers: &HeaderBlock, edits: &mut HeaderEdits) {
    let is_targeted = |name: &&str| TARGETED.contains(name);
    edits.remove.extend(headers.iter().map(|(name, _)| name).filter(is_targeted).map(str::to_owned));
    let (mut private, mut no_store, mut must_understand, mut no_transform) = (false, false, false, false);
    for directive in headers.get("cache-control").unwrap_or_default().split(',') {
        match &*directive.trim().to_ascii_lowercase() {
            "private" => private = true,
            "no-store" => no_store = true,
            "must-understand" => must_understand = true,
            "no-transform" => no_transform = true,
            _ => {}
        }
    }
    // RFC 9111, section 5.2.2.3: caches that know `must-understand` ignore the `no-store` beside it.
    if private || (no_store && !must_understand) {
        return;
    }
    if !edits.set.iter().any(|(name, _)| name == "cache-control") {
        // That one is not about storing, and is for all in between.
        let value = if no_transform { "no-store, no-transform" } else { "no-store" };
        edits.set("cache-control", value);
    }
}

/// Fields for some caches only, in the place of Cache-Control; the platform hands over these.
pub const TARGETED: [&str; 3] = ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control"];

/// The level of a start that names none.
pub const LEVEL_DEFAULT: u8 = 1;

/// A command of the application's.
fn by_origin(command: &str) -> Cause<'_> {
    Cause { actor: "origin", reason: command }
}
