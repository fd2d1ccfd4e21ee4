//! The logic of the objects, over [`Sql`]: the same SQL in the object's SQLite
//! and in native tests.

pub mod message;
mod rows;
pub mod schema;
pub mod session_shard;
mod sql;
mod sweep;

pub use self::sql::{Row, Sql, SqlError, SqlValue};
