//! The functions of the JavaScript beside this file, and what they return.

use js_sys::{Array, Error, Function, JsString, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{Request, Response};
use worker::worker_sys::Context;

use crate::edge::precedents::Precedents;
use crate::edge::turn::Turns;
use crate::revocation::Told;

#[wasm_bindgen(module = "/src/edge/glue.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    pub fn variable(env: &JsValue, name: &str) -> Result<Option<String>, JsValue>;

    // With `catch`, though it cannot throw: what needs no wrapper is imported twice, which
    // esbuild warns of.
    #[wasm_bindgen(catch)]
    pub fn lend(memory: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(catch)]
    pub fn describe(request: &Request, from: usize, bytes_max: usize) -> Result<usize, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn described(request: &Request) -> Result<String, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn place(request: &Request) -> Result<String, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn tell(line: &str, events: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(catch, js_name = isWithinLimit)]
    pub async fn is_within_limit(env: &JsValue, binding: &str, key: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn report(events: &JsValue, site: &str, isolate: &str, figures: &[f64]) -> Result<(), JsValue>;

    #[wasm_bindgen(catch, js_name = answerLines)]
    pub fn answer_lines(response: &Response) -> Result<String, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn forward(
        request: &Request,
        lines: &str,
        replaced: Option<Vec<u8>>,
        shared_cache: bool,
        is_precedent: bool,
    ) -> Result<Option<Promise>, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn probe(url: &str, headers: &str, bytes_max: usize, ms_max: u32) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn edited(response: &Response, edits: &str) -> Result<Response, JsValue>;

    #[wasm_bindgen(catch, js_name = ownResponse)]
    pub fn own_response(status: u16, edits: &str, body: &str) -> Result<Response, JsValue>;

    #[wasm_bindgen(catch, js_name = readBody)]
    pub fn read_body(request: &Request, bytes_max: usize, ms_max: u32) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_name = readBody)]
    pub fn read_answer(response: &Response, bytes_max: usize, ms_max: u32) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_name = withBody)]
    pub fn with_body(response: &Response, edits: &str, body: &[u8]) -> Result<Response, JsValue>;

    #[wasm_bindgen(catch)]
    pub async fn asset(env: &JsValue, path: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = kvGet)]
    pub fn kv_get(kv: &JsValue, name: &str) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_name = kvPut)]
    pub fn kv_put(kv: &JsValue, name: &str, record: &str, seconds: u32) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_name = kvDelete)]
    pub fn kv_delete(kv: &JsValue, name: &str) -> Result<Promise, JsValue>;
}

#[wasm_bindgen(module = "/src/edge/cases.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = leaveOut)]
    pub fn leave_out(names: &str, chars_max: usize) -> Result<(), JsValue>;
}

#[wasm_bindgen(module = "/src/edge/precedents.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = lendPrecedents)]
    pub fn lend_precedents(lent: Precedents) -> Result<u32, JsValue>;
}

#[wasm_bindgen(module = "/src/edge/patience.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    pub fn within(ms_max: i32, promise: &Promise) -> Result<Promise, JsValue>;
}

#[wasm_bindgen(module = "/src/edge/turns.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    pub fn follow(promise: &Promise, number: f64, ms_max: i32, shares: Option<&Context>) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = lendTurns)]
    pub fn lend_turns(turns: Turns) -> Result<f64, JsValue>;

    /// A promise, and the function that keeps it.
    #[wasm_bindgen(catch)]
    pub fn notice() -> Result<Array, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn hold(context: &Context) -> Result<Function, JsValue>;

    #[wasm_bindgen(catch, js_name = goOnAfter)]
    pub fn go_on_after(context: &Context, promise: &JsValue) -> Result<(), JsValue>;
}

#[wasm_bindgen(module = "/src/edge/objects.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    pub fn ask(env: &JsValue, binding: &str, name: &str, hint: Option<&str>, message: &str)
    -> Result<Promise, JsValue>;

    /// A text, or a promise of one.
    #[wasm_bindgen(catch)]
    pub fn said(request: &Request) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn say(message: &str, was_field: bool) -> Result<Response, JsValue>;

    #[wasm_bindgen(catch, js_name = setAlarm)]
    pub fn set_alarm(storage: &JsValue, at: f64) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn confirmed(storage: &JsValue) -> Result<Promise, JsValue>;

    #[cfg(feature = "test-panic")]
    #[wasm_bindgen(catch)]
    pub fn stop(state: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(catch)]
    pub fn query(storage: &JsValue, statement: &JsString, parameters: &[u8]) -> Result<Vec<u8>, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn transaction(storage: &JsValue, work: &mut dyn FnMut() -> Result<(), JsValue>) -> Result<(), JsValue>;
}

#[wasm_bindgen(module = "/src/edge/connection.js")]
extern "C" {
    /// A WebSocket or an event stream on its way to the client, both ends of
    /// which are ours.
    pub type Connection;

    #[wasm_bindgen(catch)]
    pub fn refuse(response: &Response) -> Result<(), JsValue>;

    #[wasm_bindgen(catch)]
    pub fn connect(response: &Response, edits: &str) -> Result<Connection, JsValue>;

    /// What the client gets.
    #[wasm_bindgen(method, getter)]
    pub fn response(this: &Connection) -> Response;

    /// Resolves once there is nothing more to be cut.
    #[wasm_bindgen(method, getter)]
    pub fn over(this: &Connection) -> Promise;

    /// Whether the client has sent something since the last call.
    #[wasm_bindgen(method, js_name = wasUsed)]
    pub fn was_used(this: &Connection) -> bool;

    /// Ends it on both sides.
    #[wasm_bindgen(method)]
    pub fn cut(this: &Connection, code: u16, reason: &str);
}

/// Calls it. Who waits may have gone away.
pub fn telling(function: JsValue) -> Told {
    Box::new(move || {
        function.unchecked_ref::<Function>().call0(&JsValue::UNDEFINED).ok();
    })
}

/// The text of a JavaScript failure, for the log.
pub fn reason(thrown: &JsValue) -> String {
    match thrown.dyn_ref::<Error>() {
        Some(error) => String::from(error.message()),
        None => format!("{thrown:?}"),
    }
}

/// The bytes of a `Uint8Array`; `None` for anything else.
pub fn bytes(value: &JsValue) -> Option<Vec<u8>> {
    value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
}
