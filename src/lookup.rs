//! Where the verdict on a token comes from, and what proof it carries: the
//! isolate's memory, the copy in KV, or the session object.
//!
//! A verdict from memory counts only while the feed is known to be fresh, or it was asked for
//! lately; see `docs/consistency.md`. Whatever is in doubt is asked of the session object.

use core::ops::ControlFlow;
use core::time::Duration;
use std::rc::Rc;

use futures_util::FutureExt;

use crate::audit::Event;
use crate::config::{Access, Config, Replica as ReplicaMode};
use crate::error::{Failure, StoreError};
use crate::limit;
use crate::mutants::{self, Mutant};
use crate::policy::Demand;
use crate::ports::{Feed, Ports, Replica};
use crate::replica::{self, Record};
use crate::revocation::{AtOnce, FeedAnswer, Known, Memory, Position};
use crate::session::{Served, Session};
use crate::sessions::{Checked, Look, Sessions, Verdict};
use crate::site::Site;
use crate::store::feed::{FeedCall, FeedReply, Poll};
use crate::tally::{Outcome, Source, figures};
use crate::time::{UnixMillis, millis};
use crate::token::{Locator, SessionKey, Token};

/// The live session that a token opens. `Ok(None)`: there is none.
///
/// # Errors
/// One cannot know.
pub async fn look_up<P: Ports>(
    site: &Site,
    ports: &P,
    token: &Token,
    demand: Demand,
    look: Look,
) -> Result<Option<Verdict>, Failure> {
    let config = &site.config;
    let memory = ports.memory();
    let now = ports.time();
    let key = token.session_key();
    report_if_due(ports, now);
    if asks_each_time(config, demand) {
        if memory.is_dead(&key, now) {
            memory.tally().check(Source::Memory, Outcome::None);
            return Ok(None);
        }
        return counted(memory, ask(site, ports, token.place(), look, None).boxed_local().await);
    }
    if memory.wants_poll(now, config.bound) {
        poll_later(site, ports);
    }
    if let ControlFlow::Break(known) = remembered(site, ports, &key, now) {
        return Ok(known);
    }
    if let Some(session) = read_record(site, ports, token, now).boxed_local().await {
        memory.tally().check(Source::Kv, Outcome::Live);
        return Ok(Some(Verdict { session, served: Served::Current }));
    }
    let asked = if ports.has_waited() { None } else { asked_already(memory, &key, ports.time(), config.bound) };
    if let Some(number) = asked {
        let told = |told| memory.under_way().when_over(number, told);
        ports.until_told(told, patience(config.bound)).boxed_local().await;
        if let ControlFlow::Break(known) = remembered(site, ports, &key, ports.time()) {
            return Ok(known);
        }
    }
    match counted(memory, ask(site, ports, token.place(), look, Some(config.bound)).boxed_local().await) {
        Err(Failure::StoreUnavailable) if demand.continues || mutants::is(Mutant::OutageEverywhere) => {
            let verdict = go_on(site, ports, token).ok_or(Failure::StoreUnavailable)?;
            memory.tally().check(Source::Outage, Outcome::Live);
            Ok(Some(verdict))
        }
        answered => answered,
    }
}

/// Whether the session object is asked for each request.
pub fn asks_each_time(config: &Config, demand: Demand) -> bool {
    let is_strict = demand.access == Access::Strict && !mutants::is(Mutant::StrictFromMemory);
    is_strict || config.bound.is_zero()
}

/// Breaks with the verdict of memory, where it has one.
fn remembered<P: Ports>(site: &Site, ports: &P, key: &SessionKey, now: UnixMillis) -> ControlFlow<Option<Verdict>> {
    let memory = ports.memory();
    let verdict = match memory.look(key, now, site.config.bound, site.config.idle_timeout) {
        Known::Live(session, _) => Some(Verdict { session, served: Served::Current }),
        Known::Dead => None,
        Known::Nothing => return ControlFlow::Continue(()),
    };
    memory.tally().check(Source::Memory, if verdict.is_some() { Outcome::Live } else { Outcome::None });
    ControlFlow::Break(verdict)
}

/// The question that somebody has under way about the same session, if its answer will do for
/// who comes now.
pub fn asked_already(memory: &Memory, key: &SessionKey, now: UnixMillis, bound: Duration) -> Option<u64> {
    let counts = |position| memory.would_count(position, now, bound);
    memory.under_way().shared(key, counts, now, patience(bound))
}

/// For how long the answer to another's question is waited for: longer than most take. Who
/// waits in vain asks after all.
pub fn patience(bound: Duration) -> Duration {
    WAIT_MAX.min(bound / 2)
}

/// Counts what a session object has said.
///
/// # Errors
/// It has said nothing.
pub fn counted(memory: &Memory, asked: Result<Option<Verdict>, Failure>) -> Result<Option<Verdict>, Failure> {
    let outcome = match &asked {
        Ok(Some(_)) => Outcome::Live,
        Ok(None) => Outcome::None,
        Err(_) => Outcome::Unknown,
    };
    memory.tally().check(Source::Object, outcome);
    asked
}

/// Asks the session object. With a bound, an answer that took longer is not
/// gone by: the session may have been ended since it was given.
pub async fn ask<P: Ports>(
    site: &Site,
    ports: &P,
    (at, key): (Locator, SessionKey),
    mut look: Look,
    within: Option<Duration>,
) -> Result<Option<Verdict>, Failure> {
    let memory = ports.memory();
    let Some(asking) = memory.under_way().begin(&key, AT_ONCE, ports.time()) else {
        return Err(too_many(ports));
    };
    // Or its place would be taken until V8 collects what is left of a request whose client
    // has gone away.
    let _stay = ports.stay();
    for _ in 0..ASKED_MAX {
        let question = memory.question(ports.time());
        asking.share(within.and(question.position));
        let checked = match Sessions::new(site, ports).check((at, key), look).await {
            Err(_) if mutants::is(Mutant::ErrorAsAbsence) => Checked::Nothing { is_final: false },
            checked => checked?,
        };
        let now = ports.time();
        if within.is_some_and(|within| !memory.is_timely(&question, now, within)) {
            look = Look::Again;
            continue;
        }
        return Ok(match checked {
            Checked::Live(Verdict { session, served }) if within.is_some() => {
                let session = memory.keep(&question, key, session, served);
                Some(Verdict { session, served })
            }
            Checked::Live(verdict) => Some(verdict),
            Checked::Nothing { is_final } => {
                if is_final {
                    memory.keep_dead(&question, key, now);
                }
                None
            }
        });
    }
    Err(Sessions::new(site, ports)
        .failure(StoreError::Unreachable("each answer took longer than the bound".to_owned())))
}

/// What has been counted is told once a minute, by whoever has the time at hand.
pub fn report_if_due<P: Ports>(ports: &P, now: UnixMillis) {
    let memory = ports.memory();
    if memory.tally().is_report_due(now) {
        ports.report(&figures(memory, now));
    }
}

/// More than an isolate asks at a time: written down once a minute, since whoever sends
/// enough can cause it as often as they like.
pub fn too_many<P: Ports>(ports: &P) -> Failure {
    limit::tell_or_count(ports, limit::is_told_here(ports), "store_unavailable", || {
        ports.tell(Event::StoreUnavailable { reason: "too many questions at a time".to_owned() });
    });
    Failure::StoreUnavailable
}

/// The session as KV has it, where that is nearer than the object and proves
/// something.
async fn read_record<P: Ports>(site: &Site, ports: &P, token: &Token, now: UnixMillis) -> Option<Rc<Session>> {
    let (config, memory) = (&site.config, ports.memory());
    let replica = ports.replica()?;
    let is_fresh = memory.window_age(now).is_some_and(|age| age <= config.bound);
    // A row of the map that is not known, or no longer, vouches for nothing.
    let has_home = Sessions::new(site, ports).has_home(token.locator());
    if !is_fresh || !has_home || !replica::is_read(config, token.locator(), || ports.place().continent) {
        return None;
    }
    let key = token.session_key();
    let name = replica::name(&config.site, &key);
    let found = replica.read(&name).await;
    let now = ports.time();
    // Where KV fails, there is still the object.
    let text = found.ok().flatten()?;
    let Some(record) = Record::open(&site.ring, &name, &text) else {
        memory.tally().records_refused.add();
        return None;
    };
    memory.take_record(key, record, now, config.bound, config.replica_horizon)
}

/// The last verdict, on a route that prefers it to none while nobody answers.
fn go_on<P: Ports>(site: &Site, ports: &P, token: &Token) -> Option<Verdict> {
    let (memory, now) = (ports.memory(), ports.time());
    let session = memory.look_in_outage(&token.session_key(), now, site.config.continue_for)?;
    Some(Verdict { session, served: Served::Current })
}

/// How far this isolate knows the feed, as of less than `fresh` ago.
pub fn known_position<P: Ports>(ports: &P, fresh: Duration) -> Option<Position> {
    let memory = ports.memory();
    let now = ports.time();
    memory.position().filter(|_| memory.window_age(now).is_some_and(|age| age < fresh))
}

/// How far the feed is now; to be compared with kills that come while a log-in
/// is on its way. `None`: it cannot be reached.
pub async fn ask_position<P: Ports>(site: &Site, ports: &P) -> Option<Position> {
    let memory = ports.memory();
    let sent = memory.poll(ports.time());
    let reply = ports.feed().ask(&poll(site, sent.since)).await;
    if matches!(reply, Err(StoreError::UsedUp)) {
        memory.not_polled(&sent);
        return None;
    }
    let answer = read(reply).map_err(|event| {
        ports.time();
        memory.poll_failed();
        ports.tell(event);
    });
    let answer = answer.ok()?;
    // So that the memory sees whether the clock stepped back on the way.
    ports.time();
    let position = Position { epoch: answer.epoch, seq: answer.high };
    memory.polled(&sent, answer).then_some(position)
}

/// Polls the feed after the answer to the client.
pub fn poll_later<P: Ports>(site: &Site, ports: &P) {
    let memory = Rc::clone(ports.memory());
    let sent = memory.poll(ports.time());
    let call = poll(site, sent.since);
    ports.feed().ask_later(call, move |reply, now| {
        memory.observe(now);
        if matches!(reply, Err(StoreError::UsedUp)) {
            memory.not_polled(&sent);
            return None;
        }
        match read(reply) {
            Ok(answer) => {
                let is_sound = memory.polled(&sent, answer);
                (!is_sound).then(|| Event::FeedFailed { reason: "an answer that the feed cannot give".to_owned() })
            }
            Err(event) => {
                memory.poll_failed();
                Some(event)
            }
        }
    });
}

fn poll(site: &Site, since: Option<Position>) -> FeedCall {
    FeedCall::Poll(Poll {
        since,
        bound_ms: millis(site.config.bound),
        continue_ms: millis(site.config.continue_in_use()),
        rows: site.config.map.clone(),
        back_ms: if site.config.replica == ReplicaMode::Off { 0 } else { millis(site.config.replica_horizon) },
    })
}

fn read(reply: Result<FeedReply, StoreError>) -> Result<FeedAnswer, Event> {
    match reply {
        Ok(FeedReply::Polled(answer)) => Ok(answer),
        Ok(other) => Err(Event::FeedFailed { reason: format!("an answer of another kind: {}", other.kind()) }),
        Err(error) => Err(Event::FeedFailed { reason: error.to_string() }),
    }
}

const WAIT_MAX: Duration = Duration::from_secs(1);

/// Questions for one verdict: a slow answer may be a hiccup.
const ASKED_MAX: u32 = 2;

/// Far more than the platform carries at once; and of one session as many as a browser
/// sends over one connection (RFC 9113, section 6.5.2: not less than 100).
pub const AT_ONCE: AtOnce = AtOnce { all: 500, of_one: 100, takes: TAKES_MAX };
/// Longer than any question: two answers, each of which has ten seconds.
const TAKES_MAX: Duration = Duration::from_secs(30);
