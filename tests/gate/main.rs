//! The gate from end to end, natively: the production code over real SQLite.
#![cfg(not(target_arch = "wasm32"))]

#[path = "../support/mod.rs"]
mod support;

mod admission;
mod adopt;
mod asks;
mod audit;
mod bad_commands;
mod browsers;
mod commands;
mod custody;
mod forwarding;
mod homes;
mod hostile;
mod in_its_place;
mod kills;
mod late;
mod lifetimes;
mod limits;
mod logout;
mod lookup;
mod meanwhile;
mod metrics;
mod nonce;
mod open;
mod open_secrets;
mod pages;
mod partitioned;
mod precedent;
mod replica;
mod rotation;
mod secrets;
mod signed;
mod signing;
mod step_up;
mod told;
