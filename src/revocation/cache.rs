//! Verdicts that an isolate keeps: bounded in number and in bytes, and holding
//! nothing secret, since a session key is the hash of a secret.
//!
//! Fails towards asking: what is not here, or has been evicted, is asked of
//! the store.

use core::hash::BuildHasherDefault;
use core::time::Duration;
use std::rc::Rc;

use lru::LruCache;

use super::{CONFIRMED_MAX, Position, Window};
use crate::mutants::{self, Mutant};
use crate::session::{RENEWALS_PER_IDLE_TIMEOUT, Session};
use crate::time::UnixMillis;
use crate::token::SessionKey;

/// A yes of the session object, and what it is worth.
struct Verdict {
    session: Rc<Session>,
    /// Where the window stood before the question was asked.
    position: Position,
    /// When the question was sent.
    asked: UnixMillis,
    /// How long it counts without being confirmed anew; `None`: as the
    /// configuration has it for what a session object has said.
    reach: Option<Duration>,
    /// When a renewal was last sent for it.
    renewed: UnixMillis,
    bytes: usize,
}

/// The cache of one isolate: it lives as long as the isolate's configuration,
/// so the configuration's epoch is part of no key.
pub struct Verdicts {
    kept: LruCache<SessionKey, Verdict, BuildHasherDefault<KeyHasher>>,
    bytes: usize,
    /// How many had to make room.
    evicted: u64,
    /// Keys that opened no session, and when that was.
    dead: LruCache<SessionKey, UnixMillis, BuildHasherDefault<KeyHasher>>,
}

impl Default for Verdicts {
    fn default() -> Self {
        Self {
            kept: LruCache::unbounded_with_hasher(BuildHasherDefault::default()),
            bytes: 0,
            evicted: 0,
            dead: LruCache::unbounded_with_hasher(BuildHasherDefault::default()),
        }
    }
}

impl Verdicts {
    /// The session under a key, if the verdict on it still counts: the window
    /// knows nothing against it, it was confirmed not long ago, and the session
    /// has not expired. With it the time up to which nothing can have been missed that
    /// concerns it, which is no longer ago than the bound: of the newest poll, or of the
    /// question itself, whose answer is as good a proof.
    pub fn look(
        &mut self,
        key: &SessionKey,
        window: &Window,
        now: UnixMillis,
        bound: Duration,
        idle_timeout: Duration,
    ) -> Option<(Rc<Session>, UnixMillis)> {
        let Verdict { reach, asked, .. } = *self.kept.peek(key)?;
        // Of a record of KV somebody else has asked, with another clock.
        let proof = window.proof(Some(asked).filter(|_| reach.is_none()), now, bound)?;
        let at_most = reach.unwrap_or_else(|| CONFIRMED_MAX.min(idle_timeout / RENEWALS_PER_IDLE_TIMEOUT));
        Some((self.look_within(key, window, now, at_most)?, proof))
    }

    /// The same, where the verdict may be as old as `at_most`.
    pub fn look_within(
        &mut self,
        key: &SessionKey,
        window: &Window,
        now: UnixMillis,
        at_most: Duration,
    ) -> Option<Rc<Session>> {
        let verdict = self.kept.get_mut(key)?;
        // What was found in KV was asked for by somebody else, with another clock.
        let stands = match verdict.reach {
            None => window.lets_answer_stand(verdict.position, verdict.asked, &verdict.session),
            Some(_) => window.lets_stand(verdict.position, &verdict.session),
        };
        if !stands {
            self.forget(key);
            return None;
        }
        // Nothing up to here speaks against it, so that need not be looked for again.
        if let Some(position) = window.position() {
            verdict.position = position;
        }
        let counts = now >= verdict.asked && now.since(verdict.asked) <= at_most && verdict.session.is_live(now);
        counts.then(|| Rc::clone(&verdict.session))
    }

    /// Whether the key opened no session a moment ago. Fails towards asking
    /// again: a no is bounded in time, lest a mistaken one lasts.
    pub fn is_dead(&mut self, key: &SessionKey, now: UnixMillis) -> bool {
        let Some(at) = self.dead.get(key) else { return false };
        if now >= *at && (now.since(*at) <= DEAD_KEPT || mutants::is(Mutant::DeadForever)) {
            return true;
        }
        self.dead.pop(key);
        false
    }

    pub fn keep_dead(&mut self, key: SessionKey, now: UnixMillis) {
        self.forget(&key);
        self.dead.put(key, now);
        if self.dead.len() > DEAD_MAX {
            self.dead.pop_lru();
        }
    }

    /// Keeps a verdict, and evicts the ones that were not looked at for longest.
    pub fn keep(
        &mut self,
        key: SessionKey,
        session: Rc<Session>,
        position: Position,
        asked: UnixMillis,
    ) -> Rc<Session> {
        self.keep_for(key, session, position, asked, None)
    }

    /// The same, for what was found in KV, which counts for `reach`. Returns what is kept.
    pub fn keep_for(
        &mut self,
        key: SessionKey,
        session: Rc<Session>,
        position: Position,
        asked: UnixMillis,
        reach: Option<Duration>,
    ) -> Rc<Session> {
        let bytes = VERDICT_BYTES + weight(&session);
        if bytes > BYTES_MAX {
            return session;
        }
        let mut kept = session;
        if let Some(before) = self.kept.peek(&key) {
            // What has not changed stays what it is: precedents go by that.
            if before.session == kept {
                kept = Rc::clone(&before.session);
            }
            // An earlier question can be answered later.
            if before.reach.is_none() && reach.is_none() && before.asked > asked {
                return kept;
            }
        }
        self.forget(&key);
        self.bytes += bytes;
        let session = Rc::clone(&kept);
        self.kept.put(key, Verdict { session, position, asked, reach, renewed: UnixMillis(0), bytes });
        while self.bytes > BYTES_MAX || self.kept.len() > VERDICTS_MAX {
            let Some((_, evicted)) = self.kept.pop_lru() else { break };
            self.bytes -= evicted.bytes;
            self.evicted += 1;
        }
        kept
    }

    /// Whether a renewal is to be sent now: not for every request of the moment
    /// that one takes.
    pub fn may_renew(&mut self, key: &SessionKey, now: UnixMillis) -> bool {
        let Some(verdict) = self.kept.peek_mut(key) else { return true };
        let is_due = now.since(verdict.renewed) >= RENEWAL_PAUSE && !mutants::is(Mutant::NoRenewals);
        if is_due {
            verdict.renewed = now;
        }
        is_due
    }

    pub fn forget(&mut self, key: &SessionKey) {
        if let Some(verdict) = self.kept.pop(key) {
            self.bytes -= verdict.bytes;
        }
    }

    pub fn clear(&mut self) {
        self.kept.clear();
        self.bytes = 0;
        self.dead.clear();
    }

    pub fn len(&self) -> usize {
        self.kept.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn dead(&self) -> usize {
        self.dead.len()
    }

    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

/// What a session holds on the heap, about.
fn weight(session: &Session) -> usize {
    let device = &session.device;
    let texts = [&device.user_agent, &device.country, &device.city, &device.first_prefix, &device.last_prefix];
    session.subject.as_str().len()
        + session.claims.as_ref().map_or(0, |claims| claims.as_str().len())
        + texts.into_iter().flatten().map(String::len).sum::<usize>()
        + session.held.as_ref().map_or(0, |held| held.sealed.0.len())
}

/// Session keys are hashes already, and nobody can choose them: SHA-256 of a
/// secret that had a good MAC.
#[derive(Default)]
pub struct KeyHasher(u64);

impl core::hash::Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    /// The length of the array is part of what is hashed, and says nothing.
    fn write_usize(&mut self, _: usize) {}
}

/// The entry, the nodes of the list and the table, and the session itself.
const VERDICT_BYTES: usize = 400;
const BYTES_MAX: usize = 16 << 20;
const VERDICTS_MAX: usize = 20_000;

/// How long, and how many, keys are known to open nothing.
const DEAD_KEPT: Duration = Duration::from_secs(60);
const DEAD_MAX: usize = 10_000;

/// A renewal that was lost is sent again after this.
const RENEWAL_PAUSE: Duration = Duration::from_secs(5);
