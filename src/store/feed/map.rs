//! The rows of the map that the feed knows: a kill of a subject is whole if it
//! was committed under each of them.
//!
//! A row that was once known is never forgotten, but it can be taken out of the
//! configuration, and nobody tells the feed of that. It goes by what it hears.
//! A caller that lacks a row of a *higher* generation than its own newest is an
//! older version of the Worker. One that lacks a row of a *lower* generation has
//! had it taken out: but another version, which has it still, may run beside.
//! That one names the row with each poll, so once nobody has named it for a
//! minute there is no such version that polls as often; what one that polls more
//! seldom leaves open, is in `docs/consistency.md`.

use core::time::Duration;

use super::schema;
use crate::config::MapRow;
use crate::mutants::{self, Mutant};
use crate::store::schema::{read_meta, write_meta};
use crate::store::{Sql, SqlError};
use crate::time::UnixMillis;

/// Takes in the rows that a caller has named.
pub(super) fn hear(sql: &impl Sql, named: &[MapRow], now: UnixMillis) -> Result<(), SqlError> {
    if named.is_empty() {
        return Ok(());
    }
    let known = schema::rows(sql)?;
    named.iter().filter(|row| !known.contains(row)).try_for_each(|row| schema::add_row(sql, *row))?;
    // The newest of all can never be the one that was taken out.
    let newest = known.iter().chain(named).map(|row| row.generation).max();
    for row in named.iter().filter(|row| Some(row.generation) < newest) {
        if heard(sql, row.generation, now)?.is_none_or(|at| now.since(at) >= NOTED_EVERY) {
            note(sql, row.generation, now)?;
        }
    }
    Ok(())
}

/// Whether a kill that was committed under these rows has missed none.
pub(super) fn is_whole(sql: &impl Sql, named: &[MapRow], now: UnixMillis) -> Result<bool, SqlError> {
    if mutants::is(Mutant::RowMissing) {
        return Ok(true);
    }
    let newest = named.iter().map(|row| row.generation).max();
    for row in schema::rows(sql)?.iter().filter(|row| !named.contains(row)) {
        if Some(row.generation) >= newest || !is_gone(sql, row.generation, now)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether no version of the Worker that runs has the row. In the database and
/// not in memory: a feed that has just been woken has heard of nobody, and that
/// must not look as if nobody were there.
fn is_gone(sql: &impl Sql, generation: u8, now: UnixMillis) -> Result<bool, SqlError> {
    if mutants::is(Mutant::RowGoneAtOnce) {
        return Ok(true);
    }
    match heard(sql, generation, now)? {
        Some(at) => Ok(now.since(at) >= GONE_AFTER),
        // Named before such notes were made, or before the clock stepped back:
        // the minute begins now.
        None => note(sql, generation, now).map(|()| false),
    }
}

/// When the row was last named; `None`: nobody knows.
fn heard(sql: &impl Sql, generation: u8, now: UnixMillis) -> Result<Option<UnixMillis>, SqlError> {
    let Some(at) = read_meta(sql, &name_of(generation))? else { return Ok(None) };
    let at = u64::try_from(at).map(UnixMillis).map_err(|_| SqlError(format!("a row was named at {at}")))?;
    Ok(Some(at).filter(|at| *at <= now))
}

fn note(sql: &impl Sql, generation: u8, now: UnixMillis) -> Result<(), SqlError> {
    write_meta(sql, &name_of(generation), i64::try_from(now.0).unwrap_or(i64::MAX))
}

/// In `meta`: when the row was last named.
fn name_of(generation: u8) -> String {
    format!("row_{generation}")
}

/// So that not each poll writes.
const NOTED_EVERY: Duration = Duration::from_secs(10);

/// A minute without a word, and what a note may be late.
const GONE_AFTER: Duration = Duration::from_secs(70);
