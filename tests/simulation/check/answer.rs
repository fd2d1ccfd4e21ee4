//! What must hold of answers: of an object to an edge, of an edge to a client.

use warifu::session::{Session, SessionId};

use super::allowed;
use crate::edge::Edge;
use crate::executor::{MILLI, Micros, SECOND};
use crate::history::{History, Route};
use crate::moving;
use crate::plan::Plan;
use crate::world::{Seen, SetCookie};

/// An answer as it leaves an object.
pub struct Leaving {
    pub from: String,
    /// When its question came in.
    pub arrived: Micros,
    /// When this copy of the object was replaced.
    pub replaced: Option<Micros>,
    pub says: String,
}

/// I6: a copy that has been replaced before the question came says nothing.
pub fn i6_replaced_copies_are_silent(history: &mut History, leaving: &Leaving, now: Micros) {
    let Leaving { from, arrived, replaced, says, .. } = leaving;
    if let Some(replaced) = replaced.filter(|replaced| replaced < arrived) {
        let late = (arrived - replaced) / MILLI;
        let says = format!("{from}, replaced {late} ms before it was asked, answers {says}");
        history.violate(now, "I6", says);
    }
}

/// I11: what an object says of a session's expiry never moves back.
pub fn i11_expiry_never_moves_back(history: &mut History, leaving: &Leaving, session: &Session, now: Micros) {
    let Some(lineage) = history.lineages.get_mut(&session.id) else { return };
    let expires = session.idle_expires.0;
    let before = lineage.expiries.iter().filter(|(left, _)| *left < leaving.arrived).map(|(_, expires)| *expires).max();
    lineage.expiries.push((now, expires));
    if let Some(before) = before.filter(|before| *before > expires) {
        let says = format!("{} says that {} expires {} ms earlier", leaving.from, lineage.name, before - expires);
        history.violate(now, "I11", says);
    }
}

/// I10: a failure of the store is neither a log-out nor a new cookie.
fn i10_a_failure_is_no_answer(history: &History, request: usize, seen: &Seen) -> Option<String> {
    let asked = &history.asked[request];
    if !asked.has_store_failed {
        return None;
    }
    let to_login = seen.location.as_deref().is_some_and(|location| location.starts_with("/login"));
    // What fails after it was let through was no verdict; a later one may have
    // been, and I11 and I12 look at that.
    if (seen.status == Some(401) || to_login) && asked.forwarded.is_none() {
        return Some("a failure of the store became a log-out".to_owned());
    }
    // A log-in may be let through though nobody knows who was there before.
    let has_started = asked.starts.is_some() && seen.status.is_none();
    (seen.cookie != SetCookie::Nothing && !has_started).then(|| "a failure of the store changed the cookie".to_owned())
}

/// I11 and I12: whoever has a secret that is served is not sent to the log-in.
fn whoever_is_in_stays_in(
    history: &History,
    plan: &Plan,
    request: usize,
    seen: &Seen,
    now: Micros,
) -> Option<(&'static str, String)> {
    let asked = &history.asked[request];
    let is_refused =
        seen.status == Some(401) && matches!(asked.route, Route::Account | Route::Poll | Route::News | Route::Strict);
    let index = asked.cookie.filter(|_| is_refused)?;
    if moving::is_logged_out(history, index) {
        return Some(("I18", format!("c{index} of the old kind is refused, though nobody has ended it")));
    }
    let invariant = is_still_in(history, plan, index, now)?;
    let says =
        format!("{} (c{index}) is refused, though nobody has ended it", history.name(history.cookies[index].session));
    Some((invariant, says))
}

/// Whether a cookie must open its session now, by which invariant.
pub fn is_still_in(history: &History, plan: &Plan, index: usize, now: Micros) -> Option<&'static str> {
    let cookie = &history.cookies[index];
    let lineage = history.lineages.get(&cookie.session)?;
    if cookie.is_doomed || lineage.is_doomed || plan.max_sessions > 0 {
        return None;
    }
    if plan.ends_on_replay && may_have_been_replayed(history, plan, cookie.session) {
        return None;
    }
    let successors = history.cookies.iter().enumerate().filter(|(other, _)| history.ancestors(*other).contains(&index));
    let used = successors.filter_map(|(_, other)| other.sent).min();
    // An object may be woken on a machine whose clock is ahead.
    let skew = if plan.wakes_elsewhere() { CLOCKS } else { 10 * MILLI };
    if used.is_some_and(|used| now + skew + plan.grace * SECOND / 500 >= used + plan.grace * SECOND) {
        return None;
    }
    let idle = plan.idles.iter().min().copied().unwrap_or(0) * SECOND;
    let skew = if plan.wakes_elsewhere() { CLOCKS } else { 100 * MILLI };
    if now - lineage.used + skew >= idle || lineage.renewals > 0 || lineage.has_renewal_failed {
        return None;
    }
    Some(if used.is_some() { "I12" } else { "I11" })
}

/// Whether somebody may have come with an old cookie of the session after its
/// grace, which may end it. What was let through before and is looked at once
/// more is nobody who comes.
fn may_have_been_replayed(history: &History, plan: &Plan, session: SessionId) -> bool {
    // A question may be long on its way, or arrive twice.
    let late = if plan.is_quiet() { SECOND / 2 } else { 15 * SECOND };
    let came_by = |cookie: usize, end: Micros| history.cookies[cookie].checked.is_some_and(|at| at + late >= end);
    history.cookies.iter().enumerate().filter(|(_, newer)| newer.session == session).any(|(index, newer)| {
        // What led to a cut has no grace.
        newer.parent.is_some_and(|parent| newer.is_cut && came_by(parent, 0))
            || newer.sent.is_some_and(|used| {
                history.ancestors(index).into_iter().any(|older| came_by(older, used + plan.grace * SECOND))
            })
    })
}

/// I10: that a key opens nothing is not believed for ever.
pub fn no_is_not_kept_forever(history: &mut History, edge: &Edge, request: usize, seen: &Seen, now: Micros) {
    let asked = &history.asked[request];
    let Some(cookie) = asked.cookie.filter(|_| seen.status == Some(401) && asked.checks == 0) else { return };
    let heard = edge.heard.borrow().get(&history.cookies[cookie].key).copied();
    if heard.is_none_or(|heard| now - heard > allowed(60 * SECOND)) {
        let says = format!("{} refuses c{cookie}, and has not asked for a minute", edge.name);
        history.violate(now, "I10", says);
    }
}

/// What two clocks differ by, at most.
const CLOCKS: Micros = 2_500 * MILLI;

pub fn to_client(history: &mut History, plan: &Plan, request: usize, seen: &Seen, now: Micros) {
    if let Some(says) = i10_a_failure_is_no_answer(history, request, seen) {
        history.violate(now, "I10", says);
    }
    if let Some((invariant, says)) = whoever_is_in_stays_in(history, plan, request, seen, now) {
        history.violate(now, invariant, says);
    }
}
