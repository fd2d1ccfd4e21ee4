//! What must hold whenever an edge lets a request through with a session.

use std::rc::Rc;

use warifu::revocation::Position;
use warifu::session::SessionId;

use super::allowed;
use crate::edge::Edge;
use crate::executor::{MILLI, Micros, SECOND};
use crate::history::{Cookie, History, Lineage, Route};
use crate::plan::Plan;

/// What an acceptance rests on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The edge's memory.
    Memory,
    /// A record of KV, for the first time.
    Replica,
    /// A session object's answer to this very request.
    Shard,
    /// The edge's memory, after the store has failed.
    Outage,
}

/// A request on its way to the origin with a session.
pub struct Acceptance {
    pub edge: Rc<Edge>,
    pub at: Micros,
    /// When the request came to the edge.
    pub arrived: Micros,
    pub route: Route,
    pub source: Source,
    /// Whether a session object has called its secret the newest.
    pub is_newest: bool,
    pub session: SessionId,
    pub cookie: usize,
    pub level: u8,
    /// Of the claims.
    pub version: u64,
}

/// One case: the acceptance, with what is known of its session and its cookie.
struct Case<'a> {
    history: &'a History,
    plan: &'a Plan,
    accepted: &'a Acceptance,
    lineage: &'a Lineage,
    cookie: &'a Cookie,
}

impl Case<'_> {
    /// The time for which a kill may go unnoticed here.
    fn bound(&self) -> Micros {
        let bound = self.accepted.edge.bound;
        match self.accepted.source {
            Source::Outage => bound.max(self.plan.continue_for * SECOND),
            _ => bound,
        }
    }

    /// How much later than this it is; a strict route asks, and so does each without
    /// a bound, but not how long the answer takes.
    fn is_after(&self, time: Option<Micros>, span: Micros) -> Option<Micros> {
        let end = time?.saturating_add(allowed(span));
        let Acceptance { edge, route, at, arrived, .. } = self.accepted;
        let decided = if *route == Route::Strict || edge.bound == 0 { arrived } else { at };
        decided.checked_sub(end).filter(|late| *late > 0)
    }
}

type Checker = fn(&Case<'_>) -> Option<String>;

const CHECKERS: [(&str, Checker); 10] = [
    ("I1", i1_none_after_the_bound),
    ("I1", i1_none_once_it_is_quiet),
    ("I4", i4_memory_stands_on_known_ground),
    ("I5", i5_none_from_memory_when_cut_off),
    ("I7", i7_what_is_revoked_never_comes_back),
    ("I9", i9_none_on_a_strict_route),
    ("I10", i10_none_after_a_failure_of_the_store),
    ("I12", i12_no_old_secret_after_its_grace),
    ("I15", i15_claims_are_as_fresh_as_the_feed),
    ("I16", i16_no_secret_is_stronger_than_it_was),
];

/// Checks an acceptance, and notes it.
pub fn check(history: &mut History, plan: &Plan, accepted: &Acceptance) {
    let mut found = Vec::new();
    match history.lineages.get(&accepted.session) {
        None => found.push(("I1", "a session that was never started".to_owned())),
        Some(lineage) => {
            let case = Case { history, plan, accepted, lineage, cookie: &history.cookies[accepted.cookie] };
            let says = |(invariant, checker): &(&'static str, Checker)| checker(&case).map(|says| (*invariant, says));
            found.extend(CHECKERS.iter().filter_map(says));
        }
    }
    for (invariant, says) in found {
        let Acceptance { edge, source, route, session, cookie, .. } = accepted;
        let name = history.name(*session);
        let says = format!("{} accepts {name} (c{cookie}) on {} by {source:?}: {says}", edge.name, route.path());
        history.violate(accepted.at, invariant, says);
    }
}

/// I1: nothing of a kill that the feed has had for longer than the bound.
fn i1_none_after_the_bound(case: &Case<'_>) -> Option<String> {
    let of_session = case.is_after(case.lineage.killed, case.bound());
    let late = of_session.or(case.is_after(case.cookie.killed, case.bound()))?;
    let what = if of_session.is_some() { "session" } else { "secret" };
    Some(format!("{} ms after the bound since the end of the {what}", late / MILLI))
}

/// I1: a kill that is said to be quiet is, at once and on every route.
fn i1_none_once_it_is_quiet(case: &Case<'_>) -> Option<String> {
    let late = case.is_after(case.lineage.quiet, 0)?;
    Some(format!("{} ms after it was said that nobody would", late / MILLI))
}

/// I4: a cached yes is of the window's epoch, within the window, and nothing
/// in the window speaks against it.
fn i4_memory_stands_on_known_ground(case: &Case<'_>) -> Option<String> {
    let Acceptance { edge, source, .. } = case.accepted;
    if *source == Source::Shard {
        return None;
    }
    let Some(window) = edge.memory.position() else { return Some("without a window".to_owned()) };
    let grounds = edge.grounds(&case.cookie.key);
    let doubts: Vec<String> = grounds.iter().map_while(|ground| doubt(case, *ground, window)).collect();
    (doubts.len() == grounds.len()).then(|| doubts.last().cloned().unwrap_or_else(|| "without a question".to_owned()))
}

/// Why a yes that was asked for there does not count with this window.
fn doubt(case: &Case<'_>, ground: Position, window: Position) -> Option<String> {
    if ground.epoch != window.epoch {
        return Some(format!("asked in epoch {}, accepted in {}", ground.epoch.to_text(), window.epoch.to_text()));
    }
    if ground.seq > window.seq {
        return Some(format!("asked at {}, and the window reaches to {}", ground.seq, window.seq));
    }
    against(case, ground, window).map(|seq| format!("the edge knows entry {seq}, and has asked at {}", ground.seq))
}

/// An entry between the two that is about the session.
fn against(case: &Case<'_>, ground: Position, window: Position) -> Option<u64> {
    let target = case.accepted.session.to_text();
    let entries = case.history.published.iter().rev();
    let mut newer =
        entries.filter(|entry| entry.epoch == window.epoch && entry.seq > ground.seq && entry.seq <= window.seq);
    newer
        .find(|entry| match entry.kind.as_str() {
            "site" => true,
            "subject" => entry.target == case.lineage.subject,
            _ => entry.target == target,
        })
        .map(|entry| entry.seq)
}

/// I5: an edge that gets no answer, neither to its polls nor to its questions about the
/// session, stops trusting its memory.
fn i5_none_from_memory_when_cut_off(case: &Case<'_>) -> Option<String> {
    let Acceptance { edge, source, at, .. } = case.accepted;
    if *source == Source::Shard {
        return None;
    }
    let asked = if *source == Source::Memory { edge.proof_of(&case.cookie.key) } else { None };
    let Some(proof) = edge.proof.get().max(asked) else { return Some("never heard of the feed".to_owned()) };
    let age = at - proof;
    (age > allowed(case.bound())).then(|| format!("the newest proof is {} ms old", age / MILLI))
}

/// I7: a kill that the feed has once had is never forgotten, also where the
/// feed forgets it: as long after it as there has been time to notice.
fn i7_what_is_revoked_never_comes_back(case: &Case<'_>) -> Option<String> {
    let late = case.is_after(case.lineage.killed, case.bound().max(10 * SECOND))?;
    Some(format!("it was ended {} ms and more before", late / MILLI))
}

/// I9: a request that arrives after a kill was answered, or after the feed had
/// it.
fn i9_none_on_a_strict_route(case: &Case<'_>) -> Option<String> {
    let Acceptance { route, arrived, .. } = case.accepted;
    let Lineage { killed, refused, .. } = case.lineage;
    let refused = [*killed, *refused, case.cookie.killed].into_iter().flatten().min()?;
    (*route == Route::Strict && *arrived > refused)
        .then(|| format!("it arrived {} ms after its end", (arrived - refused) / MILLI))
}

/// I10: whoever cannot know does not let through, but where the route says so.
fn i10_none_after_a_failure_of_the_store(case: &Case<'_>) -> Option<String> {
    let Acceptance { route, source, .. } = case.accepted;
    (*source == Source::Outage && *route != Route::News).then(|| "the store had failed".to_owned())
}

/// I12: after the first use of its successor an old secret has its grace. The
/// object may be woken on a machine whose clock is behind, within what is
/// published.
fn i12_no_old_secret_after_its_grace(case: &Case<'_>) -> Option<String> {
    let skew = if case.plan.wakes_elsewhere() { 2 * SECOND } else { 0 };
    let late = case.is_after(case.cookie.ends, case.bound() + skew)?;
    Some(format!("its grace ended {} ms and a bound before", late / MILLI))
}

/// What is said of a session is no older than the bound after the feed has
/// told of a change.
fn i15_claims_are_as_fresh_as_the_feed(case: &Case<'_>) -> Option<String> {
    let Acceptance { version, .. } = case.accepted;
    let known = case.lineage.versions.iter().rposition(|known| known == version)?;
    let needed = case.lineage.told.iter().filter(|(at, _)| case.is_after(Some(*at), case.bound()).is_some());
    let needed = needed.map(|(_, needed)| *needed).max()?;
    (known < needed).then(|| format!("with version {known} of its claims, where {needed} had long been told of"))
}

/// A raise strengthens only the secret that it makes.
fn i16_no_secret_is_stronger_than_it_was(case: &Case<'_>) -> Option<String> {
    let level = case.accepted.level;
    (level > case.cookie.level).then(|| format!("at level {level}, and its cookie is good for {}", case.cookie.level))
}
