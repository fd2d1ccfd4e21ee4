//! One site, ready to serve: its configuration and its keys.

use crate::config::{Config, Mistake, Secrets};
use crate::token::KeyRing;

/// What a request is served with; prepared once per isolate.
#[derive(Debug)]
pub struct Site {
    pub config: Config,
    pub ring: KeyRing,
}

impl Site {
    /// Reads the `WARIFU` binding, a JSON text, and the secrets.
    ///
    /// # Errors
    /// Every mistake that was found.
    pub fn read(binding: &str, secrets: Secrets<'_>) -> Result<Self, Vec<Mistake>> {
        let value = serde_json::from_str(binding).map_err(|error| {
            let says = if binding.is_empty() {
                "the binding is missing; set [vars.WARIFU]".to_owned()
            } else {
                format!("not JSON: {error}")
            };
            vec![Mistake { key: "WARIFU".to_owned(), says }]
        })?;
        let (config, ring) = Config::read(&value, secrets)?;
        Ok(Self { config, ring })
    }
}
