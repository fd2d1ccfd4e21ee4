//! The logic of the objects, over [`Sql`]: the same SQL in the object's SQLite
//! and in native tests.

pub mod message;
pub mod session_shard;
pub mod schema;
mod turn;
mod home;
mod start;
mod reading;
mod change;
mod rotation;
mod ending;
mod generations;
mod sweep;
mod rows;
mod sql;

pub use self::sql::{Row, Sql, SqlError, SqlValue};
