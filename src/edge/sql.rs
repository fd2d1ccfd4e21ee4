//! [`Sql`] over the SQLite of a Durable Object.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use js_sys::JsString;
use wasm_bindgen::JsValue;
use worker::State;

use crate::audit::Event;
use crate::edge::glue;
use crate::edge::log::log;
use crate::edge::turn::{self, begun};
use crate::store::fence::Confirm;
use crate::store::{Row, Sql, SqlError, SqlValue};
use crate::time::UnixMillis;

/// The object's own database.
pub struct ObjectSql {
    storage: JsValue,
    #[cfg(feature = "test-panic")]
    stop: crate::edge::test_panic::Stop,
}

impl ObjectSql {
    pub fn new(state: &State) -> Self {
        Self {
            storage: state.storage().as_raw().into(),
            #[cfg(feature = "test-panic")]
            stop: crate::edge::test_panic::Stop::new(state),
        }
    }
}

/// An object's storage, to wait for.
pub struct ObjectStorage {
    storage: JsValue,
    /// For what is told of it; empty where that is not known.
    site: Rc<str>,
}

impl ObjectStorage {
    pub fn new(state: &State, site: Option<&str>) -> Self {
        Self { storage: state.storage().as_raw().into(), site: site.unwrap_or_default().into() }
    }

    pub fn site(&self) -> &str {
        &self.site
    }

    /// Issued at once, so that it is committed with what was written in this
    /// turn.
    pub fn set_alarm(&self, at: UnixMillis) {
        #[allow(clippy::cast_precision_loss, reason = "a date is far below 2^53")]
        let set = glue::set_alarm(&self.storage, at.0 as f64);
        let site = Rc::clone(&self.site);
        let told = turn::take(Box::pin(async move {
            if let Err(thrown) = begun(set).await {
                log(&site, &Event::AlarmFailed { reason: glue::reason(&thrown) });
            }
            Ok(JsValue::UNDEFINED)
        }));
        // Nobody waits for it.
        told.ok();
    }
}

impl Confirm for ObjectStorage {
    async fn confirmed(&self) -> Result<(), SqlError> {
        begun(glue::confirmed(&self.storage)).await.map(|_| ()).map_err(|thrown| SqlError(glue::reason(&thrown)))
    }
}

impl Sql for ObjectSql {
    fn run(&self, statement: &str, parameters: &[SqlValue]) -> Result<Vec<Row>, SqlError> {
        #[cfg(feature = "test-panic")]
        self.stop.before_statement()?;
        let rows = with_statement(statement, |statement| glue::query(&self.storage, statement, &encode(parameters)));
        decode(&rows.map_err(|thrown| SqlError(glue::reason(&thrown)))?)
    }

    fn transaction(&self, work: &mut dyn FnMut() -> Result<(), SqlError>) -> Result<(), SqlError> {
        // What is thrown makes the platform roll back; it comes out again below.
        // Unwinding out of it is no harm: the platform then rolls back too.
        let mut work = AssertUnwindSafe(work);
        let mut thrower = move || {
            let work = &mut work;
            (work.0)().map_err(|error| JsValue::from_str(&error.0))
        };
        glue::transaction(&self.storage, &mut thrower)
            .map_err(|thrown| SqlError(thrown.as_string().unwrap_or_else(|| glue::reason(&thrown))))
    }
}

thread_local! {
    /// The statements as JavaScript has them, each made into its text once.
    static STATEMENTS: RefCell<BTreeMap<Box<str>, JsString>> = const { RefCell::new(BTreeMap::new()) };
}

fn with_statement<T>(statement: &str, run: impl FnOnce(&JsString) -> T) -> T {
    let known = STATEMENTS.with_borrow(|statements| statements.get(statement).cloned());
    let known = known.unwrap_or_else(|| {
        let made = JsString::from(statement);
        STATEMENTS.with_borrow_mut(|statements| {
            // Those of the sweep differ with the size of their batch.
            if statements.len() < STATEMENTS_MAX {
                statements.insert(statement.into(), made.clone());
            }
        });
        made
    });
    run(&known)
}

const STATEMENTS_MAX: usize = 256;

// What `objects.js` reads and writes.
const ROW: u8 = 0;
const NULL: u8 = 1;
const NUMBER: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;

fn encode(parameters: &[SqlValue]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64 * parameters.len());
    for value in parameters {
        match value {
            SqlValue::Null => bytes.push(NULL),
            #[allow(clippy::cast_precision_loss, reason = "integers are at most 2^53 - 1 by contract of the type")]
            SqlValue::Integer(number) => {
                bytes.push(NUMBER);
                bytes.extend_from_slice(&(*number as f64).to_le_bytes());
            }
            SqlValue::Text(text) => put(&mut bytes, TEXT, text.as_bytes()),
            SqlValue::Blob(blob) => put(&mut bytes, BLOB, blob),
        }
    }
    bytes
}

fn put(to: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    to.push(kind);
    // More than the memory holds cannot come.
    to.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    to.extend_from_slice(bytes);
}

fn decode(mut bytes: &[u8]) -> Result<Vec<Row>, SqlError> {
    let mut rows: Vec<Row> = Vec::new();
    while let Some((kind, rest)) = bytes.split_first() {
        bytes = rest;
        let value = match *kind {
            ROW => {
                rows.push(Row(Vec::with_capacity(COLUMNS)));
                continue;
            }
            NULL => Some(SqlValue::Null),
            NUMBER => taken(&mut bytes).map(|number| {
                #[allow(clippy::cast_possible_truncation, reason = "checked to be a safe integer")]
                SqlValue::Integer(f64::from_le_bytes(number) as i64)
            }),
            TEXT => part(&mut bytes).and_then(|part| String::from_utf8(part.to_vec()).ok()).map(SqlValue::Text),
            BLOB => part(&mut bytes).map(|part| SqlValue::Blob(part.to_vec())),
            _ => None,
        };
        let read = rows.last_mut().zip(value);
        let (row, value) = read.ok_or_else(|| SqlError("a row cannot be read".to_owned()))?;
        row.0.push(value);
    }
    Ok(rows)
}

fn taken<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

fn part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_le_bytes(taken(bytes)?) as usize;
    let (part, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(part)
}

/// As many as most rows have.
const COLUMNS: usize = 24;
