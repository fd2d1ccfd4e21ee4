//! An isolate of the Worker: its memory, its clock, and what a checker wants to
//! know of both.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use warifu::ports::Outgoing;
use warifu::precedent::Standing;
use warifu::request::Request;
use warifu::revocation::{Memory, Position};
use warifu::site::Site;
use warifu::time::UnixMillis;
use warifu::token::SessionKey;

use super::clock::Clock;
use super::executor::{Group, MILLI, Micros};
use super::random::Dice;

pub struct Edge {
    /// Such as `edge2.1`: the second isolate in this place.
    pub name: String,
    pub seat: usize,
    pub site: Rc<Site>,
    pub memory: Rc<Memory>,
    pub clock: Clock,
    pub dice: Dice,
    pub group: Group,
    pub bound: Micros,
    /// The sending of the newest poll that it has got an answer to.
    pub proof: Cell<Option<Micros>>,
    /// Where its window stood whenever it asked for what was the newest secret.
    grounds: RefCell<HashMap<SessionKey, Vec<Position>>>,
    /// When a session object was last asked for what it has then said was the newest secret.
    asked: RefCell<HashMap<SessionKey, Micros>>,
    /// When a session object has last said something of a key.
    pub heard: RefCell<HashMap<SessionKey, Micros>>,
    /// What requests have come to, by their whole texts.
    precedents: RefCell<HashMap<String, Outgoing>>,
    /// Acceptances from memory, and all, in the last seconds of the world.
    pub lately: Cell<(u32, u32)>,
}

impl Edge {
    pub fn new(name: String, seat: usize, site: Rc<Site>, dice: Dice, group: Group) -> Self {
        let bound = u64::try_from(site.config.bound.as_millis()).expect("a short bound") * MILLI;
        Self {
            name,
            seat,
            site,
            memory: Rc::default(),
            clock: Clock::draw(&dice),
            dice,
            group,
            bound,
            proof: Cell::new(None),
            grounds: RefCell::default(),
            asked: RefCell::default(),
            heard: RefCell::default(),
            precedents: RefCell::default(),
            lately: Cell::new((0, 0)),
        }
    }

    /// What one like it has come to, and whether that stands.
    pub fn known(&self, request: &Request, now: UnixMillis) -> Option<(Outgoing, Standing)> {
        let outgoing = self.precedents.borrow().get(&text_of(request))?.clone();
        let standing = outgoing.precedent.as_ref()?.stands(&self.site.config, &self.memory, now);
        Some((outgoing, standing))
    }

    /// Keeps what one has come to.
    pub fn keep(&self, request: &Request, outgoing: &Outgoing) {
        if outgoing.precedent.is_some() {
            self.precedents.borrow_mut().insert(text_of(request), outgoing.clone());
        }
    }

    /// A yes has come to a question that was asked with the window there; this isolate's own
    /// was sent then.
    pub fn answered(&self, key: SessionKey, asked_at: Option<Position>, sent: Option<Micros>) {
        self.grounds.borrow_mut().entry(key).or_default().extend(asked_at);
        if let (Some(_), Some(sent)) = (asked_at, sent) {
            let mut asked = self.asked.borrow_mut();
            let newest = asked.entry(key).or_default();
            *newest = sent.max(*newest);
        }
    }

    /// The time up to which it can know of all that concerns a key.
    pub fn proof_of(&self, key: &SessionKey) -> Option<Micros> {
        self.proof.get().max(self.asked.borrow().get(key).copied())
    }

    /// What a cached yes on this key can rest on; memory keeps one of these.
    pub fn grounds(&self, key: &SessionKey) -> Vec<Position> {
        self.grounds.borrow().get(key).cloned().unwrap_or_default()
    }

    /// The feed's answer to a poll that was sent then has come.
    pub fn polled(&self, sent: Micros) {
        self.proof.set(self.proof.get().max(Some(sent)));
    }
}

fn text_of(Request { method, raw_path, headers, .. }: &Request) -> String {
    let fields = headers.iter().map(|(name, value)| format!("{name}: {value}"));
    let line = format!("{method} {raw_path}");
    [line].into_iter().chain(fields).collect::<Vec<_>>().join("\n")
}
