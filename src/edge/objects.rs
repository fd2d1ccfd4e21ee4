//! Messages to Durable Objects and their answers, both JSON, and their alarms.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use js_sys::Promise;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};
use worker::State;

use crate::audit::Event;
use crate::config::{self, Config, region_name};
use crate::edge::glue;
use crate::edge::log::log;
use crate::edge::ports::PlatformClock;
use crate::edge::sql::ObjectStorage;
use crate::edge::turn::{Patience, settled};
use crate::error::StoreError;
use crate::ports::Clock;
use crate::store::SOON;
use crate::store::feed::{FeedCall, FeedReply};
use crate::store::message::{Message, ShardAnswer};
use crate::token::Locator;

/// The site that an object belongs to: objects are named `<site>/…`. An alarm
/// that was set before the platform kept names comes without one: then it is
/// the only site. `None`: one of several.
pub fn site_of(state: &State, env: &JsValue) -> Option<String> {
    match state.id().name() {
        Some(name) => name.split_once('/').map(|(site, _)| site.to_owned()),
        None => match sites(env).as_slice() {
            [only] => Some(only.site.clone()),
            _ => None,
        },
    }
}

/// A site's configuration as an object reads it. `None`: the site is not served
/// any more.
pub fn configuration(env: &JsValue, site: &str) -> Option<Config> {
    sites(env).into_iter().find(|config| config.site == site)
}

/// The sites; whoever serves has checked them.
fn sites(env: &JsValue) -> Vec<Config> {
    let binding = glue::variable(env, "WARIFU").ok().flatten().unwrap_or_default();
    let parts = config::split(&serde_json::from_str(&binding).unwrap_or_default()).unwrap_or_default();
    parts.iter().map(|part| Config::read(&part.table, true).0).collect()
}

/// The objects of one site.
pub struct Objects {
    /// Most requests ask no object, so the bindings are looked up where one is.
    env: JsValue,
    /// `None`: an object that does not know where it belongs, and must ask nobody.
    site: Option<String>,
    /// Whether the platform has refused a call, as it will from then on.
    is_used_up: Cell<bool>,
}

impl Objects {
    /// `env` is that of a Worker or of an object: both have the bindings.
    pub fn new(env: JsValue, site: Option<String>) -> Self {
        Self { env, site, is_used_up: Cell::new(false) }
    }

    pub fn env(&self) -> &JsValue {
        &self.env
    }

    pub fn is_used_up(&self) -> bool {
        self.is_used_up.get()
    }

    pub fn site(&self) -> &str {
        self.site.as_deref().unwrap_or_default()
    }

    /// Shards are named `<site>/<generation>/<region>/<shard>`.
    pub async fn ask_shard(&self, at: Locator, message: &Message) -> Result<ShardAnswer, StoreError> {
        let name = self.name(&format!("{}/{}/{}", at.generation, at.region, at.shard))?;
        let hint = region_name(at.region).filter(|_| at.region != 0);
        self.ask_sessions(&name, hint, message).await
    }

    /// No shard's name, so that many probes load no shard.
    pub async fn ask_probe(&self, message: &Message) -> Result<ShardAnswer, StoreError> {
        self.ask_sessions(&self.name(PROBED)?, None, message).await
    }

    fn name(&self, rest: &str) -> Result<String, StoreError> {
        let unknown = || StoreError::Unreachable("an object without a name cannot know its site".to_owned());
        self.site.as_ref().map(|site| format!("{site}/{rest}")).ok_or_else(unknown)
    }

    async fn ask_sessions(&self, name: &str, hint: Option<&str>, message: &Message) -> Result<ShardAnswer, StoreError> {
        count_call();
        self.converse::<ShardAnswer>(SESSIONS, name, hint, message, ANSWER_MS_MAX).await?.heard()
    }

    /// The feed has little time: a kill is else answered as committed, and
    /// published later.
    pub async fn ask_feed(&self, call: &FeedCall) -> Result<FeedReply, StoreError> {
        self.converse::<FeedReply>(FEED, &self.name("feed")?, None, call, FEED_MS_MAX).await?.heard()
    }

    /// A message as it is to the object that answers probes.
    #[cfg(feature = "test-panic")]
    pub async fn raw_probe(&self, message: &str) -> Result<String, StoreError> {
        self.ask_text(SESSIONS, &self.name(PROBED)?, None, message, ANSWER_MS_MAX).await
    }

    async fn converse<T: DeserializeOwned>(
        &self,
        binding: &str,
        name: &str,
        hint: Option<&str>,
        message: &impl Serialize,
        ms_max: u32,
    ) -> Result<T, StoreError> {
        let message = serde_json::to_string(message).map_err(|error| StoreError::Unreachable(error.to_string()))?;
        let answer = self.ask_text(binding, name, hint, &message, ms_max).await?;
        serde_json::from_str(&answer)
            .map_err(|error| StoreError::Unreachable(format!("an answer that cannot be read: {error}")))
    }

    async fn ask_text(
        &self,
        binding: &str,
        name: &str,
        hint: Option<&str>,
        message: &str,
        ms_max: u32,
    ) -> Result<String, StoreError> {
        let thrown = |thrown: JsValue| {
            let error = StoreError::thrown(glue::reason(&thrown));
            self.is_used_up.set(self.is_used_up() || error == StoreError::UsedUp);
            error
        };
        let asked = glue::ask(&self.env, binding, name, hint, message).map_err(thrown)?;
        // An object that hangs must not hold its callers.
        let answer = settled(asked, Patience::Shared(ms_max)).await.map_err(thrown)?;
        answer.as_string().ok_or_else(|| StoreError::Unreachable("no answer in time".to_owned()))
    }
}

/// What an object is told; answers what `answer` makes of it in the same way as it
/// came. A panic must neither leave the caller without an answer, which is then
/// `panicked`, nor cost the object its memory.
pub async fn converse_with<T: Serialize>(
    request: &web_sys::Request,
    (site, place): (&str, &'static str),
    panicked: T,
    answer: impl AsyncFnOnce(&str) -> T,
) -> Result<JsValue, JsValue> {
    let (said, was_field) = match glue::said(request)?.dyn_into::<Promise>() {
        Ok(promise) => (settled(promise, Patience::Short).await?, false),
        Err(text) => (text, true),
    };
    let said = said.as_string().unwrap_or_default();
    let answer = AssertUnwindSafe(answer(&said)).catch_unwind().await.unwrap_or_else(|_| {
        log(site, &Event::Panicked { place });
        panicked
    });
    let text = serde_json::to_string(&answer).map_err(|error| JsValue::from_str(&error.to_string()))?;
    glue::say(&text, was_field).map(JsValue::from)
}

/// What an object does when its alarm rings. Never fails: a failure would make the
/// platform try again six times and then give up, where a new alarm goes on.
pub async fn wake_up<E>(
    place: &'static str,
    storage: &ObjectStorage,
    wake: impl Future<Output = Result<(), E>>,
    event: impl FnOnce(E) -> Event,
) {
    #[cfg(feature = "test-panic")]
    let wake = async {
        crate::edge::test_panic::come_to(&format!("{}-alarm", place.replace(' ', "-")));
        wake.await
    };
    match AssertUnwindSafe(wake).catch_unwind().await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log(storage.site(), &event(error)),
        Err(_) => {
            log(storage.site(), &Event::Panicked { place });
            // The alarm that rang is gone: without a new one nobody comes back.
            storage.set_alarm(PlatformClock.now().plus(SOON));
        }
    }
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
const PROBED: &str = "health";

/// An object that has not answered by then is out of reach.
const ANSWER_MS_MAX: u32 = 10_000;
const FEED_MS_MAX: u32 = 2_000;
