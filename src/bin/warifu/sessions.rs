//! `warifu sessions`: who is logged in, and where.

use clap::Subcommand;
use form_urlencoded::Serializer;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use warifu::session::{Handle, SUBJECT_FORM, Subject};

use crate::failure::Failure;
use crate::gateway::{Asked, Gateway, Hints};
use crate::text::{self, Width, absolute, json_line, relative};
use crate::user_agent;

#[derive(Subcommand)]
pub enum Sessions {
    /// List the live sessions of a subject; needs the scope sessions:read
    #[command(after_help = crate::EXIT_CODES)]
    List {
        /// Whose sessions, as the application names them
        #[arg(long, value_parser = subject)]
        subject: String,
        /// List all of them, not only the first page
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        asked: Asked,
    },
    /// Show all that is known of one session; needs the scope sessions:read
    #[command(after_help = crate::EXIT_CODES)]
    Show {
        /// The session's id, as the list has it
        #[arg(value_parser = id)]
        id: String,
        #[command(flatten)]
        asked: Asked,
    },
}

impl Sessions {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { subject, all, asked } => {
                let as_json = asked.json;
                let gateway = asked.gateway()?;
                let (records, has_more) = list(&gateway, &subject, all)?;
                let text = if as_json { json_line(&records)? } else { for_people(records)? };
                crate::print(text.as_bytes())?;
                if has_more {
                    crate::remark("note: there are more; --all lists them");
                }
                Ok(())
            }
            Self::Show { id, asked } => {
                let as_json = asked.json;
                let gateway = asked.gateway()?;
                let hints = Hints { not_found: "no live session has this id; it may have ended", unknown: None };
                let record: Value = gateway.get(&format!("sessions/{id}"), hints)?;
                let text = if as_json { json_line(&record)? } else { in_full(record)? };
                crate::print(text.as_bytes())
            }
        }
    }
}

/// The first page or all of them, and whether there are more.
fn list(gateway: &Gateway, subject: &str, all: bool) -> Result<(Vec<Value>, bool), Failure> {
    #[derive(Deserialize)]
    struct Page {
        sessions: Vec<Value>,
        next: Option<String>,
    }
    let hints = Hints { not_found: "is the address that of a gateway?", unknown: None };
    let mut records = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = Serializer::new(String::new());
        query.append_pair("subject", subject);
        if let Some(cursor) = &cursor {
            query.append_pair("cursor", cursor);
        }
        let Page { sessions, next } = gateway.get(&format!("sessions?{}", query.finish()), hints)?;
        records.extend(sessions);
        if next.is_none() || !all {
            return Ok((records, next.is_some()));
        }
        if next == cursor {
            return Err(Failure::Refused("the gateway's list does not end".to_owned(), None));
        }
        cursor = next;
    }
}

/// A record, as far as it is shown.
#[derive(Deserialize)]
struct Record {
    id: String,
    subject: String,
    level: u8,
    auth_time: Timestamp,
    created: Timestamp,
    last_seen: Timestamp,
    idle_expires: Timestamp,
    absolute_expires: Timestamp,
    claims: Option<Map<String, Value>>,
    #[serde(default)]
    device: Device,
}

#[derive(Default, Deserialize)]
struct Device {
    user_agent: Option<String>,
    country: Option<String>,
    city: Option<String>,
    first_prefix: Option<String>,
    last_prefix: Option<String>,
}

impl Record {
    fn read(value: Value) -> Result<Self, Failure> {
        serde_json::from_value(value).map_err(|_| {
            Failure::Unreachable(
                "the gateway answered with something else than sessions".to_owned(),
                Some("is it of another version than this command? --json prints what it answers".to_owned()),
            )
        })
    }

    fn expires(&self) -> Timestamp {
        self.idle_expires.min(self.absolute_expires)
    }
}

impl Device {
    /// Where it was at the start, as exactly as is known.
    fn place(&self) -> Option<String> {
        let named = [self.city.as_deref(), self.country.as_deref()];
        let named: Vec<&str> = named.into_iter().flatten().collect();
        if named.is_empty() { None } else { Some(named.join(", ")) }
    }

    fn network(&self) -> Option<String> {
        match (&self.first_prefix, &self.last_prefix) {
            (Some(first), Some(last)) if first != last => Some(format!("{first}, now {last}")),
            (first, last) => first.as_ref().or(last.as_ref()).cloned(),
        }
    }
}

fn for_people(records: Vec<Value>) -> Result<String, Failure> {
    if records.is_empty() {
        return Ok("no sessions\n".to_owned());
    }
    let now = text::now();
    let rows = records.into_iter().map(|value| {
        let record = Record::read(value)?;
        Ok([
            record.id.clone(),
            record.level.to_string(),
            record.device.user_agent.as_deref().map(user_agent::short).unwrap_or_default(),
            record.device.place().or_else(|| record.device.network()).unwrap_or_default(),
            relative(record.created, now),
            relative(record.last_seen, now),
            relative(record.expires(), now),
        ])
    });
    let header = [
        ("ID", Width::OfContent),
        ("LEVEL", Width::OfContent),
        ("DEVICE", Width::AtLeast(18)),
        ("PLACE", Width::AtLeast(14)),
        ("CREATED", Width::OfContent),
        ("LAST SEEN", Width::OfContent),
        ("EXPIRES", Width::OfContent),
    ];
    Ok(text::table(header, rows.collect::<Result<Vec<_>, Failure>>()?))
}

fn in_full(record: Value) -> Result<String, Failure> {
    let record = Record::read(record)?;
    let now = text::now();
    let at = |time| Some(absolute(time, now));
    let claims = record.claims.as_ref().map(json_line).transpose()?.map(|line| line.trim_end().to_owned());
    Ok(text::pairs([
        ("id", Some(record.id.clone())),
        ("subject", Some(record.subject.clone())),
        ("level", Some(record.level.to_string())),
        ("logged in", at(record.auth_time)),
        ("created", at(record.created)),
        ("last seen", at(record.last_seen)),
        ("expires", at(record.expires())),
        ("at the latest", at(record.absolute_expires)),
        ("device", record.device.user_agent.clone()),
        ("place", record.device.place()),
        ("network", record.device.network()),
        ("claims", claims),
    ]))
}

/// A handle has the characters of base64url only, so it needs no encoding in a path.
pub fn id(text: &str) -> Result<String, String> {
    Handle::parse(text).map(Handle::to_text).ok_or_else(|| "it must be the 22 characters of an id".to_owned())
}

pub fn subject(text: &str) -> Result<String, String> {
    Subject::parse(text).map(|subject| subject.as_str().to_owned()).ok_or_else(|| format!("it must be {SUBJECT_FORM}"))
}
