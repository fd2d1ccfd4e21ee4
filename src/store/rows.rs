//! The rows of sessions and of their secrets: find, insert, delete.
//!
//! In every statement `?1` is the present, which [`live`] compares with.
//!
//! A secret is looked up by `+?`: as it is planned by the platform's SQLite, a
//! statement on a table with partial indexes may lean on the very value that is
//! bound, and is then compiled anew for each. Of what `+?` is, nothing can be known
//! before; the primary key serves it all the same.

use crate::session::{Cap, Claims, Device, Link, Salt, Session, SessionId, Subject, Wrapped};
use crate::store::message::Adopts;
use crate::store::{Row, Sql, SqlError, SqlValue, held};
use crate::time::UnixMillis;
use crate::token::SessionKey;

/// The condition that a session `s` lives: neither expired nor killed with all
/// of its subject or of its site.
macro_rules! live {
    () => {
        "s.idle_expires > ?1 AND s.absolute_expires > ?1
         AND s.generation >= coalesce((SELECT u.generation FROM subjects u WHERE u.subject = s.subject), 0)
         AND s.generation >= coalesce((SELECT m.value FROM meta m WHERE m.name = 'site_generation'), 0)"
    };
}
pub(super) use live;

macro_rules! session_columns {
    () => {
        "s.id, s.subject, s.level, s.auth_time, s.created, s.last_seen, s.idle_expires, s.absolute_expires,
         s.claims, s.generation, s.user_agent, s.country, s.city, s.first_prefix, s.last_prefix"
    };
}
pub(super) use session_columns;

/// How many columns that is.
const SESSION_COLUMNS: usize = 15;

/// How many columns of a secret say how it stands.
const LINK_COLUMNS: usize = 7;

/// The live session under a secret, and how that secret stands to it.
pub(super) fn find(sql: &impl Sql, key: &SessionKey, now: UnixMillis) -> Result<Option<(Session, Link)>, SqlError> {
    let rows = sql.run(
        concat!(
            "SELECT ",
            session_columns!(),
            ", k.serves_until, k.replay_from, k.salt, k.cap_level, k.cap_auth_time, k.grace_ms, k.waits, k.wrapped
             FROM secrets k JOIN sessions s ON s.id = k.session WHERE k.key = +?2 AND ",
            live!()
        ),
        &[now.into(), key.as_bytes().as_slice().into()],
    )?;
    let Some(row) = rows.first() else { return Ok(None) };
    let mut session = session_of(row)?;
    if let Some(wrapped) = row.optional_bytes(SESSION_COLUMNS + LINK_COLUMNS)? {
        session.held = held::read(sql, session.id, Wrapped(wrapped))?;
    }
    Ok(Some((session, link_of(row, SESSION_COLUMNS)?)))
}

/// The live session of this id.
pub(super) fn find_by_id(sql: &impl Sql, id: SessionId, now: UnixMillis) -> Result<Option<Session>, SqlError> {
    let rows = sql.run(
        concat!("SELECT ", session_columns!(), " FROM sessions s WHERE s.id = ?2 AND ", live!()),
        &[now.into(), blob(id)],
    )?;
    rows.first().map(session_of).transpose()
}

/// A session's id and subject, as far as they can be read, and whether it
/// lives. Nothing else of the row is read, so that what cannot be read can
/// still be ended.
pub(super) struct Stub {
    pub id: SessionId,
    pub subject: Option<Subject>,
    pub is_live: bool,
}

/// The session that a served secret opens.
pub(super) fn stub_by_key(sql: &impl Sql, key: &SessionKey, now: UnixMillis) -> Result<Option<Stub>, SqlError> {
    let rows = sql.run(
        concat!(
            "SELECT k.session, s.subject, ",
            live!(),
            " FROM secrets k LEFT JOIN sessions s ON s.id = k.session
             WHERE k.key = +?2 AND (k.serves_until IS NULL OR k.serves_until > ?1 OR k.waits = 1)"
        ),
        &[now.into(), key.as_bytes().as_slice().into()],
    )?;
    rows.first().map(stub_of).transpose()
}

pub(super) fn stub_by_id(sql: &impl Sql, id: SessionId, now: UnixMillis) -> Result<Option<Stub>, SqlError> {
    let rows = sql.run(
        concat!("SELECT s.id, s.subject, ", live!(), " FROM sessions s WHERE s.id = ?2"),
        &[now.into(), blob(id)],
    )?;
    rows.first().map(stub_of).transpose()
}

fn stub_of(row: &Row) -> Result<Stub, SqlError> {
    Ok(Stub {
        id: SessionId::from_bytes(row.bytes(0)?),
        subject: row.optional_text(1)?.and_then(Subject::parse),
        is_live: row.optional_integer::<u8>(2)? == Some(1),
    })
}

/// Writes a new session, which has no secret yet.
pub(super) fn insert(sql: &impl Sql, session: &Session) -> Result<(), SqlError> {
    let Device { user_agent, country, city, first_prefix, last_prefix } = &session.device;
    let text = |value: &Option<String>| SqlValue::from(value.as_deref());
    sql.run(
        "INSERT INTO sessions (id, subject, level, auth_time, created, last_seen, idle_expires, absolute_expires,
                               claims, generation, user_agent, country, city, first_prefix, last_prefix)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &[
            blob(session.id),
            session.subject.as_str().into(),
            session.level.into(),
            session.auth_time.into(),
            session.created.into(),
            session.last_seen.into(),
            session.idle_expires.into(),
            session.absolute_expires.into(),
            session.claims.as_ref().map(Claims::as_str).into(),
            session.generation.into(),
            text(user_agent),
            text(country),
            text(city),
            text(first_prefix),
            text(last_prefix),
        ],
    )
    .map(|_| ())
}

/// Writes a secret that the one which is written next follows.
pub(super) fn insert_old_secret(
    sql: &impl Sql,
    id: SessionId,
    old: &Adopts,
    until: UnixMillis,
) -> Result<(), SqlError> {
    sql.run(
        "INSERT INTO secrets (key, session, wrapped, rank, serves_until, replay_from, salt)
         VALUES (?1, ?2, ?3, 0, ?4, ?4, ?5)",
        &[
            old.key.0.as_bytes().as_slice().into(),
            blob(id),
            held::column(old.wrapped.as_ref()),
            until.into(),
            old.salt.0.as_slice().into(),
        ],
    )
    .map(|_| ())
}

/// Writes a session's newest secret.
pub(super) fn insert_secret(
    sql: &impl Sql,
    id: SessionId,
    key: &SessionKey,
    wrapped: Option<&Wrapped>,
    rank: u32,
    grace_ms: Option<u64>,
) -> Result<(), SqlError> {
    sql.run(
        "INSERT INTO secrets (key, session, wrapped, rank, grace_ms) VALUES (?, ?, ?, ?, ?)",
        &[key.as_bytes().as_slice().into(), blob(id), held::column(wrapped), rank.into(), grace_ms.into()],
    )
    .map(|_| ())
}

/// Removes a session with all its secrets; what there was to say of it to the
/// edges, its end says.
pub(super) fn delete(sql: &impl Sql, id: SessionId) -> Result<(), SqlError> {
    sql.run("DELETE FROM secrets WHERE session = ?", &[blob(id)])?;
    sql.run("DELETE FROM refreshes WHERE session = ?", &[blob(id)])?;
    sql.run("DELETE FROM held WHERE session = ?", &[blob(id)])?;
    sql.run("DELETE FROM sessions WHERE id = ?", &[blob(id)])?;
    Ok(())
}

pub(super) fn blob(id: SessionId) -> SqlValue {
    id.as_bytes().as_slice().into()
}

/// Reads a row; one that the types cannot hold is an error, not an absence.
pub(super) fn session_of(row: &Row) -> Result<Session, SqlError> {
    let claims = row
        .optional_text(8)?
        .map(|text| Claims::parse(text).ok_or_else(|| SqlError("the claims are malformed".to_owned())))
        .transpose()?;
    let text = |index| row.optional_text(index).map(|text| text.map(str::to_owned));
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
        generation: row.integer(9)?,
        device: Device {
            user_agent: text(10)?,
            country: text(11)?,
            city: text(12)?,
            first_prefix: text(13)?,
            last_prefix: text(14)?,
        },
        held: None,
    })
}

/// Reads the columns of a secret, which begin at `at`.
fn link_of(row: &Row, at: usize) -> Result<Link, SqlError> {
    let time = |index| row.optional_integer(index).map(|time| time.map(UnixMillis));
    let cap = match (row.optional_integer(at + 3)?, time(at + 4)?) {
        (Some(level), Some(auth_time)) => Some(Cap { level, auth_time }),
        (None, None) => None,
        _ => return Err(SqlError("a secret has half a cap".to_owned())),
    };
    Ok(Link {
        serves_until: time(at)?,
        replay_from: time(at + 1)?,
        salt: row.optional_bytes(at + 2)?.map(Salt),
        cap,
        grace_ms: row.optional_integer(at + 5)?,
        waits: row.integer::<u8>(at + 6)? == 1,
    })
}
