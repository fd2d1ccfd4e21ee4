//! The Durable Object class of the session shards: load, answer, save.

use core::time::Duration;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use futures_util::FutureExt;
use wasm_bindgen::prelude::*;
use worker::worker_sys::DurableObjectState;
use worker::{Env, State};

use crate::audit::Event;
use crate::edge::log::{bind, log};
use crate::edge::objects::{Objects, converse_with, site_of};
use crate::edge::ports::PlatformClock;
use crate::edge::sql::{ObjectSql, ObjectStorage};
use crate::edge::turn;
use crate::ports::Clock;
use crate::store::feed::{Append, FeedCall, FeedReply};
use crate::store::fence::Confirm;
use crate::store::message::{Message, ShardAnswer};
use crate::store::session_object::{NotDone, ObjectPorts, SessionObject as Object};
use crate::store::{SOON, SqlError};
use crate::time::UnixMillis;

/// One shard of the sessions. Not by `#[durable_object]`: what its promises cost is
/// a good part of a strict request.
#[wasm_bindgen]
pub struct SessionObject(AssertUnwindSafe<Rc<Inner>>);

struct Inner {
    // A panic in the middle of an answer leaves nothing half done in memory:
    // the shard keeps only what it has read of its database.
    object: Object<ObjectSql>,
    surroundings: Surroundings,
    #[cfg(feature = "test-panic")]
    memory: crate::edge::test_panic::ObjectMemory,
}

struct Surroundings {
    storage: ObjectStorage,
    objects: Objects,
}

#[wasm_bindgen]
impl SessionObject {
    #[allow(clippy::needless_pass_by_value, reason = "as the runtime hands it over")]
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        let state = State::from(state);
        bind(&env);
        let site = site_of(&state, &env);
        Self(AssertUnwindSafe(Rc::new(Inner {
            object: Object::new(ObjectSql::new(&state)),
            surroundings: Surroundings { storage: ObjectStorage::new(&state), objects: Objects::new(env.into(), site) },
            #[cfg(feature = "test-panic")]
            memory: crate::edge::test_panic::ObjectMemory::default(),
        })))
    }

    pub fn fetch(&self, request: web_sys::Request) -> Result<JsValue, JsValue> {
        let inner = Rc::clone(&self.0);
        turn::take(Box::pin(async move { inner.fetch(&request).await }))
    }

    pub fn alarm(&self) -> Result<JsValue, JsValue> {
        let inner = Rc::clone(&self.0);
        turn::take(Box::pin(async move {
            inner.alarm().await;
            Ok(JsValue::UNDEFINED)
        }))
    }
}

impl Inner {
    async fn fetch(&self, request: &web_sys::Request) -> Result<JsValue, JsValue> {
        converse_with(request, async |message| {
            // A panic must neither leave the caller without an answer nor cost the
            // object its memory.
            let answer = AssertUnwindSafe(self.answer(message)).catch_unwind().await.unwrap_or_else(|_| {
                log(&Event::Panicked { place: "session object" });
                ShardAnswer::Panicked
            });
            serde_json::to_string(&answer)
        })
        .await
    }

    /// Never fails: a failure would make the platform try again six times and
    /// then give up, where a new alarm goes on.
    async fn alarm(&self) {
        match AssertUnwindSafe(self.object.wake(&self.surroundings)).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(NotDone::Sweeping(reason))) => log(&Event::SweepFailed { reason }),
            Ok(Err(NotDone::Publishing(reason))) => log(&Event::FeedFailed { reason }),
            Err(_) => {
                log(&Event::Panicked { place: "session object" });
                // The alarm that rang is gone: without a new one nobody comes back.
                self.surroundings.storage.set_alarm(PlatformClock.now().plus(SOON));
            }
        }
    }

    async fn answer(&self, message: &str) -> ShardAnswer {
        #[cfg(feature = "test-panic")]
        if let Some(answer) = self.memory.answer(message, self.object.shard().sql()) {
            return answer;
        }
        match serde_json::from_str::<Message>(message) {
            Ok(message) => self.object.answer(&message, &self.surroundings).await,
            Err(error) => ShardAnswer::Failed { reason: format!("a call that cannot be read: {error}") },
        }
    }
}

impl Confirm for Surroundings {
    async fn confirmed(&self) -> Result<(), SqlError> {
        self.storage.confirmed().await
    }
}

impl ObjectPorts for Surroundings {
    fn now(&self) -> UnixMillis {
        PlatformClock.now()
    }

    fn set_alarm(&self, at: UnixMillis) {
        self.storage.set_alarm(at);
    }

    async fn sleep(&self, span: Duration) {
        worker::Delay::from(span).await;
    }

    async fn append(&self, append: &Append) -> Result<FeedReply, String> {
        self.objects.ask_feed(&FeedCall::Append(append.clone())).await.map_err(|error| error.to_string())
    }
}
