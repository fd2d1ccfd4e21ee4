//! A window of the feed that forgets nothing and hashes nothing: what
//! `docs/consistency.md` says of it, in the plainest form.

use core::time::Duration;

use warifu::revocation::{Applied, Entry, EntryKey, FeedAnswer, Position};
use warifu::session::{Device, Handle, Session, SessionId, Subject};
use warifu::time::UnixMillis;
use warifu::token::Locator;

#[derive(Default)]
pub struct Model {
    view: Option<View>,
    applied: Option<UnixMillis>,
    /// All that was told since the window began, also what it has forgotten.
    told: Vec<Entry>,
    /// What was changed here, the last place that it speaks against, and when.
    marks: Vec<(EntryKey, u64, UnixMillis)>,
}

struct View {
    at: Position,
    low: u64,
    fresh: UnixMillis,
}

impl Model {
    pub fn position(&self) -> Option<Position> {
        self.view.as_ref().map(|view| view.at)
    }

    /// How many entries are to be held.
    pub fn len(&self) -> usize {
        self.view.as_ref().map_or(0, |view| usize::try_from(view.at.seq - view.low).expect("a few"))
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn is_fresh(&self, now: UnixMillis, bound: Duration) -> bool {
        let limit = bound - Duration::from_millis(50);
        self.view.as_ref().is_some_and(|view| now.0.saturating_sub(view.fresh.0) <= limit.as_millis() as u64)
    }

    pub fn apply(&mut self, sent: UnixMillis, since: Option<Position>, answer: &FeedAnswer) -> Applied {
        if self.applied.is_some_and(|applied| applied >= sent) {
            return Applied::Late;
        }
        let Some((from, fresh)) = proof(sent, since, answer) else {
            self.view = None;
            return Applied::Refused;
        };
        self.applied = Some(sent);
        let at = Position { epoch: answer.epoch, seq: answer.high };
        let applied = match (&mut self.view, since) {
            (Some(view), Some(since))
                if since.epoch == view.at.epoch
                    && answer.epoch == view.at.epoch
                    && from == since.seq
                    && since.seq <= view.at.seq
                    && view.at.seq <= answer.high =>
            {
                self.told.extend(answer.entries.iter().filter(|entry| entry.seq > view.at.seq).cloned());
                view.at = at;
                view.fresh = view.fresh.max(fresh);
                view.low = view.low.max(answer.low);
                Applied::Advanced
            }
            _ => {
                self.told.clone_from(&answer.entries);
                self.view = Some(View { at, low: from, fresh });
                self.marks.iter_mut().for_each(|(_, up_to, _)| *up_to = u64::MAX);
                Applied::Restarted
            }
        };
        for (_, up_to, marked) in &mut self.marks {
            if *up_to == u64::MAX && fresh > *marked {
                *up_to = answer.high;
            }
        }
        self.marks.retain(|(.., marked)| fresh.0.saturating_sub(marked.0) <= 11 * 60_000);
        applied
    }

    /// This isolate's own change: no place is known to be after it yet.
    pub fn mark(&mut self, key: &EntryKey, now: UnixMillis) {
        self.marks.retain(|(marked, ..)| subject_of(marked) != subject_of(key));
        self.marks.push((key.clone(), u64::MAX, now));
    }

    /// Nothing from before counts, nor does anybody know how old it is.
    pub fn clock_stepped(&mut self, now: UnixMillis) {
        let marks = if self.marks.is_empty() { Vec::new() } else { vec![(EntryKey::Site, u64::MAX, now)] };
        *self = Self { marks, ..Self::default() };
    }

    /// Whether a verdict that was asked for at a position stands.
    pub fn stands(&self, position: Position, asked: Option<UnixMillis>, session: &Session) -> bool {
        let Some(view) = &self.view else { return false };
        let is_held = position.epoch == view.at.epoch && (view.low..=view.at.seq).contains(&position.seq);
        is_held && self.is_unsaid(position, asked, session)
    }

    /// The same, without asking whether the window still reaches back so far:
    /// who has looked since has seen what it has forgotten.
    pub fn told_nothing_since(&self, position: Position, asked: UnixMillis, session: &Session) -> bool {
        self.view.as_ref().is_some_and(|view| view.at.epoch == position.epoch)
            && self.is_unsaid(position, Some(asked), session)
    }

    fn is_unsaid(&self, position: Position, asked: Option<UnixMillis>, session: &Session) -> bool {
        let is_told = self.told.iter().any(|entry| entry.seq > position.seq && is_about(&entry.key, session));
        let is_marked = self.marks.iter().any(|(key, up_to, at)| {
            position.seq <= *up_to && is_about(key, session) && asked.is_none_or(|asked| asked <= *at)
        });
        !is_told && !is_marked
    }
}

/// From where on an answer has all, and as of when; `None`: the feed cannot
/// give such an answer.
fn proof(sent: UnixMillis, since: Option<Position>, answer: &FeedAnswer) -> Option<(u64, UnixMillis)> {
    // In another clock's milliseconds, which are up to a thousandth longer.
    let age = u128::from(answer.age_ms) * 1_001;
    let fresh = u128::from(sent.0).checked_sub(age.div_ceil(1_000))?;
    let asked = since.filter(|since| since.epoch == answer.epoch).map(|since| since.seq);
    let from = asked.filter(|asked| answer.low <= *asked && *asked <= answer.high).unwrap_or(answer.low);
    let count = answer.high.checked_sub(from)?;
    // No place is left after the last number.
    let is_dense = answer.high < u64::MAX
        && answer.entries.len() as u64 == count
        && answer.entries.iter().enumerate().all(|(index, entry)| entry.seq == from + 1 + index as u64);
    is_dense.then(|| (from, UnixMillis(u64::try_from(fresh).expect("not later than sent"))))
}

fn is_about(key: &EntryKey, session: &Session) -> bool {
    match key {
        EntryKey::Session(id) | EntryKey::Refresh(id) => *id == session.id,
        EntryKey::Subject(subject) => *subject == session.subject,
        EntryKey::Site => true,
    }
}

/// A kill and a refresh of one session come to the same.
fn subject_of(key: &EntryKey) -> String {
    match key {
        EntryKey::Session(id) | EntryKey::Refresh(id) => id.to_text(),
        EntryKey::Subject(subject) => format!("of {}", subject.as_str()),
        EntryKey::Site => "all".to_owned(),
    }
}

fn id(which: u8) -> SessionId {
    Handle::new(Locator { generation: 1, region: 0, shard: 1 }, [which % 4; 12])
}

fn subject(which: u8) -> Subject {
    Subject::parse(["alice", "bob"][usize::from(which % 2)]).expect("a subject")
}

/// One of four sessions of two people.
pub fn session(which: u8) -> Session {
    let far = UnixMillis(1 << 50);
    Session {
        id: id(which),
        subject: subject(which),
        level: 1,
        auth_time: UnixMillis(0),
        created: UnixMillis(0),
        last_seen: UnixMillis(0),
        idle_expires: far,
        absolute_expires: far,
        claims: None,
        device: Device::default(),
        generation: 0,
        held: None,
    }
}

/// What an entry can be about; most are about nobody here.
pub fn entry_key(which: u8) -> EntryKey {
    match which {
        0..4 => EntryKey::Session(id(which)),
        4..8 => EntryKey::Refresh(id(which)),
        8..12 => EntryKey::Subject(subject(which)),
        12 => EntryKey::Site,
        other => EntryKey::Refresh(Handle::new(Locator { generation: 1, region: 0, shard: 2 }, [other; 12])),
    }
}
