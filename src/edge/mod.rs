//! Between the Workers runtime and the ports: translation, no decisions.
//!
//! Crossings between wasm and JavaScript cost more than the cryptography, so
//! headers, rows and messages cross in bulk, as one text, through the small
//! functions of `glue.js`.

mod connection;
mod feed_object;
mod fetch;
mod glue;
mod log;
mod objects;
mod ports;
mod precedents;
mod session_object;
mod sessions;
mod sql;
#[cfg(feature = "test-panic")]
mod test_panic;
#[cfg(feature = "test-panic")]
mod test_timing;
mod turn;
