//! `Sql` over rusqlite: the same statements as in the object, on a real SQLite.

use std::cell::Cell;
use std::fmt::Write;

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use warifu::store::{Row, Sql, SqlError, SqlValue};

pub struct Sqlite {
    pub connection: Connection,
    /// Statements until one fails; for tests of half-done work.
    pub fails_after: Cell<Option<u32>>,
}

impl Sqlite {
    pub fn in_memory() -> Self {
        Self::over(Connection::open_in_memory().expect("SQLite opens"))
    }

    pub fn over(connection: Connection) -> Self {
        connection.set_prepared_statement_cache_capacity(128);
        // Or SQLite would prepare most statements anew whenever a parameter differs.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).expect("a setting");
        Self { connection, fails_after: Cell::new(None) }
    }

    /// Everything that the database holds, table by table.
    pub fn dump(&self) -> String {
        let show = |value: &SqlValue| match value {
            SqlValue::Null => "NULL".to_owned(),
            SqlValue::Integer(number) => number.to_string(),
            SqlValue::Text(text) => format!("'{text}'"),
            SqlValue::Blob(bytes) => bytes.iter().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").expect("a String takes all");
                hex
            }),
        };
        let mut dump = String::new();
        let is_there = |table: &&&str| {
            let found = self.run("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", &[(**table).into()]);
            !found.expect("the schema").is_empty()
        };
        for table in TABLES.iter().filter(is_there) {
            for row in self.run(&format!("SELECT * FROM {table}"), &[]).expect("a table") {
                let columns: Vec<String> = row.0.iter().map(show).collect();
                writeln!(dump, "{table} | {}", columns.join(" | ")).expect("a String takes all");
            }
        }
        dump
    }

    fn fail_if_due(&self) -> Result<(), SqlError> {
        match self.fails_after.get() {
            Some(0) => Err(SqlError("the disk is gone".to_owned())),
            Some(left) => {
                self.fails_after.set(Some(left - 1));
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Of a shard and of the feed.
const TABLES: [&str; 15] = [
    "meta",
    "sessions",
    "secrets",
    "subjects",
    "kills",
    "refreshes",
    "ended",
    "held",
    "adopted",
    "closed",
    "audit",
    "entries",
    "bounds",
    "site_kills",
    "map",
];

impl Sql for Sqlite {
    fn run(&self, statement: &str, parameters: &[SqlValue]) -> Result<Vec<Row>, SqlError> {
        self.fail_if_due()?;
        let failed = |error: rusqlite::Error| SqlError(error.to_string());
        let mut prepared = self.connection.prepare_cached(statement).map_err(failed)?;
        let columns = prepared.column_count();
        let parameters = parameters.iter().map(|value| match value {
            SqlValue::Null => Value::Null,
            SqlValue::Integer(number) => Value::Integer(*number),
            SqlValue::Text(text) => Value::Text(text.clone()),
            SqlValue::Blob(bytes) => Value::Blob(bytes.clone()),
        });
        let mut rows = prepared.query(params_from_iter(parameters)).map_err(failed)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let column = |index| match row.get::<_, Value>(index).map_err(failed)? {
                Value::Null => Ok(SqlValue::Null),
                Value::Integer(number) => Ok(SqlValue::Integer(number)),
                Value::Text(text) => Ok(SqlValue::Text(text)),
                Value::Blob(bytes) => Ok(SqlValue::Blob(bytes)),
                Value::Real(_) => Err(SqlError("a column is no integer".to_owned())),
            };
            found.push(Row((0..columns).map(column).collect::<Result<_, _>>()?));
        }
        Ok(found)
    }

    fn transaction(&self, work: &mut dyn FnMut() -> Result<(), SqlError>) -> Result<(), SqlError> {
        let control = |statement| self.connection.execute_batch(statement).map_err(|e| SqlError(e.to_string()));
        control("BEGIN IMMEDIATE")?;
        match work() {
            Ok(()) => control("COMMIT"),
            Err(error) => {
                control("ROLLBACK")?;
                Err(error)
            }
        }
    }
}
