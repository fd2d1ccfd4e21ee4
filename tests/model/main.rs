//! A session shard against a model of it, in random sequences.
//!
//! `WARIFU_SEED=<seed>` replays one sequence, `WARIFU_SEEDS=<count>` runs another
//! number of them.
#![cfg(not(target_arch = "wasm32"))]

mod shared;
#[path = "../support/sqlite.rs"]
#[allow(dead_code, reason = "only a part of it is used")]
mod sqlite;

extern crate warifu;

use sqlite::Sqlite;

const SEEDS: u64 = 10_000;
const THREADS: u64 = 2;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn a_shard_does_what_its_model_does() {
    if let Some(seed) = number("WARIFU_SEED") {
        return run(seed, 1);
    }
    let share = number("WARIFU_SEEDS").unwrap_or(SEEDS).div_ceil(THREADS);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || run(thread * share, share))).collect();
        assert!(threads.into_iter().all(|thread| thread.join().is_ok()), "see above");
    });
}

fn run(first: u64, count: u64) {
    let sql = Sqlite::in_memory();
    // Small pages: SQLite takes some anew for most statements.
    sql.connection.pragma_update(None, "page_size", 512).expect("a setting");
    if let Err(failure) = shared::run_seeds(&sql, first, count) {
        panic!("{failure}");
    }
}
