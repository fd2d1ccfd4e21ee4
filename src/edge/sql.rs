//! [`Sql`] over the SQLite of a Durable Object.

use std::panic::AssertUnwindSafe;

use js_sys::{Array, ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use worker::State;

use crate::audit::Event;
use crate::edge::glue;
use crate::edge::log::log;
use crate::edge::turn::begun;
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
pub struct ObjectStorage(JsValue);

impl ObjectStorage {
    pub fn new(state: &State) -> Self {
        Self(state.storage().as_raw().into())
    }

    /// Issued at once, so that it is committed with what was written in this
    /// turn.
    pub fn set_alarm(&self, at: UnixMillis) {
        #[allow(clippy::cast_precision_loss, reason = "a date is far below 2^53")]
        if let Err(thrown) = glue::set_alarm(&self.0, at.0 as f64) {
            log(&Event::AlarmFailed { reason: glue::reason(&thrown) });
        }
    }
}

impl Confirm for ObjectStorage {
    async fn confirmed(&self) -> Result<(), SqlError> {
        begun(glue::confirmed(&self.0)).await.map(|_| ()).map_err(|thrown| SqlError(glue::reason(&thrown)))
    }
}

impl Sql for ObjectSql {
    fn run(&self, statement: &str, parameters: &[SqlValue]) -> Result<Vec<Row>, SqlError> {
        #[cfg(feature = "test-panic")]
        self.stop.before_statement()?;
        let parameters: Array = parameters.iter().map(to_js).collect();
        let rows =
            glue::query(&self.storage, statement, parameters).map_err(|thrown| SqlError(glue::reason(&thrown)))?;
        rows.iter()
            .map(|row| Array::from(&row).iter().map(|column| from_js(&column)).collect::<Result<_, _>>().map(Row))
            .collect()
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

fn to_js(value: &SqlValue) -> JsValue {
    match value {
        SqlValue::Null => JsValue::NULL,
        #[allow(clippy::cast_precision_loss, reason = "integers are at most 2^53 - 1 by contract of the type")]
        SqlValue::Integer(number) => JsValue::from_f64(*number as f64),
        SqlValue::Text(text) => JsValue::from_str(text),
        SqlValue::Blob(bytes) => Uint8Array::from(bytes.as_slice()).into(),
    }
}

fn from_js(value: &JsValue) -> Result<SqlValue, SqlError> {
    if value.is_null() {
        return Ok(SqlValue::Null);
    }
    if let Some(text) = value.as_string() {
        return Ok(SqlValue::Text(text));
    }
    if let Some(number) = value.as_f64() {
        #[allow(clippy::cast_possible_truncation, reason = "checked to be a safe integer")]
        return if js_sys::Number::is_safe_integer(value) {
            Ok(SqlValue::Integer(number as i64))
        } else {
            Err(SqlError("a column holds a number that is no integer".to_owned()))
        };
    }
    value
        .dyn_ref::<ArrayBuffer>()
        .map(|buffer| SqlValue::Blob(Uint8Array::new(buffer).to_vec()))
        .ok_or_else(|| SqlError("a column holds a value of an unknown type".to_owned()))
}
