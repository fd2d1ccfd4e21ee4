//! `warifu health`: whether the gateway runs and reaches its sessions.

use clap::Args;
use serde_json::Value;

use crate::failure::Failure;
use crate::gateway::{Hints, Place};
use crate::text::{json_line, visible};

/// Ask whether the gateway runs and reaches its sessions; needs no key
#[derive(Args)]
pub struct Health {
    #[command(flatten)]
    place: Place,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

impl Health {
    pub fn run(self) -> Result<(), Failure> {
        let gateway = self.place.without_key()?;
        let hints = Hints { not_found: "is the address that of a gateway?", unknown: None };
        let answer: Value = gateway.get("health", hints)?;
        let status = answer["status"].as_str().unwrap_or("no status");
        let text =
            if self.json { json_line(&answer)? } else { format!("{}: {}\n", gateway.address(), visible(status)) };
        crate::print(text.as_bytes())
    }
}
