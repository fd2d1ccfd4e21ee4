//! The logic of the objects, over [`Sql`]: the same SQL in the object's SQLite
//! and in native tests.

pub mod message;
pub mod session_shard;
pub mod session_object;
pub mod feed_object;
pub mod feed;
pub mod fence;
mod flight;
mod outbox;
mod refresh;
mod ended;
pub mod schema;
mod turn;
mod audit;
mod awake;
mod home;
mod start;
mod reading;
mod adoption;
mod change;
mod rotation;
mod ending;
mod generations;
mod held;
mod sweep;
mod rows;
mod sql;

pub use self::outbox::time_to_quiet;
pub use self::sql::{Row, Sql, SqlError, SqlValue};
pub use self::sweep::SOON;
