//! The rows of sessions and of their secrets: find, insert, delete.

use crate::session::{Claims, Session, SessionId, Subject};
use crate::store::{Row, Sql, SqlError, SqlValue};
use crate::time::UnixMillis;
use crate::token::SessionKey;

/// The session under a key, whether or not it lives.
pub(super) fn find(sql: &impl Sql, key: &SessionKey) -> Result<Option<Session>, SqlError> {
    let rows = sql.run(
        "SELECT s.id, s.subject, s.level, s.auth_time, s.created, s.last_seen,
                s.idle_expires, s.absolute_expires, s.claims
         FROM secrets k JOIN sessions s ON s.id = k.session WHERE k.key = ?",
        &[key.as_bytes().as_slice().into()],
    )?;
    rows.first().map(session_of).transpose()
}

/// The live session under a key if it is this subject's. Reads no more of the
/// row than that, so that a row which cannot be read keeps nobody from logging in.
pub(super) fn live_of_subject(
    sql: &impl Sql,
    key: &SessionKey,
    subject: &Subject,
    now: UnixMillis,
) -> Result<Option<SessionId>, SqlError> {
    let rows = sql.run(
        "SELECT s.id FROM secrets k JOIN sessions s ON s.id = k.session
         WHERE k.key = ? AND s.subject = ? AND s.idle_expires > ? AND s.absolute_expires > ?",
        &[key.as_bytes().as_slice().into(), subject.as_str().into(), now.into(), now.into()],
    )?;
    rows.first().map(|row| row.bytes(0).map(SessionId::from_bytes)).transpose()
}

/// Writes a new session and its first secret.
pub(super) fn insert(sql: &impl Sql, session: &Session, key: &SessionKey) -> Result<(), SqlError> {
    let id = session.id.as_bytes().as_slice();
    sql.run(
        "INSERT INTO sessions (id, subject, level, auth_time, created, last_seen,
                               idle_expires, absolute_expires, claims)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &[
            id.into(),
            session.subject.as_str().into(),
            session.level.into(),
            session.auth_time.into(),
            session.created.into(),
            session.last_seen.into(),
            session.idle_expires.into(),
            session.absolute_expires.into(),
            session.claims.as_ref().map_or(SqlValue::Null, |claims| claims.as_str().into()),
        ],
    )?;
    sql.run("INSERT INTO secrets (key, session) VALUES (?, ?)", &[key.as_bytes().as_slice().into(), id.into()])?;
    Ok(())
}

/// Removes a session and all its secrets.
pub(super) fn delete(sql: &impl Sql, id: SessionId) -> Result<(), SqlError> {
    let id: SqlValue = id.as_bytes().as_slice().into();
    sql.run("DELETE FROM secrets WHERE session = ?", core::slice::from_ref(&id))?;
    sql.run("DELETE FROM sessions WHERE id = ?", &[id])?;
    Ok(())
}

/// Reads a row; one that the types cannot hold is an error, not an absence.
fn session_of(row: &Row) -> Result<Session, SqlError> {
    let claims = row
        .optional_text(8)?
        .map(|text| Claims::parse(text).ok_or_else(|| SqlError("the claims are malformed".to_owned())))
        .transpose()?;
    Ok(Session {
        id: SessionId::from_bytes(row.bytes(0)?),
        subject: Subject::parse(row.text(1)?).ok_or_else(|| SqlError("the subject is malformed".to_owned()))?,
        level: row.integer(2)?,
        auth_time: UnixMillis(row.integer(3)?),
        created: UnixMillis(row.integer(4)?),
        last_seen: UnixMillis(row.integer(5)?),
        idle_expires: UnixMillis(row.integer(6)?),
        absolute_expires: UnixMillis(row.integer(7)?),
        claims,
    })
}
