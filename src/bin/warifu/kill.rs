//! `warifu kill`: sessions are ended, at once and for good.

use core::time::Duration;
use std::io::BufRead as _;

use clap::{Args, Subcommand};
use form_urlencoded::Serializer;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use warifu::time::show_span;

use crate::failure::Failure;
use crate::gateway::{Hints, Key, Place};
use crate::sessions::{id, subject};
use crate::text::{self, absolute, json_line, visible};

#[derive(Subcommand)]
pub enum Kill {
    /// End one session; needs the scope revoke
    #[command(after_help = crate::EXIT_CODES)]
    Session {
        /// The session's id, as `warifu sessions list` has it
        #[arg(value_parser = id)]
        id: String,
        #[command(flatten)]
        asked: Asked,
    },
    /// End all sessions of a subject; needs the scope revoke
    #[command(after_help = crate::EXIT_CODES)]
    Subject {
        /// Whose sessions, as the application names them
        #[arg(value_parser = subject)]
        subject: String,
        #[command(flatten)]
        asked: Asked,
    },
    /// End every session of the site; needs the scope revoke
    ///
    /// Asks for the site's name first: the value of `site` in the configuration, "default" if it is not there.
    #[command(after_help = crate::EXIT_CODES)]
    Site {
        /// Do not ask: this is the site's name
        #[arg(long, value_name = "SITE")]
        yes: Option<String>,
        #[command(flatten)]
        asked: Asked,
    },
}

#[derive(Args)]
pub struct Asked {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    key: Key,
    /// Wait until no edge can still accept what was ended
    #[arg(long)]
    wait: bool,
    /// Print the receipt as JSON
    #[arg(long)]
    json: bool,
}

impl Kill {
    pub fn run(self) -> Result<(), Failure> {
        let mut query = Serializer::new(String::new());
        let (asked, below, not_found, what) = match self {
            Self::Session { id, asked } => {
                (asked, format!("sessions/{id}"), "no live session has this id; it may have ended", Ended::Session(id))
            }
            Self::Subject { subject, asked } => {
                query.append_pair("subject", &subject);
                (asked, "sessions".to_owned(), "this subject has no live session", Ended::Subject(subject))
            }
            Self::Site { yes, asked } => {
                (asked, "sessions".to_owned(), "is the address that of a gateway?", Ended::Site(yes))
            }
        };
        let gateway = asked.place.with_key(asked.key)?;
        let body = match &what {
            Ended::Site(yes) => {
                let name = yes.clone().map_or_else(|| ask_for_site(gateway.address()), Ok)?;
                Some(json!({ "confirm": name }).to_string())
            }
            _ => None,
        };
        if asked.wait {
            query.append_pair("wait", "quiesced");
        }
        let query = query.finish();
        let below = if query.is_empty() { below } else { format!("{below}?{query}") };
        let hints = Hints { not_found, unknown: Some(UNKNOWN) };
        let receipt: Value = gateway.delete(&below, body.as_deref(), hints)?;
        let text = if asked.json { json_line(&receipt)? } else { for_people(&what, receipt) };
        crate::print(text.as_bytes())
    }
}

/// What is ended.
enum Ended {
    Session(String),
    Subject(String),
    /// And its name, if it has been given already.
    Site(Option<String>),
}

/// The name that is typed. The gateway compares it with its own.
fn ask_for_site(address: &str) -> Result<String, Failure> {
    crate::remark(&format!(
        "This ends every session of the site behind {address}. Everybody has to log in again.\n\
         Type the name of the site to go on:"
    ));
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::Unusable(format!("stdin cannot be read: {error}")))?;
    let name = line.trim();
    if name.is_empty() {
        return Err(Failure::Unusable("no name was typed, so nothing was ended; for programs: --yes SITE".to_owned()));
    }
    Ok(name.to_owned())
}

/// A receipt, as far as it is shown. What is not known yet is null.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Receipt {
    kill_id: Option<String>,
    state: Option<String>,
    committed_at: Option<Timestamp>,
    accepted_at: Option<Timestamp>,
    bound_ms: Option<u64>,
    refused_everywhere_by: Option<Timestamp>,
}

fn for_people(what: &Ended, receipt: Value) -> String {
    let title = match what {
        Ended::Session(id) => format!("session {id}: ended"),
        Ended::Subject(subject) => format!("all sessions of {}: ended", visible(subject)),
        Ended::Site(_) => "every session of the site: ended".to_owned(),
    };
    // It is done, whatever the receipt looks like.
    let receipt: Receipt = serde_json::from_value(receipt).unwrap_or_default();
    let now = text::now();
    let at = |time: Option<Timestamp>| time.map(|time| absolute(time, now));
    let rows = text::pairs([
        ("receipt", receipt.kill_id),
        ("state", receipt.state),
        ("committed", at(receipt.committed_at)),
        ("accepted", at(receipt.accepted_at)),
        ("bound", receipt.bound_ms.map(|bound| show_span(Duration::from_millis(bound)))),
        ("refused everywhere by", at(receipt.refused_everywhere_by)),
    ]);
    format!("{title}\n{rows}")
}

const UNKNOWN: &str = "whether it was done is not known: do it again, or look with warifu sessions list";
