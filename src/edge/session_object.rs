//! The Durable Object class of the session shards: load, answer, save.

use std::panic::{AssertUnwindSafe, catch_unwind};

use worker::{DurableObject, Env, Request, Response, State, durable_object};

use crate::audit::Event;
use crate::edge::ports::{PlatformClock, log};
use crate::edge::sql::ObjectSql;
use crate::ports::Clock;
use crate::store::message::{ShardAnswer, ShardCall};
use crate::store::session_shard::SessionShard;

/// One shard of the sessions.
#[durable_object(fetch)]
pub struct SessionObject {
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
        Response::ok(serde_json::to_string(&answer)?)
    }
}

impl SessionObject {
    fn answer(&self, message: &str) -> ShardAnswer {
        #[cfg(feature = "test-panic")]
        if let Some(answer) = self.memory.answer(message, self.shard.sql()) {
            return answer;
        }
        match serde_json::from_str::<ShardCall>(message) {
            Ok(call) => self.shard.answer(&call, PlatformClock.now()),
            Err(error) => ShardAnswer::Failed { reason: format!("a call that cannot be read: {error}") },
        }
    }
}
