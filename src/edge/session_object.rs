//! The Durable Object class of the session shards: load, answer, save.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wasm_bindgen::JsValue;
use worker::{DurableObject, Env, Request, Response, ScheduledTime, State, durable_object};

use crate::audit::Event;
use crate::edge::log::log;
use crate::edge::ports::PlatformClock;
use crate::edge::sql::ObjectSql;
use crate::ports::Clock;
use crate::store::message::{Message, ShardAnswer};
use crate::store::session_shard::SessionShard;
use crate::time::UnixMillis;

/// One shard of the sessions.
#[durable_object(alarm)]
pub struct SessionObject {
    state: State,
    // A panic in the middle of an answer leaves nothing half done in memory:
    // the shard keeps only whether it has opened its database.
    shard: AssertUnwindSafe<SessionShard<ObjectSql>>,
    #[cfg(feature = "test-panic")]
    memory: AssertUnwindSafe<crate::edge::test_panic::ObjectMemory>,
}

impl DurableObject for SessionObject {
    fn new(state: State, _env: Env) -> Self {
        Self {
            shard: AssertUnwindSafe(SessionShard::new(ObjectSql::new(&state))),
            state,
            #[cfg(feature = "test-panic")]
            memory: AssertUnwindSafe::default(),
        }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let message = request.text().await?;
        // A panic must neither leave the caller without an answer nor cost the
        // object its memory.
        let answer = catch_unwind(AssertUnwindSafe(|| self.answer(&message))).unwrap_or_else(|_| {
            log(&Event::Panicked { place: "session object" });
            ShardAnswer::Panicked
        });
        self.set_alarm().await;
        Response::ok(serde_json::to_string(&answer)?)
    }

    /// Never fails: a failure would make the platform try again six times and
    /// then give up, where a new alarm goes on.
    async fn alarm(&self) -> worker::Result<Response> {
        let woken = catch_unwind(AssertUnwindSafe(|| self.shard.wake(PlatformClock.now())));
        match woken {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log(&Event::SweepFailed { reason: error.0 }),
            Err(_) => log(&Event::Panicked { place: "session object" }),
        }
        self.set_alarm().await;
        Response::empty()
    }
}

impl SessionObject {
    /// The write is issued before anything is awaited, so it commits with what
    /// the shard has just written.
    async fn set_alarm(&self) {
        if let Some(at) = self.shard.take_alarm()
            && let Err(error) = self.state.storage().set_alarm(scheduled(at)).await
        {
            log(&Event::SweepFailed { reason: error.to_string() });
        }
    }

    fn answer(&self, message: &str) -> ShardAnswer {
        #[cfg(feature = "test-panic")]
        if let Some(answer) = self.memory.answer(message, self.shard.sql()) {
            return answer;
        }
        match serde_json::from_str::<Message>(message) {
            Ok(message) => self.shard.answer(&message, PlatformClock.now()),
            Err(error) => ShardAnswer::Failed { reason: format!("a call that cannot be read: {error}") },
        }
    }
}

fn scheduled(at: UnixMillis) -> ScheduledTime {
    #[allow(clippy::cast_precision_loss, reason = "a date is far below 2^53")]
    ScheduledTime::new(js_sys::Date::new(&JsValue::from_f64(at.0 as f64)))
}
