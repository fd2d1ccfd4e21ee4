//! Whether a command counts: only where the route takes commands, and only if
//! it is the origin's own.
//!
//! Some origins pass on what others answered, headers and all. Where that can
//! happen, a command has to repeat a nonce that was sent to the origin with the
//! request: whoever does not know the request cannot write it. Or all commands
//! of the site have to be signed.
//!
//! What is not shown to be the origin's own is ignored, and the answer goes on.
//! Were it refused, those others could break the origin's pages.

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::audit::Event;
use crate::command::{self, Command, CommandRefusal, Nonce};
use crate::config::Commands;
use crate::error::Failure;
use crate::headers::{HeaderBlock, HeaderEdits, holds};
use crate::path::CanonicalPath;
use crate::policy::{self, Demand};
use crate::ports::{Answer, Ports, Random};
use crate::request::Request;
use crate::signature::{self, LABEL};
use crate::signed_command::Signed;
use crate::site::Site;

/// What a command in the answer to one request is held against.
pub struct Challenge {
    commands: Commands,
    /// Sent to the origin with the request; `None`: no command needs it.
    nonce: Option<String>,
}

impl Challenge {
    /// Draws the nonce, where a command is to repeat it, or its signature to
    /// cover it.
    ///
    /// # Errors
    /// There is no randomness to be had.
    pub fn new<P: Ports>(site: &Site, ports: &P, demand: Demand) -> Result<Self, Failure> {
        let is_sent = match demand.commands {
            Commands::No => false,
            Commands::Yes => site.verifier.is_some(),
            Commands::Nonce => true,
        };
        Ok(Self { commands: demand.commands, nonce: is_sent.then(|| draw(ports)).transpose()? })
    }

    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    /// The answer's command, if it has one that counts; `url` is what was asked.
    ///
    /// # Errors
    /// It is the origin's own, and cannot be read.
    pub fn heard<P: Ports>(
        &self,
        site: &Site,
        ports: &P,
        request: &Request,
        path: &CanonicalPath,
        url: &str,
        answer: &impl Answer,
    ) -> Result<Option<Command>, Failure> {
        let Some(header) = answer.headers().get("warifu-command") else { return Ok(None) };
        let ignored = |reason| {
            ports.tell(Event::CommandIgnored { path: path.as_str().into(), reason });
            Ok(None)
        };
        let nonce = match (self.commands, &self.nonce) {
            (Commands::No, _) => return ignored("the route has no commands = true"),
            (_, None) => Nonce::NotSent,
            (Commands::Yes, Some(nonce)) => Nonce::Sent(nonce),
            (Commands::Nonce, Some(nonce)) => Nonce::Wanted(nonce),
        };
        let is_signed = self.is_signed(site, ports, request, url, answer, header);
        if let Err(reason) = is_signed {
            return ignored(reason);
        }
        match command::parse(header, nonce) {
            Ok(Command::Start(_)) if !policy::may_start_session(&site.config, request) => {
                ignored("another site caused the request")
            }
            Ok(command) => Ok(Some(command)),
            Err(CommandRefusal::Unproven(reason)) => ignored(reason),
            Err(refusal @ CommandRefusal::Malformed(_)) => {
                ports.tell(Event::CommandRefused {
                    path: path.as_str().into(),
                    reason: refusal.explain().as_str().into(),
                });
                Err(Failure::BadCommand(refusal.explain()))
            }
        }
    }

    /// Whether the command is signed, where it has to be. The request is taken
    /// apart as it was sent: so the origin has received it.
    fn is_signed<P: Ports>(
        &self,
        site: &Site,
        ports: &P,
        request: &Request,
        url: &str,
        answer: &impl Answer,
        command: &str,
    ) -> Result<(), &'static str> {
        let Some(verifier) = &site.verifier else { return Ok(()) };
        let sent = Request::new(&request.method, url, HeaderBlock::default());
        let (Some(sent), Some(nonce)) = (sent, &self.nonce) else { return Err("it has nothing to sign") };
        let signed = Signed {
            status: answer.status(),
            command,
            method: &sent.method,
            authority: &sent.host,
            path: &sent.raw_path,
            // RFC 9421, section 2.2.7: an absent query is an empty one, "?".
            query: &format!("?{}", sent.query.as_deref().unwrap_or_default()),
            nonce,
            input: answer.headers().get("signature-input"),
            signature: answer.headers().get("signature"),
        };
        verifier.verify(&signed, ports.time())
    }
}

/// Our members of the answer's signature headers are for us alone. What is no
/// Dictionary and speaks of us goes whole; others' signatures stay as they are.
pub fn scrub(headers: &HeaderBlock, edits: &mut HeaderEdits) {
    for name in ["signature-input", "signature"] {
        let Some(header) = headers.get(name).filter(|header| holds(header, LABEL)) else { continue };
        match signature::without_ours(header) {
            Some(kept) if kept == header => {}
            Some(kept) => edits.set(name, kept),
            None => edits.remove.push(name.to_owned()),
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
