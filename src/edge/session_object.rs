//! The Durable Object class of the session shards: load, answer, save.

use core::time::Duration;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use worker::worker_sys::DurableObjectState;
use worker::{Env, State};

use crate::audit::Event;
use crate::edge::log::bind;
use crate::edge::objects::{Objects, converse_with, site_of, wake_up};
use crate::edge::ports::PlatformClock;
use crate::edge::sql::{ObjectSql, ObjectStorage};
use crate::edge::turn;
use crate::error::SESSION_OBJECT;
use crate::ports::Clock;
use crate::session::KillId;
use crate::store::SqlError;
use crate::store::feed::{Append, FeedCall, FeedReply};
use crate::store::fence::Confirm;
use crate::store::message::{Message, ShardAnswer};
use crate::store::session_object::{NotDone, ObjectPorts, SessionObject as Object};
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
            surroundings: Surroundings {
                storage: ObjectStorage::new(&state, site.as_deref()),
                objects: Objects::new(env.into(), site),
            },
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
        let of = (self.surroundings.storage.site(), SESSION_OBJECT);
        converse_with(request, of, ShardAnswer::Panicked, async |message| self.answer(message).await).await
    }

    async fn alarm(&self) {
        wake_up(SESSION_OBJECT, &self.surroundings.storage, self.object.wake(&self.surroundings), |not_done| {
            match not_done {
                NotDone::Sweeping(reason) => Event::SweepFailed { reason },
                NotDone::Publishing(reason) => Event::FeedFailed { reason },
            }
        })
        .await;
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
        turn::sleep(span).await;
    }

    async fn append(&self, append: &Append) -> Result<FeedReply, String> {
        self.objects.ask_feed(&FeedCall::Append(append.clone())).await.map_err(|error| error.to_string())
    }

    async fn receipt(&self, kill: KillId) -> Result<FeedReply, String> {
        self.objects.ask_feed(&FeedCall::Receipt { kill }).await.map_err(|error| error.to_string())
    }
}
