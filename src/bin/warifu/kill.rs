//! `warifu kill`: sessions are ended, at once and for good.

use std::io::BufRead as _;

use clap::{Args, Subcommand};
use form_urlencoded::Serializer;
use serde_json::json;

use crate::failure::Failure;
use crate::gateway::{Asked, Gateway, Hints};
use crate::receipt::{self, Answer, Until};
use crate::sessions::{id, subject};
use crate::text::{self, json_line, time, visible};

#[derive(Subcommand)]
pub enum Kill {
    /// End one session; needs the scope revoke
    #[command(after_help = crate::EXIT_CODES)]
    Session {
        /// The session's id, as `warifu sessions list` has it
        #[arg(value_parser = id)]
        id: String,
        #[command(flatten)]
        ending: Ending,
    },
    /// End all sessions of a subject; needs the scope revoke
    #[command(after_help = crate::EXIT_CODES)]
    Subject {
        /// Whose sessions, as the application names them
        #[arg(value_parser = subject)]
        subject: String,
        #[command(flatten)]
        ending: Ending,
    },
    /// End every session of the site; needs the scope revoke
    ///
    /// Asks for the site's name first: the value of `site` in the configuration, "default" if it is not there. Goes on
    /// until all shards have done it.
    #[command(after_help = crate::EXIT_CODES)]
    Site {
        /// Do not ask: this is the site's name
        #[arg(long, value_name = "SITE")]
        yes: Option<String>,
        #[command(flatten)]
        ending: Ending,
    },
    /// Show how far an end has come; needs the scope revoke
    #[command(after_help = crate::EXIT_CODES)]
    Receipt {
        /// The receipt's id, as the end was answered with
        #[arg(value_parser = id)]
        id: String,
        #[command(flatten)]
        ending: Ending,
    },
}

#[derive(Args)]
pub struct Ending {
    /// Wait until no edge can still accept what was ended. Unless --timeout says else, the answer to kill session and
    /// kill subject may then take 11m, since it is held back; kill site and kill receipt ask again, 30s each time
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    asked: Asked,
}

impl Kill {
    pub fn run(self) -> Result<(), Failure> {
        let mut query = Serializer::new(String::new());
        let (ending, below, not_found, what) = match self {
            Self::Session { id, ending } => (ending, format!("sessions/{id}"), NO_SESSION, Ended::Session(id)),
            Self::Subject { subject, ending } => {
                query.append_pair("subject", &subject);
                (ending, "sessions".to_owned(), NO_SUBJECT, Ended::Subject(subject))
            }
            Self::Site { yes, ending } => {
                (ending, "sessions".to_owned(), "is the address that of a gateway?", Ended::Site(yes))
            }
            Self::Receipt { id, ending } => return show(&id, ending),
        };
        let Ending { wait, asked } = ending;
        let as_json = asked.json;
        let gateway = asked.gateway()?;
        let body = match &what {
            Ended::Site(yes) => {
                let name = yes.clone().map_or_else(|| ask_for_site(gateway.address()), Ok)?;
                Some(json!({ "confirm": name }).to_string())
            }
            _ => None,
        };
        let is_site = body.is_some();
        if wait {
            query.append_pair("wait", "quiesced");
        }
        // The site's is answered at once, and followed.
        let is_held_back = wait && !is_site;
        let within = if is_held_back { gateway.patience() } else { gateway.timeout() };
        if is_held_back {
            let until = text::now().saturating_add(within).map(time).unwrap_or_default();
            crate::remark(&format!("waiting for every edge to refuse it; the answer may take until {until}"));
        }
        let query = query.finish();
        let below = if query.is_empty() { below } else { format!("{below}?{query}") };
        let hints = Hints { not_found, unknown: Some(UNKNOWN) };
        let answer = gateway.delete(&below, body.as_deref(), within, hints)?;
        let until = match (wait, is_site) {
            (true, _) => Until::Quiesced,
            (false, true) => Until::Published,
            (false, false) => Until::Now,
        };
        follow_and_print(&gateway, &what.title(), answer, until, as_json)
    }
}

/// The receipt of an earlier end.
fn show(id: &str, ending: Ending) -> Result<(), Failure> {
    let Ending { wait, asked } = ending;
    let as_json = asked.json;
    let gateway = asked.gateway()?;
    let answer = receipt::ask(&gateway, id)?;
    let title = format!("receipt {id}");
    follow_and_print(&gateway, &title, answer, if wait { Until::Quiesced } else { Until::Now }, as_json)
}

/// Prints the receipt, also where it does not come as far as was wanted.
fn follow_and_print(
    gateway: &Gateway,
    title: &str,
    answer: Answer,
    until: Until,
    as_json: bool,
) -> Result<(), Failure> {
    let (answer, followed) = receipt::follow(gateway, answer, until);
    let text = if as_json { json_line(answer.json())? } else { format!("{title}\n{}", receipt::for_people(&answer)) };
    crate::print(text.as_bytes())?;
    if until == Until::Now {
        receipt::warn(&answer);
    }
    followed
}

/// What is ended.
enum Ended {
    Session(String),
    Subject(String),
    /// And its name, if it has been given already.
    Site(Option<String>),
}

impl Ended {
    fn title(&self) -> String {
        match self {
            Self::Session(id) => format!("session {id}: ended"),
            Self::Subject(subject) => format!("all sessions of {}: ended", visible(subject)),
            Self::Site(_) => "every session of the site: ended".to_owned(),
        }
    }
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

const UNKNOWN: &str = "whether it was done is not known: do it again; what has ended by then has a receipt too";
/// Of an end in the last day there would be a receipt.
const NO_SESSION: &str = "no live session has this id, and the gateway knows of no end of it; it may have expired, or \
                          have ended with all of its subject, which has a receipt of its own";
const NO_SUBJECT: &str = "this subject has no live session, and none was ended so in the last day";
