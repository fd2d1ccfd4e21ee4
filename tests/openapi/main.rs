//! The published description of the API is made from the table of its calls,
//! and real answers are as it says.
//!
//! `WARIFU_WRITE=1 cargo test --test openapi` writes it anew.
#![cfg(not(target_arch = "wasm32"))]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod codes;
mod describe;
mod document;
mod schemas;

use std::fs;
use std::path::Path;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}
