//! The session objects as the gate sees them: messages to Durable Objects.

use core::time::Duration;
use std::rc::Rc;

use wasm_bindgen::JsValue;
use worker::{Context, Env};

use crate::audit::Event;
use crate::config::{MapRow, region_name};
use crate::edge::glue;
use crate::edge::log::log;
use crate::error::StoreError;
use crate::ports::{NewSession, Sessions, Started};
use crate::session::{Session, SessionId};
use crate::store::message::{Key, ShardAnswer, ShardCall, StartCall};
use crate::time::millis;
use crate::token::{Locator, SessionKey};

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

    async fn call(&self, at: Locator, call: &ShardCall) -> Result<ShardAnswer, StoreError> {
        self.0.call(at, call).await
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

    async fn call(&self, at: Locator, call: &ShardCall) -> Result<ShardAnswer, StoreError> {
        let name = format!("{}/{}/{}/{}", self.site, at.generation, at.region, at.shard);
        let hint = region_name(at.region).filter(|_| at.region != 0);
        self.converse(&name, hint, call).await
    }

    async fn converse(&self, name: &str, hint: Option<&str>, call: &ShardCall) -> Result<ShardAnswer, StoreError> {
        let message = serde_json::to_string(call).map_err(|error| StoreError::Unreachable(error.to_string()))?;
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

impl Sessions for SessionObjects {
    async fn check(&self, at: Locator, key: &SessionKey) -> Result<Option<Session>, StoreError> {
        match self.call(at, &ShardCall::Check { key: Key(*key) }).await? {
            ShardAnswer::Session { session } => Ok(session.map(Session::from)),
            other => unexpected(&other),
        }
    }

    async fn start(&self, row: MapRow, start: &NewSession) -> Result<Started, StoreError> {
        let call = ShardCall::Start(Box::new(StartCall::new(row, start)));
        match self.call(start.locator, &call).await? {
            ShardAnswer::Started { session, replaced } => {
                Ok(Started { session: session.into(), replaced: replaced.map(|handle| handle.0) })
            }
            other => unexpected(&other),
        }
    }

    async fn end(&self, at: Locator, key: &SessionKey) -> Result<Option<SessionId>, StoreError> {
        match self.call(at, &ShardCall::End { key: Key(*key) }).await? {
            ShardAnswer::Ended { session } => Ok(session.map(|handle| handle.0)),
            other => unexpected(&other),
        }
    }

    fn renew_soon(&self, at: Locator, key: &SessionKey, idle_timeout: Duration) {
        let inner = Rc::clone(&self.0);
        let call = ShardCall::Renew { key: Key(*key), idle_ms: millis(idle_timeout) };
        self.0.context.wait_until(async move {
            if let Err(error) = inner.call(at, &call).await {
                log(&Event::StoreUnavailable { reason: format!("renewal: {error:?}") });
            }
        });
    }

    async fn probe(&self) -> Result<(), StoreError> {
        match self.0.converse(&self.0.probe_name(), None, &ShardCall::Probe).await? {
            ShardAnswer::Alive => Ok(()),
            other => unexpected(&other),
        }
    }
}

/// An answer to another question: nothing can be concluded from it.
fn unexpected<T>(answer: &ShardAnswer) -> Result<T, StoreError> {
    let kind = serde_json::to_value(answer).ok().and_then(|value| value["is"].as_str().map(str::to_owned));
    Err(StoreError::Unreachable(format!("an answer of another kind: {kind:?}")))
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
