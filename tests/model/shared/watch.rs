//! Properties that are watched without the model: what dies stays dead, what is
//! old gets no stronger, what is over leaves the store.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::Secret;
use super::warifu;
use warifu::session::Served;
use warifu::store::Sql;
use warifu::store::message::Found;
use warifu::time::UnixMillis;

#[derive(Default)]
pub struct Watch {
    /// The level and time of authentication that an old secret was last served at.
    old: BTreeMap<Secret, (u8, UnixMillis)>,
    dead: BTreeSet<Secret>,
}

impl Watch {
    pub fn see(&mut self, secret: Secret, found: Option<&Found>) -> Result<(), String> {
        let Some(Found { session, served }) = found else {
            self.dead.insert(secret);
            return Ok(());
        };
        if self.dead.contains(&secret) {
            return Err("a dead secret opens a session again".to_owned());
        }
        let strength = (session.level, session.auth_time);
        match (served, self.old.get(&secret)) {
            (Served::Current, Some(_)) => Err("an old secret is the newest again".to_owned()),
            (Served::Current, None) => Ok(()),
            (_, Some((level, auth_time))) if *level < strength.0 || *auth_time < strength.1 => {
                Err("an old secret got stronger".to_owned())
            }
            _ => {
                self.old.insert(secret, strength);
                Ok(())
            }
        }
    }

    pub fn no_salt_is_overdue(sql: &impl Sql, now: UnixMillis) -> Result<(), String> {
        let query = "SELECT count(*) FROM secrets WHERE salt IS NOT NULL AND waits = 0 AND serves_until <= ?";
        match sql.run(query, &[now.into()]).and_then(|rows| rows[0].integer::<u32>(0)) {
            Ok(0) => Ok(()),
            other => Err(format!("salts that have outlived their grace: {other:?}")),
        }
    }

    /// After a sweep, with the rows that are to be left if it was the last one.
    pub fn is_swept(
        sql: &impl Sql,
        now: UnixMillis,
        expected: Option<[u64; 3]>,
        is_planned: bool,
    ) -> Result<(), String> {
        Self::no_salt_is_overdue(sql, now)?;
        let count = |of: &str| -> Result<u64, String> {
            let rows = sql.run(&format!("SELECT count(*) FROM {of}"), &[]).map_err(|error| error.0)?;
            rows[0].integer(0).map_err(|error| error.0)
        };
        let rows = [count("sessions")?, count("secrets")?, count("secrets WHERE salt IS NOT NULL")?];
        if expected.is_some_and(|expected| expected != rows) {
            return Err(format!("sessions, secrets and salts after a sweep: not {expected:?} but {rows:?}"));
        }
        if count("secrets WHERE session NOT IN (SELECT id FROM sessions)")? > 0 {
            return Err("a secret without a session".to_owned());
        }
        if !is_planned && rows[0] + count("kills")? + count("subjects WHERE moved = 0")? > 0 {
            return Err("nothing is planned, and the shard is not empty".to_owned());
        }
        if !is_planned && count("refreshes")? + count("ended")? > 0 {
            return Err("nothing is planned, and the shard is not empty".to_owned());
        }
        Ok(())
    }
}
