//! The session objects as the gate sees them: messages to Durable Objects.

use std::rc::Rc;

use wasm_bindgen::JsValue;
use worker::{Context, Env};

use crate::audit::Event;
use crate::config::region_name;
use crate::edge::glue;
use crate::edge::log::log;
use crate::error::StoreError;
use crate::ports::Shards;
use crate::store::message::{Message, ShardAnswer, ShardCall};
use crate::token::Locator;

/// The objects of one site. Shards are named `<site>/<generation>/<region>/<shard>`.
pub struct SessionObjects(Rc<Inner>);

struct Inner {
    namespace: Option<JsValue>,
    site: String,
    context: Context,
}

impl SessionObjects {
    pub fn new(env: &Env, context: Context, site: String) -> Self {
        let namespace = js_sys::Reflect::get(env, &BINDING.into()).ok().filter(|found| !found.is_undefined());
        Self(Rc::new(Inner { namespace, site, context }))
    }

    /// A message as it is to the object that answers probes.
    #[cfg(feature = "test-panic")]
    pub async fn raw_probe(&self, message: &str) -> Result<String, StoreError> {
        self.0.ask(&self.0.probe_name(), None, message).await
    }
}

impl Inner {
    /// No shard's name, so that many probes load no shard.
    fn probe_name(&self) -> String {
        format!("{}/health", self.site)
    }

    async fn ask_shard(&self, at: Locator, message: &Message) -> Result<ShardAnswer, StoreError> {
        let name = format!("{}/{}/{}/{}", self.site, at.generation, at.region, at.shard);
        let hint = region_name(at.region).filter(|_| at.region != 0);
        self.converse(&name, hint, message).await
    }

    async fn converse(&self, name: &str, hint: Option<&str>, message: &Message) -> Result<ShardAnswer, StoreError> {
        let message = serde_json::to_string(message).map_err(|error| StoreError::Unreachable(error.to_string()))?;
        let answer = self.ask(name, hint, &message).await?;
        match serde_json::from_str(&answer) {
            Ok(ShardAnswer::WrongRow) => Err(StoreError::WrongRow),
            Ok(ShardAnswer::Panicked) => Err(StoreError::Defect),
            Ok(ShardAnswer::Failed { reason }) => Err(StoreError::Unreachable(reason)),
            Ok(answer) => Ok(answer),
            Err(error) => Err(StoreError::Unreachable(format!("an answer that cannot be read: {error}"))),
        }
    }

    async fn ask(&self, name: &str, hint: Option<&str>, message: &str) -> Result<String, StoreError> {
        #[cfg(feature = "test-panic")]
        STORE_CALLS.set(STORE_CALLS.get() + 1);
        let namespace = self
            .namespace
            .as_ref()
            .ok_or_else(|| StoreError::Unreachable(format!("the binding {BINDING} is missing")))?;
        let answer = glue::ask(namespace, name, hint, message, ANSWER_MS_MAX)
            .await
            .map_err(|thrown| StoreError::Unreachable(glue::reason(&thrown)))?;
        answer.as_string().ok_or_else(|| StoreError::Unreachable("an answer that is no text".to_owned()))
    }
}

impl Shards for SessionObjects {
    async fn ask(&self, at: Locator, message: &Message) -> Result<ShardAnswer, StoreError> {
        self.0.ask_shard(at, message).await
    }

    fn ask_later(&self, at: Locator, message: Message) {
        let inner = Rc::clone(&self.0);
        self.0.context.wait_until(async move {
            match inner.ask_shard(at, &message).await {
                Ok(_) => {}
                Err(error) => log(&Event::StoreUnavailable { reason: format!("after the answer: {error:?}") }),
            }
        });
    }

    async fn probe(&self) -> Result<(), StoreError> {
        let message = Message { home: None, call: ShardCall::Probe };
        match self.0.converse(&self.0.probe_name(), None, &message).await? {
            ShardAnswer::Alive => Ok(()),
            other => Err(StoreError::Unreachable(format!("an answer of another kind: {}", other.kind()))),
        }
    }
}

#[cfg(feature = "test-panic")]
thread_local! {
    static STORE_CALLS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// How many messages this isolate has sent to objects.
#[cfg(feature = "test-panic")]
pub fn store_calls() -> u32 {
    STORE_CALLS.get()
}

const BINDING: &str = "SESSIONS";

/// An object that has not answered by then is out of reach.
const ANSWER_MS_MAX: u32 = 10_000;
