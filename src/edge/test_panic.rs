//! Only in builds for tests: panics on demand, and what a test must see of the
//! inside. Under `/_warifu/test/`:
//!
//! - `worker-panic`: the Worker panics
//! - `abort`: the instance of the WebAssembly ends, as where it runs out of memory
//! - `object-panic`: the object that answers probes panics
//! - `object-memory`: how many such calls this object has had in memory
//! - `object-rollback`, `object-rollback-panic`: how many rows are left of a
//!   transaction that fails, or panics, after it has written one
//! - `object-model/<first seed>/<count>`: runs sequences of `tests/model` in the
//!   object that answers probes; how many, or what went wrong
//! - `object-stop/<n>`: the object that runs the nth statement from now on is
//!   stopped before it; `object-stop/` calls that off and says whether it is
//!   still to come
//! - `panics/<place>/<n>`: the next n times that anything of this isolate comes to
//!   this place, it panics there; `panics/<place>` says how often it still will. Places
//!   are `session-object-alarm`, `feed-object-alarm`, and `feed-object`, which is told
//!   something
//! - `store-calls`: how many messages this isolate has sent to session objects, and
//!   how often it has polled the feed of this site
//! - `precedents`: how many precedents this isolate has kept, how many requests went by one,
//!   and how many of their answers had to be heard
//! - `waiting`: collects garbage; how many requests of this isolate wait between two
//!   turns, and for how many others than this one anything is kept

#[path = "test_model.rs"]
mod test_model;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use js_sys::{Function, Reflect};
use serde_json::json;
use wasm_bindgen::{JsCast, JsValue};

use crate::edge::objects::store_calls;
use crate::edge::ports::RequestPorts;
use crate::edge::precedents::counts;
use crate::edge::turn::waiting;
use crate::error::{Failure, SESSION_OBJECT, StoreError};
use crate::ports::Ports;
use crate::request::Request;
use crate::response::{OwnResponse, refusal};
use crate::store::message::ShardAnswer;
use crate::store::{Sql, SqlError};

thread_local! {
    static ALIVE: Cell<u32> = const { Cell::new(0) };
}

/// A request of which something is kept.
pub struct Alive(());

impl Alive {
    pub fn new() -> Self {
        ALIVE.set(ALIVE.get() + 1);
        Self(())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        ALIVE.set(ALIVE.get() - 1);
    }
}

/// Answers a call for tests; `None` for any other request.
pub async fn answer(request: &Request, ports: &RequestPorts) -> Option<OwnResponse> {
    let what = request.raw_path.strip_prefix("/_warifu/test/")?;
    Some(match what {
        "abort" => core::arch::wasm32::unreachable(),
        "worker-panic" => panic!("a secret that must not get out"),
        "store-calls" => {
            let polls = ports.memory().tally().polls.get();
            OwnResponse::json(200, &json!({ "store_calls": store_calls(), "polls": polls }))
        }
        "precedents" => {
            let [kept, followed, heard] = counts();
            OwnResponse::json(200, &json!({ "kept": kept, "followed": followed, "heard": heard }))
        }
        "waiting" => {
            collect();
            OwnResponse::json(200, &json!({ "waiting": waiting(), "kept": ALIVE.get() - 1 }))
        }
        "object-panic" | "object-memory" | "object-rollback" | "object-rollback-panic" => {
            told(request, ports, what, "memory").await
        }
        _ if what.starts_with("panics/") => panics(what.trim_start_matches("panics/")),
        _ if what.starts_with("object-model/") => told(request, ports, &what.replace('/', " "), "model").await,
        _ => match what.strip_prefix("object-stop/").map(str::parse) {
            Some(Ok(statements)) => {
                STOP_AFTER.set(Some(statements));
                OwnResponse::empty(204)
            }
            // Says whether the stop is still to come, and calls it off.
            Some(Err(_)) => OwnResponse::json(200, &json!({ "left": STOP_AFTER.take() })),
            None => refusal(None, request, &Failure::NotFound),
        },
    })
}

/// What the object that answers probes says to a message for tests.
async fn told(request: &Request, ports: &RequestPorts, message: &str, member: &str) -> OwnResponse {
    let answered = ports.shards().raw_probe(message).await.and_then(|text| {
        serde_json::from_str::<ShardAnswer>(&text).map_err(|e| StoreError::Unreachable(e.to_string()))
    });
    match answered {
        Ok(ShardAnswer::Failed { reason }) => OwnResponse::json(200, &json!({ member: reason })),
        Ok(_) => refusal(None, request, &StoreError::Defect(SESSION_OBJECT).into()),
        Err(error) => refusal(None, request, &error.into()),
    }
}

/// Has V8 collect all that nobody holds, where it was started with `--expose-gc`.
fn collect() {
    let gc = Reflect::get(&js_sys::global(), &"gc".into()).unwrap_or_default();
    if let Some(gc) = gc.dyn_ref::<Function>() {
        gc.call0(&JsValue::UNDEFINED).expect("garbage is collected");
    }
}

thread_local! {
    /// How often each place is still to panic.
    static PANICS: RefCell<BTreeMap<String, u32>> = const { RefCell::new(BTreeMap::new()) };
}

/// `<place>/<n>` asks for panics, `<place>` for how many are left.
fn panics(asked: &str) -> OwnResponse {
    let number = |(place, times): (&str, &str)| Some((place.to_owned(), times.parse().ok()?));
    if let Some((place, times)) = asked.split_once('/').and_then(number) {
        PANICS.with_borrow_mut(|left| left.insert(place, times));
        return OwnResponse::empty(204);
    }
    let left = PANICS.with_borrow(|left| left.get(asked).copied().unwrap_or_default());
    OwnResponse::json(200, &json!({ "left": left }))
}

/// Panics where a test wants a panic at this place.
pub fn come_to(place: &str) {
    let is_wanted = PANICS.with_borrow_mut(|left| match left.get_mut(place) {
        Some(times) if *times > 0 => {
            *times -= 1;
            true
        }
        _ => false,
    });
    assert!(!is_wanted, "a secret that must not get out");
}

thread_local! {
    /// Statements until an object is stopped. The Worker and its objects share
    /// an isolate where this runs.
    static STOP_AFTER: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Stops an object where a test wants it stopped: from that statement on it
/// runs none, and it loses its memory.
pub struct Stop {
    state: JsValue,
    is_stopped: Cell<bool>,
}

impl Stop {
    pub fn new(state: &worker::State) -> Self {
        Self { state: state.as_raw().into(), is_stopped: Cell::new(false) }
    }

    pub fn before_statement(&self) -> Result<(), SqlError> {
        match STOP_AFTER.get() {
            _ if self.is_stopped.get() => {}
            Some(0) => {
                STOP_AFTER.set(None);
                self.is_stopped.set(true);
                crate::edge::glue::stop(&self.state).map_err(|_| SqlError("it cannot be stopped".to_owned()))?;
            }
            Some(left) => {
                STOP_AFTER.set(Some(left - 1));
                return Ok(());
            }
            None => return Ok(()),
        }
        Err(SqlError("stopped on purpose".to_owned()))
    }
}

/// A number that lives in the object's memory only.
#[derive(Default)]
pub struct ObjectMemory(Cell<u32>);

impl ObjectMemory {
    pub fn answer(&self, message: &str, sql: &impl Sql) -> Option<ShardAnswer> {
        let tell = |number: u32| Some(ShardAnswer::Failed { reason: number.to_string() });
        match message {
            "object-panic" => {
                self.0.set(self.0.get() + 1);
                panic!("a secret that must not get out");
            }
            "object-memory" => {
                self.0.set(self.0.get() + 1);
                tell(self.0.get())
            }
            "object-rollback" | "object-rollback-panic" => tell(rows_left(sql, message == "object-rollback-panic")),
            _ => {
                let seeds = message.strip_prefix("object-model ")?;
                test_model::run(seeds, sql).map(|reason| ShardAnswer::Failed { reason })
            }
        }
    }
}

/// Rows that a failed transaction leaves behind.
fn rows_left(sql: &impl Sql, panics: bool) -> u32 {
    let run = |statement| sql.run(statement, &[]).expect("a statement");
    run("CREATE TABLE IF NOT EXISTS test_rollback (n INTEGER)");
    let failed = catch_unwind(AssertUnwindSafe(|| {
        sql.transaction(&mut || {
            sql.run("INSERT INTO test_rollback VALUES (1)", &[])?;
            assert!(!panics, "a secret that must not get out");
            Err(SqlError("on purpose".to_owned()))
        })
    }));
    assert!(!matches!(failed, Ok(Ok(()))), "it must not succeed");
    run("SELECT count(*) FROM test_rollback")[0].integer(0).expect("a count")
}
