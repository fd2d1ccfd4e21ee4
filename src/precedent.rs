//! Precedents: what a request came to, for those that are like it.
//!
//! Most requests of a session differ from one before in nothing that the gate looks at.
//! Such a case need not be heard again from the beginning: it has the same edits, goes to
//! the same application, and only what can have changed since is looked at, which is the
//! verdict on the session. The edge keeps precedents by the whole text of a request but for
//! its query and the values of [`LEFT_OUT`], so that none of its header fields crosses for
//! one that is followed. What is unknown, due or in doubt is heard in full: to have no
//! precedent costs time and nothing else.

use std::rc::Rc;

use crate::admission::Admitted;
use crate::answer::TARGETED;
use crate::config::{Access, Commands, Config};
use crate::cookie;
use crate::error::Failure;
use crate::forward;
use crate::headers::{HeaderBlock, HeaderEdits};
use crate::lookup;
use crate::mutants::{self, Mutant};
use crate::path::CanonicalPath;
use crate::policy::Demand;
use crate::ports::{Ports, Random, Reading};
use crate::request::Request;
use crate::revocation::{Known, Memory};
use crate::session::{Served, Session};
use crate::sessions::{Look, Verdict};
use crate::signature::Signed;
use crate::site::Site;
use crate::tally::{Outcome, Source};
use crate::time::UnixMillis;
use crate::token::{Locator, SessionKey};
use crate::watch;

/// Fields whose values differ from request to request, and which decide nothing about one
/// that is let through: two requests that differ in these alone are alike. Their names count.
/// Whatever is not in this list counts with its value.
pub const LEFT_OUT: [&str; 29] = [
    "accept",
    "b3",
    "baggage",
    "cf-ray",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-event-id",
    "newrelic",
    "priority",
    "range",
    "referer",
    "request-id",
    "sentry-trace",
    "traceparent",
    "tracestate",
    "x-amzn-trace-id",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-spanid",
    "x-b3-traceid",
    "x-cloud-trace-context",
    "x-correlation-id",
    "x-datadog-parent-id",
    "x-datadog-trace-id",
    "x-request-id",
    "x-trace-id",
];

/// A request with more characters of names and values, and four for each field, is heard in
/// full: what is kept of it is text.
pub const CHARS_MAX: usize = 5_000;

/// A case that was decided.
#[derive(Clone, Debug)]
pub struct Precedent {
    /// `https`, or else `http`.
    pub scheme: Box<str>,
    pub host: Box<str>,
    pub demand: Demand,
    /// Whose request it was; `None`: nobody's, where that is let through.
    caller: Option<Caller>,
    /// Whether the session object is asked for each request.
    asks: bool,
}

#[derive(Clone, Debug)]
struct Caller {
    at: Locator,
    key: SessionKey,
    /// The very verdict that was gone by. A newer one can have other claims.
    session: Rc<Session>,
}

/// Whether a precedent is followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// The request would come to something else.
    Over = 0,
    /// It may come to the same, but something is due that is done along with a request, or is
    /// to be asked.
    NotNow = 1,
    /// It may come to the same as soon as somebody hears what they have asked.
    Soon = 2,
    /// It would come to the same if the session object says what it has said before.
    Asks = 3,
    /// It would come to the same.
    Same = 4,
}

/// What a session object has said to a request, which is heard in full by it.
pub struct Asked {
    key: SessionKey,
    /// From before it was asked.
    pub sought: Reading,
    pub said: Result<Option<Verdict>, Failure>,
}

impl Asked {
    /// Whether it is of this session.
    pub fn is_of(&self, key: &SessionKey) -> bool {
        self.key == *key
    }
}

impl Precedent {
    /// The precedent that a request makes which is about to be forwarded; `None`: one like
    /// it could come to something else.
    pub fn of(
        site: &Site,
        request: &Request,
        path: &CanonicalPath,
        admitted: &Admitted,
        now: UnixMillis,
    ) -> Option<Self> {
        let (config, demand) = (&site.config, admitted.demand());
        let has = |name: &str| request.headers.get(name).is_some();
        let is_plain = matches!(request.method.as_str(), "GET" | "HEAD")
            && request.raw_path == path.as_str()
            // Three bytes in UTF-8 for each character at most.
            && config.max_header_bytes >= 3 * CHARS_MAX
            && !["upgrade", "content-length", "transfer-encoding"].into_iter().any(has);
        // What an application says of the session is heard each time, and so is what it keeps with us.
        let is_quiet = demand.commands == Commands::No && config.custody.is_off();
        let is_signed = site.signer.is_some() && admitted.with_identity();
        let signs_too = is_signed && (has("signature") || has("signature-input"));
        if !(is_plain && is_quiet && admitted.is_settled()) || signs_too {
            return None;
        }
        let caller = match admitted.caller() {
            // Its renewal is under way, and what comes of that is another session.
            Some((caller, _)) if is_renewal_due(demand, &caller.session, config, now) => return None,
            Some((caller, token)) => {
                Some(Caller { at: token.locator(), key: token.session_key(), session: Rc::clone(&caller.session) })
            }
            // It may move in, or is counted.
            None if demand.access != Access::Public
                && (config.adopt.is_some()
                    || cookie::is_forged(request.headers.get("cookie"), &config.cookie.name, &site.ring)) =>
            {
                return None;
            }
            None => None,
        };
        let (scheme, host) = ((*request.scheme).into(), (*request.host).into());
        Some(Self { scheme, host, demand, caller, asks: lookup::asks_each_time(config, demand) })
    }

    /// Whether a request like this would come to the same now. Nothing is counted by it.
    pub fn stands(&self, config: &Config, memory: &Memory, now: UnixMillis) -> Standing {
        memory.observe(now);
        if memory.tally().is_report_near(now) {
            return Standing::NotNow;
        }
        let Some(Caller { key, session, .. }) = &self.caller else { return Standing::Same };
        if mutants::is(Mutant::PrecedentUnchecked) {
            return Standing::Same;
        }
        if self.asks {
            // What is due for its session is due until that is another.
            let stands = !memory.is_dead(key, now) && self.is_plain_use(session, config, now);
            return if stands { Standing::Asks } else { Standing::Over };
        }
        if memory.is_poll_wanted(now, config.bound) {
            return Standing::NotNow;
        }
        let found = match memory.look(key, now, config.bound, config.idle_timeout) {
            Known::Live(found, _) => found,
            Known::Dead => return Standing::Over,
            Known::Nothing if self.asked(config, memory, now).is_some() => return Standing::Soon,
            Known::Nothing => return Standing::NotNow,
        };
        if !Rc::ptr_eq(&found, session) {
            return Standing::Over;
        }
        if self.is_plain_use(&found, config, now) { Standing::Same } else { Standing::NotNow }
    }

    /// Whether nothing is to be written down of it, and the session is good enough.
    fn is_plain_use(&self, session: &Session, config: &Config, now: UnixMillis) -> bool {
        !is_renewal_due(self.demand, session, config, now) && self.demand.is_met_by(session, now).is_ok()
    }

    /// Asks the session object, where that is done for each request.
    ///
    /// # Errors
    /// It has said something else than before, or nothing: by that the request is to be heard.
    pub async fn ask<P: Ports>(&self, site: &Site, ports: &P) -> Result<(), Option<Asked>> {
        let Caller { at, key, session } = self.caller.as_ref().ok_or(None)?;
        let sought = Reading::new(ports);
        let said = lookup::ask(site, ports, (*at, *key), Look::Use, None).await;
        match &said {
            Ok(Some(Verdict { session: found, served: Served::Current }))
                if found == session && self.is_plain_use(found, &site.config, ports.time()) =>
            {
                Ok(())
            }
            _ => Err(Some(Asked { key: *key, sought, said })),
        }
    }

    /// The question about its session that somebody has under way.
    pub fn asked(&self, config: &Config, memory: &Memory, now: UnixMillis) -> Option<u64> {
        lookup::asked_already(memory, &self.caller.as_ref()?.key, now, config.bound)
    }

    /// Counts a request that goes by it. Whether the time of it to the origin is taken.
    pub fn follow(&self, memory: &Memory, now: UnixMillis) -> bool {
        match self.caller {
            Some(_) if self.asks => memory.tally().check(Source::Object, Outcome::Live),
            Some(_) => {
                memory.looked(now);
                memory.tally().check(Source::Memory, Outcome::Live);
            }
            None => {}
        }
        memory.tally().takes_origin_time()
    }

    /// Whether identity headers go with such a request.
    pub fn with_identity(&self) -> bool {
        self.demand.access != Access::Public
    }

    /// Whose session such a request comes with.
    pub fn caller(&self) -> Option<(&SessionKey, &Rc<Session>)> {
        self.caller.as_ref().map(|caller| (&caller.key, &caller.session))
    }

    /// The signature of one that goes by it, which no other request has; `query` with its
    /// `?`, or empty. `None`: it has none, or there is no randomness to be had.
    pub fn sign(
        &self,
        site: &Site,
        (method, path, query): (&str, &str, &str),
        now: UnixMillis,
        random: &impl Random,
    ) -> Option<Signed> {
        let signer = site.signer.as_ref().filter(|_| self.with_identity())?;
        let session = self.caller.as_ref().map(|caller| &*caller.session);
        let identity = forward::identity(&site.config, session);
        let authority = forward::authority(&site.config, &self.host);
        forward::sign(signer, &forward::Target { method, authority, path, query }, &identity, now, random)
    }
}

fn is_renewal_due(demand: Demand, session: &Session, config: &Config, now: UnixMillis) -> bool {
    demand.activity && session.wants_renewal(now, config.idle_timeout)
}

/// Whether an answer with these fields gets these edits each time, whichever request like
/// that one it answers: nothing was written down, started or ended for it, and it is none that
/// goes on and may have to be cut. `headers` are those that the gate looks at.
pub fn is_answer_of_all(headers: &HeaderBlock, edits: &HeaderEdits) -> bool {
    let is_harmless = |name: &str| matches!(name, "cache-control" | "content-type") || TARGETED.contains(&name);
    headers.iter().all(|(name, _)| is_harmless(name))
        && !watch::is_event_stream(headers)
        && edits.append.iter().all(|(name, _)| name != "set-cookie")
}
