//! The world of one seed: the parts, the messages between them, and requests
//! of clients from end to end.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use warifu::cookie::{self, Presented};
use warifu::gate::{self, Reply};
use warifu::headers::HeaderBlock;
use warifu::request::Request;
use warifu::token::{Locator, SessionKey};

use super::check::acceptance::{Acceptance, Source};
use super::check::{answer, settled};
use super::edge::Edge;
use super::executor::{Executor, FOREVER, MILLI, Micros, SECOND, channel};
use super::history::{Asked, Cookie, History, Route};
use super::kv::Kv;
use super::objects::{self, Slot};
use super::plan::Plan;
use super::ports::{self, Bytes, Visit};
use super::random::Dice;
use super::relay::Relay;
use super::sockets;
use crate::support::world::owned;

/// A place that sends messages or gets them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Node {
    Client,
    Edge(usize),
    Shard(usize),
    Feed,
}

/// What happens to messages from one place to another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    /// None arrives.
    pub is_down: bool,
    /// They take so long; `None`: as far as it is.
    pub takes: Option<Micros>,
}

pub struct World {
    pub plan: Plan,
    pub exec: Executor,
    pub dice: Dice,
    pub history: RefCell<History>,
    pub links: RefCell<BTreeMap<(Node, Node), Link>>,
    /// The shards, and the feed last.
    slots: Vec<Slot>,
    places: BTreeMap<(u8, u16), usize>,
    pub edges: RefCell<Vec<Rc<Edge>>>,
    /// Whether something may go wrong now.
    pub has_faults: Cell<bool>,
    /// Rows of the map that are in use, and how many of them are taken out again.
    pub rows: Cell<usize>,
    pub rows_out: Cell<usize>,
    asks: RefCell<BTreeMap<usize, Ask>>,
    restarts: Cell<usize>,
    pub relay: Relay,
    pub kv: Kv,
}

/// What a client sends.
#[derive(Clone, Debug)]
pub struct Ask {
    pub who: String,
    pub route: Route,
    pub method: &'static str,
    /// Below our own API.
    pub path: String,
    pub cookie: Option<usize>,
    pub body: &'static str,
    /// What the origin will say.
    pub command: Option<String>,
    pub subject: Option<String>,
    /// Whether it is to stay open.
    pub opens: bool,
    /// How long the origin takes.
    pub origin_takes: Micros,
}

/// What a client gets.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// `None`: the origin's own answer; 0: none at all.
    pub status: Option<u16>,
    pub location: Option<String>,
    pub cookie: SetCookie,
    pub body: String,
}

/// What an answer does to the cookie.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SetCookie {
    #[default]
    Nothing,
    Cleared,
    /// It is this one of the history's.
    Set(usize),
}

impl World {
    pub fn new(plan: Plan, is_traced: bool) -> Rc<Self> {
        let dice = Dice::new(plan.seed);
        let exec = Executor::new(dice.fork());
        let mut places = BTreeMap::new();
        for (row, shards) in plan.rows.iter().enumerate() {
            for shard in 0..*shards {
                let generation = u8::try_from(row + 1).expect("few rows");
                let index = places.len();
                places.insert((generation, u16::try_from(shard).expect("few shards")), index);
            }
        }
        let mut slots: Vec<Slot> = (0..places.len()).map(|index| Slot::new(Node::Shard(index))).collect();
        slots.push(Slot::new(Node::Feed));
        let history = History { trace: is_traced.then(Vec::new), ..History::default() };
        let world = Rc::new(Self {
            exec,
            dice,
            history: RefCell::new(history),
            links: RefCell::default(),
            slots,
            places,
            edges: RefCell::default(),
            has_faults: Cell::new(true),
            rows: Cell::new(1),
            rows_out: Cell::new(0),
            asks: RefCell::default(),
            restarts: Cell::new(0),
            relay: Relay::default(),
            kv: Kv::default(),
            plan,
        });
        let edges = (0..world.plan.edges).map(|seat| world.new_edge(seat, seat)).collect();
        world.edges.replace(edges);
        world
    }

    /// An isolate in this place, of this version of the configuration.
    pub fn new_edge(&self, seat: usize, version: usize) -> Rc<Edge> {
        let number = self.restarts.get();
        self.restarts.set(number + 1);
        let site = self.plan.site(version, self.rows_out.get()..self.rows.get());
        Rc::new(Edge::new(format!("edge{seat}.{number}"), seat, site, self.dice.fork(), self.exec.group()))
    }

    pub fn slot(&self, node: Node) -> &Slot {
        match node {
            Node::Shard(index) => &self.slots[index],
            _ => self.slots.last().expect("the feed"),
        }
    }

    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub fn shards(&self) -> &[Slot] {
        &self.slots[..self.slots.len() - 1]
    }

    pub fn shard(&self, at: Locator) -> Node {
        Node::Shard(self.places[&(at.generation, at.shard)])
    }

    pub fn is_faulty(&self) -> bool {
        self.has_faults.get()
    }

    pub fn note(&self, line: impl FnOnce() -> String) {
        self.history.borrow_mut().note(self.exec.now(), |_| line());
    }

    /// How long a write takes to become durable, or to be confirmed.
    pub fn writing_time(&self) -> Micros {
        let dice = &self.dice;
        if self.is_faulty() && dice.chance(self.plan.faults.slow) {
            dice.within(100, 1_500) * MILLI
        } else {
            dice.within(1, 8) * MILLI
        }
    }

    /// How late an alarm is.
    pub fn lateness(&self) -> Micros {
        let is_late = self.plan.faults.alarms && self.is_faulty() && self.dice.chance(200);
        if is_late { self.dice.within(1, 4) * SECOND } else { self.dice.below(20) * MILLI }
    }

    /// Sends a message and waits for the answer; no longer than `patience`.
    pub async fn call(self: &Rc<Self>, from: Node, to: Node, wire: String, patience: Micros) -> Result<String, String> {
        let (sender, receiver) = channel();
        // A start that came again after its session was ended would begin it anew.
        let may_repeat = self.is_faulty() && !wire.contains("\"start\":");
        let copies = if may_repeat && self.dice.chance(self.plan.faults.twice) { 2 } else { 1 };
        for copy in 0..copies {
            let (world, sender, wire) = (Rc::clone(self), sender.clone(), wire.clone());
            self.exec.spawn(FOREVER, async move {
                if copy > 0 {
                    world
                        .history
                        .borrow_mut()
                        .fault(world.exec.now(), "message twice", || format!("{from:?} to {to:?}"));
                    world.exec.sleep(world.dice.below(5 * SECOND)).await;
                }
                if !world.travel(from, to).await {
                    return;
                }
                let answered = objects::deliver(&world, world.slot(to), from, wire).await;
                if !world.travel(to, from).await {
                    return;
                }
                sender.send(answered.ok_or_else(|| "the object was reset".to_owned()));
            });
        }
        let answered = self.exec.within(patience, receiver).await.flatten();
        drop(sender);
        answered.unwrap_or_else(|| Err("no answer".to_owned()))
    }

    /// The way of a message; whether it arrives.
    async fn travel(&self, from: Node, to: Node) -> bool {
        let link = self.links.borrow().get(&(from, to)).copied().unwrap_or_default();
        let faults = &self.plan.faults;
        if link.is_down || (self.is_faulty() && self.dice.chance(faults.lost)) {
            self.history.borrow_mut().fault(self.exec.now(), "message lost", || format!("{from:?} to {to:?}"));
            return false;
        }
        let takes = match link.takes {
            Some(takes) => takes,
            None if self.is_faulty() && self.dice.chance(faults.slow) => {
                self.history.borrow_mut().fault(self.exec.now(), "message slow", || format!("{from:?} to {to:?}"));
                self.dice.within(300, 4_000) * MILLI
            }
            None => self.distance(from, to),
        };
        self.exec.sleep(takes).await;
        true
    }

    /// Three regions; the feed is in the first.
    fn distance(&self, from: Node, to: Node) -> Micros {
        let region = |node| match node {
            Node::Client | Node::Feed => 0,
            Node::Edge(seat) => seat % 3,
            Node::Shard(index) => index % 3,
        };
        let is_near = region(from) == region(to);
        if is_near { self.dice.within(500, 5_000) } else { self.dice.within(15_000, 60_000) }
    }

    /// What the origin says to a request, and how long it takes.
    pub fn command_of(&self, request: usize) -> (Option<String>, Micros) {
        let asks = self.asks.borrow();
        asks.get(&request).map(|ask| (ask.command.clone(), ask.origin_takes)).unwrap_or_default()
    }

    /// Whether a request is to stay open.
    pub fn opens(&self, request: usize) -> bool {
        self.asks.borrow().get(&request).is_some_and(|ask| ask.opens)
    }

    /// A request has been let through with a session.
    pub fn accepted(&self, request: usize, accepted: &Acceptance) {
        ports::check(self, accepted);
        let Acceptance { edge, source, session, route, .. } = accepted;
        let mut history = self.history.borrow_mut();
        let is_cached = *source == Source::Memory;
        history.counts.acceptances += 1;
        history.counts.cached += u64::from(is_cached);
        history.counts.replica += u64::from(*source == Source::Replica);
        history.counts.outage += u64::from(*source == Source::Outage);
        let (cached, all) = edge.lately.get();
        edge.lately.set((cached + u32::from(is_cached), all + 1));
        if let Some(lineage) = history.lineages.get_mut(session).filter(|_| *route != Route::Poll) {
            lineage.used = accepted.at;
        }
        if accepted.is_newest {
            let ends = accepted.at + self.plan.grace * SECOND;
            for earlier in history.ancestors(accepted.cookie) {
                let cookie = &mut history.cookies[earlier];
                cookie.ends = Some(cookie.ends.map_or(ends, |before| before.min(ends)));
            }
        }
        history.note(accepted.at, |history| {
            format!("   r{request} accepted by {source:?} at {} as {}", edge.name, history.name(*session))
        });
    }

    /// A request of a client, from end to end.
    pub async fn request(self: &Rc<Self>, seat: usize, ask: Ask) -> Seen {
        let request = self.sent(&ask);
        if !self.travel(Node::Client, Node::Edge(seat)).await {
            self.exec.sleep(SECOND).await;
            return Seen { status: Some(0), ..Seen::default() };
        }
        let edge = Rc::clone(&self.edges.borrow()[seat]);
        self.history.borrow_mut().asked[request].arrived = Some(self.exec.now());
        let (sender, receiver) = channel();
        let message = Rc::new(self.message(&ask));
        let visit = Visit {
            world: Rc::clone(self),
            edge: Rc::clone(&edge),
            request,
            message,
            said: Rc::default(),
            waited: Rc::default(),
            makes_none: Rc::default(),
        };
        self.exec.spawn(edge.group, async move {
            let reply = match visit.follow().await {
                Some(reply) => reply,
                None => gate::serve(&visit.edge.site, &visit, &visit.message, Bytes(ask.body.into())).await,
            };
            let seen = visit.world.answered(&visit, &ask, reply);
            sender.send(seen);
        });
        let seen = self.exec.within(60 * SECOND, receiver).await.flatten();
        let arrives = self.travel(Node::Edge(seat), Node::Client).await;
        seen.filter(|_| arrives).unwrap_or(Seen { status: Some(0), ..Seen::default() })
    }

    fn sent(&self, ask: &Ask) -> usize {
        let now = self.exec.now();
        let mut history = self.history.borrow_mut();
        let request = history.asked.len();
        history.counts.requests += 1;
        history.note(now, |_| {
            let cookie = ask.cookie.map(|cookie| format!(" c{cookie}")).unwrap_or_default();
            let command = ask.command.as_deref().unwrap_or_default();
            format!("r{request} {}: {} {}{}{cookie} {command}", ask.who, ask.method, ask.route.path(), ask.path)
        });
        if let Some(cookie) = ask.cookie {
            history.cookies[cookie].sent.get_or_insert(now);
        }
        history.asked.push(Asked {
            route: ask.route,
            cookie: ask.cookie,
            sent: now,
            arrived: None,
            forwarded: None,
            session: None,
            checks: 0,
            calls: 0,
            has_record: false,
            is_confirmed: false,
            is_newest: false,
            has_store_failed: false,
            starts: None,
        });
        self.asks.borrow_mut().insert(request, ask.clone());
        request
    }

    fn message(&self, ask: &Ask) -> Request {
        let cookie = ask.cookie.map(|cookie| self.history.borrow().cookies[cookie].text.clone());
        let mut headers = vec![];
        if ask.route == Route::Own && ask.cookie.is_none() {
            headers.push(("authorization", "Bearer hunter2"));
        } else {
            headers.push(("sec-fetch-site", "same-origin"));
        }
        if ask.opens {
            headers.push(("upgrade", "websocket"));
        }
        headers.extend(cookie.as_deref().map(|cookie| ("cookie", cookie)));
        let url = format!("https://app.test{}{}", ask.route.path(), ask.path);
        Request::new(ask.method, &url, HeaderBlock::from_pairs(headers)).expect("a request")
    }

    /// The answer leaves the edge.
    fn answered(&self, visit: &Visit, ask: &Ask, reply: Reply<ports::Head>) -> Seen {
        let (status, headers, body, watched) = match reply {
            Reply::Own(own) => (Some(own.status), own.headers, own.body, None),
            Reply::Forwarded { edits, watched, .. } => {
                (None, owned(edits.set).chain(edits.append).collect(), String::new(), watched)
            }
        };
        let find = |name: &str| headers.iter().rfind(|(found, _)| found == name).map(|(_, value)| value.clone());
        let set_cookie = find("set-cookie").map(|value| value.split(';').next().unwrap_or_default().to_owned());
        let cookie = set_cookie.map_or(SetCookie::Nothing, |text| self.cookie(visit, ask, text));
        if let Some(watched) = watched {
            sockets::watch(visit, watched, &cookie);
        }
        let seen = Seen { status, location: find("location"), cookie, body };
        let now = self.exec.now();
        self.note(|| format!("   r{} answered {status:?} cookie {:?} {}", visit.request, seen.cookie, seen.body));
        answer::to_client(&mut self.history.borrow_mut(), &self.plan, visit.request, &seen, now);
        answer::no_is_not_kept_forever(&mut self.history.borrow_mut(), &visit.edge, visit.request, &seen, now);
        if seen.status.is_none() {
            self.changed(visit.request, ask);
        }
        if ask.method == "DELETE" || ask.path.starts_with("/revocations") {
            settled::at_receipt(self, &seen.body);
        }
        if seen.cookie != SetCookie::Nothing && self.plan.max_sessions > 0 {
            settled::i14_no_more_sessions_than_allowed(self, ask.subject.as_deref());
        }
        seen
    }

    /// An origin has given new claims. Where nothing goes wrong, the feed has
    /// them by now.
    fn changed(&self, request: usize, ask: &Ask) {
        let mut history = self.history.borrow_mut();
        let is_update = ask.command.as_deref().is_some_and(|command| command.starts_with("do=update"));
        let session = history.asked[request].session.filter(|_| is_update && !self.plan.has_faults());
        if let Some(lineage) = session.and_then(|id| history.lineages.get_mut(&id)) {
            let newest = lineage.versions.len().saturating_sub(1);
            lineage.told.push((self.exec.now(), newest));
        }
    }

    /// What an answer does to the cookie, which is empty where it is cleared.
    fn cookie(&self, visit: &Visit, ask: &Ask, text: String) -> SetCookie {
        match key_of(visit, &text).and_then(|key| self.new_cookie(visit, ask, text, key)) {
            Some(cookie) => SetCookie::Set(cookie),
            None => SetCookie::Cleared,
        }
    }

    fn new_cookie(&self, visit: &Visit, ask: &Ask, text: String, key: SessionKey) -> Option<usize> {
        let mut history = self.history.borrow_mut();
        let asked = &history.asked[visit.request];
        let begins = ask.command.as_deref().is_some_and(|command| command.starts_with("do=start"));
        // In exchange for one of the old kind, which its new secret follows: also where the
        // exchange was made before, and the session that was to begin did not.
        let exchanged = asked.cookie.filter(|cookie| !begins && history.olds.has(*cookie));
        let (session, parent) = match (asked.starts, asked.session) {
            (Some(started), accepted) => (exchanged.and(accepted).unwrap_or(started), exchanged),
            (None, Some(session)) => (session, asked.cookie),
            (None, None) => (history.cookies[asked.cookie?].session, asked.cookie),
        };
        let command = ask.command.as_deref().unwrap_or_default();
        let raised = command.split("level=").nth(1).and_then(|level| level.parse().ok());
        let inherited = parent.map(|parent| &history.cookies[parent]);
        let cuts = command == "do=end-others";
        let cookie = Cookie {
            text,
            key,
            session,
            parent,
            level: raised.or(inherited.map(|parent| parent.level)).unwrap_or(1),
            sent: None,
            checked: None,
            ends: None,
            killed: None,
            is_doomed: inherited.is_some_and(|parent| parent.is_doomed) && !cuts,
            is_cut: cuts,
        };
        Some(history.cookie(cookie))
    }

    /// Everything goes down that still runs.
    pub fn end(&self) {
        self.exec.clear();
    }

    /// All nodes that send messages to objects.
    pub fn callers(&self) -> Vec<Node> {
        let edges = (0..self.plan.edges).map(Node::Edge);
        let shards = (0..self.shards().len()).map(Node::Shard);
        edges.chain(shards).chain([Node::Feed]).collect()
    }

    pub fn some_callers(&self) -> BTreeSet<Node> {
        self.callers().into_iter().filter(|_| self.dice.chance(600)).collect()
    }
}

/// The key of the session that a cookie opens, as `name=value`.
fn key_of(visit: &Visit, text: &str) -> Option<SessionKey> {
    match cookie::presented(text, &visit.edge.site.config.cookie.name, &visit.edge.site.ring) {
        Presented::One(token) => Some(token.session_key()),
        _ => None,
    }
}
