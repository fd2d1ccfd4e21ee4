//! What one isolate remembers of one site: its window of the feed, the verdicts
//! of the session objects, and what it has under way.
//!
//! It lives as long as the isolate's configuration does, so neither the site nor
//! the configuration's version is part of a key. Nothing secret is in it.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::rc::Rc;

use super::{Applied, CLOCK_STILL_MAX, EntryKey, FeedAnswer, Position, UnderWay, Verdicts, Window};
use crate::limit::Buckets;
use crate::mutants::{self, Mutant};
use crate::replica::Record;
use crate::session::{Served, Session, SessionId, Subject};
use crate::tally::Tally;
use crate::time::UnixMillis;
use crate::token::SessionKey;

/// The memory of an isolate.
#[derive(Default)]
pub struct Memory {
    window: RefCell<Window>,
    verdicts: RefCell<Verdicts>,
    /// The latest time that the clock has shown.
    latest: Cell<Option<UnixMillis>>,
    /// How often the clock has stepped back: what was under way then is void.
    steps: Cell<u64>,
    /// When the last poll was sent.
    polled: Cell<Option<UnixMillis>>,
    /// When a session was last asked for.
    looked: Cell<Option<UnixMillis>>,
    /// When somebody was last let in without a question, and for how long at most something
    /// that the next poll tells of can have gone unnoticed then.
    relied: Cell<Option<(UnixMillis, Duration)>>,
    /// When a session object has last answered a probe.
    well: Cell<Option<UnixMillis>>,
    under_way: UnderWay,
    /// Sessions of the application's old kind that move in. Nobody else's places: the
    /// application can take its time.
    moving_in: UnderWay,
    /// Questions of log-ins to the feed.
    asking_feed: UnderWay,
    /// When it last gave no answer.
    unheard: Cell<Option<UnixMillis>>,
    tally: Tally,
    buckets: Buckets,
}

/// What an isolate holds in memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Holdings {
    /// Of the window.
    pub entries: usize,
    pub verdicts: usize,
    /// What the verdicts take, about.
    pub bytes: usize,
    /// Keys that are known to open nothing.
    pub dead: usize,
    /// Verdicts that had to make room, so far.
    pub evicted: u64,
}

/// What memory says of a session key.
pub enum Known {
    /// A verdict that counts, and the time up to which nothing that concerns it can have
    /// been missed.
    Live(Rc<Session>, UnixMillis),
    /// Dead a moment ago, and what is dead stays dead.
    Dead,
    /// Ask.
    Nothing,
}

/// A question to a session object, from before it was sent.
#[derive(Clone, Copy)]
pub struct Question {
    pub position: Option<Position>,
    asked: UnixMillis,
    steps: u64,
}

/// A poll, from before it was sent.
#[derive(Clone, Copy)]
pub struct SentPoll {
    pub since: Option<Position>,
    sent: UnixMillis,
    steps: u64,
}

impl Memory {
    /// To be told of every reading of the clock before anything else is asked.
    /// A step back voids the window's freshness, the verdicts, and every poll
    /// and question under way.
    pub fn observe(&self, now: UnixMillis) {
        if self.latest.replace(Some(now)).is_some_and(|latest| now < latest) {
            self.steps.set(self.steps.get() + 1);
            self.window.borrow_mut().clock_stepped(now);
            self.verdicts.borrow_mut().clear();
            self.polled.set(None);
            self.looked.set(None);
            self.relied.set(None);
            self.well.set(None);
            self.under_way.clear();
            self.moving_in.clear();
            self.asking_feed.clear();
            self.unheard.set(None);
        }
    }

    /// How often the clock has stepped back, as far as anybody has seen: spans
    /// of time from before are void.
    pub fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// What is known of a key without asking anybody.
    pub fn look(&self, key: &SessionKey, now: UnixMillis, bound: Duration, idle_timeout: Duration) -> Known {
        let (window, mut verdicts) = (self.window.borrow(), self.verdicts.borrow_mut());
        if verdicts.is_dead(key, now) {
            return Known::Dead;
        }
        match verdicts.look(key, &window, now, bound, idle_timeout) {
            Some((session, proof)) => {
                self.rely(now, proof);
                Known::Live(session, proof)
            }
            None => Known::Nothing,
        }
    }

    /// Somebody is let in without a question, by what was known at `proof`.
    fn rely(&self, now: UnixMillis, proof: UnixMillis) {
        let so_far = self.relied.get().map_or(Duration::ZERO, |(_, unaware)| unaware);
        self.relied.set(Some((now, so_far.max(now.since(proof)))));
    }

    /// The last verdict on a key, where nobody can be asked and the route wants
    /// to go on: nothing that has been received says otherwise, and the proofs
    /// are not older than `at_most`.
    pub fn look_in_outage(&self, key: &SessionKey, now: UnixMillis, at_most: Duration) -> Option<Rc<Session>> {
        let window = self.window.borrow();
        if !window.is_fresh(now, at_most) {
            return None;
        }
        let found = self.verdicts.borrow_mut().look_within(key, &window, now, at_most);
        if let Some(proof) = window.proof(None, now, at_most).filter(|_| found.is_some()) {
            self.rely(now, proof);
        }
        found
    }

    /// How far the window is, and how old the proof of it.
    pub fn position(&self) -> Option<Position> {
        self.window.borrow().position()
    }

    pub fn window_age(&self, now: UnixMillis) -> Option<Duration> {
        self.window.borrow().age(now)
    }

    /// The record for KV of a verdict that a session object has just given.
    pub fn record(&self, question: &Question, session: &Session) -> Option<Record> {
        Some(Record::new(question.position?, question.asked, session.clone()))
    }

    /// Before a question is sent: how far the window is now.
    pub fn question(&self, now: UnixMillis) -> Question {
        // A change that this isolate makes later must not seem to have come before.
        self.observe(now);
        Question { position: self.position(), asked: now, steps: self.steps.get() }
    }

    /// Whether the answer came soon enough to be worth something at `now`, which the
    /// clock may have shown for a while.
    pub fn is_timely(&self, question: &Question, now: UnixMillis, within: Duration) -> bool {
        (question.steps == self.steps.get() || mutants::is(Mutant::StepUnnoticed))
            && (now.since(question.asked) <= within.saturating_sub(CLOCK_STILL_MAX) || mutants::is(Mutant::NoAgeLimit))
    }

    /// Whether an answer to a question that was asked with the window there would count, if it
    /// came now.
    pub fn would_count(&self, position: Position, now: UnixMillis, bound: Duration) -> bool {
        let window = self.window.borrow();
        window.reaches(position) && window.proof(Some(now), now, bound).is_some()
    }

    /// Keeps what a session object has said, and returns it; what was kept, where that is the
    /// same. An old secret's yes is never kept: the first use of its successor ends it without
    /// a word to the edges.
    pub fn keep(&self, question: &Question, key: SessionKey, session: Rc<Session>, served: Served) -> Rc<Session> {
        if question.steps != self.steps.get() && !mutants::is(Mutant::StepUnnoticed) {
            return session;
        }
        let mut verdicts = self.verdicts.borrow_mut();
        if served != Served::Current && !mutants::is(Mutant::OldSecretCached) {
            verdicts.forget(&key);
            return session;
        }
        let position = if mutants::is(Mutant::PositionNotedLate) { self.position() } else { question.position };
        // Without a window it proves nothing, and says nothing against what is kept.
        match position {
            Some(position) => verdicts.keep(key, session, position, question.asked),
            None => session,
        }
    }

    /// Takes a record of KV in, if this isolate holds every entry of the feed
    /// since, the window is fresh, and nothing speaks against it.
    pub fn take_record(
        &self,
        key: SessionKey,
        record: Record,
        now: UnixMillis,
        bound: Duration,
        horizon: Duration,
    ) -> Option<Rc<Session>> {
        let mut record = record;
        if let Some(position) = self.position().filter(|_| mutants::is(Mutant::RecordWithoutPosition)) {
            record.position = position;
        }
        let window = self.window.borrow();
        let counts = record.is_recent(now, horizon)
            && window.is_fresh(now, bound)
            && window.lets_stand(record.position, &record.session)
            && record.session.is_live(now);
        if !counts {
            return None;
        }
        let asked = record.confirmed.min(now);
        let kept = Rc::new(record.session);
        let session = self.verdicts.borrow_mut().keep_for(key, kept, record.position, asked, Some(horizon));
        if let Some(proof) = window.proof(None, now, bound) {
            self.rely(now, proof);
        }
        Some(session)
    }

    /// Whether a key opened nothing a moment ago, and what is dead stays dead.
    pub fn is_dead(&self, key: &SessionKey, now: UnixMillis) -> bool {
        self.verdicts.borrow_mut().is_dead(key, now)
    }

    /// Keeps that a key opens nothing.
    pub fn keep_dead(&self, question: &Question, key: SessionKey, now: UnixMillis) {
        if question.steps == self.steps.get() {
            self.verdicts.borrow_mut().keep_dead(key, now);
        }
    }

    /// Whether a renewal of it is to be sent, which is not asked for every
    /// request of the moment that one takes.
    pub fn may_renew(&self, key: &SessionKey, now: UnixMillis) -> bool {
        self.verdicts.borrow_mut().may_renew(key, now)
    }

    /// This isolate has had something changed or ended: it goes by that at
    /// once, before the feed tells it.
    pub fn changed(&self, what: &EntryKey) {
        let now = self.latest.get().unwrap_or(UnixMillis(0));
        self.window.borrow_mut().mark(what, now);
    }

    pub fn changed_session(&self, id: SessionId) {
        self.changed(&EntryKey::Refresh(id));
    }

    pub fn changed_subject(&self, subject: &Subject) {
        self.changed(&EntryKey::Subject(subject.clone()));
    }

    /// Whether the feed is to be polled now, in the background: the window is
    /// older than half the bound, the last poll was sent as long ago, and
    /// requests come often enough to gain by it. With fewer, they ask.
    pub fn wants_poll(&self, now: UnixMillis, bound: Duration) -> bool {
        let wants = self.is_poll_wanted(now, bound);
        self.looked(now);
        wants
    }

    /// The same, for who does not look for a session yet.
    pub fn is_poll_wanted(&self, now: UnixMillis, bound: Duration) -> bool {
        self.looked.get().is_some_and(|looked| now.since(looked) <= bound / 2) && self.is_poll_due(now, bound)
    }

    /// A session is looked for.
    pub fn looked(&self, now: UnixMillis) {
        self.looked.set(Some(now));
    }

    /// The same for connections that stay open, which look all the time.
    pub fn is_poll_due(&self, now: UnixMillis, bound: Duration) -> bool {
        let rested = self.polled.get().is_none_or(|polled| now.since(polled) > bound / 2)
            && !(mutants::is(Mutant::PollsStop) && self.polled.get().is_some());
        rested && self.window_age(now).is_none_or(|age| age > bound / 2)
    }

    /// Before a poll is sent.
    pub fn poll(&self, now: UnixMillis) -> SentPoll {
        self.tally.polls.add();
        self.polled.set(Some(now));
        SentPoll { since: self.position(), sent: now, steps: self.steps.get() }
    }

    /// It was not sent, and only this caller cannot: whoever comes next may poll at once. So many
    /// fail in vain as callers are used up, and those go.
    pub fn not_polled(&self, poll: &SentPoll) {
        if self.polled.get() == Some(poll.sent) && !mutants::is(Mutant::PollTakenInVain) {
            self.polled.set(None);
        }
    }

    /// Takes the feed's answer in. Returns whether it was one that the feed can
    /// give.
    pub fn polled(&self, poll: &SentPoll, answer: FeedAnswer) -> bool {
        self.unheard.set(None);
        if poll.steps != self.steps.get() && !mutants::is(Mutant::StepUnnoticed) {
            return true;
        }
        let sent = if mutants::is(Mutant::StampedOnReceipt) { self.latest.get() } else { None }.unwrap_or(poll.sent);
        let kills = answer.entries.iter().filter(|entry| !matches!(entry.key, EntryKey::Refresh(_))).count();
        let now = self.latest.get().unwrap_or(poll.sent);
        self.tally.poll_time.note(now.since(poll.sent));
        // An isolate at rest, which lets nobody in, may hear as late as it likes.
        let unaware = self.relied.get().map_or(Duration::ZERO, |(_, unaware)| unaware);
        let applied = self.window.borrow_mut().apply(sent, poll.since, answer);
        match applied {
            Applied::Advanced => (0..kills).for_each(|_| self.tally.kill_delay.note(unaware)),
            Applied::Late => {}
            Applied::Restarted if mutants::is(Mutant::OutOfOrder) => {}
            Applied::Restarted => self.verdicts.borrow_mut().clear(),
            Applied::Refused => {
                self.verdicts.borrow_mut().clear();
                self.tally.refused_answers.add();
            }
        }
        // What is told of next had not happened when this poll was sent.
        if matches!(applied, Applied::Advanced | Applied::Restarted) {
            self.relied.set(self.relied.get().map(|(at, unaware)| (at, unaware.min(at.since(sent)))));
        }
        applied != Applied::Refused
    }

    /// There was no answer.
    pub fn poll_failed(&self) {
        self.tally.poll_failures.add();
        self.unheard.set(self.latest.get());
    }

    /// Whether the feed has given no answer a moment ago: who needs one now is not to wait
    /// for it as well.
    pub fn is_feed_away(&self, now: UnixMillis) -> bool {
        self.unheard.get().is_some_and(|at| now.since(at) < AWAY_KEPT)
    }

    /// The questions to the feed under way that a log-in waits for.
    pub fn asking_feed(&self) -> &UnderWay {
        &self.asking_feed
    }

    /// The requests under way that come with a session of the application's old kind.
    pub fn moving_in(&self) -> &UnderWay {
        &self.moving_in
    }

    /// The questions to session objects under way.
    pub fn under_way(&self) -> &UnderWay {
        &self.under_way
    }

    /// Whether a session object has answered a probe a moment ago.
    pub fn is_store_well(&self, now: UnixMillis) -> bool {
        self.well.get().is_some_and(|at| now.since(at) < WELL_KEPT)
    }

    pub fn store_is_well(&self, now: UnixMillis) {
        self.well.set(Some(now));
    }

    /// What is counted.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What networks have left of the limits.
    pub fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// What is held in memory now.
    pub fn holdings(&self) -> Holdings {
        let verdicts = self.verdicts.borrow();
        Holdings {
            entries: self.window.borrow().len(),
            verdicts: verdicts.len(),
            bytes: verdicts.bytes(),
            dead: verdicts.dead(),
            evicted: verdicts.evicted(),
        }
    }
}

/// How long the answer to a probe stands for those that would come after it.
const WELL_KEPT: Duration = Duration::from_secs(1);

/// How long it is left alone that has given no answer: half of the common bound.
const AWAY_KEPT: Duration = Duration::from_secs(1);
