//! What a shard is asked: is there a session, which ones has a subject.

use crate::session::{KillId, Served, SessionId, Standing};
use crate::store::message::{Found, Key, ListCall, ShardAnswer};
use crate::store::rows::{live, session_columns};
use crate::store::turn::Turn;
use crate::store::{Sql, SqlError, audit, ending, rotation, rows};

/// The session that a secret opens. The first use of a new secret ends the
/// grace of the old ones; a replay may end the lineage.
pub(super) fn check(
    turn: &Turn<'_, impl Sql>,
    key: &Key,
    end_on_replay: Option<KillId>,
) -> Result<ShardAnswer, SqlError> {
    let none = |is_final| ShardAnswer::Checked { found: None, replayed: None, ended: false, is_final };
    let Some((session, link)) = rows::find(turn.sql, &key.0, turn.now)? else { return Ok(none(true)) };
    let served = match link.standing(turn.now) {
        Standing::Current => Served::Current,
        Standing::InGrace { successor } => Served::InGrace { salt: successor },
        Standing::Retired { is_replay: false } => return Ok(none(false)),
        Standing::Retired { is_replay: true } => {
            turn.sql.atomically(|| {
                audit::note_rarely(turn, "token_replayed", "replay", Some(session.id), Some(&session.subject))?;
                end_on_replay.map_or(Ok(()), |kill| ending::end_replayed(turn, &session, kill))
            })?;
            let ended = end_on_replay.is_some();
            return Ok(ShardAnswer::Checked { found: None, replayed: Some(session.id), ended, is_final: true });
        }
    };
    if let (Served::Current, Some(grace_ms)) = (served, link.grace_ms) {
        turn.sql.atomically(|| rotation::first_use(turn, &session, key, grace_ms))?;
    }
    let session = session.capped(link.cap);
    Ok(ShardAnswer::Checked { found: Some(Found { session, served }), replayed: None, ended: false, is_final: false })
}

pub(super) fn show(turn: &Turn<'_, impl Sql>, id: SessionId) -> Result<ShardAnswer, SqlError> {
    rows::find_by_id(turn.sql, id, turn.now).map(|session| ShardAnswer::Shown { session })
}

/// Live sessions of a subject, newest first, from a mark on.
pub(super) fn list(turn: &Turn<'_, impl Sql>, call: &ListCall) -> Result<ShardAnswer, SqlError> {
    let limit = call.limit.clamp(1, PAGE_MAX);
    let rows = turn.sql.run(
        concat!(
            "SELECT ",
            session_columns!(),
            " FROM sessions s WHERE s.subject = ?2 AND (s.created, s.id) < (?3, ?4) AND ",
            live!(),
            " ORDER BY s.created DESC, s.id DESC LIMIT ?5"
        ),
        &[
            turn.now.into(),
            call.subject.as_str().into(),
            call.after.map_or(u64::MAX, |mark| mark.created.0).into(),
            call.after.map_or_else(|| rows::blob(SessionId::from_bytes([255; 16])), |mark| rows::blob(mark.id)),
            (limit + 1).into(),
        ],
    )?;
    let mut sessions = rows.iter().map(rows::session_of).collect::<Result<Vec<_>, _>>()?;
    let more = sessions.len() > limit as usize;
    sessions.truncate(limit as usize);
    Ok(ShardAnswer::Sessions { sessions, more })
}

/// Sessions of one page at most.
const PAGE_MAX: u32 = 100;
