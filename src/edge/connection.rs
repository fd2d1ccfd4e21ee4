//! What goes on after its answer has begun: cut when the gate says so.

use std::panic::AssertUnwindSafe;
use std::pin::pin;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use wasm_bindgen_futures::JsFuture;

use crate::audit::Event;
use crate::edge::glue::Connection;
use crate::edge::log::log_of;
use crate::edge::ports::RequestPorts;
use crate::ports::Ports;
use crate::session::Handle;
use crate::site::Site;
use crate::watch::{End, Watched, until_end};

/// Watches a connection for as long as it is open. It runs in the context of the
/// request that opened it, the only one in which the platform lets it be cut.
pub async fn watch(site: &Site, ports: &RequestPorts, watched: &Watched, connection: &Connection) {
    let over = pin!(JsFuture::from(connection.over()));
    let ended = AssertUnwindSafe(until_end(site, ports, watched, || connection.was_used())).catch_unwind();
    let end = match select(over, pin!(ended)).await {
        Either::Left(_) => return,
        Either::Right((Ok(end), _)) => end,
        Either::Right((Err(_), _)) => {
            log_of(&Event::Panicked { place: "watch" }, &ports.place().whence);
            End::Unknown
        }
    };
    let (code, reason) = end.close();
    let session = watched.session().map(Handle::to_text);
    log_of(&Event::ConnectionCut { session, reason }, &ports.place().whence);
    connection.cut(code, reason);
}
