//! `warifu health`: whether the gateway runs and reaches its sessions.

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::gateway::{Hints, Place};
use crate::text::json_line;

/// Ask whether the gateway runs and reaches its sessions; needs no key
#[derive(Args)]
pub struct Health {
    #[command(flatten)]
    place: Place,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// What a gateway says that runs and reaches its sessions; that it does not is a problem document.
#[derive(Deserialize, Serialize)]
struct Answer {
    status: Status,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
}

impl Health {
    pub fn run(self) -> Result<(), Failure> {
        let gateway = self.place.without_key()?;
        let hints = Hints { not_found: "is the address that of a gateway?", unknown: None };
        let answer: Answer = gateway.get("health", hints)?;
        let text = if self.json { json_line(&answer)? } else { format!("{}: ok\n", gateway.address()) };
        crate::print(text.as_bytes())
    }
}
