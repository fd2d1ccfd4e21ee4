//! What a kill is answered with.

use serde::Serialize;

use crate::response::OwnResponse;
use crate::site::Site;
use crate::store::message::{Kill, KillScope};
use crate::time::millis;

/// How far a kill has come.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Every shard concerned has committed it: from now on each of them refuses.
    Committed,
}

/// A kill's receipt. Times are RFC 3339 in UTC.
#[derive(Debug, Serialize)]
pub struct Receipt {
    pub kill_id: String,
    /// The feed's, once it is published there.
    pub epoch: Option<String>,
    pub seq: Option<u64>,
    pub scope: KillScope,
    pub committed_at: String,
    /// The feed's commit.
    pub accepted_at: Option<String>,
    pub bound_ms: u64,
    pub refused_everywhere_by: Option<String>,
    pub state: State,
}

impl Receipt {
    pub fn new(site: &Site, kill: &Kill) -> Self {
        Self {
            kill_id: kill.id.to_text(),
            epoch: None,
            seq: None,
            scope: kill.scope,
            committed_at: kill.committed.to_rfc3339(),
            accepted_at: None,
            bound_ms: millis(site.config.bound),
            refused_everywhere_by: None,
            state: State::Committed,
        }
    }

    /// RFC 9110, section 15.3.3: 202 while it is not complete.
    pub fn answer(&self) -> OwnResponse {
        OwnResponse::json(202, self)
    }
}
