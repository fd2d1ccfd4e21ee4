//! The log: Workers Logs, and Analytics Engine where it is bound. And the
//! platform's rate limits, which are as seldom asked.

use std::cell::RefCell;

use wasm_bindgen::JsValue;

use crate::audit::{Event, Whence, name_of};
use crate::edge::glue;
use crate::edge::ports::PlatformClock;
use crate::limit::Limit;
use crate::ports::Clock;

thread_local! {
    /// The bindings of the isolate that are seldom used. To hold them for each
    /// request would be a crossing.
    static BINDINGS: RefCell<JsValue> = const { RefCell::new(JsValue::UNDEFINED) };
    /// The data set of Analytics Engine; undefined: there is none.
    static EVENTS: RefCell<JsValue> = const { RefCell::new(JsValue::UNDEFINED) };
}

/// Takes the bindings of the Worker or of an object, which are the same for the
/// life of the isolate.
pub fn bind(env: &JsValue) {
    let events = js_sys::Reflect::get(env, &EVENTS_BINDING.into()).unwrap_or_default();
    EVENTS.with(|bound| bound.replace(events));
    BINDINGS.with(|bound| bound.replace(env.clone()));
}

/// Counts one more in a rate limit of the platform's; `None`: it is not bound,
/// or fails.
pub async fn within_limit(limit: Limit, key: &str) -> Option<bool> {
    let env = BINDINGS.with_borrow(JsValue::clone);
    glue::is_within_limit(&env, limit.binding(), key).await.ok()?.as_bool()
}

/// Workers Logs takes one JSON object a line.
pub fn log(site: &str, event: &Event) {
    log_of(event, &Whence::of(site));
}

/// The same, with what is known of the request; the event's name.
pub fn log_of(event: &Event, whence: &Whence) -> String {
    let line = event.to_line(PlatformClock.now(), whence);
    // The line is out before anything can throw.
    EVENTS.with_borrow(|events| glue::tell(&line, events)).ok();
    name_of(&line).to_owned()
}

/// What an isolate has counted, as one data point.
pub fn report(site: &str, isolate: &str, figures: &[u64]) {
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let figures: Vec<f64> = figures.iter().map(|figure| *figure as f64).collect();
    EVENTS.with_borrow(|events| glue::report(events, site, isolate, &figures)).ok();
}

const EVENTS_BINDING: &str = "EVENTS";
