//! Which row of the map a shard belongs to: noted with its first session, and
//! never changed. A row that was changed would give a subject two homes, and
//! what is ended in one would live on in the other.

use crate::config::MapRow;
use crate::store::message::Home;
use crate::store::schema::{read_meta, write_meta};
use crate::store::{Sql, SqlError};

/// The shard's place in the map; `None` until its first session.
pub(super) fn read(sql: &impl Sql) -> Result<Option<Home>, SqlError> {
    let rows = sql.run("SELECT name, value FROM meta WHERE name LIKE 'map\\_%' ESCAPE '\\' ORDER BY name", &[])?;
    if rows.is_empty() {
        return Ok(None);
    }
    if rows.len() != NAMES.len() {
        return Err(SqlError("the shard knows only a part of its row".to_owned()));
    }
    for (row, name) in rows.iter().zip(NAMES) {
        if row.text(0)? != name {
            return Err(SqlError("the shard's row is malformed".to_owned()));
        }
    }
    Ok(Some(Home {
        row: MapRow { generation: rows[0].integer(1)?, region: rows[1].integer(1)?, shards: rows[3].integer(1)? },
        shard: rows[2].integer(1)?,
    }))
}

pub(super) fn write(sql: &impl Sql, home: Home) -> Result<(), SqlError> {
    let Home { row, shard } = home;
    let values = [i64::from(row.generation), i64::from(row.region), i64::from(shard), i64::from(row.shards)];
    NAMES.iter().zip(values).try_for_each(|(name, value)| write_meta(sql, name, value))
}

/// Whether the feed knows this row, so that no kill misses what starts under
/// it; it does where an edge that knows the row has asked it.
pub(super) fn is_announced(sql: &impl Sql, has_asked: bool) -> Result<bool, SqlError> {
    if read_meta(sql, ANNOUNCED)?.is_some() {
        return Ok(true);
    }
    if has_asked {
        write_meta(sql, ANNOUNCED, 1)?;
    }
    Ok(has_asked)
}

/// In `meta`, once it does.
const ANNOUNCED: &str = "announced";

/// In `meta`, in the order of their names.
const NAMES: [&str; 4] = ["map_generation", "map_region", "map_shard", "map_shards"];
