//! Messages to Durable Objects and their answers, both JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsValue;

use crate::config::{Config, region_name};
use crate::edge::glue;
use crate::error::StoreError;
use crate::store::feed::{FeedCall, FeedReply};
use crate::store::message::{Message, ShardAnswer};
use crate::token::Locator;

/// The configuration as an object reads it; whoever serves has checked it.
pub fn configuration(env: &JsValue) -> Config {
    let binding = glue::variable(env, "WARIFU").ok().flatten().unwrap_or_default();
    Config::read(&serde_json::from_str(&binding).unwrap_or_default(), true).0
}

/// The objects of one site.
pub struct Objects {
    sessions: Option<JsValue>,
    feed: Option<JsValue>,
    site: String,
}

impl Objects {
    /// `env` is that of a Worker or of an object: both have the bindings.
    pub fn new(env: &JsValue, site: String) -> Self {
        let namespace = |name: &str| js_sys::Reflect::get(env, &name.into()).ok().filter(|found| !found.is_undefined());
        Self { sessions: namespace(SESSIONS), feed: namespace(FEED), site }
    }

    /// Shards are named `<site>/<generation>/<region>/<shard>`.
    pub async fn ask_shard(&self, at: Locator, message: &Message) -> Result<ShardAnswer, StoreError> {
        let name = format!("{}/{}/{}/{}", self.site, at.generation, at.region, at.shard);
        let hint = region_name(at.region).filter(|_| at.region != 0);
        self.ask_sessions(&name, hint, message).await
    }

    /// No shard's name, so that many probes load no shard.
    pub async fn ask_probe(&self, message: &Message) -> Result<ShardAnswer, StoreError> {
        self.ask_sessions(&self.probe_name(), None, message).await
    }

    fn probe_name(&self) -> String {
        format!("{}/health", self.site)
    }

    async fn ask_sessions(&self, name: &str, hint: Option<&str>, message: &Message) -> Result<ShardAnswer, StoreError> {
        count_call();
        match converse(self.sessions.as_ref(), SESSIONS, name, hint, message, ANSWER_MS_MAX).await? {
            ShardAnswer::WrongRow => Err(StoreError::WrongRow),
            ShardAnswer::Panicked => Err(StoreError::Defect),
            ShardAnswer::Failed { reason } => Err(StoreError::Unreachable(reason)),
            answer => Ok(answer),
        }
    }

    /// The feed has little time: a kill is else answered as committed, and
    /// published later.
    pub async fn ask_feed(&self, call: &FeedCall) -> Result<FeedReply, StoreError> {
        let name = format!("{}/feed", self.site);
        match converse(self.feed.as_ref(), FEED, &name, None, call, FEED_MS_MAX).await? {
            FeedReply::Panicked => Err(StoreError::Defect),
            FeedReply::Failed { reason } => Err(StoreError::Unreachable(reason)),
            reply => Ok(reply),
        }
    }

    /// A message as it is to the object that answers probes.
    #[cfg(feature = "test-panic")]
    pub async fn raw_probe(&self, message: &str) -> Result<String, StoreError> {
        ask(self.sessions.as_ref(), SESSIONS, &self.probe_name(), None, message, ANSWER_MS_MAX).await
    }
}

async fn converse<T: DeserializeOwned>(
    namespace: Option<&JsValue>,
    binding: &str,
    name: &str,
    hint: Option<&str>,
    message: &impl Serialize,
    ms_max: u32,
) -> Result<T, StoreError> {
    let message = serde_json::to_string(message).map_err(|error| StoreError::Unreachable(error.to_string()))?;
    let answer = ask(namespace, binding, name, hint, &message, ms_max).await?;
    serde_json::from_str(&answer)
        .map_err(|error| StoreError::Unreachable(format!("an answer that cannot be read: {error}")))
}

async fn ask(
    namespace: Option<&JsValue>,
    binding: &str,
    name: &str,
    hint: Option<&str>,
    message: &str,
    ms_max: u32,
) -> Result<String, StoreError> {
    let namespace = namespace.ok_or_else(|| StoreError::Unreachable(format!("the binding {binding} is missing")))?;
    let answer = glue::ask(namespace, name, hint, message, ms_max)
        .await
        .map_err(|thrown| StoreError::Unreachable(glue::reason(&thrown)))?;
    answer.as_string().ok_or_else(|| StoreError::Unreachable("an answer that is no text".to_owned()))
}

#[cfg(feature = "test-panic")]
thread_local! {
    static STORE_CALLS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

fn count_call() {
    #[cfg(feature = "test-panic")]
    STORE_CALLS.set(STORE_CALLS.get() + 1);
}

/// How many messages this isolate has sent to session objects.
#[cfg(feature = "test-panic")]
pub fn store_calls() -> u32 {
    STORE_CALLS.get()
}

const SESSIONS: &str = "SESSIONS";
const FEED: &str = "FEED";

/// An object that has not answered by then is out of reach.
const ANSWER_MS_MAX: u32 = 10_000;
const FEED_MS_MAX: u32 = 2_000;
