//! A kill of everything of a site: each shard commits it first, then it is one
//! entry of the feed. The feed's alarm goes from shard to shard, and remembers
//! how far it has come, so that it survives whatever happens in between.

use super::message::{EndSite, NewEntry};
use super::{Feed, schema};
use crate::config::MapRow;
use crate::mutants::{self, Mutant};
use crate::read;
use crate::revocation::{EntryKey, Epoch, Position};
use crate::session::KillId;
use crate::store::message::{By, Home, Kill, KillScope, Progress, Published};
use crate::store::outbox::quiet_in;
use crate::store::sweep::RECEIPTS_KEPT;
use crate::store::{Row, Sql, SqlError, rows};
use crate::time::{UnixMillis, millis};

/// The next shards that have to commit a kill, or to be told of it.
pub struct Round {
    pub kill: KillId,
    pub homes: Vec<Home>,
    /// Where it stands; `None`: not all have committed it.
    pub position: Option<Position>,
    /// Who wants it.
    pub by: Option<By>,
    /// How many were asked before these.
    done: u32,
}

impl<S: Sql> Feed<S> {
    /// Notes the kill; once, however often it is asked for. It goes to the rows
    /// of the map that the feed knows too: an older version of the Worker does
    /// not know them all.
    pub(super) fn end_site(&self, call: &EndSite, now: UnixMillis) -> Result<Option<Kill>, SqlError> {
        let mut all = call.rows.clone();
        all.extend(self.rows_besides(&call.rows)?);
        let by =
            call.by.as_ref().map(serde_json::to_string).transpose().map_err(|error| SqlError(error.to_string()))?;
        self.sql.run(
            "INSERT INTO site_kills (id, map, done, total, told, min_generation, asked, asked_by)
             VALUES (?, ?, 0, ?, 0, 0, ?, ?) ON CONFLICT (id) DO NOTHING",
            &[
                rows::blob(call.kill),
                text_of(&all)?.as_str().into(),
                shards_of(&all).into(),
                now.into(),
                by.as_deref().into(),
            ],
        )?;
        self.site_kill(call.kill, now)
    }

    /// The shards that are to be asked next; `None`: nothing is left to do.
    pub fn next_round(&self) -> Result<Option<Round>, SqlError> {
        self.open()?;
        let found = self.sql.run(
            "SELECT id, map, done, told, epoch, seq, asked_by FROM site_kills WHERE seq IS NULL OR told < total
             ORDER BY seq IS NOT NULL, asked, id LIMIT 1",
            &[],
        )?;
        let Some(row) = found.first() else { return Ok(None) };
        let position = position_of(row, 4)?;
        let map = map_of(row.text(1)?)?;
        let done: u32 = row.integer(if position.is_some() { 3 } else { 2 })?;
        let homes = map
            .iter()
            .flat_map(|row| {
                (0..row.shards).map(|shard| Home { row: *row, shard: u16::try_from(shard).unwrap_or(u16::MAX) })
            })
            .skip(done as usize)
            .take(ROUND_SHARDS)
            .collect();
        // What cannot be read keeps no kill from being carried out.
        let by = row.optional_text(6)?.and_then(|text| serde_json::from_str(text).ok());
        Ok(Some(Round { kill: KillId::from_bytes(row.bytes(0)?), homes, position, by, done }))
    }

    /// Forgets receipts that are kept no longer; when the next one is to go.
    pub fn forget_kills(&self, now: UnixMillis) -> Result<Option<UnixMillis>, SqlError> {
        let oldest = now.0.saturating_sub(millis(RECEIPTS_KEPT));
        self.sql.run("DELETE FROM site_kills WHERE told = total AND accepted <= ?", &[oldest.into()])?;
        let left = self.sql.run("SELECT min(accepted) FROM site_kills WHERE told = total", &[])?;
        let next = left.first().map_or(Ok(None), |row| row.optional_integer(0))?;
        Ok(next.map(|accepted| UnixMillis(accepted).plus(RECEIPTS_KEPT)))
    }

    /// Notes that the shards of a round know where the kill stands.
    pub fn told_round(&self, round: &Round) -> Result<(), SqlError> {
        self.sql
            .run("UPDATE site_kills SET told = ?2 WHERE id = ?1", &[rows::blob(round.kill), round.end().into()])
            .map(|_| ())
    }

    /// Notes that the shards of a round have committed, the largest generation
    /// that they raised given; publishes after the last.
    ///
    /// A kill takes long, and a version of the Worker with one row more may begin
    /// to run meanwhile: from its first poll on, sessions start under that row. So
    /// the rows are compared in the transaction that publishes. Whoever polls with
    /// a new row before it is seen here; after it, whoever does is answered with
    /// this entry among the rest, and what starts under the row is later than it.
    pub fn end_round(&self, round: &Round, generation: u64, now: UnixMillis) -> Result<(), SqlError> {
        let done = round.end();
        self.awake.since(now);
        self.sql.atomically(|| {
            let noted = self.sql.run(
                "UPDATE site_kills SET done = ?2, min_generation = max(min_generation, ?3) WHERE id = ?1
                 RETURNING min_generation, map",
                &[rows::blob(round.kill), done.into(), generation.into()],
            )?;
            let Some(noted) = noted.first() else { return Ok(()) };
            if done < self.take_in_rows(round.kill, map_of(noted.text(1)?)?)? {
                return Ok(());
            }
            let entry = NewEntry {
                id: round.kill,
                key: EntryKey::Site,
                min_generation: Some(noted.integer(0)?),
                rows: Vec::new(),
            };
            let added = self.add(&entry, now)?;
            let bound_ms = self.largest_bound(now)?;
            self.sql
                .run(
                    "UPDATE site_kills SET epoch = ?2, seq = ?3, accepted = ?4, bound_ms = ?5 WHERE id = ?1",
                    &[
                        rows::blob(round.kill),
                        self.epoch.to_text().as_str().into(),
                        added.seq.into(),
                        added.accepted.into(),
                        bound_ms.into(),
                    ],
                )
                .map(|_| ())
        })
    }

    /// Adds to a kill what the feed has heard of since it began, behind the rest,
    /// so that what is counted keeps its place; how many shards there are.
    fn take_in_rows(&self, kill: KillId, mut map: Vec<MapRow>) -> Result<u32, SqlError> {
        let new = if mutants::is(Mutant::SiteRowMissing) { Vec::new() } else { self.rows_besides(&map)? };
        if !new.is_empty() {
            map.extend(new);
            self.sql.run(
                "UPDATE site_kills SET map = ?2, total = ?3 WHERE id = ?1",
                &[rows::blob(kill), text_of(&map)?.as_str().into(), shards_of(&map).into()],
            )?;
        }
        Ok(shards_of(&map))
    }

    /// The rows that the feed knows and these are not.
    fn rows_besides(&self, named: &[MapRow]) -> Result<Vec<MapRow>, SqlError> {
        let is_new = |row: &MapRow| named.iter().all(|other| other.generation != row.generation);
        Ok(schema::rows(&self.sql)?.into_iter().filter(is_new).collect())
    }

    pub(super) fn site_kill(&self, kill: KillId, now: UnixMillis) -> Result<Option<Kill>, SqlError> {
        let found = self.sql.run(
            "SELECT asked, done, total, epoch, seq, accepted, bound_ms FROM site_kills WHERE id = ?",
            &[rows::blob(kill)],
        )?;
        found.first().map(|row| kill_of(kill, row, self.awake.since(now), now)).transpose()
    }
}

impl Round {
    fn end(&self) -> u32 {
        self.done.saturating_add(u32::try_from(self.homes.len()).unwrap_or(u32::MAX))
    }
}

fn shards_of(map: &[MapRow]) -> u32 {
    map.iter().map(|row| row.shards).sum()
}

fn text_of(map: &[MapRow]) -> Result<String, SqlError> {
    serde_json::to_string(map).map_err(|error| SqlError(error.to_string()))
}

fn map_of(text: &str) -> Result<Vec<MapRow>, SqlError> {
    read::text(text).map_err(|_| SqlError("a kill is malformed".to_owned()))
}

/// The two columns of a position, which begin at `at`.
fn position_of(row: &Row, at: usize) -> Result<Option<Position>, SqlError> {
    match (row.optional_text(at)?, row.optional_integer(at + 1)?) {
        (Some(epoch), Some(seq)) => {
            let epoch = Epoch::parse(epoch).ok_or_else(|| SqlError("an epoch is malformed".to_owned()))?;
            Ok(Some(Position { epoch, seq }))
        }
        _ => Ok(None),
    }
}

fn kill_of(id: KillId, row: &Row, awake: UnixMillis, now: UnixMillis) -> Result<Kill, SqlError> {
    let published = match position_of(row, 3)? {
        Some(Position { epoch, seq }) => {
            let (accepted, bound_ms) = (UnixMillis(row.integer(5)?), row.integer(6)?);
            let quiesced_in_ms = quiet_in(accepted, bound_ms, awake, now);
            Some(Published { epoch, seq, accepted, bound_ms, quiesced_in_ms })
        }
        None => None,
    };
    let progress = Some(Progress { done: row.integer(1)?, total: row.integer(2)? });
    Ok(Kill {
        id,
        scope: KillScope::Site,
        committed: UnixMillis(row.integer(0)?),
        published,
        is_partial: false,
        progress,
    })
}

/// Shards that are asked in one turn of the alarm: the platform allows 50
/// subrequests an invocation on its free plan.
const ROUND_SHARDS: usize = 40;
