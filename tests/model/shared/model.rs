//! What a shard promises, in plain data: no SQL, no generations, no flags. A
//! session that ends is taken out of a list, and what an old secret is good
//! for is worked out anew from what has happened to its session.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::lineage::{How, Lineage};
use super::warifu;
use warifu::session::{KillId, Salt, Served, Session, SessionId, Subject};
use warifu::store::message::{
    EndCall, EndOthersCall, Found, Key, Kill, KillScope, ListCall, Placed, RenewCall, RotateCall, Rotated, ShardAnswer,
    ShardCall, StartCall, UpdateCall, Which,
};
use warifu::time::UnixMillis;

#[derive(Default)]
pub struct Model {
    sessions: Vec<Lineage>,
    moved: BTreeSet<Subject>,
    kills: BTreeMap<KillId, (KillScope, UnixMillis)>,
    generation: u64,
}

/// What a secret is, and where.
struct Place {
    lineage: usize,
    secret: usize,
    is_served: bool,
    is_replay: bool,
    salt: Option<Salt>,
}

impl Model {
    /// The answer that a call must have; `None`: either is right.
    pub fn answer(&mut self, call: &ShardCall, now: UnixMillis) -> Option<ShardAnswer> {
        // What has expired is as if it were not there.
        self.sessions.retain(|lineage| lineage.session.is_live(now));
        Some(match call {
            ShardCall::Probe => ShardAnswer::Alive,
            ShardCall::Check { key, end_on_replay } => self.check(key, *end_on_replay, now),
            ShardCall::Start(start) => self.start(start, now),
            ShardCall::Rotate(rotate) => ShardAnswer::Rotated { rotated: self.rotate(rotate, now) },
            ShardCall::Update(update) => self.update(update, now),
            ShardCall::Renew(renew) => self.renew(renew, now),
            ShardCall::End(end) => self.end(end, now),
            ShardCall::EndOthers(others) => self.end_others(others, now),
            ShardCall::EndAll { subject, kill, .. } => {
                let live = self.remove(|session| session.subject == *subject);
                self.generation += 1;
                if let Some(kill) = kill {
                    self.note(*kill, KillScope::Subject, now);
                }
                ShardAnswer::EndedAll { live, generation: self.generation }
            }
            ShardCall::List(list) => self.list(list),
            ShardCall::Show { id } => {
                let found = self.sessions.iter().find(|lineage| lineage.session.id == *id);
                ShardAnswer::Shown { session: found.map(|lineage| lineage.session.clone()) }
            }
            ShardCall::Leave { subject, keep, kill } => {
                self.moved.insert(subject.clone());
                let oldest = self.oldest_of(subject);
                let excess = keep.map_or(0, |keep| oldest.len().saturating_sub(keep as usize));
                self.end_each(&oldest[..excess], *kill, now);
                ShardAnswer::Left { live: u32::try_from(oldest.len() - excess).expect("few") }
            }
            ShardCall::Receipt { kill } => match self.kills.get(kill) {
                Some((_, committed)) if now.since(*committed) >= RECEIPTS_KEPT => return None,
                found => {
                    let kill = found.map(|(scope, committed)| Kill { id: *kill, scope: *scope, committed: *committed });
                    ShardAnswer::Receipt { kill }
                }
            },
        })
    }

    fn place(&self, key: &Key, now: UnixMillis) -> Option<Place> {
        self.sessions.iter().enumerate().find_map(|(lineage, found)| {
            let secret = found.secrets.iter().position(|secret| secret.key == *key)?;
            let (is_served, is_replay) =
                found.end_of_grace(secret).map_or((true, false), |(end, replay)| (now < end, now >= replay));
            let salt = found.salt(secret).filter(|_| is_served);
            Some(Place { lineage, secret, is_served, is_replay, salt })
        })
    }

    fn served(&self, key: &Key, now: UnixMillis) -> Option<Place> {
        self.place(key, now).filter(|place| place.is_served)
    }

    fn is_newest(&self, place: &Place) -> bool {
        place.secret + 1 == self.sessions[place.lineage].secrets.len()
    }

    /// Whether the secret is its session's newest.
    pub fn opens_as_newest(&self, key: &Key, now: UnixMillis) -> bool {
        self.served(key, now).is_some_and(|place| self.is_newest(&place))
    }

    fn check(&mut self, key: &Key, end_on_replay: Option<KillId>, now: UnixMillis) -> ShardAnswer {
        let none = ShardAnswer::Checked { found: None, replayed: None, ended: false };
        let Some(place) = self.place(key, now) else { return none };
        let is_newest = self.is_newest(&place);
        let lineage = &mut self.sessions[place.lineage];
        let id = lineage.session.id;
        if place.is_replay {
            if let Some(kill) = end_on_replay {
                self.end_each(&[id], kill, now);
            }
            return ShardAnswer::Checked { found: None, replayed: Some(id), ended: end_on_replay.is_some() };
        }
        if !place.is_served {
            return none;
        }
        let served = if is_newest {
            lineage.use_newest(now);
            Served::Current
        } else {
            Served::InGrace { salt: place.salt }
        };
        let session = lineage.seen_with(place.secret);
        ShardAnswer::Checked { found: Some(Found { session, served }), replayed: None, ended: false }
    }

    fn start(&mut self, start: &StartCall, now: UnixMillis) -> ShardAnswer {
        if self.moved.contains(&start.subject) {
            return ShardAnswer::Moved;
        }
        let mut staying = self.oldest_of(&start.subject);
        let (mut replaced, mut ended_others) = (None, 0);
        if start.end_others {
            ended_others = u32::try_from(staying.len()).expect("few");
            staying.clear();
        } else if let Some(place) = start.presented.and_then(|key| self.served(&key, now)) {
            let id = self.sessions[place.lineage].session.id;
            replaced = staying.contains(&id).then_some(id);
            staying.retain(|other| Some(*other) != replaced);
        }
        let mut evicted = Vec::new();
        if let Some(limit) = start.limit {
            let all = u32::try_from(staying.len()).expect("few") + limit.elsewhere + 1;
            let excess = all.saturating_sub(limit.max);
            match (excess, limit.end_oldest, limit.elsewhere) {
                (0, ..) => {}
                (_, false, _) => return ShardAnswer::LimitReached,
                (_, true, 0) => evicted = staying[..staying.len().min(excess as usize)].to_vec(),
                (_, true, elsewhere) => return ShardAnswer::MakeRoom { excess: excess.min(elsewhere) },
            }
        }
        if start.end_others {
            self.remove(|session| session.subject == start.subject);
            self.generation += 1;
            self.note(start.kill, KillScope::Subject, now);
        }
        let gone: Vec<SessionId> = replaced.iter().chain(&evicted).copied().collect();
        self.end_each(&gone, start.kill, now);
        let absolute_expires = now.plus(Duration::from_millis(start.lifetime_ms));
        let session = Session {
            id: start.id,
            subject: start.subject.clone(),
            level: start.level,
            auth_time: now,
            created: now,
            last_seen: now,
            idle_expires: now.plus(Duration::from_millis(start.idle_ms * 11 / 10)).min(absolute_expires),
            absolute_expires,
            claims: start.claims.clone(),
            device: start.device.clone(),
            generation: self.generation,
        };
        self.sessions.push(Lineage::new(session.clone(), start.key));
        ShardAnswer::Started { session, replaced, evicted, ended_others }
    }

    fn rotate(&mut self, call: &RotateCall, now: UnixMillis) -> Option<Rotated> {
        let place = self.served(&call.presented, now)?;
        let is_newest = self.is_newest(&place);
        let lineage = &mut self.sessions[place.lineage];
        let mut session = lineage.seen_with(place.secret);
        let grace = Some(Duration::from_millis(call.grace_ms));
        Some(match (call.level, call.salt) {
            (Some(level), _) => {
                let before = How::Raised(lineage.session.level, lineage.session.auth_time);
                lineage.append(call.successor, grace, now, before);
                (session.level, session.auth_time) = (level, now);
                lineage.session = session.clone();
                Rotated { session, is_new: true, salt: None }
            }
            (None, Some(salt)) if is_newest => {
                lineage.append(call.successor, grace, now, How::Derived(salt));
                Rotated { session, is_new: true, salt: Some(salt) }
            }
            (None, _) => Rotated { session, is_new: false, salt: place.salt },
        })
    }

    fn update(&mut self, call: &UpdateCall, now: UnixMillis) -> ShardAnswer {
        let Some((lineage, secret)) = self.which(&call.of, now) else {
            return ShardAnswer::Updated { session: None };
        };
        let lineage = &mut self.sessions[lineage];
        let secret = secret.unwrap_or(lineage.secrets.len() - 1);
        if call.level.is_some_and(|level| level > lineage.seen_with(secret).level) {
            return ShardAnswer::NeedsRotation;
        }
        lineage.session.level = call.level.unwrap_or(lineage.session.level);
        lineage.session.claims = call.claims.clone().or_else(|| lineage.session.claims.clone());
        ShardAnswer::Updated { session: Some(lineage.seen_with(secret)) }
    }

    fn renew(&mut self, call: &RenewCall, now: UnixMillis) -> ShardAnswer {
        if let Some(place) = self.served(&call.key, now) {
            let session = &mut self.sessions[place.lineage].session;
            if now.0 - session.last_seen.0 >= call.idle_ms / 10 {
                let expires = UnixMillis(now.0 + call.idle_ms * 11 / 10).min(session.absolute_expires);
                session.idle_expires = session.idle_expires.max(expires);
                session.last_seen = now;
                session.device.last_prefix = call.prefix.clone().or_else(|| session.device.last_prefix.clone());
            }
        }
        ShardAnswer::Renewed
    }

    fn end(&mut self, call: &EndCall, now: UnixMillis) -> ShardAnswer {
        let found = self.which(&call.of, now).map(|(lineage, _)| &self.sessions[lineage].session);
        let found = found.filter(|session| call.only.as_ref().is_none_or(|only| *only == session.subject));
        let Some(session) = found.cloned() else { return ShardAnswer::Ended { session: None } };
        self.end_each(&[session.id], call.kill, now);
        ShardAnswer::Ended { session: Some(Placed { id: session.id, subject: Some(session.subject) }) }
    }

    fn end_others(&mut self, call: &EndOthersCall, now: UnixMillis) -> ShardAnswer {
        let Some(place) = self.served(&call.presented, now) else {
            return ShardAnswer::EndedOthers { session: None, others: 0 };
        };
        self.generation += 1;
        let lineage = &mut self.sessions[place.lineage];
        let session = Session { generation: self.generation, ..lineage.seen_with(place.secret) };
        lineage.session = session.clone();
        let how = How::Cut(Duration::from_millis(call.grace_ms));
        lineage.append(call.successor, None, now, how);
        let others = self.remove(|other| other.subject == session.subject && other.id != session.id);
        self.note(call.kill, KillScope::Subject, now);
        ShardAnswer::EndedOthers { session: Some(session), others }
    }

    fn list(&self, call: &ListCall) -> ShardAnswer {
        let mut ids = self.oldest_of(&call.subject);
        ids.reverse();
        let session = |id: &SessionId| self.sessions.iter().map(|one| &one.session).find(|one| one.id == *id).cloned();
        let mut sessions: Vec<Session> = ids.iter().filter_map(session).collect();
        if let Some(mark) = call.after {
            sessions.retain(|one| (one.created, one.id) < (mark.created, mark.id));
        }
        let more = sessions.len() > call.limit as usize;
        sessions.truncate(call.limit as usize);
        ShardAnswer::Sessions { sessions, more }
    }

    /// The session that is meant, and with which secret.
    fn which(&self, of: &Which, now: UnixMillis) -> Option<(usize, Option<usize>)> {
        match of {
            Which::Key(key) => self.served(key, now).map(|place| (place.lineage, Some(place.secret))),
            Which::Id(id) => self.sessions.iter().position(|one| one.session.id == *id).map(|lineage| (lineage, None)),
        }
    }

    fn oldest_of(&self, subject: &Subject) -> Vec<SessionId> {
        let theirs = self.sessions.iter().map(|one| &one.session).filter(|one| one.subject == *subject);
        let mut theirs: Vec<_> = theirs.map(|one| (one.created, one.id)).collect();
        theirs.sort_unstable();
        theirs.into_iter().map(|(_, id)| id).collect()
    }

    fn remove(&mut self, is_meant: impl Fn(&Session) -> bool) -> u32 {
        let before = self.sessions.len();
        self.sessions.retain(|lineage| !is_meant(&lineage.session));
        u32::try_from(before - self.sessions.len()).expect("few")
    }

    fn end_each(&mut self, ids: &[SessionId], kill: KillId, now: UnixMillis) {
        self.remove(|session| ids.contains(&session.id));
        for number in 0..ids.len() {
            self.note(kill.nth(u32::try_from(number).expect("few")), KillScope::Session, now);
        }
    }

    fn note(&mut self, kill: KillId, scope: KillScope, now: UnixMillis) {
        self.kills.entry(kill).or_insert((scope, now));
    }

    /// How many sessions, secrets and salts there have to be in the store once
    /// it is swept.
    pub fn rows(&mut self, now: UnixMillis) -> [u64; 3] {
        self.sessions.retain(|lineage| lineage.session.is_live(now));
        let keys: Vec<Key> = self.sessions.iter().flat_map(|one| one.secrets.iter().map(|one| one.key)).collect();
        let salts = keys.iter().filter(|key| self.place(key, now).is_some_and(|place| place.salt.is_some()));
        [self.sessions.len(), keys.len(), salts.count()].map(|count| count as u64)
    }
}

const RECEIPTS_KEPT: Duration = Duration::from_hours(24);
