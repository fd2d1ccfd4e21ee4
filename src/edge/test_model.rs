//! Only in builds for tests: the sequences of `tests/model` on the SQLite of an
//! object, as they run natively on another one.

use crate as warifu;
use crate::store::Sql;

#[path = "../../tests/model/shared/mod.rs"]
mod shared;

/// Runs what `<first seed> <count>` asks for; how many sequences were run, or
/// what went wrong. `None`: it cannot be read.
pub fn run(seeds: &str, sql: &impl Sql) -> Option<String> {
    let (first, count) = seeds.split_once(' ')?;
    let (first, count) = (first.parse().ok()?, count.parse().ok()?);
    Some(match shared::run_seeds(sql, first, count) {
        Ok(()) => count.to_string(),
        Err(failure) => failure,
    })
}
