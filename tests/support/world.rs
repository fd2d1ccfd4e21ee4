//! The ports of the gate, over SQLite in memory and an origin made of a closure.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use warifu::audit::{Event, Whence, name_of};
use warifu::error::{OriginError, StoreError};
use warifu::gate::{self, Reply};
use warifu::headers::{HeaderBlock, HeaderEdits, Name};
use warifu::limit::Limit;
use warifu::ports::Outgoing;
use warifu::ports::{
    After, Answer, Asset, Body, BodyError, Clock, Feed, Origin, Place, Ports, Probe, Probed, Put, Random, Reading,
    Replica,
};
use warifu::precedent::{Asked, Precedent};
use warifu::request::Request;
use warifu::response::OwnResponse;
use warifu::revocation::{Epoch, Memory};
use warifu::session::KillId;
use warifu::site::Site;
use warifu::store::SqlError;
use warifu::store::feed::{Append, FeedCall, FeedReply};
use warifu::store::feed_object::{FeedObject, FeedPorts};
use warifu::store::fence::Confirm;
use warifu::store::message::{Home, Message, ShardAnswer, ShardCall};
use warifu::store::session_object::{ObjectPorts, SessionObject};
use warifu::time::UnixMillis;
use warifu::token::{Locator, SessionKey};
use warifu::watch::{self, End, Watched};

use super::precedents::{Claim, Precedents, Unfollowed};
use super::sqlite::Sqlite;

pub struct World {
    pub shards: Shards,
    pub origin: Closure,
    pub events: RefCell<Vec<Event>>,
    /// What the platform's limits say, where they are bound.
    pub platform_limit: Cell<Option<bool>>,
    /// What they were asked.
    pub limited: RefCell<Vec<(Limit, String)>>,
    /// What isolates have reported.
    pub figures: RefCell<Vec<Vec<u64>>>,
    pub random: Counter,
    /// Of the isolate of each site, by the site's address.
    memories: RefCell<HashMap<usize, Rc<Memory>>>,
    /// Of the client.
    pub address: Cell<&'static str>,
    /// What the origin of [`World::commanding`] says next; empty: nothing.
    pub command: Rc<Cell<&'static str>>,
    /// What happens while the next body is read.
    pub meanwhile: Meanwhile,
    /// What isolates keep of requests for those that are like them.
    pub precedents: Precedents,
    /// The files of the pages: path, tag, text.
    pub assets: RefCell<Vec<(&'static str, Option<&'static str>, &'static str)>>,
}

/// What happens once, while something takes its time.
pub type Meanwhile = Rc<RefCell<Option<Box<dyn FnOnce()>>>>;

/// The shards, and what a test may do to them.
pub struct Shards {
    pub databases: RefCell<HashMap<Locator, Rc<SessionObject<Sqlite>>>>,
    pub feed: FeedObject<Sqlite>,
    /// Whether the feed cannot be reached.
    pub is_feed_down: Cell<bool>,
    /// The earliest alarm that an object has set.
    pub alarm: Cell<Option<UnixMillis>>,
    pub calls: Cell<u32>,
    /// Questions to the feed that are not a shard's.
    pub polls: Cell<u32>,
    pub is_down: Cell<bool>,
    /// How long each answer of a shard is on its way.
    pub takes: Cell<Duration>,
    /// What KV holds; nothing is ever forgotten.
    pub kv: RefCell<HashMap<String, String>>,
    /// How many records it has given out.
    pub records: Cell<u64>,
    /// From this call on, counted from 1, nothing is answered.
    pub fails_from_call: Cell<Option<u32>>,
    /// How many calls the platform still lets the caller make; `None`: it does not count.
    pub calls_left: Cell<Option<u32>>,
    /// Whether it has refused one.
    pub is_used_up: Cell<bool>,
    pub now: Cell<UnixMillis>,
    /// How far the clocks of the isolates are behind those of the objects.
    pub isolates_behind: Cell<Duration>,
    /// Whether who waits for the feed, or for a while, lets others go on first.
    pub is_crowded: Cell<bool>,
    /// Whether the request that is served goes on without its client.
    pub outlives_client: Cell<bool>,
    /// The same of each that has claimed an old cookie.
    pub claims: RefCell<Vec<bool>>,
}

/// What the origin says: header fields of its answer, or nothing at all.
pub type OriginAnswer = Option<Vec<(&'static str, &'static str)>>;

pub struct Closure {
    answer: Box<dyn Fn(&Outgoing) -> OriginAnswer>,
    /// Of its answers.
    pub status: Cell<u16>,
    pub seen: RefCell<Vec<Outgoing>>,
    /// What the application has been asked by the gateway itself, and says.
    pub probes: RefCell<Vec<Probe>>,
    pub probed: RefCell<Result<Probed, OriginError>>,
    /// How often others go on before it does.
    pub probe_takes: Cell<u32>,
}

/// What a client sees.
pub struct Seen {
    /// `None`: the origin's own answer.
    pub status: Option<u16>,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub removed: Vec<String>,
    /// What is cut when its session ends.
    pub watched: Option<Box<Watched>>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The Set-Cookie of the session cookie: the last one, behind what removes that of another
    /// configuration.
    pub fn set_cookie(&self) -> Option<&str> {
        self.headers.iter().rfind(|(found, _)| found == "set-cookie").map(|(_, value)| value.as_str())
    }

    /// `name=value` of the session cookie that was set.
    pub fn cookie(&self) -> Option<&str> {
        self.set_cookie().and_then(|value| value.split(';').next())
    }
}

impl World {
    pub fn new(answer: impl Fn(&Outgoing) -> OriginAnswer + 'static) -> Self {
        Self {
            shards: Shards {
                databases: RefCell::default(),
                feed: FeedObject::new(Sqlite::in_memory(), Epoch(*b"an epoch"), 2_000),
                alarm: Cell::new(None),
                is_feed_down: Cell::new(false),
                calls: Cell::new(0),
                polls: Cell::new(0),
                is_down: Cell::new(false),
                takes: Cell::new(Duration::ZERO),
                kv: RefCell::default(),
                records: Cell::new(0),
                fails_from_call: Cell::new(None),
                calls_left: Cell::new(None),
                is_used_up: Cell::new(false),
                now: Cell::new(UnixMillis(1_750_000_000_000)),
                isolates_behind: Cell::new(Duration::ZERO),
                is_crowded: Cell::new(false),
                outlives_client: Cell::new(false),
                claims: RefCell::default(),
            },
            origin: Closure {
                answer: Box::new(answer),
                status: Cell::new(200),
                seen: RefCell::default(),
                probes: RefCell::default(),
                probed: RefCell::new(Ok(Probed { status: 401, body: None })),
                probe_takes: Cell::new(0),
            },
            events: RefCell::default(),
            platform_limit: Cell::new(None),
            limited: RefCell::default(),
            figures: RefCell::default(),
            memories: RefCell::default(),
            random: Counter { seed: Cell::new(1), is_broken: Cell::new(false), asked: RefCell::default() },
            address: Cell::new("203.0.113.77"),
            command: Rc::default(),
            meanwhile: Rc::default(),
            precedents: Precedents::default(),
            assets: RefCell::default(),
        }
    }

    /// An origin that gives the command of [`World::command`] in each answer.
    pub fn commanding(first: &'static str) -> Self {
        let command = Rc::new(Cell::new(first));
        let says = Rc::clone(&command);
        let answer = move |_: &Outgoing| {
            Some(if says.get().is_empty() { Vec::new() } else { vec![("Warifu-Command", says.get())] })
        };
        Self { command, ..Self::new(answer) }
    }

    /// An origin that starts a session for `alice` at POST /login and ends it
    /// at /signout.
    pub fn with_login() -> Self {
        Self::new(|outgoing| {
            Some(if outgoing.url.contains("/login") {
                vec![("Warifu-Command", "do=start, sub=\"alice\"")]
            } else if outgoing.url.contains("/signout") {
                vec![("Warifu-Command", "do=end")]
            } else {
                vec![("Content-Type", "text/plain")]
            })
        })
    }

    pub fn pass(&self, time: Duration) {
        self.shards.now.set(self.shards.now.get().plus(time));
    }

    pub fn serve(&self, site: &Site, request: &Request) -> Seen {
        self.serve_with_body(site, request, Vec::new())
    }

    pub fn serve_with_body(&self, site: &Site, request: &Request, body: Vec<u8>) -> Seen {
        self.shards.outlives_client.set(false);
        pollster::block_on(self.served(site, request, body))
    }

    /// Requests that come at one time.
    pub fn serve_all(&self, site: &Site, requests: &[Request]) -> Vec<Seen> {
        self.shards.is_crowded.set(true);
        let served = requests.iter().map(|request| self.served(site, request, Vec::new()));
        let seen = pollster::block_on(futures_util::future::join_all(served));
        self.shards.is_crowded.set(false);
        seen
    }

    async fn served(&self, site: &Site, request: &Request, body: Vec<u8>) -> Seen {
        let isolate = Isolate { world: self, memory: self.memory(site), asked: Cell::default() };
        let body = Bytes(body, Rc::clone(&self.meanwhile));
        let is_alone = !self.shards.is_crowded.get() && !self.random.is_broken.get();
        let began = self.shards.state();
        let claim = if is_alone {
            self.precedents.claim(site, request, &isolate, &self.shards.calls).await
        } else {
            Err(Unfollowed::NotNow)
        };
        let claim = claim.map_err(|why| match why {
            Unfollowed::New => true,
            Unfollowed::NotNow => false,
            Unfollowed::Asked(asked) => {
                isolate.asked.set(asked);
                true
            }
        });
        // Where it comes to the same, what was asked for that is asked by the gate once more.
        if claim.is_ok() {
            self.shards.set_back(began);
        }
        let before = (self.shards.calls.get(), self.shards.polls.get(), self.origin.seen.borrow().len());
        let reply = gate::serve(site, &isolate, request, body).await;
        if is_alone {
            self.compare(site, request, claim.as_ref().map_err(|keeps| *keeps), before, &reply);
        }
        seen_of(reply)
    }

    /// The answer, with these fields, to a request that was sent on by a precedent at `sought`.
    pub fn serve_answer(
        &self,
        site: &Site,
        request: &Request,
        followed: (&Precedent, Reading),
        fields: &[(&str, &str)],
    ) -> Seen {
        let isolate = Isolate { world: self, memory: self.memory(site), asked: Cell::default() };
        let answer = Head { headers: HeaderBlock::from_pairs(fields.iter().copied()), status: 200, body: None };
        seen_of(pollster::block_on(gate::serve_answer(site, &isolate, request, followed, Ok(answer))))
    }

    /// What an isolate of this site reads from the clock now.
    pub fn reading(&self, site: &Site) -> Reading {
        Reading::new(&Isolate { world: self, memory: self.memory(site), asked: Cell::default() })
    }

    /// Whether the gate came to what a precedent had said, and asked as often as that does.
    fn compare(
        &self,
        site: &Site,
        request: &Request,
        claim: Result<&Claim, bool>,
        (calls, polls, seen): (u32, u32, usize),
        reply: &Reply<Head>,
    ) {
        let sent = self.origin.seen.borrow().get(seen).cloned();
        if let Some(sent) = &sent {
            self.precedents.sent(site, request, sent, claim);
        }
        let Ok(claim) = claim else { return };
        assert!(sent.is_some(), "the gate lets nothing through where a precedent stands");
        let asked = (self.shards.calls.get() - calls, self.shards.polls.get() - polls);
        assert_eq!(asked, (claim.asks, 0), "somebody was asked");
        if let Reply::Forwarded { answer, edits, body, watched } = reply {
            let is_plain = body.is_none() && watched.is_none();
            self.precedents.answered(site, claim, (answer.status(), answer.headers()), edits, is_plain);
        }
    }

    /// Watches what a request has opened, until it is cut; `was_used` is asked
    /// at each look.
    pub fn watch(&self, site: &Site, watched: &Watched, was_used: impl Fn() -> bool) -> End {
        let isolate = Isolate { world: self, memory: self.memory(site), asked: Cell::default() };
        pollster::block_on(watch::until_end(site, &isolate, watched, was_used))
    }

    /// What the isolate of this site remembers.
    pub fn memory(&self, site: &Site) -> Rc<Memory> {
        let address = std::ptr::from_ref(site).addr();
        Rc::clone(self.memories.borrow_mut().entry(address).or_default())
    }

    /// Logs alice in; the Cookie header for her next requests.
    pub fn log_in(&self, site: &Site) -> String {
        let seen = self.serve(site, &super::request("POST", "/login", &[("sec-fetch-site", "same-origin")]));
        seen.cookie().expect("a session cookie").to_owned()
    }

    /// The alarms of all objects ring.
    pub fn ring(&self) {
        let objects: Vec<_> = self.shards.databases.borrow().values().cloned().collect();
        for object in objects {
            let _ = pollster::block_on(object.wake(&self.shards));
        }
        let _ = pollster::block_on(self.shards.feed.wake(&self.shards));
    }

    /// The reason why the last command was ignored.
    pub fn ignored(&self) -> Option<&'static str> {
        match self.events.borrow().last() {
            Some(Event::CommandIgnored { reason, .. }) => Some(reason),
            _ => None,
        }
    }

    pub fn event_names(&self) -> Vec<String> {
        let name = |event: &Event| {
            let line: serde_json::Value =
                serde_json::from_str(&event.to_line(UnixMillis(0), &Whence::default())).expect("JSON");
            line["event"].as_str().expect("a name").to_owned()
        };
        self.events.borrow().iter().map(name).collect()
    }
}

/// What the client sees of it.
fn seen_of(reply: Reply<Head>) -> Seen {
    match reply {
        Reply::Own(own) => {
            let OwnResponse { status, headers, body } = own;
            Seen { status: Some(status), headers, body, removed: Vec::new(), watched: None }
        }
        Reply::Forwarded { edits, body, watched, .. } => {
            let HeaderEdits { remove, set, append } = edits;
            let body = String::from_utf8(body.unwrap_or_default()).expect("a text");
            Seen { status: None, headers: owned(set).chain(append).collect(), body, removed: remove, watched }
        }
    }
}

/// The nonce that the origin was sent.
pub fn nonce_of(outgoing: &Outgoing) -> Option<&str> {
    outgoing.edits.set.iter().find(|(name, _)| name == "warifu-nonce").map(|(_, value)| value.as_str())
}

/// The headers that the origin sees: the client's, edited.
pub fn at_origin(request: &Request, outgoing: &Outgoing) -> Vec<(String, String)> {
    let HeaderEdits { remove, set, .. } = &outgoing.edits;
    let is_gone = |name: &str| remove.iter().any(|r| r == name) || set.iter().any(|(s, _)| s == name);
    let kept = request.headers.iter().filter(|(name, _)| !is_gone(name)).map(|(n, v)| (n.to_owned(), v.to_owned()));
    kept.chain(owned(set.clone())).collect()
}

/// Edits with names as they are in answers.
pub fn owned(set: Vec<(Name, String)>) -> impl Iterator<Item = (String, String)> {
    set.into_iter().map(|(name, value)| (name.into_owned(), value))
}

/// One isolate of a site's Worker in this world.
struct Isolate<'a> {
    world: &'a World,
    memory: Rc<Memory>,
    /// What a session object has said to the request before it is heard.
    asked: Cell<Option<Asked>>,
}

impl Ports for Isolate<'_> {
    type Shards = Shards;
    type Feed = Shards;
    type Replica = Shards;
    type Origin = Closure;

    fn feed(&self) -> &Shards {
        &self.world.shards
    }

    fn shards(&self) -> &Shards {
        &self.world.shards
    }

    fn replica(&self) -> Option<&Shards> {
        Some(&self.world.shards)
    }

    fn origin(&self) -> &Closure {
        &self.world.origin
    }

    fn clock(&self) -> &impl Clock {
        &self.world.shards
    }

    fn random(&self) -> &impl Random {
        &self.world.random
    }

    fn memory(&self) -> &Rc<Memory> {
        &self.memory
    }

    fn asked(&self, key: &SessionKey) -> Option<Asked> {
        self.asked.take().filter(|asked| asked.is_of(key))
    }

    async fn asset(&self, path: &str) -> Result<Option<Asset>, String> {
        let assets = self.world.assets.borrow();
        let found = assets.iter().find(|(known, ..)| *known == path);
        Ok(found.map(|(_, etag, body)| Asset { etag: etag.map(str::to_owned), body: (*body).to_owned() }))
    }

    fn outlive_client(&self) {
        self.world.shards.outlives_client.set(true);
    }

    async fn sleep(&self, span: Duration) {
        if !self.world.shards.is_crowded.get() {
            return self.world.pass(span);
        }
        // They take their time too.
        for _ in 0..(span.as_millis() / 20).max(1) {
            self.world.shards.let_others().await;
        }
    }

    fn place(&self) -> Place {
        Place {
            country: Some("JP".to_owned()),
            city: Some("Osaka".to_owned()),
            continent: Some("AS".to_owned()),
            whence: Whence::new(Some(self.world.address.get()), None),
        }
    }

    fn is_used_up(&self) -> bool {
        self.world.shards.is_used_up.get()
    }

    fn tell(&self, event: Event) {
        self.memory.tally().event(name_of(&event.to_line(UnixMillis(0), &Whence::default())));
        self.world.events.borrow_mut().push(event);
    }

    async fn is_within_limit(&self, limit: Limit, key: &str) -> Option<bool> {
        let platform = self.world.platform_limit.get()?;
        self.world.limited.borrow_mut().push((limit, key.to_owned()));
        Some(platform)
    }

    fn report(&self, figures: &[u64]) {
        self.world.figures.borrow_mut().push(figures.to_vec());
    }
}

impl Shards {
    /// Whether the platform lets the caller make one more call.
    fn count(&self) -> Result<(), StoreError> {
        let Some(left) = self.calls_left.get() else { return Ok(()) };
        self.calls_left.set(Some(left.saturating_sub(1)));
        self.is_used_up.set(left == 0);
        if left == 0 { Err(StoreError::UsedUp) } else { Ok(()) }
    }

    fn call(&self, at: Locator, message: &Message) -> Result<ShardAnswer, StoreError> {
        self.calls.set(self.calls.get() + 1);
        if matches!(message.call, ShardCall::Claim(_)) {
            self.claims.borrow_mut().push(self.outlives_client.get());
        }
        if self.is_down.get() || self.fails_from_call.get().is_some_and(|from| self.calls.get() >= from) {
            return Err(StoreError::Unreachable("down".to_owned()));
        }
        // Through the stored form, as between Worker and object.
        let wire = serde_json::to_string(message).expect("JSON");
        let message: Message = serde_json::from_str(&wire).expect("the same call");
        let object = Rc::clone(
            self.databases.borrow_mut().entry(at).or_insert_with(|| Rc::new(SessionObject::new(Sqlite::in_memory()))),
        );
        let answer = pollster::block_on(object.answer(&message, self));
        let wire = serde_json::to_string(&answer).expect("JSON");
        serde_json::from_str::<ShardAnswer>(&wire).expect("the same answer").heard()
    }
}

impl warifu::ports::Shards for Shards {
    async fn ask(&self, at: Locator, message: &Message) -> Result<ShardAnswer, StoreError> {
        self.count()?;
        self.let_others().await;
        let answer = self.call(at, message);
        self.now.set(self.now.get().plus(self.takes.get()));
        answer
    }

    fn ask_later(
        &self,
        at: Locator,
        message: Message,
        then: impl FnOnce(Result<ShardAnswer, StoreError>, UnixMillis) -> After + 'static,
    ) {
        let answer = self.count().and_then(|()| self.call(at, &message));
        let After { put, .. } = then(answer, Clock::now(self));
        self.kv.borrow_mut().extend(put.map(|put| (put.name, put.record)));
    }

    async fn probe(&self) -> Result<(), StoreError> {
        let message = Message { home: None, is_fenced: false, by: None, call: ShardCall::Probe };
        self.call(Locator { generation: 0, region: 0, shard: 0 }, &message).map(|_| ())
    }
}

impl ObjectPorts for Shards {
    fn now(&self) -> UnixMillis {
        self.now.get()
    }

    fn set_alarm(&self, at: UnixMillis) {
        self.alarm.set(Some(self.alarm.get().map_or(at, |earlier| earlier.min(at))));
    }

    async fn sleep(&self, span: Duration) {
        self.now.set(self.now.get().plus(span));
    }

    async fn append(&self, append: &Append) -> Result<FeedReply, String> {
        self.ask_feed(&FeedCall::Append(append.clone())).await.map_err(|error| format!("{error:?}"))
    }

    async fn receipt(&self, kill: KillId) -> Result<FeedReply, String> {
        self.ask_feed(&FeedCall::Receipt { kill }).await.map_err(|error| format!("{error:?}"))
    }
}

impl Feed for Shards {
    async fn ask(&self, call: &FeedCall) -> Result<FeedReply, StoreError> {
        self.count()?;
        self.polls.set(self.polls.get() + 1);
        self.let_others().await;
        self.ask_feed(call).await
    }

    fn ask_later(
        &self,
        call: FeedCall,
        then: impl FnOnce(Result<FeedReply, StoreError>, UnixMillis) -> Option<Event> + 'static,
    ) {
        // It takes no time: what waits in here would keep others from being woken.
        let reply = self.count().and_then(|()| {
            self.polls.set(self.polls.get() + 1);
            pollster::block_on(self.ask_feed(&call))
        });
        then(reply, Clock::now(self));
    }
}

impl Shards {
    /// What a question changes, but for the time, which does not go back.
    fn state(&self) -> (u32, Option<u32>, bool) {
        (self.calls.get(), self.calls_left.get(), self.is_used_up.get())
    }

    fn set_back(&self, (calls, calls_left, is_used_up): (u32, Option<u32>, bool)) {
        self.calls.set(calls);
        self.calls_left.set(calls_left);
        self.is_used_up.set(is_used_up);
    }

    /// Where there are any.
    async fn let_others(&self) {
        if self.is_crowded.get() {
            others_go_on().await;
        }
    }

    async fn ask_feed(&self, call: &FeedCall) -> Result<FeedReply, StoreError> {
        if self.is_feed_down.get() {
            return Err(StoreError::Unreachable("down".to_owned()));
        }
        let wire = serde_json::to_string(call).expect("JSON");
        let call: FeedCall = serde_json::from_str(&wire).expect("the same call");
        let wire = serde_json::to_string(&self.feed.answer(&call, self).await).expect("JSON");
        Ok(serde_json::from_str(&wire).expect("the same reply"))
    }
}

/// Whatever else is served at the same time.
async fn others_go_on() {
    let mut is_my_turn = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut is_my_turn, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Replica for Shards {
    async fn read(&self, name: &str) -> Result<Option<String>, StoreError> {
        let found = self.kv.borrow().get(name).cloned();
        self.records.set(self.records.get() + u64::from(found.is_some()));
        Ok(found)
    }

    fn write_later(&self, put: Put) {
        self.kv.borrow_mut().insert(put.name, put.record);
    }

    fn delete_later(&self, name: String) {
        self.kv.borrow_mut().remove(&name);
    }
}

impl Confirm for Shards {
    async fn confirmed(&self) -> Result<(), SqlError> {
        Ok(())
    }
}

impl FeedPorts for Shards {
    fn now(&self) -> UnixMillis {
        self.now.get()
    }

    fn set_alarm(&self, at: UnixMillis) {
        ObjectPorts::set_alarm(self, at);
    }

    async fn ask_shard(&self, home: Home, message: &Message) -> Result<ShardAnswer, String> {
        self.call(home.locator(), message).map_err(|error| format!("{error:?}"))
    }
}

impl Clock for Shards {
    fn now(&self) -> UnixMillis {
        self.now.get().minus(self.isolates_behind.get()).expect("later than 1970")
    }
}

impl Origin for Closure {
    type Body = Bytes;
    type Answer = Head;

    async fn probe(&self, probe: &Probe) -> Result<Probed, OriginError> {
        self.probes.borrow_mut().push(probe.clone());
        for _ in 0..self.probe_takes.get() {
            others_go_on().await;
        }
        self.probed.borrow().clone()
    }

    async fn send(&self, outgoing: &Outgoing, _body: Bytes) -> Result<Head, OriginError> {
        self.seen.borrow_mut().push(outgoing.clone());
        let pairs = (self.answer)(outgoing).ok_or_else(|| OriginError::Unreachable("refused".to_owned()))?;
        let of = |name| pairs.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
        let (status, body) = (of(STATUS).and_then(|status| status.parse().ok()).unwrap_or(self.status.get()), of(BODY));
        let headers = HeaderBlock::from_pairs(pairs.iter().filter(|(name, _)| !name.starts_with(':')).copied());
        Ok(Head { headers, status, body })
    }
}

/// Among the header fields of an answer: its status, 200 if there is none.
pub const STATUS: &str = ":status";
/// And its body; [`ENDLESS`] is one.
pub const BODY: &str = ":body";
/// A body that does not end.
pub const ENDLESS: &str = "…";

pub struct Head {
    headers: HeaderBlock,
    status: u16,
    body: Option<&'static str>,
}

impl Answer for Head {
    fn headers(&self) -> &HeaderBlock {
        &self.headers
    }

    fn status(&self) -> u16 {
        self.status
    }

    async fn read(&self, bytes_max: usize, _: Duration) -> Result<Vec<u8>, BodyError> {
        match self.body.unwrap_or_default() {
            ENDLESS => Err(BodyError::TooSlow),
            body if body.len() > bytes_max => Err(BodyError::TooLong),
            body => Ok(body.as_bytes().to_vec()),
        }
    }

    fn is_web_socket(&self) -> bool {
        self.headers.get("sec-websocket-accept").is_some()
    }

    fn refuse(self) {}
}

#[derive(Clone)]
pub struct Bytes(Vec<u8>, Meanwhile);

impl Body for Bytes {
    async fn read(self, bytes_max: usize) -> Result<Vec<u8>, BodyError> {
        let meanwhile = self.1.take();
        if let Some(act) = meanwhile {
            act();
        }
        if self.0.len() <= bytes_max { Ok(self.0) } else { Err(BodyError::TooLong) }
    }
}

/// Bytes that differ at each call; not random, so that a failure replays.
pub struct Counter {
    seed: Cell<u64>,
    pub is_broken: Cell<bool>,
    /// How many bytes each time.
    pub asked: RefCell<Vec<usize>>,
}

impl Random for Counter {
    fn fill(&self, bytes: &mut [u8]) -> bool {
        if self.is_broken.get() {
            return false;
        }
        self.asked.borrow_mut().push(bytes.len());
        let seed = self.seed.get();
        self.seed.set(seed + 1);
        for (index, byte) in bytes.iter_mut().enumerate() {
            let mixed = (seed ^ (index as u64) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            *byte = mixed.to_be_bytes()[2];
        }
        true
    }
}
