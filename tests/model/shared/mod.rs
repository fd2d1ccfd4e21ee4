//! Random sequences of calls to a session shard, with every answer compared
//! with that of a model which is simple enough to be believed.
//!
//! The native test and the test build of the Worker include these files, so
//! that the same sequences run over either SQLite. The module that includes
//! them has the crate under the name `warifu`.

mod browsers;
mod calls;
mod driver;
mod lineage;
mod model;
mod operation;
mod random;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::warifu;
use warifu::store::session_shard::SessionShard;
use warifu::store::{Row, Sql, SqlError, SqlValue, schema};

use driver::Driver;
use operation::Operation;
use random::Random;

/// Runs the sequences of `count` seeds on an empty database, which is empty
/// again afterwards.
///
/// # Errors
/// The first sequence that went wrong, as short as it could be made.
pub fn run_seeds(sql: &impl Sql, first: u64, count: u64) -> Result<(), String> {
    schema::open(sql).map_err(|error| error.0)?;
    for seed in first..first.saturating_add(count) {
        let operations = sequence(seed);
        if let Err(reason) = attempt(sql, &operations) {
            return Err(report(sql, seed, operations, reason));
        }
    }
    clear(sql)
}

/// The sequence of a seed.
fn sequence(seed: u64) -> Vec<Operation> {
    let mut random = Random::new(seed);
    let length = 20 + random.below(21);
    core::iter::once(Operation::FIRST).chain((0..length).map(|_| Operation::any(&mut random))).collect()
}

fn attempt(sql: &impl Sql, operations: &[Operation]) -> Result<(), String> {
    clear(sql)?;
    let tried = catch_unwind(AssertUnwindSafe(|| {
        let mut driver = Driver::new(SessionShard::new(Borrowed(sql)));
        for (index, operation) in operations.iter().enumerate() {
            driver.go(*operation).map_err(|reason| format!("at operation {index}: {reason}"))?;
        }
        driver.audit().map_err(|reason| format!("at the end: {reason}"))
    }));
    tried.unwrap_or_else(|_| Err("it panicked".to_owned()))
}

/// Leaves operations out for as long as it still goes wrong.
fn report(sql: &impl Sql, seed: u64, mut operations: Vec<Operation>, mut reason: String) -> String {
    let mut size = operations.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < operations.len() {
            let mut shorter = operations.clone();
            shorter.drain(at..operations.len().min(at + size));
            match attempt(sql, &shorter) {
                Err(other) => (operations, reason) = (shorter, other),
                Ok(()) => at += size,
            }
        }
        size /= 2;
    }
    let lines: Vec<_> = operations.iter().enumerate().map(|(index, one)| format!("  {index}: {one:?}")).collect();
    format!("seed {seed} (WARIFU_SEED={seed} replays it), {reason}\n{}", lines.join("\n"))
}

fn clear(sql: &impl Sql) -> Result<(), String> {
    let tables =
        ["meta WHERE name NOT IN ('schema', 'tick')", "sessions", "secrets", "subjects", "kills", "refreshes", "ended"];
    tables.iter().try_for_each(|table| sql.run(&format!("DELETE FROM {table}"), &[]).map(|_| ())).map_err(|e| e.0)
}

/// A database that belongs to somebody else.
struct Borrowed<'a, S>(&'a S);

impl<S: Sql> Sql for Borrowed<'_, S> {
    fn run(&self, statement: &str, parameters: &[SqlValue]) -> Result<Vec<Row>, SqlError> {
        self.0.run(statement, parameters)
    }

    fn transaction(&self, work: &mut dyn FnMut() -> Result<(), SqlError>) -> Result<(), SqlError> {
        self.0.transaction(work)
    }
}
