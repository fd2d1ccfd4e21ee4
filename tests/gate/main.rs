//! The gate from end to end, natively: the production code over real SQLite.
#![cfg(not(target_arch = "wasm32"))]

#[path = "../support/mod.rs"]
mod support;

mod admission;
mod commands;
mod forwarding;
mod homes;
mod hostile;
mod logout;
mod rotation;
mod step_up;
