//! Facts about its user that travel with a session.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::read::read_text;

/// A JSON object of at most 2 KiB, as text, as its author wrote it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Claims(String);

impl Claims {
    /// Takes the text as it is if it is one JSON object of at most 2 KiB,
    /// nested no deeper than the parser goes (128).
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() <= CLAIMS_BYTES_MAX && serde_json::from_str::<Map<String, Value>>(text).is_ok();
        fits.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The object itself.
    pub fn to_value(&self) -> Value {
        serde_json::from_str(&self.0).expect("it was parsed when it was made")
    }
}

read_text!(Claims, Self::parse, "claims");

/// What is asked of claims, for messages.
pub const CLAIMS_FORM: &str = "a JSON object of at most 2048 bytes";

const CLAIMS_BYTES_MAX: usize = 2_048;
