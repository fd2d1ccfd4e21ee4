//! The objects as the gate sees them.

use std::cell::OnceCell;
use std::rc::Rc;

use js_sys::Function;
use wasm_bindgen::JsValue;
use worker::worker_sys::Context;

use crate::audit::Event;
use crate::edge::glue;
use crate::edge::log::log;
use crate::edge::objects::Objects;
use crate::edge::ports::PlatformClock;
use crate::edge::turn::{Patience, alongside, begun, settled};
use crate::error::StoreError;
use crate::ports::{After, Clock, Feed, Put, Replica, Shards};
use crate::store::feed::{FeedCall, FeedReply};
use crate::store::message::{Message, ShardAnswer, ShardCall};
use crate::time::UnixMillis;
use crate::token::Locator;

/// The session objects and the feed of one site, for one request.
pub struct SiteObjects {
    objects: Rc<Objects>,
    /// The KV namespace, where one is bound; looked up where it is needed.
    kv: OnceCell<Option<JsValue>>,
    context: Context,
    stay: Stay,
    #[cfg(feature = "test-panic")]
    _alive: crate::edge::test_panic::Alive,
}

impl SiteObjects {
    pub fn new(env: JsValue, context: Context, site: String) -> Self {
        let objects = Rc::new(Objects::new(env, Some(site)));
        Self {
            objects,
            kv: OnceCell::new(),
            context,
            stay: Stay::default(),
            #[cfg(feature = "test-panic")]
            _alive: crate::edge::test_panic::Alive::new(),
        }
    }

    /// The request goes on without its client from now on.
    pub fn outlive_client(&self) {
        self.stay.begin(&self.context);
    }

    /// It does for as long as this lives.
    pub fn stay(&self) -> Stay {
        let stay = Stay::default();
        // One that stays to its end needs no other.
        if self.stay.0.get().is_none() {
            stay.begin(&self.context);
        }
        stay
    }

    /// The bindings, which most requests do without.
    pub fn env(&self) -> &JsValue {
        self.objects.env()
    }

    /// Goes on with it after the answer.
    fn alongside(&self, work: impl Future<Output = ()> + 'static) {
        let objects = Rc::clone(&self.objects);
        let panicked = move || log(objects.site(), &Event::Panicked { place: "after an answer" });
        alongside(&self.context, work, panicked);
    }

    fn kv(&self) -> Option<&JsValue> {
        let found = || js_sys::Reflect::get(self.env(), &REPLICA.into()).ok().filter(|found| !found.is_undefined());
        self.kv.get_or_init(found).as_ref()
    }

    #[cfg(feature = "test-panic")]
    pub async fn raw_probe(&self, message: &str) -> Result<String, StoreError> {
        self.objects.raw_probe(message).await
    }
}

/// What ends the stay of a request that outlives its client.
#[derive(Default)]
pub struct Stay(OnceCell<Option<Function>>);

impl Stay {
    fn begin(&self, context: &Context) {
        self.0.get_or_init(|| glue::hold(context).ok());
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        if let Some(Some(release)) = self.0.get() {
            // Where the platform has not waited for so long, nobody waits.
            let _ = release.call0(&JsValue::UNDEFINED);
        }
    }
}

impl Shards for SiteObjects {
    async fn ask(&self, at: Locator, message: &Message) -> Result<ShardAnswer, StoreError> {
        self.objects.ask_shard(at, message).await
    }

    fn ask_later(
        &self,
        at: Locator,
        message: Message,
        then: impl FnOnce(Result<ShardAnswer, StoreError>, UnixMillis) -> After + 'static,
    ) {
        let (objects, kv) = (Rc::clone(&self.objects), self.kv().cloned());
        self.alongside(async move {
            let answer = objects.ask_shard(at, &message).await;
            let After { tell, put } = then(answer, PlatformClock.now());
            if let Some(event) = tell {
                log(objects.site(), &event);
            }
            if let Some((kv, put)) = kv.zip(put) {
                write(&kv, &put, objects.site()).await;
            }
        });
    }

    async fn probe(&self) -> Result<(), StoreError> {
        match self
            .objects
            .ask_probe(&Message { home: None, is_fenced: false, by: None, call: ShardCall::Probe })
            .await?
        {
            ShardAnswer::Alive => Ok(()),
            other => Err(StoreError::Unreachable(format!("an answer of another kind: {}", other.kind()))),
        }
    }
}

impl Feed for SiteObjects {
    async fn ask(&self, call: &FeedCall) -> Result<FeedReply, StoreError> {
        self.objects.ask_feed(call).await
    }

    fn ask_later(
        &self,
        call: FeedCall,
        then: impl FnOnce(Result<FeedReply, StoreError>, UnixMillis) -> Option<Event> + 'static,
    ) {
        let objects = Rc::clone(&self.objects);
        self.alongside(async move {
            let reply = objects.ask_feed(&call).await;
            if let Some(event) = then(reply, PlatformClock.now()) {
                log(objects.site(), &event);
            }
        });
    }
}

impl SiteObjects {
    pub fn site(&self) -> &str {
        self.objects.site()
    }

    pub fn is_used_up(&self) -> bool {
        self.objects.is_used_up()
    }

    pub fn has_kv(&self) -> bool {
        self.kv().is_some()
    }
}

impl Replica for SiteObjects {
    async fn read(&self, name: &str) -> Result<Option<String>, StoreError> {
        let unreachable = |reason: &str| StoreError::Unreachable(format!("KV: {reason}"));
        let thrown = |thrown| unreachable(&glue::reason(&thrown));
        let kv = self.kv().ok_or_else(|| unreachable("not bound"))?;
        let asked = glue::kv_get(kv, name).map_err(thrown)?;
        let found = settled(asked, Patience::Millis(KV_MS_MAX)).await.map_err(thrown)?;
        if found.is_null() {
            return Err(unreachable("no answer in time"));
        }
        Ok(found.as_string())
    }

    fn write_later(&self, put: Put) {
        let Some(kv) = self.kv().cloned() else { return };
        let objects = Rc::clone(&self.objects);
        self.alongside(async move { write(&kv, &put, objects.site()).await });
    }

    fn delete_later(&self, name: String) {
        let Some(kv) = self.kv().cloned() else { return };
        let objects = Rc::clone(&self.objects);
        self.alongside(async move {
            if let Err(thrown) = begun(glue::kv_delete(&kv, &name)).await {
                log(objects.site(), &Event::ReplicaFailed { reason: glue::reason(&thrown) });
            }
        });
    }
}

async fn write(kv: &JsValue, put: &Put, site: &str) {
    // The platform keeps nothing for less than a minute.
    let seconds = u32::try_from(put.keep.as_secs()).unwrap_or(u32::MAX).max(60);
    if let Err(thrown) = begun(glue::kv_put(kv, &put.name, &put.record, seconds)).await {
        log(site, &Event::ReplicaFailed { reason: glue::reason(&thrown) });
    }
}

/// The binding of the KV namespace.
const REPLICA: &str = "REPLICA";

/// KV is there to be nearer than the object. Who waits longer for it than for
/// an object far away asks the object.
const KV_MS_MAX: u32 = 500;
