//! `warifu admin-key`: a key for someone who administers. The gateway keeps
//! only its SHA-256.

use std::fmt::Write as _;

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use warifu::admin_keys::{ADMIN_ID_FORM, Scope, is_admin_id};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::keys::random_key;

#[derive(Subcommand)]
pub enum AdminKey {
    /// Make a key: its entry for WARIFU_ADMIN_KEYS on stdout, the key itself, once, on stderr
    ///
    /// WARIFU_ADMIN_KEYS is a JSON list of such entries, and a key whose entry is left out is refused. To add one to
    /// the list that is there:
    ///
    ///   warifu admin-key new --id ci > ci.json
    ///   jq -c '. + [inputs]' admin-keys.json ci.json > next.json
    ///   npx wrangler secret put WARIFU_ADMIN_KEYS < next.json
    ///
    /// The entries are no secrets; the key is, and is stored nowhere.
    #[command(verbatim_doc_comment, after_help = crate::EXIT_CODES)]
    New {
        /// Whose key it is, as the log will name them: 1 to 64 of A-Z a-z 0-9 . _ -
        #[arg(long, value_parser = id)]
        id: String,
        /// What the key is good for [default: all]
        #[arg(long, value_name = "SCOPE", num_args = 1.., value_delimiter = ',',
              value_parser = PossibleValuesParser::new(Scope::ALL.map(Scope::name)))]
        scope: Vec<String>,
        /// Print {"key": …, "entry": …} on stdout and nothing on stderr
        #[arg(long)]
        json: bool,
    },
}

/// One member of `WARIFU_ADMIN_KEYS`.
#[derive(Serialize)]
struct Entry {
    id: String,
    sha256: String,
    scopes: Vec<&'static str>,
}

impl AdminKey {
    pub fn run(self) -> Result<(), Failure> {
        let Self::New { id, scope, json } = self;
        let is_meant = |known: &&str| scope.is_empty() || scope.iter().any(|given| given == known);
        let scopes = Scope::ALL.into_iter().map(Scope::name).filter(is_meant).collect();
        let (key, entry) = random(id, scopes)?;
        let text = if json { both(&key, &entry) } else { serde_json::to_string(&entry).map(Zeroizing::new) };
        let text = text.map_err(|error| Failure::Unusable(format!("the entry cannot be written: {error}")))?;
        if !json {
            crate::tell(&format!(
                "The key of {}, shown this once and stored nowhere (for the header: Authorization: Bearer <key>):\n\n    \
                 {}\n\nIts entry for the list WARIFU_ADMIN_KEYS:\n",
                entry.id, *key
            ))?;
        }
        crate::print(format!("{}\n", *text).as_bytes())
    }
}

fn random(id: String, scopes: Vec<&'static str>) -> Result<(Zeroizing<String>, Entry), Failure> {
    let key = random_key()?;
    let entry = Entry { id, sha256: sha256(key.as_bytes()), scopes };
    Ok((key, entry))
}

/// A new key, and its entry for the list, as JSON.
pub fn made(id: String, scopes: Vec<&'static str>) -> Result<(Zeroizing<String>, String), Failure> {
    let (key, entry) = random(id, scopes)?;
    let entry = serde_json::to_string(&entry)
        .map_err(|error| Failure::Unusable(format!("the entry cannot be written: {error}")))?;
    Ok((key, entry))
}

fn both(key: &str, entry: &Entry) -> serde_json::Result<Zeroizing<String>> {
    #[derive(Serialize)]
    struct Both<'a> {
        key: &'a str,
        entry: &'a Entry,
    }
    serde_json::to_string(&Both { key, entry }).map(Zeroizing::new)
}

/// Of the key's text, not of the bytes that it encodes: what a client sends.
fn sha256(text: &[u8]) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

pub fn id(text: &str) -> Result<String, String> {
    if is_admin_id(text) { Ok(text.to_owned()) } else { Err(format!("it must be {ADMIN_ID_FORM}")) }
}
