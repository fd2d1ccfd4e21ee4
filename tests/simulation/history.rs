//! What has happened, in true time, which no part of the world knows. The
//! checkers read it; a trace of it is kept where a person wants to read it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use warifu::revocation::Epoch;
use warifu::session::{KillId, SessionId};
use warifu::token::SessionKey;

use super::executor::{Micros, SECOND};
use super::moving::Olds;
use super::sockets::Open;
use super::world::Node;

/// An invariant that does not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    pub invariant: &'static str,
    pub at: Micros,
    pub says: String,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Route {
    Login,
    Account,
    Act,
    Poll,
    News,
    Strict,
    /// Our own API.
    Own,
}

impl Route {
    pub fn path(self) -> &'static str {
        match self {
            Self::Login => "/login",
            Self::Account => "/account",
            Self::Act => "/act",
            Self::Poll => "/poll",
            Self::News => "/news",
            Self::Strict => "/strict",
            Self::Own => "/_warifu",
        }
    }
}

/// One request of a client.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is one observation")]
pub struct Asked {
    pub route: Route,
    pub cookie: Option<usize>,
    pub sent: Micros,
    pub arrived: Option<Micros>,
    /// When it reached the origin.
    pub forwarded: Option<Micros>,
    /// The session that it was accepted with.
    pub session: Option<SessionId>,
    pub checks: u32,
    /// To shards and to the feed.
    pub calls: u32,
    /// Whether a record was found in KV.
    pub has_record: bool,
    /// Whether a session object has said yes to it.
    pub is_confirmed: bool,
    /// And of the newest secret.
    pub is_newest: bool,
    /// Whether a session object has failed for it.
    pub has_store_failed: bool,
    /// The session that it tried to start.
    pub starts: Option<SessionId>,
}

/// A session from its start on.
#[derive(Clone, Debug)]
pub struct Lineage {
    pub name: String,
    pub subject: String,
    /// When the log-in reached the origin.
    pub forwarded: Micros,
    pub committed: Option<Micros>,
    /// Since when a kill of it is durable in the feed.
    pub killed: Option<Micros>,
    /// Since when a kill of it that was asked for after its start is answered,
    /// in any state: from then on the shards refuse.
    pub refused: Option<Micros>,
    /// Since when a kill is said to hold everywhere.
    pub quiet: Option<Micros>,
    /// Somebody may have ended it by now: nothing is expected of it.
    pub is_doomed: bool,
    /// The last use that was let through.
    pub used: Micros,
    /// Renewals on their way.
    pub renewals: u32,
    pub has_renewal_failed: bool,
    /// What session objects have said of its expiry, and when that left them.
    pub expiries: Vec<(Micros, u64)>,
    /// Versions of the claims, in the order of their commits.
    pub versions: Vec<u64>,
    /// From when on an edge must know which of these, in the feed's time.
    pub told: Vec<(Micros, usize)>,
}

/// A cookie that somebody has got.
#[derive(Clone, Debug)]
pub struct Cookie {
    pub text: String,
    pub key: SessionKey,
    pub session: SessionId,
    pub parent: Option<usize>,
    /// The level that it is good for.
    pub level: u8,
    /// When it was first sent by anybody.
    pub sent: Option<Micros>,
    /// When an edge last asked a shard for it, to let somebody through.
    pub checked: Option<Micros>,
    /// When the grace ends that its successor's first use has left it.
    pub ends: Option<Micros>,
    /// Since when its end is durable in the feed, where its session lives on.
    pub killed: Option<Micros>,
    pub is_doomed: bool,
    /// Whether it came with an end of the other sessions: then what led to it
    /// has no grace, but ends with that kill.
    pub is_cut: bool,
}

/// What a kill ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Scope {
    Session(SessionId),
    Subject(String),
    Site,
}

/// A kill that somebody has asked for.
#[derive(Clone, Debug)]
pub struct Kill {
    pub scope: Scope,
    /// When the first shard was asked for it.
    pub asked: Micros,
    /// The rows of the map that whoever asked for it knew, by generation; of the
    /// site's, those too that the feed knew when it published it.
    pub rows: Vec<u8>,
    /// What lives on of what it ends, and which of its cookies do not.
    pub kept: Option<SessionId>,
    pub cut: Vec<usize>,
    /// When the feed had it.
    pub published: Option<Micros>,
    /// When each shard has committed it.
    pub committed: BTreeMap<Node, Micros>,
    /// The numbers that shards have raised for it.
    pub raised: BTreeMap<Node, u64>,
}

/// An entry that is durable in the feed.
#[derive(Clone, Debug)]
pub struct Published {
    pub at: Micros,
    /// When the last shard had committed it.
    pub committed: Micros,
    pub epoch: Epoch,
    pub seq: u64,
    pub id: KillId,
    pub kind: String,
    pub target: String,
    /// Whether it was in a log that the feed has lost.
    pub is_repeated: bool,
}

/// Lineages that a request for a kill may end, from its sending on.
#[derive(Clone, Debug)]
pub struct Doom {
    /// `None`: everybody's.
    pub subject: Option<String>,
    pub kept: Option<SessionId>,
    /// Log-ins that were sent by then may fall to it.
    pub until: Micros,
}

#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub requests: u64,
    pub acceptances: u64,
    pub cached: u64,
    /// By a precedent.
    pub followed: u64,
    /// Who has waited for another's question.
    pub waited: u64,
    pub replica: u64,
    pub outage: u64,
    pub kills: u64,
    /// WebSockets and event streams, and how many of them were cut.
    pub opened: u64,
    pub cut: u64,
    pub faults: BTreeMap<&'static str, u64>,
    /// What has become durable, by the kinds of `truth::KINDS`.
    pub durable: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
pub struct History {
    pub trace: Option<Vec<(Micros, String)>>,
    pub violations: Vec<Violation>,
    pub asked: Vec<Asked>,
    pub lineages: BTreeMap<SessionId, Lineage>,
    pub cookies: Vec<Cookie>,
    /// By the request that has opened it.
    pub open: BTreeMap<usize, Open>,
    pub cookie_of_text: HashMap<String, usize>,
    pub kills: BTreeMap<KillId, Kill>,
    pub published: Vec<Published>,
    pub dooms: Vec<Doom>,
    /// The lineage and the version of a refresh that a shard has committed.
    pub refreshes: BTreeMap<KillId, (SessionId, usize)>,
    pub olds: Olds,
    pub counts: Counts,
    /// How far the log of the feed goes that is durable now.
    pub feed_high: u64,
    /// The rows of the map that it knows, by generation.
    pub feed_rows: BTreeSet<u64>,
}

impl History {
    /// Writes a line of the trace.
    pub fn note(&mut self, now: Micros, line: impl FnOnce(&Self) -> String) {
        if self.trace.is_some() {
            let line = line(self);
            if let Some(trace) = &mut self.trace {
                trace.push((now, line));
            }
        }
    }

    pub fn fault(&mut self, now: Micros, kind: &'static str, says: impl FnOnce() -> String) {
        *self.counts.faults.entry(kind).or_default() += 1;
        self.note(now, |_| format!("!! {kind}: {}", says()));
    }

    pub fn violate(&mut self, now: Micros, invariant: &'static str, says: String) {
        self.note(now, |_| format!("** {invariant}: {says}"));
        self.violations.push(Violation { invariant, at: now, says });
    }

    pub fn name(&self, id: SessionId) -> String {
        self.lineages.get(&id).map_or_else(|| format!("session {}", id.to_text()), |lineage| lineage.name.clone())
    }

    /// A cookie that a client has got.
    pub fn cookie(&mut self, cookie: Cookie) -> usize {
        if let Some(known) = self.cookie_of_text.get(&cookie.text) {
            return *known;
        }
        let index = self.cookies.len();
        self.cookie_of_text.insert(cookie.text.clone(), index);
        self.cookies.push(cookie);
        index
    }

    /// The cookies that led to this one by rotations.
    pub fn ancestors(&self, cookie: usize) -> Vec<usize> {
        let parent = |cookie: usize| self.cookies[cookie].parent.filter(|_| !self.cookies[cookie].is_cut);
        core::iter::successors(parent(cookie), |earlier| parent(*earlier)).collect()
    }

    /// A log-in is to become a session.
    pub fn starts(&mut self, request: usize, id: SessionId, subject: &str) {
        if self.lineages.contains_key(&id) {
            return;
        }
        let asked = &mut self.asked[request];
        asked.starts = Some(id);
        let (sent, forwarded) = (asked.sent, asked.forwarded.unwrap_or(asked.sent));
        let is_killed = |entry: &&Published| {
            entry.committed > forwarded
                && !entry.is_repeated
                && (entry.kind == "site" || (entry.kind == "subject" && entry.target == subject))
                && self.kills.get(&entry.id).is_none_or(|kill| kill.kept != Some(id) && Self::reaches(kill, id))
        };
        let killed = self.published.iter().filter(is_killed).map(|entry| entry.at).min();
        let is_doomed = self.dooms.iter().any(|doom| {
            sent <= doom.until && doom.subject.as_ref().is_none_or(|of| of == subject) && doom.kept != Some(id)
        });
        let lineage = Lineage {
            name: format!("s{}", self.lineages.len()),
            subject: subject.to_owned(),
            forwarded,
            committed: None,
            killed,
            refused: None,
            quiet: None,
            is_doomed,
            used: sent,
            renewals: 0,
            has_renewal_failed: false,
            expiries: Vec::new(),
            versions: Vec::new(),
            told: Vec::new(),
        };
        self.lineages.insert(id, lineage);
    }

    /// From now on nothing is expected of what a kill may end.
    pub fn doom(&mut self, subject: Option<&str>, kept: Option<SessionId>) -> usize {
        for (id, lineage) in &mut self.lineages {
            lineage.is_doomed |= subject.is_none_or(|of| of == lineage.subject) && kept != Some(*id);
        }
        self.dooms.push(Doom { subject: subject.map(str::to_owned), kept, until: Micros::MAX });
        self.dooms.len() - 1
    }

    /// Its answer has come: what of it is still on its way arrives soon.
    pub fn doom_settles(&mut self, doom: usize, now: Micros) {
        self.dooms[doom].until = now + 15 * SECOND;
    }

    /// A kill that was asked for before a row came into use, or after it was
    /// taken out, ends nothing there; nobody was told that it did.
    pub fn reaches(kill: &Kill, id: SessionId) -> bool {
        kill.rows.contains(&id.locator().generation)
    }

    /// Whether a kill ends a lineage that began before it was asked for.
    pub fn covers(kill: &Kill, id: SessionId, lineage: &Lineage) -> bool {
        let is_meant = match &kill.scope {
            Scope::Session(target) => *target == id,
            Scope::Subject(subject) => *subject == lineage.subject && lineage.forwarded < kill.asked,
            Scope::Site => lineage.forwarded < kill.asked,
        };
        is_meant && kill.kept != Some(id)
    }

    /// A kill was answered: whatever the state, each shard concerned refuses,
    /// but that a kill of the site goes from one to the next.
    pub fn acknowledged(&mut self, id: KillId, state: &str, now: Micros) {
        let Some(kill) = self.kills.get(&id) else { return };
        if kill.scope == Scope::Site && state == "committed" {
            return;
        }
        for (_, lineage) in self.lineages.iter_mut().filter(|(id, lineage)| Self::covers(kill, **id, lineage)) {
            lineage.refused.get_or_insert(now);
            if state == "quiesced" {
                lineage.quiet.get_or_insert(now);
            }
        }
    }
}
