//! What a kill is answered with.

use core::time::Duration;

use serde::Serialize;

use super::input::Query;
use crate::error::Failure;
use crate::ports::Ports;
use crate::response::OwnResponse;
use crate::site::Site;
use crate::store::message::{Kill, KillScope, Progress};
use crate::store::time_to_quiet;
use crate::time::millis;

/// How far a kill has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Every shard concerned has committed it: from now on each of them
    /// refuses. The feed could not be reached yet, and is tried again.
    Committed,
    /// The feed has it: it holds everywhere within the bound.
    Published,
    /// The bound is over: no edge can still accept.
    Quiesced,
}

/// A kill's receipt. Times are RFC 3339 in UTC.
#[derive(Debug, Serialize)]
pub struct Receipt {
    pub kill_id: String,
    /// Where it stands in the feed.
    pub epoch: Option<String>,
    pub seq: Option<u64>,
    pub scope: KillScope,
    pub committed_at: String,
    /// The feed's commit.
    pub accepted_at: Option<String>,
    /// The largest bound that any live version of the Worker goes by.
    pub bound_ms: u64,
    pub refused_everywhere_by: Option<String>,
    pub state: State,
    /// How many shards have committed it; only of a kill of the site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

impl Receipt {
    pub fn new(site: &Site, kill: &Kill) -> Self {
        let published = kill.published.as_ref();
        let own = millis(site.config.bound);
        let bound_ms = published.map_or(own, |published| published.bound_ms.max(own));
        let everywhere =
            |accepted: crate::time::UnixMillis| accepted.plus(time_to_quiet(Duration::from_millis(bound_ms)));
        Self {
            kill_id: kill.id.to_text(),
            epoch: published.map(|published| published.epoch.to_text()),
            seq: published.map(|published| published.seq),
            scope: kill.scope,
            committed_at: kill.committed.to_rfc3339(),
            accepted_at: published.map(|published| published.accepted.to_rfc3339()),
            bound_ms,
            refused_everywhere_by: published.map(|published| everywhere(published.accepted).to_rfc3339()),
            state: match published {
                None => State::Committed,
                Some(published) if published.quiesced_in_ms == 0 => State::Quiesced,
                Some(_) => State::Published,
            },
            progress: kill.progress,
        }
    }

    /// RFC 9110, section 15.3.3: 202 while it is not complete.
    pub fn answer(&self) -> OwnResponse {
        OwnResponse::json(if self.state == State::Committed { 202 } else { 200 }, self)
    }
}

/// Whether the caller wants its answer only when no edge can still accept.
///
/// # Errors
/// The parameter `wait` is something else.
pub fn wants_quiet(query: &Query) -> Result<bool, Failure> {
    match query.get("wait") {
        None => Ok(false),
        Some("quiesced") => Ok(true),
        Some(_) => Err(Failure::BadInput("wait must be quiesced".to_owned())),
    }
}

/// The receipt of a kill, after the bound is over if that is wanted. Where the
/// feed does not have it there is nothing to wait for, and the answer says so.
/// The whole bound is waited for, also of a kill of an earlier call: how much of it
/// is over, only the clock of an object says, which may have stepped.
pub async fn answer<P: Ports>(site: &Site, ports: &P, mut kill: Kill, waits: bool) -> OwnResponse {
    if waits && let Some(published) = &mut kill.published {
        let bound = Duration::from_millis(published.bound_ms).max(site.config.bound);
        ports.sleep(time_to_quiet(bound)).await;
        published.quiesced_in_ms = 0;
    }
    Receipt::new(site, &kill).answer()
}
