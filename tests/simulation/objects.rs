//! The objects: each has one current copy, or none, and sometimes an older one
//! that does not know that it was replaced.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use warifu::mutants::{self, Mutant};
use warifu::revocation::Epoch;
use warifu::session::KillId;
use warifu::store::SqlError;
use warifu::store::feed::{Append, FeedCall, FeedReply};
use warifu::store::feed_object::{FeedObject, FeedPorts};
use warifu::store::fence::Confirm;
use warifu::store::message::{Home, Message, ShardAnswer};
use warifu::store::session_object::{NotDone, ObjectPorts, SessionObject};
use warifu::time::UnixMillis;

use super::check::answer::{self, Leaving};
use super::clock::Clock;
use super::disk::{Disk, Durable, Storage, Write};
use super::executor::{FOREVER, Group, MILLI, Micros, Receiver, SECOND, channel};
use super::truth;
use super::world::{Node, World};
use crate::support::sqlite::Sqlite;

/// The place of an object.
pub struct Slot {
    pub node: Node,
    pub durable: Durable,
    current: RefCell<Option<Rc<Instance>>>,
    /// Copies that were replaced, and who still reaches them.
    old: RefCell<Vec<(Rc<Instance>, BTreeSet<Node>)>>,
    /// The alarm that is durable, by its number.
    alarm: Cell<Option<u64>>,
    alarms: Cell<u64>,
    is_ringing: Cell<bool>,
    /// For schedules: nothing becomes durable, or nothing is confirmed.
    pub holds_writes: Cell<bool>,
    pub holds_confirmations: Cell<bool>,
    first_epoch: Cell<Option<Epoch>>,
}

enum Object {
    Shard(SessionObject<Storage>),
    Feed(FeedObject<Storage>),
}

/// One copy of an object.
pub struct Instance {
    group: Group,
    object: Object,
    disk: Rc<Disk>,
    clock: Clock,
    epoch: Option<Epoch>,
    replaced: Cell<Option<Micros>>,
}

impl Slot {
    pub fn new(node: Node) -> Self {
        Self {
            node,
            durable: Durable::empty(),
            current: RefCell::default(),
            old: RefCell::default(),
            alarm: Cell::new(None),
            alarms: Cell::new(0),
            is_ringing: Cell::new(false),
            holds_writes: Cell::new(false),
            holds_confirmations: Cell::new(false),
            first_epoch: Cell::new(None),
        }
    }

    pub fn current(&self) -> Option<Rc<Instance>> {
        self.current.borrow().clone()
    }
}

impl Instance {
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Runs a statement besides what the object does.
    pub fn maintain(&self, statement: &str) {
        use warifu::store::Sql;
        let _ = Storage(Rc::clone(&self.disk)).run(statement, &[]);
    }
}

/// Wakes an object where it sleeps.
fn instance(world: &Rc<World>, slot: &Slot) -> Rc<Instance> {
    if let Some(current) = slot.current() {
        return current;
    }
    let dice = world.dice.fork();
    let disk = Rc::new(Disk::new(slot.durable.copy()));
    let mut epoch = Epoch([0; 8]);
    dice.fill(&mut epoch.0);
    if mutants::is(Mutant::EpochKept) {
        epoch = slot.first_epoch.get().unwrap_or(epoch);
        slot.first_epoch.set(Some(epoch));
    }
    let bound = *world.plan.bounds.iter().max().expect("a bound");
    let storage = Storage(Rc::clone(&disk));
    let (object, epoch) = match slot.node {
        Node::Feed => {
            let bound = bound.max(world.plan.continue_for * 1_000);
            (Object::Feed(FeedObject::new(storage, epoch, bound)), Some(epoch))
        }
        _ => (Object::Shard(SessionObject::new(storage)), None),
    };
    let clock = Clock::draw(&dice);
    let group = world.exec.group();
    let instance = Rc::new(Instance { group, object, disk, clock, epoch, replaced: Cell::new(None) });
    *slot.current.borrow_mut() = Some(Rc::clone(&instance));
    let (owner, place, kept) = (Rc::clone(world), slot.node, Rc::clone(&instance));
    world.exec.spawn(group, async move { write_behind(&owner, owner.slot(place), &kept).await });
    instance
}

/// Makes durable what is written, and confirms it, each a while later.
async fn write_behind(world: &Rc<World>, slot: &Slot, instance: &Rc<Instance>) {
    loop {
        let up_to = instance.disk.dirty().await;
        world.exec.sleep(world.writing_time()).await;
        // What a copy writes that was replaced becomes durable nowhere.
        while slot.holds_writes.get() || instance.replaced.get().is_some() {
            world.exec.sleep(MILLI).await;
        }
        let writes = instance.disk.take(up_to);
        truth::durable(&mut world.history.borrow_mut(), slot.node, &writes, instance.epoch, world.exec.now());
        let alarm = writes.iter().rev().find_map(|write| match write {
            Write::Alarm(at) => Some(*at),
            Write::Statement(..) => None,
        });
        slot.durable.add(writes.into_iter());
        if let Some(at) = alarm {
            set_alarm(world, slot, instance.clock.when(at, world.exec.now()));
        }
        world.exec.sleep(world.writing_time()).await;
        while slot.holds_confirmations.get() {
            world.exec.sleep(MILLI).await;
        }
        instance.disk.confirm(up_to);
    }
}

fn set_alarm(world: &Rc<World>, slot: &Slot, at: Micros) {
    let number = slot.alarms.get() + 1;
    slot.alarms.set(number);
    slot.alarm.set(Some(number));
    let (world, node) = (Rc::clone(world), slot.node);
    let late = world.lateness();
    world.clone().exec.spawn(FOREVER, async move {
        world.exec.sleep(at.saturating_sub(world.exec.now()) + late).await;
        let slot = world.slot(node);
        if slot.alarm.get() == Some(number) {
            slot.alarm.set(None);
            ring(&world, slot);
        }
    });
}

/// At least once: again if the object goes down meanwhile, and now and then
/// for no reason.
fn ring(world: &Rc<World>, slot: &Slot) {
    slot.is_ringing.set(true);
    let instance = instance(world, slot);
    let (world, node) = (Rc::clone(world), slot.node);
    world.clone().exec.spawn(instance.group, async move {
        let slot = world.slot(node);
        let surroundings = Surroundings { world: &world, slot, instance: &instance };
        let times = if world.plan.faults.alarms && world.is_faulty() && world.dice.chance(100) { 2 } else { 1 };
        for _ in 0..times {
            let woken = match &instance.object {
                Object::Shard(shard) => shard.wake(&surroundings).await.map_err(|why| match why {
                    NotDone::Sweeping(reason) | NotDone::Publishing(reason) => reason,
                }),
                Object::Feed(feed) => feed.wake(&surroundings).await,
            };
            if let Err(reason) = woken {
                world.note(|| format!("   alarm of {node:?}: {reason}"));
            }
            let _ = instance.disk.confirmed().await;
        }
        slot.is_ringing.set(false);
    });
}

/// Ends the current copy, with all that was not durable.
pub fn crash(world: &Rc<World>, slot: &Slot) {
    let Some(instance) = slot.current.take() else { return };
    world.exec.end(instance.group);
    go_on_ringing(world, slot);
}

/// A new copy takes over from what is durable; for a while, some callers still
/// reach the old one.
pub fn replace(world: &Rc<World>, slot: &Slot, reached_by: BTreeSet<Node>, span: Micros) {
    let Some(instance) = slot.current.take() else { return };
    instance.replaced.set(Some(world.exec.now()));
    slot.old.borrow_mut().push((Rc::clone(&instance), reached_by));
    go_on_ringing(world, slot);
    let (world, node) = (Rc::clone(world), slot.node);
    world.clone().exec.spawn(FOREVER, async move {
        world.exec.sleep(span).await;
        world.slot(node).old.borrow_mut().retain(|(old, _)| !Rc::ptr_eq(old, &instance));
        world.exec.end(instance.group);
    });
}

/// The platform has found the copies that were replaced.
pub fn end_old_copies(world: &World, slot: &Slot) {
    for (old, _) in slot.old.take() {
        world.exec.end(old.group);
    }
}

fn go_on_ringing(world: &Rc<World>, slot: &Slot) {
    if slot.is_ringing.replace(false) {
        set_alarm(world, slot, world.exec.now() + 500 * MILLI + world.dice.below(SECOND));
    }
}

/// The feed's storage is gone, or is what it was at an earlier time.
pub fn restore(world: &Rc<World>, slot: &Slot, earlier: Option<&Sqlite>) {
    crash(world, slot);
    slot.durable.become_again(earlier);
    let statement = "SELECT value FROM meta WHERE name = 'high'";
    let high = slot.durable.read().connection.query_row(statement, [], |row| row.get::<_, i64>(0));
    let durable = slot.durable.read();
    let rows = durable.connection.prepare("SELECT generation FROM map").and_then(|mut statement| {
        statement.query_map([], |row| row.get::<_, u8>(0).map(u64::from))?.collect::<Result<BTreeSet<_>, _>>()
    });
    let mut history = world.history.borrow_mut();
    history.feed_high = high.map_or(0, |high| u64::try_from(high).unwrap_or(0));
    history.feed_rows = rows.unwrap_or_default();
}

/// Hands a message to the copy that this caller reaches. The answer comes when
/// all that the copy has written by then is confirmed; never, if it goes down.
pub fn deliver(world: &Rc<World>, slot: &Slot, from: Node, wire: String) -> Receiver<String> {
    let old =
        slot.old.borrow().iter().find(|(_, reached_by)| reached_by.contains(&from)).map(|(old, _)| Rc::clone(old));
    let instance = old.unwrap_or_else(|| instance(world, slot));
    let (sender, receiver) = channel();
    let (world, node) = (Rc::clone(world), slot.node);
    world.clone().exec.spawn(instance.group, async move {
        let arrived = world.exec.now();
        let surroundings = Surroundings { world: &world, slot: world.slot(node), instance: &instance };
        let answer = surroundings.answer(&wire).await;
        if instance.disk.confirmed().await.is_err() {
            return;
        }
        let leaving = Leaving {
            from: format!("{node:?}"),
            arrived,
            replaced: instance.replaced.get(),
            says: answer.kind().to_owned(),
        };
        answer.check(&world, &leaving);
        sender.send(answer.wire);
    });
    receiver
}

/// An answer on its way out.
struct Answered {
    wire: String,
    shard: Option<ShardAnswer>,
    /// Whether it says nothing, or is not promised to be current.
    is_idle: bool,
}

impl Answered {
    fn kind(&self) -> &'static str {
        self.shard.as_ref().map_or("a poll or an append", ShardAnswer::kind)
    }

    fn check(&self, world: &World, leaving: &Leaving) {
        let mut history = world.history.borrow_mut();
        let now = world.exec.now();
        if !self.is_idle {
            answer::i6_replaced_copies_are_silent(&mut history, leaving, now);
        }
        if let Some(ShardAnswer::Checked { found: Some(found), .. } | ShardAnswer::Renewed { found: Some(found), .. }) =
            &self.shard
        {
            answer::i11_expiry_never_moves_back(&mut history, leaving, &found.session, now);
        }
    }
}

/// What one copy of an object needs of the world.
struct Surroundings<'a> {
    world: &'a Rc<World>,
    slot: &'a Slot,
    instance: &'a Rc<Instance>,
}

impl Surroundings<'_> {
    async fn answer(&self, wire: &str) -> Answered {
        match &self.instance.object {
            Object::Shard(shard) => {
                let message: Message = serde_json::from_str(wire).expect("the same call");
                let answer = shard.answer(&message, self).await;
                let is_idle = !message.is_fenced || matches!(answer, ShardAnswer::Failed { .. });
                let wire = serde_json::to_string(&answer).expect("JSON");
                Answered { wire, shard: Some(answer), is_idle }
            }
            Object::Feed(feed) => {
                let call: FeedCall = serde_json::from_str(wire).expect("the same call");
                let reply = feed.answer(&call, self).await;
                let is_idle = matches!(reply, FeedReply::Failed { .. });
                Answered { wire: serde_json::to_string(&reply).expect("JSON"), shard: None, is_idle }
            }
        }
    }

    fn time(&self) -> UnixMillis {
        self.instance.clock.read(self.world.exec.now())
    }

    /// Nothing leaves before what was written is confirmed.
    async fn send(&self, to: Node, wire: String, patience: Micros) -> Result<String, String> {
        self.instance.disk.confirmed().await.map_err(|error| error.0)?;
        self.world.call(self.slot.node, to, wire, patience).await
    }

    async fn ask_feed(&self, call: &FeedCall) -> Result<FeedReply, String> {
        let wire = serde_json::to_string(call).expect("JSON");
        let reply = self.send(Node::Feed, wire, FEED_PATIENCE).await?;
        Ok(serde_json::from_str(&reply).expect("a reply"))
    }
}

impl Confirm for Surroundings<'_> {
    async fn confirmed(&self) -> Result<(), SqlError> {
        self.instance.disk.confirmed().await
    }
}

impl ObjectPorts for Surroundings<'_> {
    fn now(&self) -> UnixMillis {
        self.time()
    }

    fn set_alarm(&self, at: UnixMillis) {
        self.instance.disk.set_alarm(at);
    }

    async fn sleep(&self, span: Duration) {
        self.world.exec.sleep(u64::try_from(span.as_micros()).expect("a short time")).await;
    }

    async fn append(&self, append: &Append) -> Result<FeedReply, String> {
        self.ask_feed(&FeedCall::Append(append.clone())).await
    }

    async fn receipt(&self, kill: KillId) -> Result<FeedReply, String> {
        self.ask_feed(&FeedCall::Receipt { kill }).await
    }
}

impl FeedPorts for Surroundings<'_> {
    fn now(&self) -> UnixMillis {
        self.time()
    }

    fn set_alarm(&self, at: UnixMillis) {
        self.instance.disk.set_alarm(at);
    }

    async fn ask_shard(&self, home: Home, message: &Message) -> Result<ShardAnswer, String> {
        let to = self.world.shard(home.locator());
        let wire = serde_json::to_string(message).expect("JSON");
        let answer = self.send(to, wire, SHARD_PATIENCE).await?;
        match serde_json::from_str(&answer).expect("an answer") {
            ShardAnswer::Failed { reason } => Err(reason),
            answer => Ok(answer),
        }
    }
}

/// As the edge has it.
pub const SHARD_PATIENCE: Micros = 10 * SECOND;
pub const FEED_PATIENCE: Micros = 2 * SECOND;
