//! Whether a command counts: only where the route takes commands, and only if
//! it is the origin's own.
//!
//! Some origins pass on what others answered, headers and all. Where that can
//! happen, a command has to repeat a nonce that was sent to the origin with the
//! request: whoever does not know the request cannot write it.
//!
//! What is not shown to be the origin's own is ignored, and the answer goes on.
//! Were it refused, those others could break the origin's pages.

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::audit::Event;
use crate::command::{self, Command, CommandRefusal, Nonce};
use crate::config::Commands;
use crate::error::Failure;
use crate::path::CanonicalPath;
use crate::policy::{self, Demand};
use crate::ports::{Answer, Ports, Random};
use crate::request::Request;
use crate::site::Site;

/// What a command in the answer to one request is held against.
pub struct Challenge {
    commands: Commands,
    /// Sent to the origin with the request; `None`: no command needs it.
    nonce: Option<String>,
}

impl Challenge {
    /// Draws the nonce, where the route wants one.
    ///
    /// # Errors
    /// There is no randomness to be had.
    pub fn new<P: Ports>(ports: &P, demand: Demand) -> Result<Self, Failure> {
        let commands = demand.commands;
        let nonce = (commands == Commands::Nonce).then(|| draw(ports)).transpose()?;
        Ok(Self { commands, nonce })
    }

    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    /// The answer's command, if it has one that counts.
    ///
    /// # Errors
    /// It is the origin's own, and cannot be read.
    pub fn heard<P: Ports>(
        &self,
        site: &Site,
        ports: &P,
        request: &Request,
        path: &CanonicalPath,
        answer: &impl Answer,
    ) -> Result<Option<Command>, Failure> {
        let Some(header) = answer.headers().get("warifu-command") else { return Ok(None) };
        let ignored = |reason| {
            ports.tell(Event::CommandIgnored { path: path.as_str().to_owned(), reason });
            Ok(None)
        };
        let nonce = match (self.commands, &self.nonce) {
            (Commands::No, _) => return ignored("the route has no commands = true"),
            (_, None) => Nonce::NotSent,
            (Commands::Yes, Some(nonce)) => Nonce::Sent(nonce),
            (Commands::Nonce, Some(nonce)) => Nonce::Wanted(nonce),
        };
        match command::parse(header, nonce) {
            Ok(Command::Start(_)) if !policy::may_start_session(&site.config, request) => {
                ignored("another site caused the request")
            }
            Ok(command) => Ok(Some(command)),
            Err(CommandRefusal::Unproven(reason)) => ignored(reason),
            Err(refusal @ CommandRefusal::Malformed(_)) => {
                ports.tell(Event::CommandRefused { path: path.as_str().to_owned(), reason: refusal.explain() });
                Err(Failure::BadCommand(refusal.explain()))
            }
        }
    }
}

/// 128 random bits, for one request.
fn draw<P: Ports>(ports: &P) -> Result<String, Failure> {
    let mut bytes = [0; NONCE_BYTES];
    if !ports.random().fill(&mut bytes) {
        return Err(Failure::Internal);
    }
    Ok(Base64UrlUnpadded::encode_string(&bytes))
}

const NONCE_BYTES: usize = 16;
