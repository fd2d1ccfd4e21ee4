//! People who were logged in before: the cookies of the application's old kind,
//! what the application says of them, and what must hold of their moving in.

use std::collections::BTreeMap;
use std::time::Duration;

use warifu::error::OriginError;
use warifu::ports::{Probe, Probed};
use warifu::session::{Handle, SessionId};
use warifu::store::message::StartCall;
use warifu::token::Secret;

use super::executor::{MILLI, Micros, SECOND};
use super::history::{Cookie, History, Scope};
use super::plan::Plan;
use super::ports::Visit;

/// One cookie of the old kind.
#[derive(Clone, Debug)]
pub struct Old {
    pub subject: String,
    /// How often the application was asked, and has said whose it is.
    pub told: u32,
    /// Sessions that were begun for it, when they were durable.
    pub begun: Vec<SessionId>,
}

/// By their number among the cookies.
#[derive(Clone, Debug, Default)]
pub struct Olds {
    /// Of the map, in all.
    rows: usize,
    by_cookie: BTreeMap<usize, Old>,
    /// Which cookie a start that is on its way is for, and its request.
    starts: BTreeMap<SessionId, (usize, usize)>,
}

impl Olds {
    pub fn has(&self, cookie: usize) -> bool {
        self.by_cookie.contains_key(&cookie)
    }
}

/// Somebody was logged in before the gateway was there.
pub fn logged_in(history: &mut History, plan: &Plan, subject: &str) -> usize {
    history.olds.rows = plan.rows.len();
    let number = history.olds.by_cookie.len();
    let value = format!("o{number}-{subject}");
    let cookie = history.cookie(Cookie {
        key: Secret::of_cookie(&value, "default").session_key(),
        text: format!("{NAME}={value}"),
        // Of none yet.
        session: Handle::from_bytes([0; 16]),
        parent: None,
        level: 1,
        sent: None,
        checked: None,
        ends: None,
        killed: None,
        is_doomed: false,
        is_cut: false,
    });
    history.olds.by_cookie.insert(cookie, Old { subject: subject.to_owned(), told: 0, begun: Vec::new() });
    cookie
}

/// The application is asked whose a cookie is.
pub async fn probe(visit: &Visit, probe: &Probe) -> Result<Probed, OriginError> {
    let world = &visit.world;
    let faults = world.plan.faults;
    let takes = match world.dice.below(12) {
        0 if world.is_faulty() => world.dice.within(500, 4_000),
        _ => world.dice.within(5, 60),
    } * MILLI;
    world.exec.sleep(takes).await;
    if Duration::from_micros(takes) > probe.timeout {
        return Err(OriginError::TimedOut);
    }
    if world.is_faulty() && world.dice.chance(faults.lost * 3) {
        return Err(OriginError::Unreachable("the application is gone".to_owned()));
    }
    let sent = probe.headers.set.iter().find(|(name, _)| name == "cookie").map(|(_, value)| value.clone());
    let mut history = world.history.borrow_mut();
    let found = sent.and_then(|text| history.cookie_of_text.get(&text).copied());
    let Some((cookie, old)) = found.and_then(|cookie| Some((cookie, history.olds.by_cookie.get_mut(&cookie)?))) else {
        return Ok(Probed { status: 401, body: None });
    };
    old.told += 1;
    let (told, subject) = (old.told, old.subject.clone());
    let now = world.exec.now();
    history.note(now, |_| format!("   the application says that c{cookie} is {subject}'s"));
    // Who may not begin a session, for their number or for a kill meanwhile, is asked about again.
    let may_be_refused =
        world.plan.max_sessions > 0 || history.kills.values().any(|kill| !matches!(kill.scope, Scope::Session(_)));
    if told > 1 && world.plan.is_quiet() && !may_be_refused {
        history.violate(now, "I18", format!("the application was asked about c{cookie} {told} times"));
    }
    Ok(Probed { status: 200, body: Some(format!("{{\"id\": \"{subject}\"}}").into_bytes()) })
}

/// A start in exchange for an old cookie leaves an edge.
pub fn sent(history: &mut History, request: usize, start: &StartCall) {
    let Some(adopts) = &start.adopts else { return };
    let found = history.cookies.iter().position(|cookie| cookie.key == adopts.key.0);
    if let Some(cookie) = found {
        history.olds.starts.insert(start.id, (cookie, request));
    }
}

/// A session is durable.
pub fn begun(history: &mut History, id: SessionId, now: Micros) {
    let Some((cookie, request)) = history.olds.starts.get(&id).copied() else { return };
    // Also where no edge has heard of it: then it is found.
    history.cookies[cookie].session = id;
    let Some(old) = history.olds.by_cookie.get_mut(&cookie) else { return };
    if old.begun.contains(&id) {
        return;
    }
    old.begun.push(id);
    let (count, subject) = (old.begun.len(), old.subject.clone());
    // A row that is added meanwhile does not know of the one before it.
    if count > 1 && history.olds.rows == 1 {
        let says = format!("{} is the session number {count} for c{cookie}", history.name(id));
        history.violate(now, "I18", says);
    }
    let sent = history.asked[request].sent;
    let ended = history.kills.values().any(|kill| {
        let is_meant = match &kill.scope {
            Scope::Subject(of) => *of == subject,
            Scope::Site => true,
            Scope::Session(_) => false,
        };
        is_meant && kill.published.is_some_and(|published| published < sent)
    });
    if ended {
        let says = format!("{} begins for c{cookie}, after all of {subject} was ended", history.name(id));
        history.violate(now, "I19", says);
    }
}

/// Whether somebody is refused who was logged in, and whom nobody has ended.
pub fn is_logged_out(history: &History, cookie: usize) -> bool {
    let Some(old) = history.olds.by_cookie.get(&cookie) else { return false };
    let is_ended = |subject: &Option<String>| subject.as_ref().is_none_or(|of| *of == old.subject);
    old.begun.is_empty() && !history.dooms.iter().any(|doom| is_ended(&doom.subject))
}

pub const NAME: &str = "old";

/// For the application's answer.
pub const PATIENCE: Micros = 2 * SECOND;
