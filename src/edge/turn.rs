//! The turns of a request: what is done between one thing that it waits for and
//! the next. Each is one call from JavaScript, which has a promise for what is
//! waited for and goes on with the request when that is settled. So nothing needs
//! a task, a waker or a microtask of its own, as it does with `#[event(fetch)]`;
//! `docs/performance.md` says what that costs.
//!
//! What waits for something else than a promise, or for two of them, becomes a
//! task all the same.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{self, Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

use futures_util::FutureExt;
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use worker::Delay;
use worker::worker_sys::Context;

use crate::edge::glue;

/// A request that is being served, to its response.
pub type Served = Pin<Box<dyn Future<Output = Result<JsValue, JsValue>>>>;

/// Serves a request as far as it goes: its response, or a promise of it.
pub fn take(served: Served) -> Result<JsValue, JsValue> {
    go_on(served, None, Arc::default())
}

/// The same for a request of this context, which shares timers with others.
pub fn take_sharing(context: Context, served: Served) -> Result<JsValue, JsValue> {
    go_on(served, Some(context), Arc::default())
}

/// The same object.
pub fn copy_of(context: &Context) -> Context {
    AsRef::<JsValue>::as_ref(context).clone().unchecked_into()
}

fn go_on(mut served: Served, context: Option<Context>, relay: Arc<Relay>) -> Result<JsValue, JsValue> {
    let pause = Rc::new(Pause::default());
    // Panics are caught inside of `served`, so this is always taken back.
    let before = CURRENT.replace(Some(Rc::clone(&pause)));
    let polled = served.as_mut().poll(&mut task::Context::from_waker(&Waker::from(Arc::clone(&relay))));
    CURRENT.set(before);
    if let Poll::Ready(response) = polled {
        return response;
    }
    match pause.promise.take() {
        Some((promise, patience)) if !pause.waits_for_more.get() => {
            let shares = context.as_ref().filter(|_| matches!(patience, Patience::Shared(_))).map(copy_of);
            let paused = Paused { number: 0.0, served, context, pause, relay };
            let number = WAITING.with(|waiting| waiting.borrow_mut().put(paused));
            glue::follow(&promise, number, patience.to_ms(), shares.as_ref())
        }
        promise => as_task(served, pause, relay, promise),
    }
}

/// Goes on with it whenever anything wakes it.
fn as_task(
    mut served: Served,
    pause: Rc<Pause>,
    relay: Arc<Relay>,
    promise: Option<(Promise, Patience)>,
) -> Result<JsValue, JsValue> {
    let mut waited = promise.map(|(promise, patience)| followed(promise, patience)).transpose()?;
    let polled = poll_fn(move |context| {
        relay.lead_to(context.waker());
        if let Some(Poll::Ready(outcome)) = waited.as_mut().map(|waited| waited.poll_unpin(context)) {
            waited = None;
            pause.settled.set(Some(outcome));
        }
        served.as_mut().poll(context)
    });
    Ok(future_to_promise(AssertUnwindSafe(polled)).into())
}

/// A request between two turns.
struct Paused {
    number: f64,
    served: Served,
    context: Option<Context>,
    pause: Rc<Pause>,
    relay: Arc<Relay>,
}

/// Goes on with what no answer waits for, and keeps it going after the answer.
/// It begins at once; a panic in it costs nothing but itself.
pub fn alongside(context: &Context, work: impl Future<Output = ()> + 'static, panicked: impl FnOnce() + 'static) {
    let work = AssertUnwindSafe(work).catch_unwind();
    let work = async move {
        if work.await.is_err() {
            panicked();
        }
        Ok(JsValue::UNDEFINED)
    };
    let begun = take(Box::pin(work));
    if let Ok(promise) = begun
        && !promise.is_undefined()
    {
        // Where it fails, the platform may end it early, as it may any such work.
        glue::go_on_after(context, &promise).ok();
    }
}

/// The requests between two turns. JavaScript knows them by number. It says so where
/// one never goes on, since the client has gone away.
#[derive(Default)]
struct Waiting {
    /// In the order of their numbers.
    paused: VecDeque<Paused>,
    last: f64,
}

impl Waiting {
    fn put(&mut self, paused: Paused) -> f64 {
        // No number stands for two: a turn must never be taken for somebody else. At a
        // million requests a second a double counts for 285 years.
        self.last += 1.0;
        self.paused.push_back(Paused { number: self.last, ..paused });
        self.last
    }

    fn take(&mut self, number: f64) -> Option<Paused> {
        let place = self.paused.binary_search_by(|paused| paused.number.total_cmp(&number)).ok()?;
        self.paused.remove(place)
    }
}

/// What JavaScript takes turns by, of whatever instance of the WebAssembly there is: an object
/// of one would be a pointer into another, where that was begun anew.
#[wasm_bindgen]
pub struct Turns(());

#[wasm_bindgen]
impl Turns {
    pub fn resolved(number: f64, value: JsValue) -> Result<JsValue, JsValue> {
        settle(number, Ok(value))
    }

    pub fn rejected(number: f64, thrown: JsValue) -> Result<JsValue, JsValue> {
        settle(number, Err(thrown))
    }

    pub fn dropped(number: f64) {
        drop(taken(number));
    }
}

fn taken(number: f64) -> Option<Paused> {
    WAITING.with(|waiting| waiting.borrow_mut().take(number))
}

/// How many requests wait.
#[cfg(feature = "test-panic")]
pub fn waiting() -> usize {
    WAITING.with_borrow(|waiting| waiting.paused.len())
}

fn settle(number: f64, outcome: Result<JsValue, JsValue>) -> Result<JsValue, JsValue> {
    let Paused { served, context, pause, relay, .. } =
        taken(number).ok_or_else(|| JsValue::from_str("no request waits under this number"))?;
    pause.settled.set(Some(outcome));
    go_on(served, context, relay)
}

/// Wakes the task that a request has become. Some futures, such as `worker::Delay`,
/// wake only who has polled them first.
#[derive(Default)]
struct Relay(Mutex<Option<Waker>>);

impl Relay {
    fn lead_to(&self, waker: &Waker) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        if let Some(waker) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }
}

/// How long a promise is waited for.
#[derive(Clone, Copy)]
pub enum Patience {
    /// It does not take long, or has a limit of its own.
    Short,
    /// For at most so many milliseconds: null where it takes longer.
    Millis(u32),
    /// The same, for what the platform knows to be under way: by a timer that others share.
    Shared(u32),
    /// As long as it takes.
    Endless,
}

impl Patience {
    fn to_ms(self) -> i32 {
        match self {
            Self::Short => 0,
            // A longer timer would ring at once.
            Self::Millis(ms) | Self::Shared(ms) => i32::try_from(ms).unwrap_or(i32::MAX),
            Self::Endless => -1,
        }
    }
}

/// Waits for a promise.
pub async fn settled(promise: Promise, patience: Patience) -> Result<JsValue, JsValue> {
    // Of two that are waited for at a time, the second goes the common way.
    let Some(pause) = CURRENT.with_borrow(|current| current.clone().filter(|pause| pause.is_free())) else {
        return followed(promise, patience)?.await;
    };
    pause.promise.set(Some((promise, patience)));
    pause.is_taken.set(true);
    poll_fn(move |_| pause.settled.take().map_or(Poll::Pending, Poll::Ready)).await
}

/// The common way.
fn followed(promise: Promise, patience: Patience) -> Result<JsFuture, JsValue> {
    Ok(JsFuture::from(match patience {
        Patience::Millis(_) | Patience::Shared(_) => glue::within(patience.to_ms(), &promise)?,
        Patience::Short | Patience::Endless => promise,
    }))
}

/// Resolves after so long, beside whatever else is waited for.
pub async fn sleep(span: Duration) {
    CURRENT.with_borrow(|current| {
        if let Some(pause) = current {
            pause.waits_for_more.set(true);
        }
    });
    Delay::from(span).await;
}

/// Waits for what does not take long, and may have failed to begin.
pub async fn begun(promise: Result<Promise, JsValue>) -> Result<JsValue, JsValue> {
    settled(promise?, Patience::Short).await
}

/// The time that this turn began, as `read` first found it; outside of turns it
/// is read each time.
pub fn once(read: impl FnOnce() -> u64) -> u64 {
    CURRENT.with_borrow(|current| {
        let Some(pause) = current else { return read() };
        let now = pause.now.get().unwrap_or_else(read);
        pause.now.set(Some(now));
        now
    })
}

/// Between two turns.
#[derive(Default)]
struct Pause {
    is_taken: Cell<bool>,
    promise: Cell<Option<(Promise, Patience)>>,
    /// Something else than the promise can wake it too.
    waits_for_more: Cell<bool>,
    /// What the clock shows in this turn.
    now: Cell<Option<u64>>,
    settled: Cell<Option<Result<JsValue, JsValue>>>,
}

impl Pause {
    fn is_free(&self) -> bool {
        !self.is_taken.get()
    }
}

thread_local! {
    static WAITING: RefCell<Waiting> = {
        // It only keeps it, and says which numbers it has had from an instance before this one:
        // what waits for that must not be taken for what waits for this.
        let last = glue::lend_turns(Turns(())).unwrap_or(0.0);
        RefCell::new(Waiting { last, ..Waiting::default() })
    };
    /// Of the request that [`take`] polls; `None` while a task is polled.
    static CURRENT: RefCell<Option<Rc<Pause>>> = const { RefCell::new(None) };
}
