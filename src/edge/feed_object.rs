//! The Durable Object class of the feed: load, fence, answer.

use core::time::Duration;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use worker::worker_sys::DurableObjectState;
use worker::{Env, State};

use crate::audit::Event;
use crate::config::BOUND_MAX;
use crate::edge::log::bind;
use crate::edge::objects::{Objects, configuration, converse_with, site_of, wake_up};
use crate::edge::ports::{PlatformClock, PlatformRandom};
use crate::edge::sql::{ObjectSql, ObjectStorage};
use crate::edge::turn;
use crate::error::FEED_OBJECT;
use crate::ports::{Clock, Random};
use crate::revocation::Epoch;
use crate::store::SqlError;
use crate::store::feed::{FeedCall, FeedReply};
use crate::store::feed_object::{FeedObject as Object, FeedPorts};
use crate::store::fence::Confirm;
use crate::store::message::{Home, Message, ShardAnswer};
use crate::time::{UnixMillis, millis};

/// The feed of one site; as [`SessionObject`](crate::edge::session_object::SessionObject)
/// in what the runtime sees of it.
#[wasm_bindgen]
pub struct FeedObject(AssertUnwindSafe<Rc<Inner>>);

struct Inner {
    // A panic leaves nothing half done in memory: the fence counts writes, and
    // one that was not confirmed stays unconfirmed. `None`: there was no
    // randomness for an epoch, and two incarnations could be taken for one.
    object: Option<Object<ObjectSql>>,
    surroundings: Surroundings,
}

struct Surroundings {
    storage: ObjectStorage,
    objects: Objects,
}

#[wasm_bindgen]
impl FeedObject {
    #[allow(clippy::needless_pass_by_value, reason = "as the runtime hands it over")]
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        let state = State::from(state);
        bind(&env);
        let mut epoch = Epoch([0; 8]);
        let is_random = PlatformRandom.fill(&mut epoch.0);
        let site = site_of(&state, &env);
        // Polls name it too; this is for a feed that nobody has polled. Of a site
        // that is not served here, the longest is taken that can be configured.
        let config = site.as_ref().and_then(|site| configuration(&env, site));
        let bound_ms = millis(config.map_or(BOUND_MAX, |config| config.bound.max(config.continue_in_use())));
        Self(AssertUnwindSafe(Rc::new(Inner {
            object: is_random.then(|| Object::new(ObjectSql::new(&state), epoch, bound_ms)),
            surroundings: Surroundings {
                storage: ObjectStorage::new(&state, site.as_deref()),
                objects: Objects::new(env.into(), site),
            },
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
        let of = (self.surroundings.storage.site(), FEED_OBJECT);
        converse_with(request, of, FeedReply::Panicked, async |message| self.answer(message).await).await
    }

    async fn alarm(&self) {
        let Some(object) = &self.object else {
            // The alarm that rang is gone. Not soon: an object that is left alone is
            // put away, and its next life goes on.
            self.surroundings.storage.set_alarm(PlatformClock.now().plus(NEXT_LIFE));
            return;
        };
        let event = |reason| Event::FeedFailed { reason };
        wake_up(FEED_OBJECT, &self.surroundings.storage, object.wake(&self.surroundings), event).await;
    }

    async fn answer(&self, message: &str) -> FeedReply {
        #[cfg(feature = "test-panic")]
        crate::edge::test_panic::come_to("feed-object");
        let Some(object) = &self.object else {
            return FeedReply::Failed { reason: "there was no randomness to be had".to_owned() };
        };
        match serde_json::from_str::<FeedCall>(message) {
            Ok(call) => object.answer(&call, &self.surroundings).await,
            Err(error) => FeedReply::Failed { reason: format!("a call that cannot be read: {error}") },
        }
    }
}

impl Confirm for Surroundings {
    async fn confirmed(&self) -> Result<(), SqlError> {
        self.storage.confirmed().await
    }
}

impl FeedPorts for Surroundings {
    fn now(&self) -> UnixMillis {
        PlatformClock.now()
    }

    fn set_alarm(&self, at: UnixMillis) {
        self.storage.set_alarm(at);
    }

    async fn ask_shard(&self, home: Home, message: &Message) -> Result<ShardAnswer, String> {
        self.objects.ask_shard(home.locator(), message).await.map_err(|error| error.to_string())
    }
}

/// Longer than the platform keeps an object that nobody asks for anything.
const NEXT_LIFE: Duration = Duration::from_mins(5);
