//! What a shard promises, in plain data: no SQL, no generations, no flags. A
//! session that ends is taken out of a list, and what an old secret is good
//! for is worked out anew from what has happened to its session.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::calls::EPOCH;
use super::lineage::{How, Lineage};
use super::warifu;
use warifu::session::{KillId, Salt, Served, Session, SessionId, Subject};
use warifu::store::message::{
    EndCall, EndOthersCall, Found, Key, Kill, KillScope, ListCall, Placed, Published, RenewCall, RotateCall, Rotated,
    ShardAnswer, ShardCall, StartCall, UpdateCall, Which,
};
use warifu::time::UnixMillis;

#[derive(Default)]
pub struct Model {
    sessions: Vec<Lineage>,
    moved: BTreeSet<Subject>,
    /// Ended with the site, and not swept: such sessions leave as they expire.
    buried: Vec<Lineage>,
    kills: BTreeMap<KillId, (KillScope, UnixMillis)>,
    /// Kills of which the feed stands.
    published: BTreeSet<KillId>,
    /// The last end of all of a subject, or of the site.
    ended: BTreeMap<Option<Subject>, (KillId, UnixMillis)>,
    generation: u64,
    /// Whether a start has come whose edge had asked the feed.
    is_announced: bool,
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
            ShardCall::EndAll(all) => {
                let live = self.end_all_of(&all.subject, all.kill, now);
                let kill = all.lead.is_some().then(|| self.note(all.kill, KillScope::Subject, now));
                ShardAnswer::EndedAll { live, generation: self.generation, kill, earlier: None }
            }
            ShardCall::EndSite { kill } => {
                self.generation += 1;
                self.buried.append(&mut self.sessions);
                self.ended.insert(None, (*kill, now));
                ShardAnswer::EndedSite { generation: self.generation }
            }
            ShardCall::Stands { kill, .. } => {
                // It is remembered from then on.
                if self.published.insert(*kill)
                    && let Some((_, learnt)) = self.ended.get_mut(&None).filter(|(last, _)| last == kill)
                {
                    *learnt = now;
                }
                ShardAnswer::Noted
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
                let live = u32::try_from(oldest.len() - excess).expect("few");
                ShardAnswer::Left { live, ended: (excess > 0).then(|| oldest[..excess].to_vec()) }
            }
            // What is held is not modelled; tests/store/held.rs has it; nor what moves in.
            ShardCall::Hold(_)
            | ShardCall::Audit(_)
            | ShardCall::Claim(_)
            | ShardCall::Settle(_)
            | ShardCall::Close { .. }
            | ShardCall::IsClosed { .. } => return None,
            ShardCall::Receipt { kill } => match self.kills.get(kill) {
                Some((_, committed)) if now.since(*committed) >= RECEIPTS_KEPT => return None,
                found => ShardAnswer::Receipt { kill: found.map(|_| self.receipt(*kill)) },
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
        let none = |is_final| ShardAnswer::Checked { found: None, replayed: None, ended: false, is_final };
        let Some(place) = self.place(key, now) else { return none(true) };
        let is_newest = self.is_newest(&place);
        let lineage = &mut self.sessions[place.lineage];
        let id = lineage.session.id;
        if place.is_replay {
            if let Some(kill) = end_on_replay {
                self.end_each(&[id], kill, now);
            }
            return ShardAnswer::Checked {
                found: None,
                replayed: Some(id),
                ended: end_on_replay.is_some(),
                is_final: true,
            };
        }
        if !place.is_served {
            return none(false);
        }
        let served = if is_newest {
            lineage.use_newest(now);
            Served::Current
        } else {
            Served::InGrace { salt: place.salt }
        };
        let session = lineage.seen_with(place.secret);
        ShardAnswer::Checked { found: Some(Found { session, served }), replayed: None, ended: false, is_final: false }
    }

    fn start(&mut self, start: &StartCall, now: UnixMillis) -> ShardAnswer {
        if self.moved.contains(&start.subject) {
            return ShardAnswer::Moved;
        }
        self.is_announced |= start.since.is_some();
        if !self.is_announced {
            return ShardAnswer::Unannounced;
        }
        if self.ended_since(start, now) {
            return ShardAnswer::KilledMeanwhile;
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
            self.end_all_of(&start.subject, start.lead.kill, now);
            self.note(start.lead.kill, KillScope::Subject, now);
        }
        let gone: Vec<SessionId> = replaced.iter().chain(&evicted).copied().collect();
        self.end_each(&gone, start.lead.kill, now);
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
            held: None,
        };
        self.sessions.push(Lineage::new(session.clone(), start.key));
        let kill = start.end_others.then(|| self.receipt(start.lead.kill));
        ShardAnswer::Started { session, replaced, evicted, ended_others, kill }
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
                lineage.append(call.successor, grace, before);
                (session.level, session.auth_time) = (level, now);
                lineage.session = session.clone();
                Rotated { session, is_new: true, salt: None }
            }
            (None, Some(salt)) if is_newest => {
                lineage.append(call.successor, grace, How::Derived(salt));
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
        let Some(place) = self.served(&call.key, now) else {
            return ShardAnswer::Renewed { found: None, is_written: false };
        };
        let is_newest = self.is_newest(&place);
        let lineage = &mut self.sessions[place.lineage];
        if is_newest {
            lineage.use_newest(now);
        }
        let session = &mut lineage.session;
        let expires = UnixMillis(now.0 + call.idle_ms * 11 / 10).min(session.absolute_expires);
        let gains = expires.0.saturating_sub(session.idle_expires.0);
        let is_written = (now.0 - session.last_seen.0).max(gains) >= call.idle_ms / 10;
        if is_written {
            session.idle_expires = session.idle_expires.max(expires);
            session.last_seen = now;
            session.device.last_prefix = call.prefix.clone().or_else(|| session.device.last_prefix.clone());
        }
        let served = if is_newest { Served::Current } else { Served::InGrace { salt: place.salt } };
        ShardAnswer::Renewed { found: Some(Found { session: lineage.seen_with(place.secret), served }), is_written }
    }

    fn end(&mut self, call: &EndCall, now: UnixMillis) -> ShardAnswer {
        let found = self.which(&call.of, now).map(|(lineage, _)| &self.sessions[lineage].session);
        let found = found.filter(|session| call.only.as_ref().is_none_or(|only| *only == session.subject));
        let Some(session) = found.cloned() else { return ShardAnswer::Ended { session: None, earlier: None } };
        self.end_each(&[session.id], call.kill, now);
        let kill = self.receipt(call.kill);
        let placed = Placed { id: session.id, subject: Some(session.subject), kill };
        ShardAnswer::Ended { session: Some(placed), earlier: None }
    }

    fn end_others(&mut self, call: &EndOthersCall, now: UnixMillis) -> ShardAnswer {
        let Some(place) = self.served(&call.presented, now) else {
            return ShardAnswer::EndedOthers { session: None, others: 0, kill: None };
        };
        let mut kept = self.sessions.remove(place.lineage);
        let others = self.end_all_of(&kept.session.subject, call.lead.kill, now);
        let session = Session { generation: self.generation, ..kept.seen_with(place.secret) };
        kept.session = session.clone();
        kept.append(call.successor, None, How::Cut(now, now.plus(Duration::from_millis(call.grace_ms))));
        self.sessions.push(kept);
        let kill = Some(self.note(call.lead.kill, KillScope::Subject, now));
        ShardAnswer::EndedOthers { session: Some(session), others, kill }
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

    /// How many there were.
    fn end_all_of(&mut self, subject: &Subject, kill: KillId, now: UnixMillis) -> u32 {
        self.generation += 1;
        self.ended.insert(Some(subject.clone()), (kill, now));
        self.buried.retain(|lineage| lineage.session.subject != *subject);
        self.remove(|session| session.subject == *subject)
    }

    fn note(&mut self, kill: KillId, scope: KillScope, now: UnixMillis) -> Kill {
        self.kills.entry(kill).or_insert((scope, now));
        self.receipt(kill)
    }

    fn receipt(&self, id: KillId) -> Kill {
        let (scope, committed) = self.kills[&id];
        Kill {
            id,
            scope,
            committed,
            published: self.published.contains(&id).then_some(PUBLISHED),
            is_partial: false,
            progress: None,
        }
    }

    /// Whether the start may have been on its way when all of its subject, or
    /// of the site, was ended. Its edge knows all that the feed has, or nothing.
    fn ended_since(&self, start: &StartCall, now: UnixMillis) -> bool {
        [Some(start.subject.clone()), None].iter().any(|of| {
            let Some((kill, at)) = self.ended.get(of) else { return false };
            let is_late = now.since(*at) < REMEMBERED;
            match (self.published.contains(kill), start.since) {
                (true, Some(_)) => false,
                (false, _) if of.is_none() => true,
                _ => is_late,
            }
        })
    }

    /// The feed has taken all that was to be said.
    pub fn publish(&mut self, now: UnixMillis) {
        self.published.extend(self.kills.keys());
        self.sessions.iter_mut().chain(&mut self.buried).for_each(|lineage| lineage.tell(now));
    }

    /// How many sessions, secrets and salts there have to be in the store once
    /// it is swept.
    pub fn rows(&mut self, now: UnixMillis) -> [u64; 3] {
        self.sessions.retain(|lineage| lineage.session.is_live(now));
        self.buried.retain(|lineage| lineage.session.is_live(now));
        let kept = || self.sessions.iter().chain(&self.buried);
        let secrets = kept().map(|lineage| lineage.secrets.len()).sum();
        let salts = kept().map(|lineage| lineage.salts(now)).sum();
        [kept().count(), secrets, salts].map(|count| count as u64)
    }
}

/// Where a kill stands in the feed is not the model's to know.
pub const PUBLISHED: Published =
    Published { epoch: EPOCH, seq: 0, accepted: UnixMillis(0), bound_ms: 0, quiesced_in_ms: 0 };

const RECEIPTS_KEPT: Duration = Duration::from_hours(24);
/// How long an end of all is held against starts that may be older.
const REMEMBERED: Duration = Duration::from_mins(2);
