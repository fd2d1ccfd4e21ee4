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
        let value = serde_json::from_str(binding).unwrap_or(serde_json::Value::Null);
        let (config, ring) = Config::read(&value, secrets)?;
        Ok(Self { config, ring })
    }
}
