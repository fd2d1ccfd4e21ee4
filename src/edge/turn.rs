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
use core::task::{Context, Poll, Waker};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};

use crate::edge::glue;

/// A request that is being served, to its response.
pub type Served = Pin<Box<dyn Future<Output = Result<JsValue, JsValue>>>>;

/// Serves a request as far as it goes: its response, or a promise of it.
pub fn take(served: Served) -> Result<JsValue, JsValue> {
    go_on(served, Arc::default())
}

fn go_on(mut served: Served, relay: Arc<Relay>) -> Result<JsValue, JsValue> {
    let pause = Rc::new(Pause::default());
    // Panics are caught inside of `served`, so this is always taken back.
    let before = CURRENT.replace(Some(Rc::clone(&pause)));
    let polled = served.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&relay))));
    CURRENT.set(before);
    if let Poll::Ready(response) = polled {
        return response;
    }
    match pause.promise.take() {
        Some(promise) => glue::follow(&promise, Waiting(AssertUnwindSafe(Paused { served, pause, relay }))),
        None => Ok(future_to_promise(AssertUnwindSafe(poll_fn(move |context| {
            relay.lead_to(context.waker());
            served.as_mut().poll(context)
        })))
        .into()),
    }
}

/// A request between two turns. JavaScript holds it; where it never goes on, since
/// the client has gone away, it goes with the promise.
#[wasm_bindgen]
pub struct Waiting(AssertUnwindSafe<Paused>);

struct Paused {
    served: Served,
    pause: Rc<Pause>,
    relay: Arc<Relay>,
}

#[wasm_bindgen]
impl Waiting {
    pub fn resolved(self, value: JsValue) -> Result<JsValue, JsValue> {
        self.settled(Ok(value))
    }

    pub fn rejected(self, thrown: JsValue) -> Result<JsValue, JsValue> {
        self.settled(Err(thrown))
    }
}

impl Waiting {
    fn settled(self, outcome: Result<JsValue, JsValue>) -> Result<JsValue, JsValue> {
        let Paused { served, pause, relay } = self.0.0;
        pause.settled.set(Some(outcome));
        go_on(served, relay)
    }
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

/// Waits for a promise.
pub async fn settled(promise: Promise) -> Result<JsValue, JsValue> {
    // Of two that are waited for at a time, the second goes the common way.
    let Some(pause) = CURRENT.with_borrow(|current| current.clone().filter(|pause| pause.is_free())) else {
        return JsFuture::from(promise).await;
    };
    pause.promise.set(Some(promise));
    pause.is_taken.set(true);
    poll_fn(move |_| pause.settled.take().map_or(Poll::Pending, Poll::Ready)).await
}

/// The same for what may have failed to begin.
pub async fn begun(promise: Result<Promise, JsValue>) -> Result<JsValue, JsValue> {
    settled(promise?).await
}

/// Between two turns.
#[derive(Default)]
struct Pause {
    is_taken: Cell<bool>,
    promise: Cell<Option<Promise>>,
    settled: Cell<Option<Result<JsValue, JsValue>>>,
}

impl Pause {
    fn is_free(&self) -> bool {
        !self.is_taken.get()
    }
}

thread_local! {
    /// Of the request that [`take`] polls; `None` while a task is polled.
    static CURRENT: RefCell<Option<Rc<Pause>>> = const { RefCell::new(None) };
}
