//! A single thread that runs tasks in virtual time. Which of the tasks that are
//! ready goes first is drawn, so that no order is relied on; when none is
//! ready, time jumps to the next timer. Nothing ever waits for a real clock.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::random::Dice;

/// Microseconds of true time since the beginning of the world.
pub type Micros = u64;

pub const MILLI: Micros = 1_000;
pub const SECOND: Micros = 1_000_000;

/// Tasks that end together: of an isolate, or of one copy of an object.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Group(u32);

/// Of tasks that nothing ends.
pub const FOREVER: Group = Group(0);

type Work = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    group: Group,
    /// `None` while it is being polled.
    work: Option<Work>,
    wakeup: Arc<Wakeup>,
}

struct Wakeup {
    id: u64,
    is_queued: AtomicBool,
    ready: Arc<Mutex<Vec<u64>>>,
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::Relaxed) {
            self.ready.lock().expect("one thread").push(self.id);
        }
    }
}

pub struct Executor {
    now: Cell<Micros>,
    tasks: RefCell<BTreeMap<u64, Task>>,
    timers: RefCell<BinaryHeap<Reverse<(Micros, u64)>>>,
    sleepers: RefCell<BTreeMap<u64, Waker>>,
    ready: Arc<Mutex<Vec<u64>>>,
    dice: Dice,
    numbers: Cell<u64>,
    groups: Cell<u32>,
    ended: RefCell<std::collections::BTreeSet<Group>>,
}

impl Executor {
    pub fn new(dice: Dice) -> Self {
        Self {
            now: Cell::new(0),
            tasks: RefCell::default(),
            timers: RefCell::default(),
            sleepers: RefCell::default(),
            ready: Arc::default(),
            dice,
            numbers: Cell::new(0),
            groups: Cell::new(FOREVER.0),
            ended: RefCell::default(),
        }
    }

    pub fn now(&self) -> Micros {
        self.now.get()
    }

    /// A group that no task is in yet.
    pub fn group(&self) -> Group {
        self.groups.set(self.groups.get() + 1);
        Group(self.groups.get())
    }

    fn number(&self) -> u64 {
        self.numbers.set(self.numbers.get() + 1);
        self.numbers.get()
    }

    /// Starts a task, unless its group has ended.
    pub fn spawn(&self, group: Group, work: impl Future<Output = ()> + 'static) {
        if self.ended.borrow().contains(&group) {
            return;
        }
        let id = self.number();
        let wakeup = Arc::new(Wakeup { id, is_queued: AtomicBool::new(true), ready: Arc::clone(&self.ready) });
        self.tasks.borrow_mut().insert(id, Task { group, work: Some(Box::pin(work)), wakeup });
        self.ready.lock().expect("one thread").push(id);
    }

    /// Ends all tasks of a group in the middle of whatever they await.
    pub fn end(&self, group: Group) {
        self.ended.borrow_mut().insert(group);
        let mut tasks = self.tasks.borrow_mut();
        let ids: Vec<u64> = tasks.iter().filter(|(_, task)| task.group == group).map(|(id, _)| *id).collect();
        let ended: Vec<Option<Task>> = ids.iter().map(|id| tasks.remove(id)).collect();
        // What they own may call back in when it is dropped.
        drop(tasks);
        drop(ended);
    }

    /// Resolves after so long.
    pub fn sleep(&self, span: Micros) -> impl Future<Output = ()> + use<'_> {
        let id = self.number();
        let at = self.now.get().saturating_add(span);
        let mut is_new = true;
        poll_fn(move |context| {
            if !is_new && self.now.get() >= at {
                return Poll::Ready(());
            }
            if core::mem::take(&mut is_new) {
                self.timers.borrow_mut().push(Reverse((at, id)));
            }
            self.sleepers.borrow_mut().insert(id, context.waker().clone());
            Poll::Pending
        })
    }

    /// The result of `work`, if it comes in time.
    pub async fn within<T>(&self, span: Micros, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        let mut sleep = std::pin::pin!(self.sleep(span));
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => sleep.as_mut().poll(context).map(|()| None),
        })
        .await
    }

    /// Runs until this time.
    pub fn run_until(&self, end: Micros) {
        loop {
            if self.poll_one() {
                continue;
            }
            let next = self.timers.borrow().peek().map(|Reverse((at, _))| *at);
            let Some(at) = next.filter(|at| *at <= end) else { break };
            self.now.set(at);
            while let Some(id) = self.due(at) {
                if let Some(waker) = self.sleepers.borrow_mut().remove(&id) {
                    waker.wake();
                }
            }
        }
        self.now.set(self.now.get().max(end));
    }

    /// A timer that has come due, taken from the heap.
    fn due(&self, now: Micros) -> Option<u64> {
        let mut timers = self.timers.borrow_mut();
        let is_due = timers.peek().is_some_and(|Reverse((at, _))| *at <= now);
        if is_due { timers.pop().map(|Reverse((_, id))| id) } else { None }
    }

    /// Polls one of the tasks that are ready, drawn; whether there was one.
    fn poll_one(&self) -> bool {
        let id = {
            let mut ready = self.ready.lock().expect("one thread");
            if ready.is_empty() {
                return false;
            }
            let index = self.dice.index(ready.len());
            ready.swap_remove(index)
        };
        let taken =
            self.tasks.borrow_mut().get_mut(&id).and_then(|task| task.work.take().zip(Some(task.wakeup.clone())));
        let Some((mut work, wakeup)) = taken else { return true };
        wakeup.is_queued.store(false, Ordering::Relaxed);
        let waker = Waker::from(wakeup);
        let polled = work.as_mut().poll(&mut Context::from_waker(&waker));
        let mut tasks = self.tasks.borrow_mut();
        match polled {
            Poll::Ready(()) => drop(tasks.remove(&id)),
            Poll::Pending => {
                if let Some(task) = tasks.get_mut(&id) {
                    task.work = Some(work);
                    return true;
                }
                // It has been ended meanwhile.
                drop(tasks);
                drop(work);
            }
        }
        true
    }

    /// Drops everything: tasks own the world that owns this.
    pub fn clear(&self) {
        let tasks = core::mem::take(&mut *self.tasks.borrow_mut());
        drop(tasks);
    }
}

/// Hands over one value.
pub struct Sender<T>(Rc<Shared<T>>);

pub struct Receiver<T>(Rc<Shared<T>>);

struct Shared<T> {
    value: RefCell<Option<T>>,
    senders: Cell<u32>,
    waker: RefCell<Option<Waker>>,
}

pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared { value: RefCell::new(None), senders: Cell::new(1), waker: RefCell::default() });
    (Sender(Rc::clone(&shared)), Receiver(shared))
}

impl<T> Sender<T> {
    /// The first value counts.
    pub fn send(&self, value: T) {
        self.0.value.borrow_mut().get_or_insert(value);
        self.0.wake();
    }
}

impl<T> Shared<T> {
    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.set(self.0.senders.get() + 1);
        Self(Rc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.senders.set(self.0.senders.get() - 1);
        self.0.wake();
    }
}

impl<T> Future for Receiver<T> {
    /// `None`: nobody is left who could send.
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(value) = self.0.value.borrow_mut().take() {
            return Poll::Ready(Some(value));
        }
        if self.0.senders.get() == 0 {
            return Poll::Ready(None);
        }
        *self.0.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}
