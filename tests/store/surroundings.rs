//! What an object has around it, played by hand: a clock, an alarm, a storage
//! that confirms when it is told to, the feed, other shards. And tasks that go
//! on only when they are woken, as they do on the platform.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use warifu::session::{Handle, KillId};
use warifu::store::SqlError;
use warifu::store::feed::{Append, Appended, FeedCall, FeedReply, NewEntry};
use warifu::store::feed_object::{FeedObject, FeedPorts};
use warifu::store::fence::Confirm;
use warifu::store::message::{Home, Message, ShardAnswer, ShardCall};
use warifu::store::session_object::ObjectPorts;
use warifu::time::UnixMillis;

use crate::feed::Disk;
use crate::{BOUND_MS, EPOCH, NOW};

/// What will be there later.
pub struct Later<T>(Rc<RefCell<(Option<T>, Option<Waker>)>>);

impl<T> Clone for Later<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Later<T> {
    pub fn new() -> Self {
        Self(Rc::new(RefCell::new((None, None))))
    }

    pub fn is(&self, value: T) {
        let mut slot = self.0.borrow_mut();
        slot.0 = Some(value);
        if let Some(waker) = slot.1.take() {
            waker.wake();
        }
    }
}

impl<T> Future for Later<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.0.borrow_mut();
        slot.1 = Some(context.waker().clone());
        slot.0.take().map_or(Poll::Pending, Poll::Ready)
    }
}

/// A call in an object; dropped, it is given up.
pub struct Task<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    woken: Arc<Woken>,
    pub done: Option<T>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<'a, T> Task<'a, T> {
    /// Begins, and goes as far as it can.
    pub fn new(future: impl Future<Output = T> + 'a) -> Self {
        let mut task = Self { future: Box::pin(future), woken: Arc::new(Woken(AtomicBool::new(true))), done: None };
        task.go();
        task
    }

    /// Goes on if it has been woken; whether it had.
    pub fn go(&mut self) -> bool {
        let is_due = self.woken.0.swap(false, Ordering::Relaxed) && self.done.is_none();
        if is_due {
            let waker = Waker::from(Arc::clone(&self.woken));
            if let Poll::Ready(done) = self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.done = Some(done);
            }
        }
        is_due
    }
}

/// Lets all that are woken go on, until none is.
pub fn settle<T>(tasks: &mut [&mut Task<'_, T>]) {
    while tasks.iter_mut().fold(false, |has_gone, task| task.go() | has_gone) {}
}

/// The feed's answer, or why there is none.
type Answered = Result<FeedReply, String>;

/// How the feed behaves.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Reach {
    Answers,
    IsDown,
    /// Each append waits until the test lets it arrive, or fail.
    Holds,
}

pub struct Surroundings {
    pub now: Cell<UnixMillis>,
    /// What was set, in its order.
    pub alarms: RefCell<Vec<UnixMillis>>,
    pub reach: Cell<Reach>,
    /// All that were sent, and what they wait for.
    pub sent: RefCell<Vec<(Append, Later<Answered>)>>,
    /// Sent and not answered, and how many that were at most.
    in_flight: Cell<usize>,
    pub in_flight_max: Cell<usize>,
    /// Whether the feed knows no row of the map that a kill lacks.
    pub is_whole: Cell<bool>,
    /// What the feed has.
    pub taken: RefCell<Vec<NewEntry>>,
    /// The feed that knows of kills of the site, and what it was asked of them.
    pub feed: FeedObject<Disk>,
    pub questions: RefCell<Vec<(KillId, Later<Answered>)>>,
    pub sleeps: RefCell<Vec<(UnixMillis, Later<()>)>>,
    /// Whether writes are confirmed only when the test says so.
    pub holds_writes: Cell<bool>,
    pub writes: RefCell<Vec<Later<Result<(), SqlError>>>>,
    /// Shards that the feed object asks: what each was asked, and one that fails.
    pub asked: RefCell<Vec<(Home, bool, ShardCall)>>,
    pub broken: Cell<Option<u16>>,
    /// What each shard says that it has raised; 1 where it is not here.
    pub generations: RefCell<BTreeMap<u16, u64>>,
}

impl Surroundings {
    pub fn new() -> Self {
        Self {
            now: Cell::new(NOW),
            alarms: RefCell::default(),
            reach: Cell::new(Reach::Answers),
            sent: RefCell::default(),
            in_flight: Cell::new(0),
            in_flight_max: Cell::new(0),
            is_whole: Cell::new(true),
            taken: RefCell::default(),
            feed: FeedObject::new(Disk::new(), EPOCH, BOUND_MS),
            questions: RefCell::default(),
            sleeps: RefCell::default(),
            holds_writes: Cell::new(false),
            writes: RefCell::default(),
            asked: RefCell::default(),
            broken: Cell::new(None),
            generations: RefCell::default(),
        }
    }

    /// Time passes, and those wake who slept so long.
    pub fn pass(&self, span: Duration) {
        let now = self.now.get().plus(span);
        self.now.set(now);
        for (_, slept) in self.sleeps.borrow_mut().extract_if(.., |(until, _)| *until <= now) {
            slept.is(());
        }
    }

    /// The alarm that was set last, once.
    pub fn alarm(&self) -> Option<UnixMillis> {
        self.alarms.borrow_mut().pop()
    }

    pub fn sent_count(&self) -> usize {
        self.sent.borrow().len()
    }

    /// The entries of an append.
    pub fn sent_ids(&self, number: usize) -> Vec<Handle> {
        self.sent.borrow()[number].0.entries.iter().map(|entry| entry.id).collect()
    }

    /// An append arrives at the feed, and the answer at the shard.
    pub fn arrive(&self, number: usize) {
        let (append, later) = self.sent.borrow()[number].clone();
        later.is(Ok(self.take(&append)));
    }

    /// An append arrives, but the answer does not.
    pub fn lose_answer(&self, number: usize) {
        let (append, later) = self.sent.borrow()[number].clone();
        self.take(&append);
        later.is(Err("the answer was lost".to_owned()));
    }

    pub fn fail(&self, number: usize) {
        self.sent.borrow()[number].1.is(Err("the feed is down".to_owned()));
    }

    pub fn confirm(&self, number: usize) {
        self.writes.borrow()[number].is(Ok(()));
    }

    pub fn replaced(&self, number: usize) {
        self.writes.borrow()[number].is(Err(SqlError("this object has been replaced".to_owned())));
    }

    pub fn writes_count(&self) -> usize {
        self.writes.borrow().len()
    }

    /// Each entry once, as the feed does.
    fn take(&self, append: &Append) -> FeedReply {
        let mut taken = self.taken.borrow_mut();
        let mut place = |entry: &NewEntry| {
            let there = taken.iter().position(|other| other.id == entry.id);
            let at = there.unwrap_or_else(|| {
                taken.push(entry.clone());
                taken.len() - 1
            });
            Appended { id: entry.id, seq: at as u64 + 1, accepted: self.now.get(), is_whole: self.is_whole.get() }
        };
        let entries = append.entries.iter().map(&mut place).collect();
        FeedReply::Appended { epoch: EPOCH, bound_ms: BOUND_MS, entries }
    }
}

impl Confirm for Surroundings {
    async fn confirmed(&self) -> Result<(), SqlError> {
        let confirmed = Later::new();
        if !self.holds_writes.get() {
            confirmed.is(Ok(()));
        }
        self.writes.borrow_mut().push(confirmed.clone());
        confirmed.await
    }
}

/// One more that is in flight, for as long as this lives.
struct Counted<'a>(&'a Cell<usize>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl ObjectPorts for Surroundings {
    fn now(&self) -> UnixMillis {
        self.now.get()
    }

    fn set_alarm(&self, at: UnixMillis) {
        self.alarms.borrow_mut().push(at);
    }

    async fn sleep(&self, span: Duration) {
        let slept = Later::new();
        self.sleeps.borrow_mut().push((self.now.get().plus(span), slept.clone()));
        slept.await;
    }

    async fn append(&self, append: &Append) -> Result<FeedReply, String> {
        let answer = Later::new();
        match self.reach.get() {
            Reach::Answers => answer.is(Ok(self.take(append))),
            Reach::IsDown => answer.is(Err("the feed is down".to_owned())),
            Reach::Holds => {}
        }
        self.in_flight.set(self.in_flight.get() + 1);
        self.in_flight_max.set(self.in_flight_max.get().max(self.in_flight.get()));
        let _counted = Counted(&self.in_flight);
        self.sent.borrow_mut().push((append.clone(), answer.clone()));
        answer.await
    }

    async fn receipt(&self, kill: KillId) -> Result<FeedReply, String> {
        let answer = Later::new();
        match self.reach.get() {
            Reach::Answers => answer.is(Ok(self.feed.answer(&FeedCall::Receipt { kill }, self).await)),
            Reach::IsDown => answer.is(Err("the feed is down".to_owned())),
            Reach::Holds => {}
        }
        self.questions.borrow_mut().push((kill, answer.clone()));
        answer.await
    }
}

impl FeedPorts for Surroundings {
    fn now(&self) -> UnixMillis {
        self.now.get()
    }

    fn set_alarm(&self, at: UnixMillis) {
        self.alarms.borrow_mut().push(at);
    }

    async fn ask_shard(&self, home: Home, message: &Message) -> Result<ShardAnswer, String> {
        assert_eq!(message.home, Some(home));
        if self.broken.get() == Some(home.shard) {
            return Err("the shard is out of reach".to_owned());
        }
        self.asked.borrow_mut().push((home, message.is_fenced, message.call.clone()));
        Ok(match message.call {
            ShardCall::EndSite { .. } => {
                ShardAnswer::EndedSite { generation: *self.generations.borrow().get(&home.shard).unwrap_or(&1) }
            }
            ShardCall::Stands { .. } => ShardAnswer::Noted,
            _ => panic!("the feed asks for nothing else"),
        })
    }
}
