//! The log: Workers Logs.

use crate::audit::Event;

/// Workers Logs takes one JSON object a line.
pub fn log(event: &Event) {
    worker::console_log!("{}", event.to_line());
}
