//! **warifu** keeps real sessions at the edge. The browser holds an opaque
//! cookie; every request is checked against the session object and only then
//! forwarded, with the user's identity, to an origin that already exists.
//!
//! The modules stand in the order in which a request meets them.
#![forbid(unsafe_code)]

pub mod gate;

pub mod admission;
pub mod answer;
pub mod command;
pub mod cookie;
pub mod forward;
pub mod headers;
pub mod path;
pub mod policy;
pub mod request;
pub mod response;
pub mod session;
pub mod token;

pub mod control;
pub mod store;

pub mod audit;
pub mod config;
pub mod error;
pub mod ports;
pub mod site;
pub mod time;

#[cfg(target_arch = "wasm32")]
mod edge;
