//! One call or alarm of a shard: its database, its present, its next alarm.

use core::cell::Cell;

use crate::store::message::By;
use crate::store::{Sql, SqlError, sweep};
use crate::time::UnixMillis;

pub(super) struct Turn<'a, S> {
    pub sql: &'a S,
    pub now: UnixMillis,
    /// Who wants it; `None`: nothing of it is written down.
    pub by: Option<&'a By>,
    /// When the object wants to be woken.
    pub alarm: &'a Cell<Option<UnixMillis>>,
}

impl<S: Sql> Turn<'_, S> {
    /// Sees to it that the shard sweeps no later than this.
    pub fn wake_by(&self, wanted: UnixMillis) -> Result<(), SqlError> {
        if let Some(at) = sweep::plan(self.sql, wanted, self.now)? {
            self.alarm.set(Some(self.alarm.get().map_or(at, |earlier| earlier.min(at))));
        }
        Ok(())
    }
}
