//! The ports of the gate, for one request at one edge.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use warifu::audit::{Event, Whence};
use warifu::error::{OriginError, StoreError};
use warifu::gate::{self, Reply};
use warifu::headers::HeaderBlock;
use warifu::limit::Limit;
use warifu::lookup;
use warifu::ports::{
    After, Answer, Body, BodyError, Clock, Feed, Origin, Outgoing, Place, Ports, Probe, Probed, Put, Random, Reading,
    Replica, Shards, told_or,
};
use warifu::precedent::{Asked, Standing};
use warifu::replica::Record;
use warifu::request::Request;
use warifu::revocation::{Memory, Position, Told};
use warifu::session::{KillId, Served, SessionId};
use warifu::store::feed::{FeedCall, FeedReply};
use warifu::store::message::{EndCall, Found, Message, ShardAnswer, ShardCall, Which};
use warifu::time::UnixMillis;
use warifu::token::{Locator, SessionKey};

use super::check::acceptance::{self, Acceptance, Source};
use super::check::feed;
use super::edge::Edge;
use super::executor::{FOREVER, MILLI, Micros};
use super::history::{History, Kill, Route, Scope};
use super::moving;
use super::objects::{FEED_PATIENCE, SHARD_PATIENCE};
use super::truth;
use super::world::{Node, World};

/// One request at an edge.
#[derive(Clone)]
pub struct Visit {
    pub world: Rc<World>,
    pub edge: Rc<Edge>,
    pub request: usize,
    pub message: Rc<Request>,
    /// What a session object has said to it before it is heard.
    pub said: Rc<Cell<Option<Asked>>>,
    /// Whether it has waited for another's question.
    pub waited: Rc<Cell<bool>>,
    /// Whether there is a precedent that it does not follow for the moment only.
    pub makes_none: Rc<Cell<bool>>,
}

impl Visit {
    fn node(&self) -> Node {
        Node::Edge(self.edge.seat)
    }

    fn time(&self) -> UnixMillis {
        self.edge.clock.read(self.world.exec.now())
    }

    /// Whether the platform lets it make one more call.
    fn count(&self) -> Result<(), StoreError> {
        self.world.history.borrow_mut().asked[self.request].calls += 1;
        if self.is_used_up() { Err(StoreError::UsedUp) } else { Ok(()) }
    }

    async fn ask_shard(&self, at: Locator, message: &Message) -> Result<ShardAnswer, StoreError> {
        self.count()?;
        let wire = serde_json::to_string(message).expect("JSON");
        let answered = self.world.call(self.node(), self.world.shard(at), wire, SHARD_PATIENCE).await;
        serde_json::from_str::<ShardAnswer>(&answered.map_err(StoreError::Unreachable)?).expect("an answer").heard()
    }

    async fn ask_feed(&self, call: &FeedCall) -> Result<FeedReply, StoreError> {
        self.count()?;
        let sent = self.world.exec.now();
        if let FeedCall::EndSite(end) = call {
            self.note_kill(end.kill, Scope::Site, None);
        }
        if let (FeedCall::Poll(poll), true) = (call, self.world.plan.has_relay)
            && let Some((answer, polled)) = self.world.relay.answer(poll, sent)
        {
            self.world.exec.sleep(5 * MILLI).await;
            self.edge.polled(polled);
            return Ok(FeedReply::Polled(answer));
        }
        let wire = serde_json::to_string(call).expect("JSON");
        let answered = self.world.call(self.node(), Node::Feed, wire, FEED_PATIENCE).await;
        self.world.note(|| format!("   {} hears of the feed: {answered:.120?}", self.edge.name));
        let reply: FeedReply = serde_json::from_str(&answered.map_err(StoreError::Unreachable)?).expect("a reply");
        let reply = reply.heard()?;
        if let FeedReply::Polled(answer) = &reply {
            feed::at_poll(&mut self.world.history.borrow_mut(), answer, self.world.exec.now());
            self.edge.polled(sent);
            if let FeedCall::Poll(poll) = call {
                self.world.relay.keep(poll, answer, sent);
            }
        }
        Ok(reply)
    }

    /// Which may be lost, and come after a later one.
    fn write_to_kv(&self, name: String, value: Option<String>) {
        let world = Rc::clone(&self.world);
        self.world.exec.spawn(FOREVER, async move {
            let is_lost = world.is_faulty() && world.dice.chance(world.plan.faults.lost);
            world.exec.sleep(world.dice.within(5, 800) * MILLI).await;
            if !is_lost {
                world.kv.write(name, value, world.exec.now());
            }
        });
    }

    fn note_kill(&self, id: KillId, scope: Scope, kept: Option<SessionId>) {
        let (mut history, now) = (self.world.history.borrow_mut(), self.world.exec.now());
        let cut = |(_, cookie): &(usize, &super::history::Cookie)| kept == Some(cookie.session);
        let cut: Vec<usize> = history.cookies.iter().enumerate().filter(cut).map(|(index, _)| index).collect();
        let request = self.request;
        history.note(now, |_| format!("   r{request} kills {scope:?}"));
        let rows = self.edge.site.config.map.iter().map(|row| row.generation).collect();
        let kill = Kill {
            scope,
            asked: now,
            rows,
            kept: None,
            cut: Vec::new(),
            published: None,
            committed: BTreeMap::new(),
            raised: BTreeMap::new(),
        };
        let kill = history.kills.entry(id).or_insert(kill);
        // Only the shard that comes last is told.
        if kept.is_some() {
            (kill.kept, kill.cut) = (kept, cut);
        }
    }

    /// What a message to a shard is about to do.
    fn note_sent(&self, message: &Message) {
        let caller = {
            let history = self.world.history.borrow();
            let asked = &history.asked[self.request];
            asked.session.or(asked.cookie.map(|cookie| history.cookies[cookie].session))
        };
        match &message.call {
            ShardCall::Check { key, .. } => {
                let mut history = self.world.history.borrow_mut();
                let asked = &mut history.asked[self.request];
                asked.checks += 1;
                let is_use = asked.forwarded.is_none();
                if let Some(cookie) = history.cookies.iter_mut().find(|cookie| is_use && cookie.key == key.0) {
                    cookie.checked = Some(self.world.exec.now());
                }
            }
            ShardCall::Start(start) => {
                self.world.history.borrow_mut().starts(self.request, start.id, start.subject.as_str());
                moving::sent(&mut self.world.history.borrow_mut(), self.request, start);
                if start.end_others {
                    self.note_kill(start.lead.kill, Scope::Subject(start.subject.as_str().to_owned()), Some(start.id));
                }
            }
            ShardCall::End(end) => {
                let target = match end.of {
                    Which::Id(id) => Some(id),
                    Which::Key(_) => caller,
                };
                if let Some(target) = target {
                    self.note_kill(end.kill, Scope::Session(target), None);
                }
            }
            ShardCall::EndOthers(others) => {
                if let Some(subject) = caller.and_then(|id| self.subject_of(id)) {
                    self.note_kill(others.lead.kill, Scope::Subject(subject), caller);
                }
            }
            ShardCall::EndAll(all) => {
                self.note_kill(all.kill, Scope::Subject(all.subject.as_str().to_owned()), None);
            }
            _ => {}
        }
    }

    fn subject_of(&self, id: SessionId) -> Option<String> {
        self.world.history.borrow().lineages.get(&id).map(|lineage| lineage.subject.clone())
    }

    /// What a shard has said, or that it has not, where it was waited for.
    fn note_answer(
        &self,
        message: &Message,
        (asked_at, sent): (Option<Position>, Micros),
        answer: &Result<ShardAnswer, StoreError>,
    ) {
        let mut history = self.world.history.borrow_mut();
        let heard_of = match &message.call {
            // Whoever logs out with it hears that it is over.
            ShardCall::Check { key, .. } | ShardCall::End(EndCall { of: Which::Key(key), only: None, .. }) => Some(key),
            ShardCall::Claim(claim) => Some(&claim.key),
            _ => None,
        };
        if let (Ok(_), Some(key)) = (answer, heard_of) {
            self.edge.heard.borrow_mut().insert(key.0, self.world.exec.now());
        }
        let asked = &mut history.asked[self.request];
        match (answer, &message.call) {
            // Of what the application has said: it is asked again.
            (Err(_), ShardCall::Settle(_)) => {}
            (Err(_), _) => asked.has_store_failed = true,
            (Ok(ShardAnswer::Checked { found: Some(Found { served, .. }), .. }), ShardCall::Check { key, .. }) => {
                asked.is_confirmed = true;
                asked.is_newest = *served == Served::Current;
                // Of a strict route only what is asked of the connection that it has opened is kept.
                let is_kept = asked.route != Route::Strict || asked.forwarded.is_some();
                let is_in_time = self.world.exec.now() - sent <= self.edge.bound;
                let sent = Some(sent).filter(|_| is_kept && is_in_time);
                self.edge.answered(key.0, asked_at.filter(|_| *served == Served::Current), sent);
            }
            _ => {}
        }
    }

    fn note_renewal(&self, session: Option<SessionId>, change: impl FnOnce(&mut super::history::Lineage)) {
        let mut history = self.world.history.borrow_mut();
        if let Some(lineage) = session.and_then(|id| history.lineages.get_mut(&id)) {
            change(lineage);
        }
    }

    /// What it comes to by a precedent, if one stands, without the gate: as in
    /// `src/edge/precedents.js`. Half of them are heard in full all the same.
    pub async fn follow(&self) -> Option<Reply<Head>> {
        if !self.edge.dice.chance(500) {
            return None;
        }
        let mut sought = Reading::new(self);
        let (mut outgoing, mut standing) = self.edge.known(&self.message, Clock::now(self))?;
        if standing == Standing::Soon {
            let (memory, bound) = (&self.edge.memory, self.edge.site.config.bound);
            let number = outgoing.precedent.as_ref()?.asked(&self.edge.site.config, memory, Clock::now(self))?;
            self.until_told(|told| memory.under_way().when_over(number, told), lookup::patience(bound)).await;
            sought = Reading::new(self);
            (outgoing, standing) = self.edge.known(&self.message, Clock::now(self))?;
        }
        let precedent = outgoing.precedent.as_ref()?;
        self.makes_none.set(matches!(standing, Standing::NotNow | Standing::Soon));
        match standing {
            Standing::Same => {}
            Standing::Asks => {
                if let Err(asked) = precedent.ask(&self.edge.site, self).await {
                    self.said.set(asked);
                    return None;
                }
            }
            _ => return None,
        }
        precedent.follow(&self.edge.memory, Clock::now(self));
        self.world.history.borrow_mut().counts.followed += 1;
        self.let_through(&outgoing);
        let answer = self.application().await;
        Some(gate::serve_answer(&self.edge.site, self, &self.message, (precedent, sought), Ok(answer)).await)
    }

    /// What the application says.
    async fn application(&self) -> Head {
        let (command, span) = self.world.command_of(self.request);
        self.world.exec.sleep(span).await;
        let opened = self.world.opens(self.request).then_some(("Sec-WebSocket-Accept", "x"));
        let command = command.iter().map(|command| ("Warifu-Command", command.as_str()));
        Head(HeaderBlock::from_pairs(command.chain(opened)))
    }

    fn let_through(&self, outgoing: &Outgoing) {
        let accepted = self.note_forwarded(&mut self.world.history.borrow_mut(), outgoing);
        if let Some(accepted) = accepted {
            self.world.accepted(self.request, &accepted);
        }
    }

    /// The request is let through, perhaps with a session.
    fn note_forwarded(&self, history: &mut History, outgoing: &Outgoing) -> Option<Acceptance> {
        let at = self.world.exec.now();
        let header = |name: &str| {
            outgoing
                .edits
                .set
                .iter()
                .find(|(found, _)| found == name)
                .map(|(_, value)| value.as_str())
                .unwrap_or_default()
        };
        let asked = &mut history.asked[self.request];
        asked.forwarded = Some(at);
        let session = SessionId::parse(header("warifu-session"))?;
        asked.session = Some(session);
        let source = match (asked.checks, asked.is_confirmed) {
            (0, _) if asked.has_record => Source::Replica,
            (0, _) => Source::Memory,
            (_, true) => Source::Shard,
            (_, false) => Source::Outage,
        };
        let claims = Base64UrlUnpadded::decode_vec(header("warifu-claims")).unwrap_or_default();
        Some(Acceptance {
            edge: Rc::clone(&self.edge),
            at,
            arrived: asked.arrived.unwrap_or(at),
            route: asked.route,
            source,
            is_newest: asked.is_newest,
            session,
            cookie: asked.cookie?,
            level: header("warifu-level").parse().unwrap_or(0),
            version: truth::version(core::str::from_utf8(&claims).unwrap_or_default()),
        })
    }
}

impl Shards for Visit {
    async fn ask(&self, at: Locator, message: &Message) -> Result<ShardAnswer, StoreError> {
        let asked = (self.edge.memory.position(), self.world.exec.now());
        self.note_sent(message);
        let answer = self.ask_shard(at, message).await;
        self.note_answer(message, asked, &answer);
        answer
    }

    fn ask_later(
        &self,
        at: Locator,
        message: Message,
        then: impl FnOnce(Result<ShardAnswer, StoreError>, UnixMillis) -> After + 'static,
    ) {
        let visit = self.clone();
        let (asked_at, sent) = (self.edge.memory.position(), self.world.exec.now());
        self.world.exec.spawn(self.edge.group, async move {
            let ShardCall::Renew(renew) = &message.call else {
                then(visit.ask_shard(at, &message).await, visit.time());
                return;
            };
            let key = renew.key.0;
            let session = {
                let history = visit.world.history.borrow();
                history.cookies.iter().find(|cookie| cookie.key == key).map(|cookie| cookie.session)
            };
            visit.note_renewal(session, |lineage| lineage.renewals += 1);
            let answer = visit.ask_shard(at, &message).await;
            visit.world.note(|| format!("   r{} renews: {answer:?}", visit.request));
            if let Ok(ShardAnswer::Renewed { found: Some(Found { served, .. }), .. }) = &answer {
                visit.edge.answered(key, asked_at.filter(|_| *served == Served::Current), Some(sent));
            }
            // It was checked by one clock just before the end, and is renewed by another after it.
            let is_too_late =
                visit.world.plan.wakes_elsewhere() && matches!(&answer, Ok(ShardAnswer::Renewed { found: None, .. }));
            let has_failed = answer.is_err() || is_too_late;
            visit.note_renewal(session, |lineage| {
                lineage.renewals -= 1;
                lineage.has_renewal_failed = has_failed;
            });
            then(answer, visit.time());
        });
    }

    async fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Feed for Visit {
    async fn ask(&self, call: &FeedCall) -> Result<FeedReply, StoreError> {
        self.ask_feed(call).await
    }

    fn ask_later(
        &self,
        call: FeedCall,
        then: impl FnOnce(Result<FeedReply, StoreError>, UnixMillis) -> Option<Event> + 'static,
    ) {
        let visit = self.clone();
        self.world.exec.spawn(self.edge.group, async move {
            let reply = visit.ask_feed(&call).await;
            then(reply, visit.time());
        });
    }
}

impl Replica for Visit {
    async fn read(&self, name: &str) -> Result<Option<String>, StoreError> {
        let World { dice, exec, kv, history, plan, .. } = &*self.world;
        exec.sleep(dice.within(1, 40) * MILLI).await;
        let fails = self.world.is_faulty() && dice.chance(plan.faults.lost);
        let is_broken = self.world.is_faulty() && dice.chance(plan.faults.lost);
        if fails {
            return Err(StoreError::Unreachable("KV does not answer".to_owned()));
        }
        let found = kv.read(self.edge.seat, name, exec.now(), dice);
        let text = found.map(|text| if is_broken { text[..text.len() / 2].to_owned() } else { text });
        let record = text.as_deref().and_then(|text| Record::open(&self.edge.site.ring, name, text));
        self.world.note(|| format!("   r{} finds in KV: {record:?}", self.request));
        if let Some(record) = record {
            let mut history = history.borrow_mut();
            history.asked[self.request].has_record = true;
            if let Some(cookie) = history.asked[self.request].cookie {
                self.edge.answered(history.cookies[cookie].key, Some(record.position), None);
            }
        }
        Ok(text)
    }

    fn write_later(&self, put: Put) {
        self.write_to_kv(put.name, Some(put.record));
    }

    fn delete_later(&self, name: String) {
        self.write_to_kv(name, None);
    }
}

impl Origin for Visit {
    type Body = Bytes;
    type Answer = Head;

    async fn probe(&self, probe: &Probe) -> Result<Probed, OriginError> {
        moving::probe(self, probe).await
    }

    async fn send(&self, outgoing: &Outgoing, _: Bytes) -> Result<Head, OriginError> {
        self.let_through(outgoing);
        if !self.makes_none.get() {
            self.edge.keep(&self.message, outgoing);
        }
        Ok(self.application().await)
    }
}

pub struct Head(HeaderBlock);

impl Answer for Head {
    fn status(&self) -> u16 {
        200
    }

    fn headers(&self) -> &HeaderBlock {
        &self.0
    }

    async fn read(&self, _: usize, _: Duration) -> Result<Vec<u8>, BodyError> {
        Ok(Vec::new())
    }

    fn is_web_socket(&self) -> bool {
        self.0.get("sec-websocket-accept").is_some()
    }

    fn refuse(self) {}
}

#[derive(Clone)]
pub struct Bytes(pub Vec<u8>);

impl Body for Bytes {
    async fn read(self, _: usize) -> Result<Vec<u8>, BodyError> {
        Ok(self.0)
    }
}

impl Clock for Visit {
    fn now(&self) -> UnixMillis {
        let still = if self.edge.dice.chance(300) { self.edge.dice.below(STILL_MAX) } else { 0 };
        self.edge.clock.stand_still(still);
        self.time()
    }
}

/// Below ε.
const STILL_MAX: Micros = 49 * MILLI;

impl Random for Visit {
    fn fill(&self, bytes: &mut [u8]) -> bool {
        self.edge.dice.fill(bytes);
        true
    }
}

impl Ports for Visit {
    type Shards = Self;
    type Feed = Self;
    type Replica = Self;
    type Origin = Self;

    fn shards(&self) -> &Self {
        self
    }

    fn feed(&self) -> &Self {
        self
    }

    fn replica(&self) -> Option<&Self> {
        self.world.plan.has_replica.then_some(self)
    }

    fn origin(&self) -> &Self {
        self
    }

    fn clock(&self) -> &impl Clock {
        self
    }

    fn random(&self) -> &impl Random {
        self
    }

    fn memory(&self) -> &Rc<Memory> {
        &self.edge.memory
    }

    fn is_used_up(&self) -> bool {
        let calls = self.world.history.borrow().asked[self.request].calls;
        self.world.plan.calls_max.is_some_and(|most| calls > most)
    }

    async fn sleep(&self, span: Duration) {
        self.world.exec.sleep(u64::try_from(span.as_micros()).expect("a short time")).await;
    }

    fn asked(&self, key: &SessionKey) -> Option<Asked> {
        self.said.take().filter(|asked| asked.is_of(key))
    }

    fn has_waited(&self) -> bool {
        self.waited.get()
    }

    async fn until_told(&self, begin: impl FnOnce(Told), at_most: Duration) {
        assert!(!self.waited.replace(true), "nobody waits twice");
        {
            let mut history = self.world.history.borrow_mut();
            history.counts.waited += 1;
            // Of one that was gone by it would not wait.
            history.asked[self.request].has_record = false;
        }
        told_or(begin, self.sleep(at_most)).await;
    }

    fn place(&self) -> Place {
        Place::default()
    }

    fn tell(&self, event: Event) {
        // What an object has said too late does not count: whoever goes on all the same, goes on
        // without it.
        if matches!(event, Event::StoreUnavailable { .. }) {
            self.world.history.borrow_mut().asked[self.request].is_confirmed = false;
        }
        self.world.note(|| format!("   r{} log: {}", self.request, event.to_line(UnixMillis(0), &Whence::default())));
    }

    async fn is_within_limit(&self, _: Limit, _: &str) -> Option<bool> {
        None
    }

    fn report(&self, _: &[u64]) {}
}

/// Checks an acceptance.
pub fn check(world: &World, accepted: &Acceptance) {
    acceptance::check(&mut world.history.borrow_mut(), &world.plan, accepted);
}
