//! **warifu** keeps real sessions at the edge. The browser holds an opaque
//! cookie; the session itself lives in a Durable Object. Every request is
//! checked at the edge and then forwarded, with the user's identity, to an
//! origin that already exists. The edge answers from memory where it can prove
//! that it may, and asks the object else; public routes read no session.
//!
//! The modules stand in the order in which a request meets them, then what they
//! all rest on.
#![forbid(unsafe_code)]

pub mod gate;

pub mod request;
pub mod headers;
pub mod path;
pub mod control;
pub mod policy;
pub mod cookie;
pub mod token;
pub mod admission;
pub mod limit;
pub mod session;
pub mod sessions;
pub mod lookup;
pub mod replica;
pub mod revocation;
pub mod store;
pub mod forward;
pub mod precedent;
pub mod signature;
pub mod command;
pub mod origin_proof;
pub mod signed_command;
pub mod custody;
pub mod answer;
pub mod response;
pub mod watch;

pub mod site;
pub mod keys;
pub mod admin_keys;
pub mod config;
pub mod ports;
pub mod audit;
pub mod tally;
pub mod error;
pub mod time;
pub mod read;
pub mod mutants;

#[cfg(target_arch = "wasm32")]
mod edge;
