//! What must hold of WebSockets and event streams.

use warifu::watch::End;

use super::allowed;
use super::answer::is_still_in;
use crate::executor::{MILLI, Micros, SECOND};
use crate::history::{History, Route};
use crate::plan::Plan;
use crate::sockets::Open;

/// I17: nothing is open for longer than the bound and a second after the feed has
/// had the end of its session, or of its secret.
pub fn i17_none_is_open_for_long(history: &mut History, plan: &Plan, now: Micros) {
    let late = |open: &Open| {
        let ends = [history.lineages.get(&open.session)?.killed, history.cookies[open.cookie].killed];
        let ended = ends.into_iter().flatten().min()?;
        let continues = if open.route == Route::News { plan.continue_for * SECOND } else { 0 };
        // Without a bound the second is all there is.
        now.checked_sub(ended + allowed(open.bound.max(continues) + SECOND))
    };
    let found = history.open.values().find_map(|open| late(open).map(|late| (open.clone(), late)));
    if let Some((open, late)) = found {
        let name = history.name(open.session);
        let Open { edge, route, cookie, .. } = open;
        let late = late / MILLI;
        let says = format!("{edge} has {name} (c{cookie}) open on {} {late} ms too long", route.path());
        history.violate(now, "I17", says);
    }
}

/// I18: what is cut had ended; and where nothing goes wrong, nobody says that
/// they cannot know.
pub fn at_cut(history: &mut History, plan: &Plan, request: usize, end: End, now: Micros) {
    let Some(Open { edge, session, cookie, .. }) = history.open.get(&request).cloned() else { return };
    let is_wrong = match end {
        End::Over => is_still_in(history, plan, cookie, now).is_some(),
        End::Unknown => plan.is_quiet(),
        End::UsedUp => plan.calls_max.is_none(),
    };
    if is_wrong {
        let says = format!("{edge} cuts {} (c{cookie}) as {end:?}", history.name(session));
        history.violate(now, "I18", says);
    }
}
